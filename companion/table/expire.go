package table

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/shardmill/shardmill/companion/table/expr"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// sweepAtOnce is how many due entries one sweep reads before it starts over.
const sweepAtOnce = 256

// fiveYears is how far in the past a time to live may be: AWS takes older values for mistakes and does not delete the
// items.
const fiveYears = 5 * 365 * 24 * time.Hour

// expiryOf returns the second in which an item expires; ok is false when it does not.
func expiryOf(m *meta, item expr.Item) (second int64, ok bool) {
	if m.Expiry == "" {
		return 0, false
	}
	v := item[m.Expiry]
	if v.Kind != expr.N {
		return 0, false
	}
	second, ok = v.Number.Floor()
	return second, ok && second > 0
}

// expiryChange returns the ops that keep the order of expiry right when old becomes new.
func (m *meta) expiryChange(name Name, place []byte, old, new expr.Item) []storage.LocalOp {
	before, had := expiryOf(m, old)
	after, has := expiryOf(m, new)
	if had == has && before == after {
		return nil
	}
	var ops []storage.LocalOp
	if had {
		ops = append(ops, storage.LocalOp{Key: dyingKey(before, m.Number, place)})
	}
	if has {
		ops = append(ops, storage.LocalOp{Key: dyingKey(after, m.Number, place), Value: encodeDying(name)})
	}
	return ops
}

// nextExpiry returns the second of the first entry in the order of expiry.
func (ts *Tables) nextExpiry() (second int64, ok bool, err error) {
	err = ts.local.Scan([]byte(prefixDying), after([]byte(prefixDying)), false, func(k, _ []byte) bool {
		second, _, _, ok = splitDyingKey(k)
		return false
	})
	if err != nil {
		return 0, false, storageFault("read the order of expiry", err)
	}
	return second, ok, nil
}

// armFor ensures that a sweep runs once second has passed.
func (ts *Tables) armFor(second int64) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.door.IsOpen() && (ts.timer == nil || second < ts.armed) {
		ts.arm(second)
	}
}

// arm sets the timer. ts.mu is held.
func (ts *Tables) arm(second int64) {
	if ts.timer != nil {
		ts.timer.Stop()
	}
	const far = 1 << 33 // the year 2242: a clock that gets there arms again
	ts.armed = min(second, far)
	ts.timer = ts.clock.At(time.Unix(ts.armed, 0), ts.sweep)
}

// sweep deletes the items whose time has come and sets the timer for the next.
func (ts *Tables) sweep() {
	leave, err := ts.enter()
	if err != nil {
		return // stopped: the next start continues from the store
	}
	defer leave()
	ts.mu.Lock()
	ts.timer = nil
	ts.mu.Unlock()
	now := ts.clock.Now()
	for more := true; more; {
		if more, err = ts.sweepSome(now); err != nil {
			ts.log.Error("delete expired items", "error", err)
			ts.armFor(now.Add(time.Minute).Unix())
			return
		}
	}
	next, ok, err := ts.nextExpiry()
	if err != nil {
		ts.log.Error("find the next item to expire", "error", err)
		ts.armFor(now.Add(time.Minute).Unix())
		return
	}
	if ok {
		ts.armFor(next)
	}
}

// dying is an entry in the order of expiry.
type dying struct {
	key, place []byte
	second     int64
	table      uint64
	name       Name
}

// sweepSome handles due entries, up to sweepAtOnce; more says that others may be due. A damaged one does not hold up
// the others.
func (ts *Tables) sweepSome(now time.Time) (more bool, err error) {
	var due []dying
	var bad error
	err = ts.local.Scan([]byte(prefixDying), dyingKey(now.Unix()+1, 0, nil), false, func(k, v []byte) bool {
		second, table, place, _ := splitDyingKey(k)
		name, err := decodeDying(v)
		if err != nil {
			bad = err
			return true
		}
		due = append(due, dying{bytes.Clone(k), place, second, table, name})
		return len(due) < sweepAtOnce
	})
	if err != nil {
		return false, err
	}
	for _, d := range due {
		err := ts.expire(d, now)
		if errors.Is(err, storage.ErrCorrupt) {
			bad = err
		} else if err != nil {
			return false, err
		}
	}
	return len(due) == sweepAtOnce, bad
}

