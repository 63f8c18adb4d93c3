package kinesis

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	client "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

var quoted = regexp.MustCompile("`([A-Za-z]+)`")

// listed returns which parameters docs/compat/kinesis.md tells of, by operation; what holds for all is under "".
func listed(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "compat", "kinesis.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n## Operations\n")
	table, _, _ = strings.Cut(table, "\n## ")
	parameters := map[string][]string{}
	var of []string
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 7 {
			continue
		}
		switch named := strings.TrimSpace(cells[1]); named {
		case "":
		case "all below":
			of = []string{""}
		default:
			of = strings.Split(named, ", ")
		}
		for _, name := range quoted.FindAllStringSubmatch(cells[2], -1) {
			for _, operation := range of {
				parameters[operation] = append(parameters[operation], name[1])
			}
		}
	}
	return parameters
}

// The page tells of each parameter that AWS's model has, operation by operation, and of none that it lacks.
func TestThePageTellsOfEveryParameter(t *testing.T) {
	t.Parallel()
	told, checked := listed(t), 0
	for method := range reflect.TypeFor[*client.Client]().Methods() {
		name := method.Name
		if _, served := model.Served[name]; !served {
			continue // TestThirtyNineOperationsAreServed looks at these
		}
		checked++
		var members []string
		for field := range method.Type.In(2).Elem().Fields() {
			if !field.IsExported() {
				continue
			}
			members = append(members, field.Name)
			if !slices.Contains(told[name], field.Name) && !slices.Contains(told[""], field.Name) {
				t.Errorf("docs/compat/kinesis.md does not tell of %s of %s", field.Name, name)
			}
		}
		for field := range method.Type.Out(0).Elem().Fields() { // answers have rows, too
			members = append(members, field.Name)
		}
		for field := range reflect.TypeFor[types.SubscribeToShardEvent]().Fields() {
			members = append(members, field.Name)
		}
		for _, parameter := range told[name] {
			if !slices.Contains(members, parameter) {
				t.Errorf("docs/compat/kinesis.md tells of %s of %s, which AWS's model does not have", parameter, name)
			}
		}
	}
	if checked != 39 {
		t.Errorf("%d operations were looked at", checked)
	}
}
