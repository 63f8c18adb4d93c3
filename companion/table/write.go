package table

import (
	"bytes"
	"context"
	"slices"

	"github.com/shardmill/shardmill/companion/table/expr"
	"github.com/shardmill/shardmill/storage"
)

// Limits of items. Source: DynamoDB Developer Guide, "Quotas".
const (
	MaxItemBytes = expr.MaxItemBytes
	MaxDepth     = 32 // levels of lists and maps inside an item
)

// WriteKind says what a Write does.
type WriteKind uint8

// The kinds of write.
const (
	Put    WriteKind = iota + 1 // Item replaces the item with its key
	Update                      // Update changes the item with the key Key, or makes it
	Delete                      // deletes the item with the key Key
)

// Write is one change of one item.
type Write struct {
	Kind      WriteKind
	Item      expr.Item // with Put; kept, and never changed
	Key       expr.Item // with Update and Delete
	Update    *expr.Update
	Condition expr.Condition // nil: none
}

// Written is what a Write did.
type Written struct {
	Old, New expr.Item // nil: there is none. Not to be changed by the caller
	Capacity Capacity
}

// Write changes one item and returns when that is durable. Writes of one item are carried out one after the other.
// Faults: ResourceNotFoundException; ValidationException; ConditionalCheckFailedException, which is a *ConditionFailed.
func (ts *Tables) Write(ctx context.Context, name Name, w Write) (Written, error) {
	leave, err := ts.enter()
	if err != nil {
		return Written{}, err
	}
	defer leave()
	t, release, err := ts.use(name)
	if err != nil {
		return Written{}, err
	}
	defer release()
	if err := w.check(t.meta); err != nil {
		return Written{}, err
	}
	place := t.meta.schemas[0].placeOf(w.key())
	lock := &t.items[stripeOf(place)]
	lock.Lock()
	defer lock.Unlock()
	return ts.write(ctx, t, place, w)
}

// key returns an item with the write's key.
func (w *Write) key() expr.Item {
	if w.Kind == Put {
		return w.Item
	}
	return w.Key
}

// check refuses what is wrong whatever the current item.
func (w *Write) check(m *meta) error {
	table := &m.schemas[0]
	if w.Kind == Put {
		if err := table.checkItem(w.Item); err != nil {
			return err
		}
		for i := range m.schemas[1:] {
			if err := m.schemas[1+i].checkEntry(w.Item); err != nil {
				return err
			}
		}
		return checkSize(w.Item, "Item size has exceeded the maximum allowed size")
	}
	if err := table.checkKey(w.Key); err != nil {
		return err
	}
	if w.Update == nil {
		return nil
	}
	for _, path := range w.Update.Paths() {
		if slices.ContainsFunc(table.key, func(k keyAttribute) bool { return k.name == path[0].Name }) {
			return invalid(prefixInvalid+"Cannot update attribute %s. This attribute is part of the key", path[0].Name)
		}
	}
	return nil
}

// checkSize checks the limits of an item that would be stored.
func checkSize(item expr.Item, tooLarge string) error {
	if expr.ItemSize(item) > MaxItemBytes {
		return invalid("%s", tooLarge)
	}
	for _, v := range item {
		if tooDeep(v, MaxDepth) {
			return invalid(
				"Nesting Levels have exceeded supported limits: Attributes of an item may be nested up to %d levels.",
				MaxDepth,
			)
		}
	}
	return nil
}

func tooDeep(v expr.Value, levels int) bool {
	if levels == 0 {
		return v.Kind == expr.L || v.Kind == expr.M
	}
	if v.Kind == expr.L && slices.ContainsFunc(v.List, func(e expr.Value) bool { return tooDeep(e, levels-1) }) {
		return true
	}
	for _, e := range v.Map {
		if tooDeep(e, levels-1) {
			return true
		}
	}
	return false
}

