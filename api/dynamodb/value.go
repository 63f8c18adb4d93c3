package dynamodb

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/companion/table"
	"github.com/shardmill/shardmill/companion/table/expr"
	"github.com/shardmill/shardmill/fault"
)

// item reads a map of attribute values; nil when it is absent.
func (in *input) item(name string) expr.Item {
	m, ok := member[map[string]any](in, name, "map")
	if !ok {
		return nil
	}
	return in.itemOf(m)
}

// itemOf reads attribute values, and records their first error.
func (in *input) itemOf(m map[string]any) expr.Item {
	out := make(expr.Item, len(m))
	for _, name := range (&input{members: m}).sortedMembers() {
		v, err := decodeValue(m[name], table.MaxDepth)
		if err != nil {
			in.failValue(err)
			return out
		}
		if len(name) > maxNameBytes || name == "" {
			in.fail(invalid(
				"One or more parameter values were invalid: Size of an attribute name must be from 1 to %d bytes",
				maxNameBytes,
			))
		}
		out[name] = v
	}
	return out
}

// maxNameBytes bounds the name of an attribute. Source: DynamoDB Developer Guide, "Naming rules".
const maxNameBytes = 1<<16 - 1

// failValue records the error of an attribute value; a wrong JSON type takes precedence.
func (in *input) failValue(err error) {
	if in.report.broken == nil && fault.CodeOf(err) == fault.CodeSerialization {
		in.report.broken = err
	}
	in.fail(err)
}

// decodeValue reads an AttributeValue, with levels of lists and maps allowed in it.
func decodeValue(raw any, levels int) (expr.Value, error) {
	m, ok := raw.(map[string]any)
	if !ok && raw != nil {
		return expr.Value{}, serialization("%s", mismatch(raw, "structure"))
	}
	var kind expr.Kind
	var content any
	for name, v := range m {
		k, known := expr.KindOf(name)
		if !known || v == nil {
			continue
		}
		if kind != 0 {
			return expr.Value{}, invalid(
				"Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
			)
		}
		kind, content = k, v
	}
	switch kind {
	case expr.S, expr.N, expr.B:
		return decodeScalar(kind, content)
	case expr.SS, expr.NS, expr.BS:
		return decodeSet(kind, content)
	case expr.BOOL, expr.NULL:
		b, ok := content.(bool)
		if !ok {
			return expr.Value{}, serialization("%s", mismatch(content, "Boolean"))
		}
		if kind == expr.NULL && !b {
			return expr.Value{}, invalid(
				"One or more parameter values were invalid: Null attribute value types must have the value of true",
			)
		}
		return expr.Value{Kind: kind, Bool: b && kind == expr.BOOL}, nil
	case expr.L, expr.M:
		if levels == 0 {
			return expr.Value{}, invalid(
				"Nesting Levels have exceeded supported limits: Attributes of an item may be nested up to %d levels.",
				table.MaxDepth,
			)
		}
		return decodeDocument(kind, content, levels)
	}
	return expr.Value{}, invalid(
		"Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
	)
}

func decodeDocument(kind expr.Kind, content any, levels int) (expr.Value, error) {
	if kind == expr.L {
		list, ok := content.([]any)
		if !ok {
			return expr.Value{}, serialization("%s", mismatch(content, "list"))
		}
		v := expr.Value{Kind: expr.L, List: make([]expr.Value, len(list))}
		for i, e := range list {
			var err error
			if v.List[i], err = decodeValue(e, levels-1); err != nil {
				return expr.Value{}, err
			}
		}
		return v, nil
	}
	m, ok := content.(map[string]any)
	if !ok {
		return expr.Value{}, serialization("%s", mismatch(content, "map"))
	}
	v := expr.Value{Kind: expr.M, Map: make(map[string]expr.Value, len(m))}
	for name, e := range m {
		var err error
		if v.Map[name], err = decodeValue(e, levels-1); err != nil {
			return expr.Value{}, err
		}
	}
	return v, nil
}

