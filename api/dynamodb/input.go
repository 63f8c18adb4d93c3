package dynamodb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/table"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/jsontext"
)

// input reads the members of one structure of a request, by their exact names. null counts as absent; members that no
// operation asks for are ignored, as AWS does. The first member of a wrong type is remembered, and so is every broken
// constraint; zero values stand for them until err is asked.
type input struct {
	path    string // before the names of members, for messages; "" or with a dot at its end
	members map[string]any
	report  *report
	named   bool // the members' names are the caller's, as in RequestItems
}

// report holds the errors of a request so far.
type report struct {
	broken     error // a member of a wrong type
	violations fault.Violations
	invalid    error // anything else

	tables *table.Tables // whose policies are asked
}

// parse reads a request body: one JSON object of valid UTF-8. What Go's decoder would silently replace (broken UTF-8,
// half a surrogate pair) is refused, because an item must not change on its way.
func parse(body []byte) (*input, error) {
	if !jsontext.Faithful(body) {
		return nil, serialization("The request body is not valid Unicode.")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	in := &input{report: &report{}}
	if err := d.Decode(&in.members); err != nil || in.members == nil {
		return nil, serialization("The request body is not a JSON object.")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, serialization("The request body is more than a JSON object.")
	}
	return in, nil
}

// err returns AWS's error: a wrong type, else every broken constraint, else the first other error.
func (in *input) err() error {
	if in.report.broken != nil {
		return in.report.broken
	}
	if err := in.report.violations.Err(); err != nil {
		return err
	}
	return in.report.invalid
}

// fail records an error other than of types and constraints.
func (in *input) fail(err error) {
	if in.report.invalid == nil {
		in.report.invalid = err
	}
}

// mismatch records a member of a wrong type.
func (in *input) mismatch(v any, want string) {
	if in.report.broken == nil {
		in.report.broken = serialization("%s", mismatch(v, want))
	}
}

func mismatch(v any, want string) string {
	switch v := v.(type) {
	case string:
		return "STRING_VALUE cannot be converted to " + want
	case json.Number:
		return "NUMBER_VALUE cannot be converted to " + want
	case bool:
		return strings.ToUpper(strconv.FormatBool(v)) + "_VALUE cannot be converted to " + want
	case []any:
		return "Start of list found where not expected"
	}
	return "Start of structure or map found where not expected."
}

// where returns the path of a member as AWS writes it.
func (in *input) where(name string) string {
	if in.named {
		return in.path + name + ".member"
	}
	return in.path + strings.ToLower(name[:1]) + name[1:]
}

func (in *input) has(name string) bool { return in.members[name] != nil }

// member returns a member of type T; ok is false when it is absent or something else.
func member[T any](in *input, name, want string) (v T, ok bool) {
	raw := in.members[name]
	if raw == nil {
		return v, false
	}
	if v, ok = raw.(T); !ok {
		in.mismatch(raw, want)
	}
	return v, ok
}

func (in *input) text(name string) string {
	s, _ := member[string](in, name, "String")
	return s
}

func (in *input) boolean(name string) bool {
	b, _ := member[bool](in, name, "Boolean")
	return b
}

// enum reads a text that is one of values; "" when absent.
func (in *input) enum(name string, values ...string) string {
	s, ok := member[string](in, name, "String")
	if ok && !slices.Contains(values, s) {
		in.report.violations.Add(
			in.where(name), clip(s), "Member must satisfy enum value set: ["+strings.Join(values, ", ")+"]",
		)
		return ""
	}
	return s
}

// integer reads a whole number from lo to hi; ok is false when it is absent.
func (in *input) integer(name string, lo, hi int64) (n int64, ok bool) {
	v, ok := member[json.Number](in, name, "Integer")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(v.String(), 10, 64)
	if err != nil {
		f, err := v.Float64()
		if err != nil || math.Abs(f) >= 1<<62 {
			in.mismatch(v, "Integer")
			return 0, false
		}
		n = int64(f) // AWS rounds 1.5 down
	}
	in.report.violations.Range(in.where(name), n, lo, hi)
	return n, true
}

// structure reads a member's members; nil when it is absent.
func (in *input) structure(name string) *input {
	m, ok := member[map[string]any](in, name, "structure")
	if !ok {
		return nil
	}
	return &input{path: in.where(name) + ".", members: m, report: in.report}
}

// byTable reads a map from names of tables.
func (in *input) byTable(name string) *input {
	m := in.structure(name)
	if m != nil {
		m.named = true
	}
	return m
}

// structures reads a list of structures.
func (in *input) structures(name string) []*input {
	list, _ := member[[]any](in, name, "list")
	out := make([]*input, 0, len(list))
	for i, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			in.mismatch(e, "structure")
			continue
		}
		out = append(out, &input{
			path: fmt.Sprintf("%s.%d.member.", in.where(name), i+1), members: m, report: in.report,
		})
	}
	return out
}