// write reads, decides and writes. The item's lock is held.
func (ts *Tables) write(ctx context.Context, t *table, place []byte, w Write) (Written, error) {
	old, err := ts.get(t, place)
	if err != nil {
		return Written{}, err
	}
	if w.Condition != nil && !w.Condition.Holds(old) {
		return Written{}, conditionFailed(old)
	}
	out := Written{Old: old}
	switch w.Kind {
	case Put:
		out.New = w.Item
	case Update:
		if out.New, err = w.updated(t.meta, old); err != nil {
			return Written{}, err
		}
	case Delete:
	}
	ops, c := t.changes(place, out.Old, out.New)
	out.Capacity = c
	if len(ops) > 0 {
		if err := ts.local.Apply(context.WithoutCancel(ctx), storage.Sync, ops...); err != nil {
			return Written{}, storageFault("write item of table "+t.name.ARN(), err)
		}
		t.recount(out.Old, out.New)
		if at, ok := expiryOf(t.meta, out.New); ok {
			ts.armFor(at)
		}
	}
	return out, nil
}

// updated returns the item after an Update.
func (w *Write) updated(m *meta, old expr.Item) (expr.Item, error) {
	item := old
	if item == nil {
		item = w.Key
	}
	if w.Update == nil {
		return item, nil
	}
	item, err := w.Update.Apply(item)
	if err != nil {
		return nil, err
	}
	if old == nil && w.Update.OnlyTakes() {
		return nil, nil // removing from a missing item creates nothing
	}
	changed := w.Update.Paths().Attributes()
	for i := range m.schemas[1:] {
		if err := m.schemas[1+i].checkUpdate(item, changed); err != nil {
			return nil, err
		}
	}
	return item, checkSize(item, "Item size to update has exceeded the maximum allowed size")
}

// get returns the item at a place of the table; nil: there is none.
func (ts *Tables) get(t *table, place []byte) (expr.Item, error) {
	b, ok, err := ts.local.Get(itemKey(t.meta.Number, 0, place))
	if err != nil || !ok {
		if err != nil {
			err = storageFault("read item of table "+t.name.ARN(), err)
		}
		return nil, err
	}
	item, err := decodeItem(b)
	if err != nil {
		return nil, storageFault("read item of table "+t.name.ARN(), err)
	}
	return item, nil
}

// changes returns the ops that turn old into new in the table, its indexes and the order of expiry, with the capacity
// that AWS counts. nil: no item.
func (t *table) changes(place []byte, old, new expr.Item) ([]storage.LocalOp, Capacity) {
	m := t.meta
	capacity := Capacity{Table: writeUnits(max(expr.ItemSize(old), expr.ItemSize(new)))}
	var ops []storage.LocalOp
	for i := range m.schemas {
		s := &m.schemas[i]
		before, after := s.entry(m, place, old), s.entry(m, place, new)
		units := Units(0)
		switch {
		case before != nil && (after == nil || !bytes.Equal(before.key, after.key)):
			ops = append(ops, storage.LocalOp{Key: before.key})
			units += writeUnits(before.size)
			before = nil
		case before != nil && bytes.Equal(before.value, after.value):
			continue // the entry does not change
		}
		if after != nil {
			grows := before == nil || len(after.value) > len(before.value)
			ops = append(ops, storage.LocalOp{Key: after.key, Value: after.value, Refusable: grows && s.number == 0})
			size := after.size
			if before != nil {
				size = max(size, before.size)
			}
			units += writeUnits(size)
		}
		if s.number != 0 {
			capacity.add(s, units)
		}
	}
	return append(ops, m.expiryChange(t.name, place, old, new)...), capacity
}

// entry is an item's entry in a table or index.
type entry struct {
	key, value []byte
	size       int
}

// entry returns the item's entry; nil when it has none.
func (s *schema) entry(m *meta, place []byte, item expr.Item) *entry {
	if item == nil || !s.has(item) {
		return nil
	}
	if s.number != 0 {
		place = s.placeOf(item)
	}
	part := s.project(item)
	return &entry{itemKey(m.Number, s.number, place), encodeItem(part), expr.ItemSize(part)}
}

// recount updates the tallies, once they were counted.
func (t *table) recount(old, new expr.Item) {
	if t.tallies == nil {
		return
	}
	for i := range t.meta.schemas {
		s := &t.meta.schemas[i]
		c := t.tallies[s.number]
		if old != nil && s.has(old) {
			c.items.Add(-1)
			c.bytes.Add(-int64(expr.ItemSize(s.project(old))))
		}
		if new != nil && s.has(new) {
			c.items.Add(1)
			c.bytes.Add(int64(expr.ItemSize(s.project(new))))
		}
	}
}
