package expr

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// printer writes trees as text, with a #name or :value for everything; the parser must read the same trees back.
type printer struct {
	names  map[string]string
	values map[string]Value
}

func newPrinter() *printer {
	return &printer{map[string]string{}, map[string]Value{}}
}

func (p *printer) path(path Path) string {
	var b strings.Builder
	for i, s := range path {
		if s.InList {
			fmt.Fprintf(&b, "[%d]", s.Index)
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		token := fmt.Sprintf("#n%d", len(p.names))
		p.names[token] = s.Name
		b.WriteString(token)
	}
	return b.String()
}

func (p *printer) operand(o Operand) string {
	switch o := o.(type) {
	case Path:
		return p.path(o)
	case Literal:
		p.values[o.Name] = o.Value
		return o.Name
	case SizeOf:
		return "size(" + p.operand(o.Of) + ")"
	case IfNotExists:
		return "if_not_exists(" + p.path(o.Path) + "," + p.operand(o.Else) + ")"
	case ListAppend:
		return "list_append (" + p.operand(o.Left) + ", " + p.operand(o.Right) + ")"
	case Arithmetic:
		sign := " + "
		if o.Minus {
			sign = " - "
		}
		return "(" + p.operand(o.Left) + sign + p.operand(o.Right) + ")"
	}
	panic("unknown operand")
}

func (p *printer) condition(c Condition) string {
	switch c := c.(type) {
	case And:
		return "(" + p.condition(c.Left) + ") AND (" + p.condition(c.Right) + ")"
	case Or:
		return "(" + p.condition(c.Left) + ") or (" + p.condition(c.Right) + ")"
	case Not:
		return "NOT (" + p.condition(c.Of) + ")"
	case Compare:
		return p.operand(c.Left) + c.Operator + p.operand(c.Right)
	case Between:
		return p.operand(c.Of) + " between " + p.operand(c.Low) + " AND " + p.operand(c.High)
	case In:
		var list []string
		for _, o := range c.List {
			list = append(list, p.operand(o))
		}
		return p.operand(c.Of) + " IN (" + strings.Join(list, ",") + ")"
	case Exists:
		if c.Absent {
			return "attribute_not_exists(" + p.path(c.Path) + ")"
		}
		return "attribute_exists(" + p.path(c.Path) + ")"
	case IsType:
		return "attribute_type(" + p.operand(c.Of) + "," + p.operand(c.Type) + ")"
	case BeginsWith:
		return "begins_with(" + p.operand(c.Of) + "," + p.operand(c.Prefix) + ")"
	case Contains:
		return "contains(" + p.operand(c.Of) + "," + p.operand(c.Part) + ")"
	}
	panic("unknown condition")
}

// drawer draws valid trees; every literal and path is a new one.
type drawer struct {
	t *rapid.T
	n int
}

func (d *drawer) literal(v Value) Literal {
	d.n++
	return Literal{fmt.Sprintf(":v%d", d.n), v}
}

func (d *drawer) path() Path {
	d.n++
	path := Path{{Name: fmt.Sprintf("a%d \"x\"", d.n)}}
	for range rapid.IntRange(0, 3).Draw(d.t, "steps") {
		if rapid.Bool().Draw(d.t, "list") {
			path = append(path, Step{Index: rapid.IntRange(0, 9).Draw(d.t, "index"), InList: true})
		} else {
			path = append(path, Step{Name: rapid.SampledFrom([]string{"b", "count", "ä.b", ""}).Draw(d.t, "name")})
		}
	}
	return path
}

func (d *drawer) scalar() Operand {
	switch rapid.IntRange(0, 2).Draw(d.t, "operand") {
	case 0:
		return d.path()
	case 1:
		return SizeOf{d.path()}
	}
	return d.literal(Num(Integer(rapid.IntRange(-5, 5).Draw(d.t, "value"))))
}

func (d *drawer) condition(depth int) Condition {
	top := 10
	if depth == 0 {
		top = 7
	}
	switch rapid.IntRange(0, top-1).Draw(d.t, "condition") {
	case 0:
		return Compare{rapid.SampledFrom(comparators).Draw(d.t, "operator"), d.scalar(), d.scalar()}
	case 1:
		return Between{d.scalar(), d.path(), d.scalar()}
	case 2:
		return In{d.scalar(), []Operand{d.scalar(), d.scalar()}}
	case 3:
		return Exists{d.path(), rapid.Bool().Draw(d.t, "absent")}
	case 4:
		return IsType{d.path(), d.literal(Text("NS"))}
	case 5:
		return BeginsWith{d.path(), d.literal(Text("x"))}
	case 6:
		return Contains{d.path(), d.scalar()}
	case 7:
		return And{d.condition(depth - 1), d.condition(depth - 1)}
	case 8:
		return Or{d.condition(depth - 1), d.condition(depth - 1)}
	}
	return Not{d.condition(depth - 1)}
}

func TestConditionsAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := (&drawer{t: t}).condition(4)
		p := newPrinter()
		text := p.condition(want)
		scope := NewScope(p.names, p.values)

		got, err := scope.Condition("ConditionExpression", text)
		if err == nil {
			err = scope.Unused()
		}
		if len(text) > MaxBytes {
			t.Skip("longer than an expression may be")
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(Number{})); err != nil || d != "" {
			t.Fatalf("%s: %v\n%s", text, err, d)
		}
	})
}

func TestUpdatesAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := &drawer{t: t}
		value := func() Operand {
			switch rapid.IntRange(0, 4).Draw(t, "value") {
			case 0:
				return d.path()
			case 1:
				return IfNotExists{d.path(), d.literal(Text("x"))}
			case 2:
				return ListAppend{d.path(), d.literal(Value{Kind: L})}
			case 3:
				return Arithmetic{rapid.Bool().Draw(t, "minus"), d.path(), d.literal(Num(Integer(1)))}
			}
			return d.literal(Value{Kind: NULL})
		}
		want := &Update{}
		p := newPrinter()
		var sets, removes, adds, deletes []string
		for range rapid.IntRange(1, 3).Draw(t, "sets") {
			a := SetAction{d.path(), value()}
			want.Sets, want.paths = append(want.Sets, a), append(want.paths, a.Path)
			sets = append(sets, p.path(a.Path)+" = "+p.operand(a.Value))
		}
		for range rapid.IntRange(1, 3).Draw(t, "others") {
			path := d.path()
			want.Removes, want.paths = append(want.Removes, path), append(want.paths, path)
			removes = append(removes, p.path(path))
		}
		add := AddAction{Path: d.path(), Value: d.literal(Num(Integer(1)))}
		set, _ := SetOf(SS, []Value{Text("a")})
		del := AddAction{Path: d.path(), Value: d.literal(set), Delete: true}
		want.Adds, want.paths = append(want.Adds, add, del), append(want.paths, add.Path, del.Path)
		adds, deletes = append(adds, p.path(add.Path)+p.operand(add.Value)), append(
			deletes, p.path(del.Path)+" "+p.operand(del.Value),
		)
		text := "set " + strings.Join(sets, ", ") + " REMOVE " + strings.Join(removes, ",") + " ADD " +
			strings.Join(adds, ",") + "\nDELETE " + strings.Join(deletes, ",")

		got, err := NewScope(p.names, p.values).Update(text)
		if d := cmp.Diff(want, got, cmp.AllowUnexported(Number{}, Update{})); err != nil || d != "" {
			t.Fatalf("%s: %v\n%s", text, err, d)
		}
	})
}
