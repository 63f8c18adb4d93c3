package expr

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func num(text string) Value {
	n, err := ParseNumber(text)
	if err != nil {
		panic(err)
	}
	return Num(n)
}

func set(kind Kind, elements ...Value) Value {
	v, ok := SetOf(kind, elements)
	if !ok {
		panic("twice")
	}
	return v
}

func document() Item {
	return Item{
		"n": num("5"), "s": Text("hello"), "bin": {Kind: B, Text: "\xff\x00"}, "t": {Kind: BOOL, Bool: true},
		"nul": {Kind: NULL},
		"l":   {Kind: L, List: []Value{num("1"), Text("two"), {Kind: M, Map: Item{"x": num("3")}}}},
		"m":   {Kind: M, Map: Item{"a": num("1"), "b": {Kind: L, List: []Value{num("2")}}}},
		"ss":  set(SS, Text("b"), Text("a")), "ns": set(NS, num("1"), num("20"), num("3")),
	}
}

// Source: DynamoDB Developer Guide, "Condition and filter expressions, operators, and functions".
func TestConditionsHold(t *testing.T) {
	t.Parallel()
	values := map[string]Value{
		":5": num("5.0"), ":6": num("6"), ":s": Text("hello"), ":he": Text("he"), ":S": Text("S"),
		":ss": set(SS, Text("a"), Text("b")), ":a": Text("a"), ":two": Text("two"),
		":3": num("3"), ":ff": {Kind: B, Text: "\xff"}, ":m": {Kind: M, Map: Item{"x": num("3")}}, ":ü": Text("ü"),
		":z": Text("z"), ":1": num("1"),
	}
	for text, want := range map[string]bool{
		"n = :5": true, "n <> :5": false, "n < :6": true, "n >= :6": false, "n = s": false, "n <> s": true,
		"n < s": false, "n >= s": false,
		"gone = :5": false, "gone <> :5": true, "gone <> away": true, "gone = away": false, "gone < :5": false,
		"NOT gone < :5":       true,
		"n BETWEEN :5 AND :6": true, "n IN (:6, :5)": true, "n IN (:6, s)": false, "gone IN (:5)": false,
		"attribute_exists(l[2].x)": true, "attribute_exists(l[3])": false, "attribute_exists(s.x)": false,
		"attribute_not_exists(m.c)": true, "attribute_exists(nul)": true,
		"attribute_type(s, :S)": true, "attribute_type(n, :S)": false, "attribute_type(gone, :S)": false,
		"begins_with(s, :he)": true, "begins_with(s, :s)": true, "begins_with(n, :he)": false,
		"begins_with(bin, :ff)": true,
		"contains(s, :he)":      true, "contains(ss, :a)": true, "contains(ss, :z)": false, "contains(l, :two)": true,
		"contains(l, :m)": true, "contains(ns, :3)": true, "contains(ns, :a)": false,
		"contains(:s, s)": true, "contains(n, :5)": false,
		"size(s) = :5": true, "size(ns) = :3": true, "size(l) = :3": true, "size(m) < :3": true, "size(n) = :1": false,
		"size(gone) = :1": false,
		"ss = :ss":        true, "ss < :6": false, "l[2] = :m": true, "s < :z": true, ":z > s": true,
		"n = :5 OR gone = :5 AND gone = :6": true, "(n = :5 OR gone = :5) AND gone = :6": false,
		"NOT n = :5 OR n = :5": true, "NOT (n = :5 OR n = :5)": false,
	} {
		c, err := NewScope(nil, values).Condition("ConditionExpression", text)
		if err != nil || c.Holds(document()) != want {
			t.Errorf("%s: want %t (%v)", text, want, err)
		}
	}
}

