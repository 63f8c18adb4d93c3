package expr

import (
	"slices"
	"strings"
)

// Condition is a condition or filter over one item.
//
//sumtype:decl
type Condition interface {
	// Holds evaluates the condition. A missing item counts as an empty one.
	Holds(item Item) bool
	condition()
}

// The conditions.
type (
	// And holds if both hold.
	And struct{ Left, Right Condition }
	// Or holds if one holds.
	Or struct{ Left, Right Condition }
	// Not holds if Of does not.
	Not struct{ Of Condition }
	// Compare compares two operands: = <> < <= > >=. An absent operand, or one of another type, satisfies only <>.
	Compare struct {
		Operator    string
		Left, Right Operand
	}
	// Between holds if Of is neither below Low nor above High.
	Between struct{ Of, Low, High Operand }
	// In holds if Of equals one of List.
	In struct {
		Of   Operand
		List []Operand
	}
	// Exists is attribute_exists, or with Absent attribute_not_exists.
	Exists struct {
		Path   Path
		Absent bool
	}
	// IsType is attribute_type.
	IsType struct{ Of, Type Operand }
	// BeginsWith is begins_with.
	BeginsWith struct{ Of, Prefix Operand }
	// Contains is contains.
	Contains struct{ Of, Part Operand }
)

func (And) condition()        {}
func (Or) condition()         {}
func (Not) condition()        {}
func (Compare) condition()    {}
func (Between) condition()    {}
func (In) condition()         {}
func (Exists) condition()     {}
func (IsType) condition()     {}
func (BeginsWith) condition() {}
func (Contains) condition()   {}

// Operand is what a condition or an update computes with.
//
//sumtype:decl
type Operand interface{ operand() }

// The operands. IfNotExists, ListAppend and Arithmetic occur in updates only, SizeOf in conditions only.
type (
	// Literal is a :value.
	Literal struct {
		Name  string
		Value Value
	}
	// SizeOf is size.
	SizeOf struct{ Of Operand }
	// IfNotExists is the value at Path, or Else if there is none.
	IfNotExists struct {
		Path Path
		Else Operand
	}
	// ListAppend is the list Left followed by the list Right.
	ListAppend struct{ Left, Right Operand }
	// Arithmetic is Left + Right, or with Minus Left - Right.
	Arithmetic struct {
		Minus       bool
		Left, Right Operand
	}
)

func (Path) operand()        {}
func (Literal) operand()     {}
func (SizeOf) operand()      {}
func (IfNotExists) operand() {}
func (ListAppend) operand()  {}
func (Arithmetic) operand()  {}

// find returns the operand's value in a condition; ok is false when there is none.
func find(o Operand, item Item) (Value, bool) {
	switch o := o.(type) {
	case Path:
		return o.Find(item)
	case Literal:
		return o.Value, true
	case SizeOf:
		v, ok := find(o.Of, item)
		if !ok {
			return Value{}, false
		}
		n, ok := length(v)
		return Num(Integer(n)), ok
	case IfNotExists, ListAppend, Arithmetic: // the parser of conditions never makes these
	}
	return Value{}, false
}

// length returns size(v): bytes of S and B, elements of sets, lists and maps; numbers, booleans and nulls have none.
func length(v Value) (n int, ok bool) {
	switch v.Kind {
	case S, B:
		return len(v.Text), true
	case L, SS, NS, BS:
		return len(v.List), true
	case M:
		return len(v.Map), true
	case N, BOOL, NULL:
	}
	return 0, false
}

// Holds implements Condition.
func (c And) Holds(item Item) bool { return c.Left.Holds(item) && c.Right.Holds(item) }

// Holds implements Condition.
func (c Or) Holds(item Item) bool { return c.Left.Holds(item) || c.Right.Holds(item) }

// Holds implements Condition.
func (c Not) Holds(item Item) bool { return !c.Of.Holds(item) }

// Holds implements Condition.
func (c Compare) Holds(item Item) bool {
	left, ok := find(c.Left, item)
	right, also := find(c.Right, item)
	if !ok || !also {
		return c.Operator == "<>"
	}
	return compare(c.Operator, left, right)
}

func compare(operator string, left, right Value) bool {
	switch operator {
	case "=":
		return left.Equal(right)
	case "<>":
		return !left.Equal(right)
	}
	if left.Kind != right.Kind || !left.Kind.Ordered() {
		return false
	}
	c := left.compareScalar(right)
	switch operator {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	}
	return c >= 0
}

// Holds implements Condition.
func (c Between) Holds(item Item) bool {
	return Compare{">=", c.Of, c.Low}.Holds(item) && Compare{"<=", c.Of, c.High}.Holds(item)
}

// Holds implements Condition.
func (c In) Holds(item Item) bool {
	return slices.ContainsFunc(c.List, func(o Operand) bool { return Compare{"=", c.Of, o}.Holds(item) })
}

// Holds implements Condition.
func (c Exists) Holds(item Item) bool {
	_, ok := c.Path.Find(item)
	return ok != c.Absent
}

// Holds implements Condition.
func (c IsType) Holds(item Item) bool {
	v, ok := find(c.Of, item)
	kind, also := find(c.Type, item)
	return ok && also && v.Kind.String() == kind.Text
}

// Holds implements Condition.
func (c BeginsWith) Holds(item Item) bool {
	v, ok := find(c.Of, item)
	prefix, also := find(c.Prefix, item)
	return ok && also && v.Kind == prefix.Kind && (v.Kind == S || v.Kind == B) && strings.HasPrefix(v.Text, prefix.Text)
}

// Holds implements Condition.
func (c Contains) Holds(item Item) bool {
	v, ok := find(c.Of, item)
	part, also := find(c.Part, item)
	if !ok || !also {
		return false
	}
	switch v.Kind {
	case S, B:
		return v.Kind == part.Kind && strings.Contains(v.Text, part.Text)
	case SS, NS, BS:
		_, found := v.index(part)
		return found && v.Kind.element() == part.Kind
	case L:
		return slices.ContainsFunc(v.List, part.Equal)
	case N, BOOL, NULL, M:
	}
	return false
}

// Attributes returns the names of the attributes that a condition reads, each once.
func Attributes(c Condition) []string {
	var names []string
	see := func(operands ...Operand) {
		for _, o := range operands {
			if size, ok := o.(SizeOf); ok {
				o = size.Of
			}
			if path, ok := o.(Path); ok && !slices.Contains(names, path[0].Name) {
				names = append(names, path[0].Name)
			}
		}
	}
	var walk func(Condition)
	walk = func(c Condition) {
		switch c := c.(type) {
		case And:
			walk(c.Left)
			walk(c.Right)
		case Or:
			walk(c.Left)
			walk(c.Right)
		case Not:
			walk(c.Of)
		case Compare:
			see(c.Left, c.Right)
		case Between:
			see(c.Of, c.Low, c.High)
		case In:
			see(append([]Operand{c.Of}, c.List...)...)
		case Exists:
			see(c.Path)
		case IsType:
			see(c.Of, c.Type)
		case BeginsWith:
			see(c.Of, c.Prefix)
		case Contains:
			see(c.Of, c.Part)
		}
	}
	walk(c)
	return names
}
