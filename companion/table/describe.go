package table

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/companion/table/expr"
)

// Description is what DescribeTable says about a table.
type Description struct {
	Name       Name
	ID         string // a UUID
	Created    time.Time
	Definition Definition // not to be changed by the caller
	Items      int64
	Bytes      int64           // of the table's items, without its indexes
	Indexes    map[string]Size // by name
	Expiry     string          // the attribute that holds the time to live; "": items do not expire
}

// Size is how much an index holds.
type Size struct{ Items, Bytes int64 }

// tally counts what a table or an index holds.
type tally struct{ items, bytes atomic.Int64 }

// Describe returns a table's definition and size. Its first call after a start counts every item. Faults:
// ResourceNotFoundException.
func (ts *Tables) Describe(_ context.Context, name Name) (Description, error) {
	leave, err := ts.enter()
	if err != nil {
		return Description{}, err
	}
	defer leave()
	t, release, err := ts.look(name, noTable(name.Table))
	if err != nil {
		return Description{}, err
	}
	if t.tallies != nil {
		defer release()
		return t.describe(), nil
	}
	release()
	if t, release, err = ts.own(name, noTable(name.Table)); err != nil {
		return Description{}, err
	}
	defer release()
	if t.tallies == nil { // no other call has counted meanwhile
		if err := ts.count(t); err != nil {
			return Description{}, err
		}
	}
	return t.describe(), nil
}

// Inspect is Describe without counting: items and bytes are right only after a Describe. Faults:
// ResourceNotFoundException.
func (ts *Tables) Inspect(_ context.Context, name Name) (Description, error) {
	leave, err := ts.enter()
	if err != nil {
		return Description{}, err
	}
	defer leave()
	t, release, err := ts.look(name, noTable(name.Table))
	if err != nil {
		return Description{}, err
	}
	defer release()
	return t.describe(), nil
}

// describe returns t's description at this moment, with zeros if t is uncounted. t.gate is held.
func (t *table) describe() Description {
	d := Description{
		Name: t.name, ID: t.meta.ID, Created: time.UnixMilli(t.meta.Created), Definition: t.meta.change().Definition,
		Expiry:  t.meta.Expiry,
		Indexes: make(map[string]Size),
	}
	for _, s := range t.meta.schemas {
		c := t.tallies[s.number]
		switch {
		case c == nil:
		case s.number == 0:
			d.Items, d.Bytes = c.items.Load(), c.bytes.Load()
		default:
			d.Indexes[s.index] = Size{c.items.Load(), c.bytes.Load()}
		}
	}
	return d
}

// count reads the whole table. t.gate is held for writing.
func (ts *Tables) count(t *table) error {
	tallies := make(map[uint32]*tally)
	for _, s := range t.meta.schemas {
		c := new(tally)
		tallies[s.number] = c
		if err := ts.entries(t.meta, s.number, func(_ []byte, item expr.Item) error {
			c.items.Add(1)
			c.bytes.Add(int64(expr.ItemSize(item)))
			return nil
		}); err != nil {
			return storageFault("count items of table "+t.name.ARN(), err)
		}
	}
	t.tallies = tallies
	return nil
}

// entries visits all entries of an index in order; index 0 is the table.
func (ts *Tables) entries(m *meta, index uint32, visit func(place []byte, item expr.Item) error) error {
	var bad error
	err := ts.local.Scan(indexKey(m.Number, index), indexKey(m.Number, index+1), false, func(k, v []byte) bool {
		var item expr.Item
		if item, bad = decodeItem(v); bad == nil {
			bad = visit(k[itemPrefix:], item)
		}
		return bad == nil
	})
	if err == nil {
		err = bad
	}
	return err
}
