package arch

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// oneSpelling are the files that may say that shardmill lacks something that AWS has.
var oneSpelling = []string{"api/wire/model.go", "api/wire/nothere.go"}

// What AWS has and shardmill does not is refused in one spelling, by wire.Absent. What a service writes by itself would
// name no page of docs/compat, or another one.
func TestWhatIsAbsentHasOneSpelling(t *testing.T) {
	t.Parallel()
	lacks := regexp.MustCompile(`(supported|implemented) by shardmill|shardmill does not (support|implement|have)`)
	used := map[string]bool{}
	for _, f := range files(t) {
		if f.test || !strings.HasPrefix(f.room, "api/") || strings.HasSuffix(f.room, "test") {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING || !lacks.MatchString(lit.Value) {
				return true
			}
			used[f.path] = true
			if !slices.Contains(oneSpelling, f.path) && !strings.Contains(lit.Value, "AWS's own policies") {
				t.Errorf("%s says %s by itself; use wire.Absent", f.path, lit.Value)
			}
			return true
		})
	}
	for _, path := range oneSpelling {
		if !used[path] {
			t.Errorf("%s refuses nothing any more; take it off the list", path)
		}
	}
}
