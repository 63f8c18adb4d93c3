package expr

import (
	"errors"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/fault"
)

func scope() *Scope {
	one, _ := ParseNumber("1")
	set, _ := SetOf(SS, []Value{Text("a")})
	return NewScope(
		map[string]string{"#n": "name", "#m": "map"},
		map[string]Value{
			":n": Num(one), ":s": Text("s"), ":a": Text("a"), ":t": Text("XX"), ":b": {Kind: BOOL}, ":l": {Kind: L},
			":ss": set, ":m": {Kind: M}, ":bin": {Kind: B, Text: "x"},
		})
}

func message(err error) string {
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != CodeValidation {
		return "not a ValidationException"
	}
	return f.Message
}

// The texts are AWS's, as users of its SDKs have quoted them, and so is the order of the checks.
func TestConditionsAreRefusedInAWSsWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                           "The expression can not be empty;",
		"a":                          `Syntax error; token: "<EOF>", near: "a"`,
		"a = = :n":                   `Syntax error; token: "=", near: "= = :n"`,
		"a = :n b":                   `Syntax error; token: "b", near: ":n b"`,
		"* = :n":                     `Syntax error; token: "*", near: "* ="`,
		"a = :n AND":                 `Syntax error; token: "<EOF>", near: "AND"`,
		"and = :n":                   `Syntax error; token: "and", near: "and ="`,
		"(a = :n":                    `Syntax error; token: "<EOF>", near: ":n"`,
		"a[x] = :n":                  `Syntax error; token: "x", near: "[x]"`,
		"a = :n AND size(b)":         "The function is not allowed to be used this way in an expression; function: size",
		"begins_with(a, :s) = :n":    "The function is not allowed to be used this way in an expression; function: begins_with",
		"((a = :n))":                 "The expression has redundant parentheses;",
		"exists(a)":                  "Invalid function name; function: exists",
		"size(a, b) = :n":            "Incorrect number of operands for operator or function; operator or function: size, number of operands: 2",
		"attribute_exists(:n)":       "Operator or function requires a document path; operator or function: attribute_exists",
		"status = :n":                "Attribute name is a reserved keyword; reserved keyword: status",
		"a.Count = :n":               "Attribute name is a reserved keyword; reserved keyword: Count",
		"#x = :n":                    "An expression attribute name used in the document path is not defined; attribute name: #x",
		"a = :x":                     "An expression attribute value used in expression is not defined; attribute value: :x",
		"a.b[1] = a.b[1]":            "The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [a, b, [1]]",
		"a < :b":                     "Incorrect operand type for operator or function; operator: <, operand type: BOOL",
		"begins_with(a, :n)":         "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
		"attribute_type(a, :n)":      "Incorrect operand type for operator or function; operator or function: attribute_type, operand type: N",
		"attribute_type(a, :t)":      "Invalid attribute type name found; type: XX, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
		"size(:n) = :n":              "Incorrect operand type for operator or function; operator or function: size, operand type: N",
		"a BETWEEN :s AND :a":        "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {S:s}, upper bound operand: AttributeValue: {S:a}",
		"a BETWEEN :s AND :n":        "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: {S:s}, upper bound operand: AttributeValue: {N:1}",
		"status = :x AND ((a = :n))": "The expression has redundant parentheses;",
		strings.Repeat(
			"a", 4097,
		): "Expression size has exceeded the maximum allowed size; expression size: 4097",
		strings.Repeat("NOT ", 1000):        `Syntax error; token: "NOT", near: "NOT NOT NOT"`,
		strings.Repeat("(", 1000):           `Syntax error; token: "(", near: "((("`,
		"a IN ()":                           `Syntax error; token: ")", near: "()"`,
		"contains(attribute_exists(a), :n)": "The function is not allowed to be used this way in an expression; function: attribute_exists",
	} {
		_, err := scope().Condition("FilterExpression", text)
		if got := message(err); got != "Invalid FilterExpression: "+want {
			t.Errorf("%.80s:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

func TestUpdatesAreRefusedInAWSsWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a = :n":                               `Syntax error; token: "a", near: "a ="`,
		"SET a":                                `Syntax error; token: "<EOF>", near: "a"`,
		"SET a = :n,":                          `Syntax error; token: "<EOF>", near: ","`,
		"SET a = :n SET b = :n":                `The "SET" section can only be used once in an update expression;`,
		"SET a = :n REMOVE a.b":                "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]",
		"SET a.b = :n, a[1] = :n":              "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a, [1]]",
		"SET a = size(b)":                      "The function is not allowed in an update expression; function: size",
		"SET a = foo(b)":                       "Invalid function name; function: foo",
		"SET a = if_not_exists(:n, :n)":        "Operator or function requires a document path; operator or function: if_not_exists",
		"SET a = list_append(b)":               "Incorrect number of operands for operator or function; operator or function: list_append, number of operands: 1",
		"SET a = list_append(b, :n)":           "Incorrect operand type for operator or function; operator or function: list_append, operand type: N",
		"SET a = b + :s":                       "Incorrect operand type for operator or function; operator or function: +, operand type: S",
		"ADD a :s":                             "Incorrect operand type for operator or function; operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND",
		"DELETE a :n":                          "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER, typeSet: ALLOWED_FOR_DELETE_OPERAND",
		"ADD a b":                              `Syntax error; token: "b", near: "a b"`,
		"SET status = :n":                      "Attribute name is a reserved keyword; reserved keyword: status",
		"REMOVE #x":                            "An expression attribute name used in the document path is not defined; attribute name: #x",
		"SET a = (" + strings.Repeat("(", 500): `Syntax error; token: "(", near: "((("`,
	} {
		_, err := scope().Update(text)
		if got := message(err); got != "Invalid UpdateExpression: "+want {
			t.Errorf("%.80s:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

func TestKeyConditionsAreRefusedInAWSsWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a = :n OR b = :n":               "Invalid operator used in KeyConditionExpression: OR",
		"NOT a = :n":                     "Invalid operator used in KeyConditionExpression: NOT",
		"a <> :n":                        "Invalid operator used in KeyConditionExpression: <>",
		"a IN (:n)":                      "Invalid operator used in KeyConditionExpression: IN",
		"a = :n AND attribute_exists(b)": "Invalid operator used in KeyConditionExpression: attribute_exists",
		"size(a) = :n":                   "KeyConditionExpressions cannot contain nested operations",
		"a.b = :n":                       "KeyConditionExpressions cannot have conditions on nested attributes",
		"a = b":                          "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
		":n = :n":                        "Invalid condition in KeyConditionExpression: No key attribute specified",
		"a = :n AND a > :n":              "KeyConditionExpressions must only contain one condition per key",
		"begins_with(:s, a)":             "Invalid condition in KeyConditionExpression: begins_with operator must have the key attribute as its first operand",
		"timestamp = :n":                 "Invalid KeyConditionExpression: Attribute name is a reserved keyword; reserved keyword: timestamp",
	} {
		_, err := scope().KeyCondition(text)
		if got := message(err); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// The attribute may be on either side.
func TestKeyConditionsMayBeMirrored(t *testing.T) {
	t.Parallel()
	got, err := scope().KeyCondition(":n = a AND :s < b")
	if err != nil || len(got) != 2 || got[0].Operator != "=" || got[0].Attribute != "a" || got[1].Operator != ">" ||
		got[1].Attribute != "b" {
		t.Errorf("%+v %v", got, err)
	}
}

func TestWhatNoExpressionUsesIsRefused(t *testing.T) {
	t.Parallel()
	s := NewScope(map[string]string{"#b": "b", "#a": "a", "#c": "c"}, map[string]Value{":x": {Kind: NULL}})
	if _, err := s.Projection("#b, d"); err != nil {
		t.Fatal(err)
	}
	if got, want := message(
		s.Unused(),
	), "Value provided in ExpressionAttributeNames unused in expressions: keys: {#a, #c}"; got != want {
		t.Errorf("got %s", got)
	}
	s = NewScope(nil, map[string]Value{":x": {Kind: NULL}})
	if got, want := message(
		s.Unused(),
	), "Value provided in ExpressionAttributeValues unused in expressions: keys: {:x}"; got != want {
		t.Errorf("got %s", got)
	}
}

func FuzzExpressions(f *testing.F) {
	for _, text := range []string{
		"a = :n AND (b < :s OR NOT contains(#n.x[3], :a))",
		"SET a.b[1] = if_not_exists(c, :l), d = d - :n REMOVE e ADD f :ss DELETE g :ss", "a, b.c[0], #n",
		"a BETWEEN :a AND :s", "((a = :n))", "a IN (:n, :s, b)", "size(a) >= :n", "attribute_type(a, :t)",
		"SET a = list_append(:l, b)", "\x00é[", "begins_with(:s, a)",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		doc := Item{
			"a": {Kind: L, List: []Value{Text("x"), {Kind: M, Map: Item{"b": Num(Integer(1))}}}}, "b": Num(Integer(2)),
			"c": {Kind: M, Map: Item{"d": {Kind: L}}}, "f": scope().values[":ss"],
		}
		if c, err := scope().Condition("ConditionExpression", text); err == nil {
			c.Holds(doc)
			c.Holds(nil)
			_ = Attributes(c)
		}
		if u, err := scope().Update(text); err == nil {
			if _, err := u.Apply(doc); err == nil {
				u.Paths().Of(doc)
			}
		}
		if p, err := scope().Projection(text); err == nil {
			p.Of(doc)
		}
		_, _ = scope().KeyCondition(text)
	})
}
