package expr

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func legacy(attribute, operator string, values ...Value) LegacyCondition {
	return LegacyCondition{attribute, operator, values}
}

// Source: DynamoDB API Reference, Condition: what each operator of ComparisonOperator means.
func TestLegacyConditionsHold(t *testing.T) {
	t.Parallel()
	bytes := Value{Kind: B, Text: "\xff"}
	for _, c := range []struct {
		LegacyCondition
		want bool
	}{
		{legacy("n", "EQ", num("5.0")), true},
		{legacy("n", "EQ", Text("5")), false},
		{legacy("gone", "EQ", num("5")), false},
		{legacy("ss", "EQ", set(SS, Text("a"), Text("b"))), true},
		{legacy("l", "EQ", document()["l"]), true},
		{legacy("n", "NE", num("6")), true},
		{legacy("n", "NE", Text("5")), true},
		{legacy("n", "NE", num("5")), false},
		{legacy("gone", "NE", num("5")), true},
		{legacy("n", "LT", num("6")), true},
		{legacy("n", "LE", num("5")), true},
		{legacy("n", "GT", num("5")), false},
		{legacy("n", "GE", num("5")), true},
		{legacy("s", "GE", num("5")), false},
		{legacy("gone", "LT", num("5")), false},
		{legacy("n", "BETWEEN", num("5"), num("6")), true},
		{legacy("n", "BETWEEN", num("6"), num("7")), false},
		{legacy("n", "BETWEEN", num("5"), num("5.0")), true},
		{legacy("n", "IN", num("1"), num("5")), true},
		{legacy("n", "IN", Text("5")), false},
		{legacy("nul", "NOT_NULL"), true},
		{legacy("gone", "NOT_NULL"), false},
		{legacy("gone", "NULL"), true},
		{legacy("nul", "NULL"), false},
		{legacy("s", "BEGINS_WITH", Text("he")), true},
		{legacy("bin", "BEGINS_WITH", bytes), true},
		{legacy("n", "BEGINS_WITH", Text("5")), false},
		{legacy("s", "CONTAINS", Text("ell")), true},
		{legacy("ns", "CONTAINS", num("20")), true},
		{legacy("l", "CONTAINS", Text("two")), true},
		{legacy("gone", "CONTAINS", Text("x")), false},
		{legacy("s", "NOT_CONTAINS", Text("ell")), false},
		{legacy("ss", "NOT_CONTAINS", Text("z")), true},
		{legacy("gone", "NOT_CONTAINS", Text("x")), true},
		{legacy("m.a", "NULL"), true}, // the name of an attribute, no path
	} {
		tree, err := LegacyConditions([]LegacyCondition{c.LegacyCondition}, false)
		if err != nil || tree.Holds(document()) != c.want {
			t.Errorf("%s %s %v: want %t (%v)", c.Attribute, c.Operator, c.Values, c.want, err)
		}
	}
}

func TestLegacyConditionsAreJoined(t *testing.T) {
	t.Parallel()
	yes, no := legacy("n", "NOT_NULL"), legacy("n", "NULL")
	for _, c := range []struct {
		conditions []LegacyCondition
		anyOf      bool
		want       bool
	}{
		{[]LegacyCondition{yes, yes, yes}, false, true},
		{[]LegacyCondition{yes, yes, no}, false, false},
		{[]LegacyCondition{no, no, yes}, true, true},
		{[]LegacyCondition{no, no, no}, true, false},
	} {
		tree, err := LegacyConditions(c.conditions, c.anyOf)
		if err != nil || tree.Holds(document()) != c.want {
			t.Errorf("%v anyOf=%t: want %t (%v)", c.conditions, c.anyOf, c.want, err)
		}
	}
	if tree, err := LegacyConditions(nil, true); tree != nil || err != nil {
		t.Errorf("none: %v, %v", tree, err)
	}
}

// A request of megabytes may hold half a million conditions; evaluating them must not go half a million calls deep.
func TestManyLegacyConditionsStayShallow(t *testing.T) {
	t.Parallel()
	many := make([]LegacyCondition, 1<<16)
	for i := range many {
		many[i] = legacy("n", "NOT_NULL")
	}
	tree, err := LegacyConditions(many, false)
	if err != nil {
		t.Fatal(err)
	}
	depth := 0
	for and, ok := tree.(And); ok; and, ok = and.Left.(And) {
		depth++
	}
	if depth != 16 {
		t.Errorf("%d levels of %d conditions, want 16", depth, len(many))
	}
}