// texts reads a list of texts.
func (in *input) texts(name string) []string {
	list, _ := member[[]any](in, name, "list")
	return stringsOf(in, list)
}

func stringsOf(in *input, list []any) []string {
	var out []string
	for _, e := range list {
		s, ok := e.(string)
		if !ok {
			in.mismatch(e, "String")
			return nil
		}
		out = append(out, s)
	}
	return out
}

// need records each absent member.
func (in *input) need(names ...string) {
	for _, name := range names {
		if !in.has(name) {
			in.report.violations.Null(in.where(name))
		}
	}
}

// sized records a list or map whose length is out of bounds.
func (in *input) sized(name string, lo, hi int) {
	n := 0
	switch v := in.members[name].(type) {
	case []any:
		n = len(v)
	case map[string]any:
		n = len(v)
	default:
		return
	}
	switch {
	case n < lo:
		in.report.violations.Hidden(
			in.where(name), fmt.Sprintf("Member must have length greater than or equal to %d", lo),
		)
	case n > hi:
		in.report.violations.Hidden(in.where(name), fmt.Sprintf("Member must have length less than or equal to %d", hi))
	}
}

// refuse refuses the first of members that is present: AWS has them, this room does not.
func (in *input) refuse(members ...string) {
	for _, name := range members {
		if in.has(name) {
			in.fail(unsupported("the parameter " + name))
		}
	}
}

// unsupported refuses what DynamoDB has and this room does not.
func unsupported(what string) error { return absent.Parameter(table.CodeValidation, what) }

var namePattern = wire.Pattern(`^[a-zA-Z0-9_.-]+$`)

// name checks the name of a table or index.
func (in *input) name(member, name string) {
	switch where := in.where(member); {
	case len(name) < 3:
		in.report.violations.Add(where, clip(name), "Member must have length greater than or equal to 3")
	case len(name) > 255:
		in.report.violations.Add(where, clip(name), "Member must have length less than or equal to 255")
	case !namePattern.MatchString(name):
		in.report.violations.Add(where, clip(name), "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+")
	}
}

// table reads TableName, a name or an ARN in the caller's region, and judges whether the caller may do with it what the
// request asks.
func (in *input) table(c wire.Caller) table.Name {
	in.need("TableName")
	return in.tableNamed("TableName", in.text("TableName"), c)
}

func (in *input) tableNamed(member, given string, c wire.Caller) table.Name {
	n := table.Name{Account: c.Account, Region: c.Region, Table: given}
	if a, ok := arn.Parse(given); ok {
		name, isTable := strings.CutPrefix(a.Resource, "table/")
		account, _, valid := arn.FoldAccount(a.Account, c.Account)
		if a.Service != "dynamodb" || !isTable || a.Region != c.Region || !valid {
			in.fail(invalid("Invalid table ARN: %s", clip(given)))
		}
		n.Account, n.Table = account, name
	}
	if in.has(member) {
		in.name(member, n.Table)
	}
	index := "" // which only these two name beside a table
	if c.Operation() == "Query" || c.Operation() == "Scan" {
		index = in.text("IndexName")
	}
	if err := in.report.tables.Authorize(context.Background(), c.Principal(), n, index, c.Operation()); err != nil {
		in.fail(err)
	}
	return n
}

// sortedMembers are the names of a structure's members.
func (in *input) sortedMembers() []string { return slices.Sorted(maps.Keys(in.members)) }

// clip keeps a quoted value of a caller short.
func clip(s string) string { return fault.Clip(s, 300) }
