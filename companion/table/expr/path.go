package expr

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Step is one step into a document: the attribute or map member Name, or, with InList, the element Index of a list.
type Step struct {
	Name   string
	Index  int
	InList bool
}

// Path is a place in an item; its first step is an attribute.
type Path []Step

// shown returns the path as AWS quotes it.
func (p Path) shown() string {
	parts := make([]string, len(p))
	for i, s := range p {
		parts[i] = s.Name
		if s.InList {
			parts[i] = "[" + strconv.Itoa(s.Index) + "]"
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// Find returns the value at the path; ok is false if there is none.
func (p Path) Find(item Item) (v Value, ok bool) {
	v = Value{Kind: M, Map: item}
	for _, s := range p {
		if v, ok = s.into(v); !ok {
			return Value{}, false
		}
	}
	return v, true
}

// into returns the value one step into v.
func (s Step) into(v Value) (Value, bool) {
	switch {
	case s.InList && v.Kind == L && s.Index < len(v.List):
		return v.List[s.Index], true
	case !s.InList && v.Kind == M:
		child, ok := v.Map[s.Name]
		return child, ok
	}
	return Value{}, false
}

// Projection is a set of paths, none of which lies within another.
type Projection []Path

// Attributes returns the names of the attributes with which the paths begin.
func (p Projection) Attributes() []string {
	var names []string
	for _, path := range p {
		if !slices.Contains(names, path[0].Name) {
			names = append(names, path[0].Name)
		}
	}
	return names
}

// Of returns the part of item at the paths. Elements of a list keep their order and close up. The result shares memory
// with item.
func (p Projection) Of(item Item) Item {
	out, _ := branch(p, 0).pick(Value{Kind: M, Map: item})
	if out.Map == nil {
		return Item{}
	}
	return out.Map
}

// branches is a tree of the paths that continue from one place; nil: everything at this place.
type branches map[Step]branches

func branch(paths []Path, depth int) branches {
	groups := map[Step][]Path{}
	for _, p := range paths {
		if len(p) == depth {
			return nil
		}
		groups[p[depth]] = append(groups[p[depth]], p)
	}
	tree := make(branches, len(groups))
	for s, g := range groups {
		tree[s] = branch(g, depth+1)
	}
	return tree
}

// pick returns the part of v that the tree asks for; ok is false if there is none.
func (b branches) pick(v Value) (out Value, ok bool) {
	if b == nil {
		return v, true
	}
	steps := slices.SortedFunc(maps.Keys(b), func(x, y Step) int { return x.Index - y.Index })
	for _, s := range steps {
		child, there := s.into(v)
		if !there {
			continue
		}
		part, there := b[s].pick(child)
		if !there {
			continue
		}
		ok = true
		if s.InList {
			out.Kind, out.List = L, append(out.List, part)
			continue
		}
		if out.Map == nil {
			out.Kind, out.Map = M, Item{}
		}
		out.Map[s.Name] = part
	}
	return out, ok
}
