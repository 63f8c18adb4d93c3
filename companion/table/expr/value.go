package expr

import (
	"maps"
	"slices"
	"strings"
)

// Kind is the type of a Value, under the name that DynamoDB gives it on the wire.
type Kind uint8

// The kinds. They are stored, so their numbers stay as they are.
const (
	S Kind = iota + 1
	N
	B
	BOOL
	NULL
	L
	M
	SS
	NS
	BS
)

var kindNames = [...]string{
	S: "S", N: "N", B: "B", BOOL: "BOOL", NULL: "NULL", L: "L", M: "M", SS: "SS", NS: "NS", BS: "BS",
}

// String returns the name on the wire; "" for no kind.
func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		return ""
	}
	return kindNames[k]
}

// KindOf returns the kind with that name on the wire; ok is false if there is none.
func KindOf(name string) (k Kind, ok bool) {
	i := slices.Index(kindNames[1:], name)
	return Kind(i + 1), i >= 0
}

// Set reports whether k is one of the three sets.
func (k Kind) Set() bool { return k == SS || k == NS || k == BS }

// element returns the kind of a set's elements.
func (k Kind) element() Kind {
	switch k {
	case SS:
		return S
	case NS:
		return N
	case BS:
		return B
	default:
		return 0
	}
}

// Value is one attribute value. Values never change, so they may be shared: an update copies before it changes.
type Value struct {
	Kind   Kind
	Text   string           // S: UTF-8; B: the bytes
	Number Number           // N
	Bool   bool             // BOOL
	List   []Value          // L: the elements; sets: values of the element's kind, each once, in ascending order
	Map    map[string]Value // M
}

// Item is a map of attributes, top level of a table's entries.
type Item = map[string]Value

// Text returns a value of kind S.
func Text(s string) Value { return Value{Kind: S, Text: s} }

// Num returns a value of kind N.
func Num(n Number) Value { return Value{Kind: N, Number: n} }

// SetOf returns a set of kind k with elements of its element kind. ok is false if an element occurs twice.
func SetOf(k Kind, elements []Value) (v Value, ok bool) {
	sorted := slices.SortedFunc(slices.Values(elements), Value.compareScalar)
	compact := slices.CompactFunc(slices.Clone(sorted), func(a, b Value) bool { return a.compareScalar(b) == 0 })
	return Value{Kind: k, List: compact}, len(compact) == len(sorted)
}

// Size returns how many bytes AWS counts for the value. Source: DynamoDB Developer Guide, "DynamoDB item sizes and
// formats".
func (v Value) Size() int {
	switch v.Kind {
	case S, B:
		return len(v.Text)
	case N:
		return v.Number.Size()
	case BOOL, NULL:
		return 1
	case L:
		size := 3
		for _, e := range v.List {
			size += 1 + e.Size()
		}
		return size
	case M:
		return 3 + len(v.Map) + ItemSize(v.Map)
	case SS, NS, BS:
		size := 0
		for _, e := range v.List {
			size += e.Size()
		}
		return size
	}
	return 0
}

// ItemSize returns how many bytes AWS counts for an item: names and values.
func ItemSize(item Item) int {
	size := 0
	for name, v := range item {
		size += len(name) + v.Size()
	}
	return size
}

// Equal reports whether v and w have the same kind and content.
func (v Value) Equal(w Value) bool {
	if v.Kind != w.Kind {
		return false
	}
	switch v.Kind {
	case S, B:
		return v.Text == w.Text
	case N:
		return v.Number == w.Number
	case BOOL:
		return v.Bool == w.Bool
	case L, SS, NS, BS:
		return slices.EqualFunc(v.List, w.List, Value.Equal)
	case M:
		return maps.EqualFunc(v.Map, w.Map, Value.Equal)
	case NULL:
	}
	return true
}

// Ordered reports whether values of the kind have an order: S by UTF-8 bytes, B by bytes, N by value.
func (k Kind) Ordered() bool { return k == S || k == N || k == B }

// compareScalar orders two values of the same ordered kind.
func (v Value) compareScalar(w Value) int {
	if v.Kind == N {
		return v.Number.Compare(w.Number)
	}
	return strings.Compare(v.Text, w.Text)
}

// index finds an element of a set.
func (v Value) index(e Value) (int, bool) {
	return slices.BinarySearchFunc(v.List, e, Value.compareScalar)
}

// shown returns v as AWS quotes an operand.
func (v Value) shown() string {
	text := v.Text
	switch v.Kind {
	case N:
		text = v.Number.String()
	case BOOL:
		text = "false"
		if v.Bool {
			text = "true"
		}
	case S, B, NULL, L, M, SS, NS, BS:
	}
	return "{" + v.Kind.String() + ":" + clip(text) + "}"
}
