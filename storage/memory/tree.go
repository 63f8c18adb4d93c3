package memory

import (
	"cmp"
	"slices"
	"sort"
	"strings"
)

// item is one key with its value. Values are never changed in place.
type item struct {
	key      string
	value    []byte
	revision uint64
}

const leafSize = 128 // items per leaf at most; an insert moves half of them on average

// tree keeps items ordered by key: leaves of up to leafSize items under one list. Views are free; the first change
// after one copies what it touches. The zero value is empty. The caller does the locking.
type tree struct {
	leaves  []*leaf
	version uint64 // grows with each view; older leaves are shared with a view
	owned   uint64 // version that made the slice leaves
}

type leaf struct {
	items   []item
	version uint64
}

// view is the tree at one moment; later changes do not show in it.
type view []*leaf

func (t *tree) view() view {
	t.version++
	return t.leaves
}

// at finds the leaf that holds key, or would, and the place within it.
func (v view) at(key string) (l, i int, found bool) {
	if len(v) == 0 {
		return 0, 0, false
	}
	l = max(sort.Search(len(v), func(i int) bool { return v[i].items[0].key > key })-1, 0)
	i, found = slices.BinarySearchFunc(v[l].items, key, byKey)
	return l, i, found
}

func byKey(a item, key string) int { return cmp.Compare(a.key, key) }

func (t *tree) get(key string) (item, bool) {
	l, i, found := view(t.leaves).at(key)
	if !found {
		return item{}, false
	}
	return t.leaves[l].items[i], true
}

// own makes leaf l safe to change.
func (t *tree) own(l int) *leaf {
	t.ownList()
	if t.leaves[l].version != t.version {
		t.leaves[l] = &leaf{items: slices.Clone(t.leaves[l].items), version: t.version}
	}
	return t.leaves[l]
}

func (t *tree) ownList() {
	if t.owned != t.version {
		t.leaves, t.owned = slices.Clone(t.leaves), t.version
	}
}

// set puts it in place of the item with its key, if any. The tree keeps key and value.
func (t *tree) set(it item) {
	l, i, found := view(t.leaves).at(it.key)
	if len(t.leaves) == 0 {
		t.ownList()
		t.leaves = append(t.leaves, &leaf{items: []item{it}, version: t.version})
		return
	}
	lf := t.own(l)
	if found {
		lf.items[i] = it
		return
	}
	lf.items = slices.Insert(lf.items, i, it)
	if len(lf.items) > leafSize {
		half := len(lf.items) / 2
		if i == leafSize && l == len(t.leaves)-1 {
			half = leafSize // keys that come in order fill their leaves
		}
		right := &leaf{items: slices.Clone(lf.items[half:]), version: t.version}
		clear(lf.items[half:])
		lf.items = lf.items[:half]
		t.leaves = slices.Insert(t.leaves, l+1, right)
	}
}

// remove takes the key out, if it is there.
func (t *tree) remove(key string) {
	l, i, found := view(t.leaves).at(key)
	if !found {
		return
	}
	if len(t.leaves[l].items) == 1 {
		t.ownList()
		t.leaves = slices.Delete(t.leaves, l, l+1)
		return
	}
	lf := t.own(l)
	lf.items = slices.Delete(lf.items, i, i+1)
}

// removeRange takes out the keys from lo up to hi, exclusive.
func (t *tree) removeRange(lo, hi string) {
	var keys []string
	view(t.leaves).ascend(lo, func(it item) bool {
		if it.key >= hi {
			return false
		}
		keys = append(keys, it.key)
		return true
	})
	for _, k := range keys {
		t.remove(k)
	}
}

// ascend visits the items with a key of at least lo, in order, until visit returns false.
func (v view) ascend(lo string, visit func(item) bool) {
	l, i, _ := v.at(lo)
	for ; l < len(v); l, i = l+1, 0 {
		for ; i < len(v[l].items); i++ {
			if !visit(v[l].items[i]) {
				return
			}
		}
	}
}

// descend visits the items with a key below hi (all of them unless bounded), last one first, until visit returns false.
func (v view) descend(hi string, bounded bool, visit func(item) bool) {
	l, i := len(v)-1, 0
	if bounded {
		l, i, _ = v.at(hi)
	} else if l >= 0 {
		i = len(v[l].items)
	}
	for l >= 0 && l < len(v) {
		for i--; i >= 0; i-- {
			if !visit(v[l].items[i]) {
				return
			}
		}
		if l--; l >= 0 {
			i = len(v[l].items)
		}
	}
}

// prefixed visits the items whose key begins with prefix and sorts behind after.
func (v view) prefixed(prefix, after string, visit func(item) bool) {
	lo := prefix
	if after >= prefix {
		lo = after + "\x00" // the next possible key
	}
	v.ascend(lo, func(it item) bool { return strings.HasPrefix(it.key, prefix) && visit(it) })
}