// expire deletes an item whose time has come, or only the entry if that is out of date.
func (ts *Tables) expire(d dying, now time.Time) error {
	alone := func() error { return ts.local.Apply(context.Background(), storage.Soon, storage.LocalOp{Key: d.key}) }
	t, release, err := ts.use(d.name)
	if fault.CodeOf(err) == CodeNotFound {
		return alone()
	}
	if err != nil {
		return err
	}
	defer release()
	if t.meta.Number != d.table {
		return alone()
	}
	lock := &t.items[stripeOf(d.place)]
	lock.Lock()
	defer lock.Unlock()
	item, err := ts.get(t, d.place)
	if err != nil {
		return err
	}
	at, expires := expiryOf(t.meta, item)
	if !expires || at != d.second || now.Sub(time.Unix(at, 0)) > fiveYears {
		return alone()
	}
	ops, _ := t.changes(d.place, item, nil)
	if err := ts.local.Apply(context.Background(), storage.Soon, ops...); err != nil {
		return storageFault("delete expired item of table "+t.name.ARN(), err)
	}
	t.recount(item, nil)
	return nil
}

// SetExpiry makes items of a table expire at the second in attribute or, with enabled false, stops that. Existing items
// count too. Faults: ResourceNotFoundException; ValidationException.
func (ts *Tables) SetExpiry(ctx context.Context, name Name, attribute string, enabled bool) error {
	leave, err := ts.enter()
	if err != nil {
		return err
	}
	defer leave()
	t, release, err := ts.own(name, noTable(name.Table))
	if err != nil {
		return err
	}
	defer release()
	current := t.meta.Expiry
	switch {
	case enabled && current == attribute:
		return invalid("TimeToLive is already enabled")
	case !enabled && current == "":
		return invalid("TimeToLive is already disabled")
	case current != "" && current != attribute:
		return invalid("TimeToLive is active on a different AttributeName: current AttributeName is %s", current)
	}
	m := t.meta.change()
	m.Expiry = ""
	if enabled {
		m.Expiry = attribute
	}
	ctx = context.WithoutCancel(ctx)
	first := int64(0)
	if enabled { // entries come before the definition: an extra one is harmless, a missing one is not
		first, err = ts.fillExpiry(ctx, t, m)
	}
	if err == nil {
		err = ts.redefine(ctx, t, m)
	}
	if err != nil {
		return storageFault("change time to live of table "+name.ARN(), err)
	}
	if first != 0 {
		ts.armFor(first)
	}
	return nil
}

// fillExpiry writes the order of expiry of all items of a table, according to m; first is the first second, 0 when none
// expires. t.gate is held for writing.
func (ts *Tables) fillExpiry(ctx context.Context, t *table, m *meta) (first int64, err error) {
	ops := batch{ctx: ctx, local: ts.local}
	err = ts.entries(t.meta, 0, func(place []byte, item expr.Item) error {
		at, ok := expiryOf(m, item)
		if ok && (first == 0 || at < first) {
			first = at
		}
		return ops.add(m.expiryChange(t.name, place, nil, item)...)
	})
	if err == nil {
		err = ops.flush()
	}
	return first, err
}

// batch applies many changes in pieces.
type batch struct {
	ctx   context.Context // lives for one call
	local storage.Local
	ops   []storage.LocalOp
	bytes int // of ops
}

// Bounds of a piece; its last change may exceed them.
const (
	batchOps   = 500
	batchBytes = 1 << 20
)

func (b *batch) add(ops ...storage.LocalOp) error {
	b.ops = append(b.ops, ops...)
	for _, op := range ops {
		b.bytes += len(op.Key) + len(op.Value)
	}
	if len(b.ops) < batchOps && b.bytes < batchBytes {
		return nil
	}
	return b.flush()
}

func (b *batch) flush() error {
	ops := b.ops
	b.ops, b.bytes = nil, 0
	if len(ops) == 0 {
		return nil
	}
	return b.local.Apply(b.ctx, storage.Soon, ops...)
}

// redefine stores a table's new definition, durably, together with everything applied before. t.gate is held for
// writing.
func (ts *Tables) redefine(ctx context.Context, t *table, m *meta) error {
	m.schemas = m.Definition.schemas()
	if err := ts.local.Apply(ctx, storage.Sync, storage.LocalOp{
		Key: metaKey(t.name), Value: encodeMeta(m),
	}); err != nil {
		return err
	}
	t.meta = m
	return nil
}