// Source: DynamoDB Developer Guide, "Using update expressions".
func TestUpdatesChangeItems(t *testing.T) {
	t.Parallel()
	values := map[string]Value{
		":1": num("1"), ":x": Text("x"), ":l": {Kind: L, List: []Value{Text("y")}},
		":ab": set(SS, Text("a"), Text("b")), ":bc": set(SS, Text("b"), Text("c")), ":m": {Kind: M, Map: Item{}},
	}
	with := func(changes Item) Item {
		d := document()
		for k, v := range changes {
			if v.Kind == 0 {
				delete(d, k)
			} else {
				d[k] = v
			}
		}
		return d
	}
	list := func(v ...Value) Value { return Value{Kind: L, List: v} }
	x3 := Value{Kind: M, Map: Item{"x": num("3")}}
	for text, want := range map[string]Item{
		// operands are read before anything changes
		"SET n = n + :1, o = n - :1":          {"n": num("6"), "o": num("4")},
		"SET a = if_not_exists(a, :x)":        {"a": Text("x")},
		"SET s = if_not_exists(s, :x)":        {},
		"SET l = list_append(l, :l)":          {"l": list(num("1"), Text("two"), x3, Text("y"))},
		"SET l = list_append(:l, l)":          {"l": list(Text("y"), num("1"), Text("two"), x3)},
		"SET l[0] = :x, l[9] = :1, l[7] = :x": {"l": list(Text("x"), Text("two"), x3, Text("x"), num("1"))},
		"SET l[2].y = :x REMOVE l[0]": {
			"l": list(Text("two"), Value{Kind: M, Map: Item{"x": num("3"), "y": Text("x")}}),
		},
		"REMOVE l[0], l[1], l[8]":     {"l": list(x3)},
		"REMOVE s, gone":              {"s": {}},
		"SET m.b[0] = m.a REMOVE m.a": {"m": {Kind: M, Map: Item{"b": list(num("1"))}}},
		"ADD n :1, c :1, ss :bc, d :ab": {
			"n": num("6"), "c": num("1"), "ss": set(SS, Text("a"), Text("b"), Text("c")),
			"d": set(SS, Text("a"), Text("b")),
		},
		"DELETE ss :bc":      {"ss": set(SS, Text("a"))},
		"DELETE ss :ab":      {"ss": {}},
		"DELETE gone :ab":    {},
		"ADD m.c :1":         {"m": {Kind: M, Map: Item{"a": num("1"), "b": list(num("2")), "c": num("1")}}},
		"SET s = (n - (:1))": {"s": num("4")},
		"SET x = :m":         {"x": {Kind: M, Map: Item{}}},
	} {
		u, err := NewScope(nil, values).Update(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		before := document()
		got, err := u.Apply(before)
		if d := cmp.Diff(with(want), got, cmp.AllowUnexported(Number{}), cmpopts.EquateEmpty()); err != nil || d != "" {
			t.Errorf("%s: %v\n%s", text, err, d)
		}
		if d := cmp.Diff(document(), before, cmp.AllowUnexported(Number{})); d != "" {
			t.Errorf("%s changed the item it was given\n%s", text, d)
		}
	}
}

func TestUpdatesThatDoNotFitAreRefused(t *testing.T) {
	t.Parallel()
	values := map[string]Value{":1": num("1"), ":big": num("9e125"), ":ab": set(SS, Text("a"))}
	for text, want := range map[string]string{
		"SET a = gone":             "The provided expression refers to an attribute that does not exist in the item",
		"SET a = gone + :1":        "The provided expression refers to an attribute that does not exist in the item",
		"SET a = s + :1":           "An operand in the update expression has an incorrect data type",
		"SET a = list_append(l,s)": "An operand in the update expression has an incorrect data type",
		"SET gone.a = :1":          "The document path provided in the update expression is invalid for update",
		"SET s.a = :1":             "The document path provided in the update expression is invalid for update",
		"SET m[0] = :1":            "The document path provided in the update expression is invalid for update",
		"REMOVE gone.a":            "The document path provided in the update expression is invalid for update",
		"ADD s :1":                 "An operand in the update expression has an incorrect data type",
		"DELETE s :ab":             "An operand in the update expression has an incorrect data type",
		"SET a = n + :big":         "Attempting to store more than 38 significant digits in a Number",
	} {
		u, err := NewScope(nil, values).Update(text)
		if err == nil {
			_, err = u.Apply(document())
		}
		if got := message(err); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// A text of a few hundred bytes must not turn an item of the largest size into gigabytes.
func TestUpdatesGiveUpOnceTheyAreLargerThanAnItem(t *testing.T) {
	t.Parallel()
	const elements = MaxItemBytes / 8
	item := Item{"l": {Kind: L, List: make([]Value, elements)}, "x": {Kind: M, Map: Item{}}}
	for i := range elements {
		item["l"].List[i] = Value{Kind: NULL}
	}
	values := map[string]Value{":l": item["l"], ":s": Text(strings.Repeat("s", MaxItemBytes/2))}
	nested := "l"
	for range 8 {
		nested = "list_append(l, " + nested + ")"
	}
	for _, text := range []string{
		"SET a = " + nested,
		"SET a = list_append(l,l), b = list_append(l,:l), x.c = list_append(:l,l)",
		"SET a = :l, b = :l, c = :l, d = l, x.e = l",
		"SET a = :s, b = :s, c = :s",
	} {
		u, err := NewScope(nil, values).Update(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = u.Apply(item); message(err) != "Item size to update has exceeded the maximum allowed size" {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestProjectionsShowParts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Item{
		"n, gone":         {"n": num("5")},
		"l[2], l[0]":      {"l": {Kind: L, List: []Value{num("1"), {Kind: M, Map: Item{"x": num("3")}}}}},
		"m.b[0], m.c":     {"m": {Kind: M, Map: Item{"b": {Kind: L, List: []Value{num("2")}}}}},
		"l[9], s.x, m[1]": {},
	} {
		p, err := NewScope(nil, nil).Projection(text)
		if d := cmp.Diff(want, p.Of(document()), cmp.AllowUnexported(Number{})); err != nil || d != "" {
			t.Errorf("%s: %v\n%s", text, err, d)
		}
	}
}

// Source: DynamoDB Developer Guide, "DynamoDB item sizes and formats".
func TestSizesAreCountedAsAWSCounts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		v    Value
		want int
	}{
		"text in UTF-8": {Text("ü€"), 5}, "number": {num("-123.45"), 5}, "zero": {num("0"), 1},
		"null": {Value{Kind: NULL}, 1}, "empty list": {Value{Kind: L}, 3},
		"map": {Value{Kind: M, Map: Item{"ab": Text("c")}}, 3 + 1 + 2 + 1}, "set": {set(SS, Text("a"), Text("bc")), 3},
	} {
		if got := c.v.Size(); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
