package expr

import (
	"maps"
	"slices"
)

// Update is an update expression: its actions in the order of the text, grouped by section.
type Update struct {
	Sets    []SetAction
	Removes []Path
	Adds    []AddAction // ADD, and with Delete set DELETE
	paths   Projection
}

// SetAction is path = value.
type SetAction struct {
	Path  Path
	Value Operand
}

// AddAction adds to a number or a set at Path, or with Delete removes elements of a set.
type AddAction struct {
	Path   Path
	Value  Literal
	Delete bool
	Legacy bool // from AttributeUpdates, where ADD also takes lists, and a refusal reads differently
}

// Paths returns the places that the update writes, in the order of the text.
func (u *Update) Paths() Projection { return u.paths }

// OnlyTakes reports whether the update has no action but REMOVE and DELETE.
func (u *Update) OnlyTakes() bool {
	return len(u.Sets) == 0 && !slices.ContainsFunc(u.Adds, func(a AddAction) bool { return !a.Delete })
}

func errIncorrectType() error {
	return invalid("An operand in the update expression has an incorrect data type")
}

func errNoPath() error {
	return invalid("The document path provided in the update expression is invalid for update")
}

// MaxItemBytes is the size limit of an item, as ItemSize counts. Source: DynamoDB Developer Guide, "Quotas".
const MaxItemBytes = 400 << 10

func errTooLarge() error {
	return invalid("Item size to update has exceeded the maximum allowed size")
}

// Apply returns item after the update; item itself stays as it is. Every operand is read from item, whatever the order
// of the actions. It fails as soon as what the update writes exceeds the size of an item, because a short text can ask
// for gigabytes; the caller checks whether the whole item is too large.
func (u *Update) Apply(item Item) (Item, error) {
	values := make([]Value, len(u.Sets))
	size := 0
	for i, set := range u.Sets {
		v, err := compute(set.Value, item)
		if err != nil {
			return nil, err
		}
		if size += v.Size(); size > MaxItemBytes {
			return nil, errTooLarge()
		}
		values[i] = v
	}
	e := newEdit()
	for i, set := range u.Sets {
		e.at(set.Path).set = &values[i]
	}
	for _, path := range u.Removes {
		e.at(path).remove = true
	}
	for _, add := range u.Adds {
		v, keep, err := add.result(item)
		if err != nil {
			return nil, err
		}
		if size += v.Size(); size > MaxItemBytes {
			return nil, errTooLarge()
		}
		if keep {
			e.at(add.Path).set = &v
		} else {
			e.at(add.Path).remove = true
		}
	}
	out, err := e.apply(Value{Kind: M, Map: item})
	return out.Map, err
}

// result returns the value at the path after the action; keep is false if none remains.
func (a AddAction) result(item Item) (v Value, keep bool, err error) {
	old, there := a.Path.Find(item)
	by := a.Value.Value
	if there && old.Kind != by.Kind {
		if a.Legacy {
			return Value{}, false, invalid("Type mismatch for attribute to update")
		}
		return Value{}, false, errIncorrectType()
	}
	switch {
	case a.Delete && !there:
		return Value{}, false, nil
	case a.Delete:
		left := slices.DeleteFunc(slices.Clone(old.List), func(e Value) bool { _, gone := by.index(e); return gone })
		return Value{Kind: old.Kind, List: left}, len(left) > 0, nil
	case !there:
		return by, true, nil
	case by.Kind == N:
		sum, err := old.Number.Add(by.Number)
		return Num(sum), true, err
	case by.Kind == L:
		return Value{Kind: L, List: slices.Concat(old.List, by.List)}, true, nil
	}
	v, _ = SetOf(old.Kind, slices.Concat(old.List, by.List))
	return v, true, nil
}