// The texts are AWS's, as its users' tests have recorded them.
func TestLegacyParametersAreRefusedInAWSsWords(t *testing.T) {
	t.Parallel()
	const values = "One or more parameter values were invalid: "
	const count = values + "Invalid number of argument(s) for the "
	key := func(c ...LegacyCondition) error { _, err := LegacyKey(c); return err }
	condition := func(c LegacyCondition) error { _, err := LegacyConditions([]LegacyCondition{c}, false); return err }
	action := func(what string, v *Value) error {
		_, err := LegacyUpdate([]LegacyAction{{"a", what, v}})
		return err
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{condition(legacy("a", "NULL", num("1"))), count + "NULL ComparisonOperator"},
		{condition(legacy("a", "EQ")), count + "EQ ComparisonOperator"},
		{condition(legacy("a", "IN")), count + "IN ComparisonOperator"},
		{condition(legacy("a", "BETWEEN", num("1"))), count + "BETWEEN ComparisonOperator"},
		{
			condition(legacy("a", "IN", Text("b"), num("1"))),
			values + "AttributeValues inside AttributeValueList must be of same type",
		},
		{
			condition(legacy("a", "LE", set(SS, Text("a")))),
			values + "ComparisonOperator LE is not valid for SS AttributeValue type",
		},
		{
			condition(legacy("a", "BEGINS_WITH", num("1"))),
			values + "ComparisonOperator BEGINS_WITH is not valid for N AttributeValue type",
		},
		{
			condition(legacy("a", "BETWEEN", Text("b"), Text("a"))),
			"The BETWEEN condition was provided a range where the lower bound is greater than the upper bound",
		},
		{key(), "Conditions can be of length 1 or 2 only"},
		{key(legacy("a", "NE", num("1"))), "Attempted conditional constraint is not an indexable operation"},
		{action("PUT", nil), values + "Only DELETE action is allowed when no attribute value is specified"},
		{action("ADD", nil), values + "Only DELETE action is allowed when no attribute value is specified"},
		{action("ADD", new(Text("x"))), values + "ADD action is not supported for the type S"},
		{action("DELETE", new(num("1"))), values + "DELETE action with value is not supported for the type N"},
	} {
		if got := message(c.err); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	_, err := LegacyProjection([]string{"a", "b", "a"})
	if message(err) != values+"Duplicate value in attribute name: a" {
		t.Errorf("AttributesToGet twice: %v", err)
	}
}

func TestLegacyKeysAreThoseOfExpressions(t *testing.T) {
	t.Parallel()
	values := map[string]Value{":a": Text("a"), ":b": Text("b")}
	for text, c := range map[string]LegacyCondition{
		"k = :a": legacy("k", "EQ", Text("a")), "k < :a": legacy("k", "LT", Text("a")),
		"k <= :a": legacy("k", "LE", Text("a")), "k > :a": legacy("k", "GT", Text("a")),
		"k >= :a": legacy("k", "GE", Text("a")), "begins_with(k, :a)": legacy("k", "BEGINS_WITH", Text("a")),
		"k BETWEEN :a AND :b": legacy("k", "BETWEEN", Text("a"), Text("b")),
	} {
		want, err := NewScope(nil, values).KeyCondition(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := LegacyKey([]LegacyCondition{c}); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v (%v)", c.Operator, got, want, err)
		}
	}
}

// Source: DynamoDB Developer Guide, "AttributeUpdates (legacy)".
func TestLegacyUpdatesChangeItems(t *testing.T) {
	t.Parallel()
	list := func(v ...Value) Value { return Value{Kind: L, List: v} }
	before := Item{"n": num("5"), "ss": set(SS, Text("a"), Text("b")), "l": list(num("1")), "s": Text("x")}
	for _, c := range []struct {
		LegacyAction
		want Value // of Kind 0: the attribute is gone
	}{
		{LegacyAction{"s", "PUT", new(Text("y"))}, Text("y")},
		{LegacyAction{"new.name", "PUT", new(Text("y"))}, Text("y")},
		{LegacyAction{"s", "DELETE", nil}, Value{}},
		{LegacyAction{"gone", "DELETE", nil}, Value{}},
		{LegacyAction{"n", "ADD", new(num("-2"))}, num("3")},
		{LegacyAction{"gone", "ADD", new(num("2"))}, num("2")},
		{LegacyAction{"ss", "ADD", new(set(SS, Text("c")))}, set(SS, Text("a"), Text("b"), Text("c"))},
		{LegacyAction{"ss", "DELETE", new(set(SS, Text("a")))}, set(SS, Text("b"))},
		{LegacyAction{"ss", "DELETE", new(set(SS, Text("a"), Text("b")))}, Value{}},
		{LegacyAction{"l", "ADD", new(list(num("2")))}, list(num("1"), num("2"))},
		{LegacyAction{"gone", "ADD", new(list(num("2")))}, list(num("2"))},
	} {
		u, err := LegacyUpdate([]LegacyAction{c.LegacyAction})
		if err != nil {
			t.Fatal(err)
		}
		after, err := u.Apply(before)
		got := after[c.Attribute]
		if d := cmp.Diff(c.want, got, cmp.AllowUnexported(Number{}), cmpopts.EquateEmpty()); err != nil || d != "" {
			t.Errorf("%s %s: %v\n%s", c.Action, c.Attribute, err, d)
		}
	}
	u, err := LegacyUpdate([]LegacyAction{{"s", "ADD", new(num("1"))}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Apply(before); message(err) != "Type mismatch for attribute to update" {
		t.Errorf("a number added to a text: %v", err)
	}
}