func decodeScalar(kind expr.Kind, content any) (expr.Value, error) {
	s, ok := content.(string)
	if !ok {
		return expr.Value{}, serialization(
			"%s", mismatch(content, map[expr.Kind]string{expr.S: "String", expr.N: "String", expr.B: "Blob"}[kind]),
		)
	}
	switch kind {
	case expr.N:
		n, err := expr.ParseNumber(s)
		return expr.Num(n), err
	case expr.B:
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return expr.Value{}, serialization("'%s' can not be converted to a Blob: it is not Base64", clip(s))
		}
		return expr.Value{Kind: expr.B, Text: string(b)}, nil
	default:
		return expr.Text(s), nil
	}
}

const textInvalid = "One or more parameter values were invalid: "

// setTexts are AWS's texts about sets.
var setTexts = map[expr.Kind]struct {
	element      expr.Kind
	empty, twice string
}{
	expr.SS: {
		expr.S, textInvalid + "An string set  may not be empty",
		textInvalid + "Input collection %s contains duplicates.",
	},
	expr.NS: {expr.N, textInvalid + "An number set  may not be empty", "Input collection contains duplicates"},
	expr.BS: {
		expr.B, textInvalid + "Binary sets should not be empty",
		textInvalid + "Input collection %s of type BS contains duplicates.",
	},
}

func decodeSet(kind expr.Kind, content any) (expr.Value, error) {
	list, ok := content.([]any)
	if !ok {
		return expr.Value{}, serialization("%s", mismatch(content, "list"))
	}
	texts := setTexts[kind]
	if len(list) == 0 {
		return expr.Value{}, invalid("%s", texts.empty)
	}
	elements := make([]expr.Value, len(list))
	var shown []string
	for i, e := range list {
		v, err := decodeScalar(texts.element, e)
		if err != nil {
			return expr.Value{}, err
		}
		if kind == expr.SS && v.Text == "" {
			return expr.Value{}, invalid(textInvalid + "An string set may not have a empty string as a member")
		}
		if kind == expr.BS && v.Text == "" {
			return expr.Value{}, invalid(textInvalid + "Binary sets may not contain null or empty values")
		}
		elements[i], shown = v, append(shown, fmt.Sprint(e))
	}
	v, ok := expr.SetOf(kind, elements)
	if !ok {
		text := texts.twice
		if strings.Contains(text, "%s") {
			text = fmt.Sprintf(text, "["+clip(strings.Join(shown, ", "))+"]")
		}
		return expr.Value{}, invalid("%s", text)
	}
	return v, nil
}

// wireItem returns an item as it travels; nil stays nil. It is written at once, because a tree of maps would take a
// hundred times the memory.
func wireItem(item expr.Item) json.RawMessage {
	if item == nil {
		return nil
	}
	return appendItem(make([]byte, 0, 64+2*expr.ItemSize(item)), item)
}

func wireItems(items []expr.Item) []json.RawMessage {
	out := make([]json.RawMessage, len(items))
	for i, item := range items {
		out[i] = wireItem(item)
	}
	return out
}

func appendItem(b []byte, item expr.Item) []byte {
	b = append(b, '{')
	for i, name := range slices.Sorted(maps.Keys(item)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, name), ':')
		b = appendValue(b, item[name])
	}
	return append(b, '}')
}

// appendValue writes a value with its kind: {"S":"text"}.
func appendValue(b []byte, v expr.Value) []byte {
	b = append(b, `{"`...)
	b = append(b, v.Kind.String()...)
	b = append(b, `":`...)
	switch v.Kind {
	case expr.S, expr.N, expr.B:
		b = appendScalar(b, v)
	case expr.BOOL:
		b = strconv.AppendBool(b, v.Bool)
	case expr.NULL:
		b = append(b, "true"...)
	case expr.M:
		b = appendItem(b, v.Map)
	case expr.L:
		b = appendList(b, v.List, appendValue)
	case expr.SS, expr.NS, expr.BS:
		b = appendList(b, v.List, appendScalar)
	}
	return append(b, '}')
}

func appendList(b []byte, list []expr.Value, element func([]byte, expr.Value) []byte) []byte {
	b = append(b, '[')
	for i, e := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = element(b, e)
	}
	return append(b, ']')
}

func appendScalar(b []byte, v expr.Value) []byte {
	switch v.Kind {
	case expr.N:
		b = append(b, '"')
		b = append(b, v.Number.String()...)
		return append(b, '"')
	case expr.B:
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, []byte(v.Text))
		return append(b, '"')
	default:
		return appendText(b, v.Text)
	}
}

// appendText writes a text as JSON.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic(err) // texts always marshal
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