// compute returns the value of an operand of SET.
func compute(o Operand, item Item) (Value, error) {
	switch o := o.(type) {
	case Literal:
		return o.Value, nil
	case Path:
		if v, ok := o.Find(item); ok {
			return v, nil
		}
		return Value{}, invalid("The provided expression refers to an attribute that does not exist in the item")
	case IfNotExists:
		if v, ok := o.Path.Find(item); ok {
			return v, nil
		}
		return compute(o.Else, item)
	case ListAppend:
		return concatenate(o, item)
	case Arithmetic:
		left, right, err := computeBoth(o.Left, o.Right, item)
		if err != nil {
			return Value{}, err
		}
		f := Number.Add
		if o.Minus {
			f = Number.Subtract
		}
		n, err := f(left.Number, right.Number)
		return Num(n), err
	case SizeOf: // the parser of updates never makes it
	}
	return Value{}, errIncorrectType()
}

// computeBoth returns the values of two numbers.
func computeBoth(left, right Operand, item Item) (x, y Value, err error) {
	if x, err = compute(left, item); err != nil {
		return x, y, err
	}
	if y, err = compute(right, item); err != nil {
		return x, y, err
	}
	if x.Kind != N || y.Kind != N {
		err = errIncorrectType()
	}
	return x, y, err
}

// concatenate returns the lists of a list_append, and of nested ones, one after the other. Every element takes at least
// a byte of the item.
func concatenate(o ListAppend, item Item) (Value, error) {
	lists, err := listsOf(o, item, nil)
	if err != nil {
		return Value{}, err
	}
	n := 0
	for _, l := range lists {
		n += len(l)
	}
	if n > MaxItemBytes {
		return Value{}, errTooLarge()
	}
	return Value{Kind: L, List: slices.Concat(lists...)}, nil
}

func listsOf(o Operand, item Item, lists [][]Value) ([][]Value, error) {
	if a, ok := o.(ListAppend); ok {
		lists, err := listsOf(a.Left, item, lists)
		if err != nil {
			return nil, err
		}
		return listsOf(a.Right, item, lists)
	}
	v, err := compute(o, item)
	if err == nil && v.Kind != L {
		err = errIncorrectType()
	}
	return append(lists, v.List), err
}

// edit is a tree of the changes below one place of an item.
type edit struct {
	set      *Value
	remove   bool
	children map[Step]*edit
}

func newEdit() *edit { return &edit{children: make(map[Step]*edit)} }

// at returns the edit of a place, making it if needed.
func (e *edit) at(path Path) *edit {
	for _, s := range path {
		child := e.children[s]
		if child == nil {
			child = newEdit()
			e.children[s] = child
		}
		e = child
	}
	return e
}

// apply returns v with the changes below it. Changed parts are copied, the rest is shared.
func (e *edit) apply(v Value) (Value, error) {
	for s := range e.children {
		if s.InList != (v.Kind == L) || !s.InList && v.Kind != M {
			return Value{}, errNoPath()
		}
	}
	if v.Kind == L {
		return e.applyList(v)
	}
	out := Value{Kind: M, Map: maps.Clone(v.Map)}
	if out.Map == nil {
		out.Map = Item{}
	}
	for s, child := range e.children {
		old, there := v.Map[s.Name]
		switch {
		case child.set != nil:
			out.Map[s.Name] = *child.set
		case child.remove:
			delete(out.Map, s.Name)
		case !there:
			return Value{}, errNoPath()
		default:
			changed, err := child.apply(old)
			if err != nil {
				return Value{}, err
			}
			out.Map[s.Name] = changed
		}
	}
	return out, nil
}

// applyList sets existing elements, then appends those that were set beyond the end, in order of index, then drops the
// removed ones.
func (e *edit) applyList(v Value) (Value, error) {
	list := slices.Clone(v.List)
	var gone []int
	for _, s := range slices.SortedFunc(maps.Keys(e.children), func(a, b Step) int { return a.Index - b.Index }) {
		child := e.children[s]
		inside := s.Index < len(v.List)
		switch {
		case child.set != nil && inside:
			list[s.Index] = *child.set
		case child.set != nil:
			list = append(list, *child.set)
		case child.remove && inside:
			gone = append(gone, s.Index)
		case child.remove:
		case !inside:
			return Value{}, errNoPath()
		default:
			changed, err := child.apply(v.List[s.Index])
			if err != nil {
				return Value{}, err
			}
			list[s.Index] = changed
		}
	}
	for _, i := range slices.Backward(gone) {
		list = slices.Delete(list, i, i+1)
	}
	return Value{Kind: L, List: list}, nil
}
