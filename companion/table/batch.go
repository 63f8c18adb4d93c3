package table

import (
	"context"
	"sync"

	"github.com/shardmill/shardmill/companion/table/expr"
	"github.com/shardmill/shardmill/fault"
)

// Named is a write and the table it goes to.
type Named struct {
	Table Name
	Write
}

// WriteAll carries out writes of different items, side by side, and returns when all are durable. If one of them is
// refused, nothing is written. done tells which were carried out; for the others the store was too busy, and they may
// be tried again. capacity is by table. Faults: ResourceNotFoundException; ValidationException.
func (ts *Tables) WriteAll(ctx context.Context, writes []Named) (done []bool, capacity map[Name]Capacity, err error) {
	seen := make(map[string]bool, len(writes))
	for i := range writes {
		key, err := ts.checkWrite(&writes[i])
		if err != nil {
			return nil, nil, err
		}
		if seen[key] {
			return nil, nil, duplicates()
		}
		seen[key] = true
	}
	results, errs := make([]Written, len(writes)), make([]error, len(writes))
	var all sync.WaitGroup
	for i, w := range writes {
		all.Go(func() { results[i], errs[i] = ts.Write(ctx, w.Table, w.Write) })
	}
	all.Wait()
	done, capacity = make([]bool, len(writes)), make(map[Name]Capacity)
	for i, err := range errs {
		switch {
		case err == nil:
			done[i] = true
			capacity[writes[i].Table] = capacity[writes[i].Table].Plus(results[i].Capacity)
		case fault.CodeOf(err) != CodeThrottled:
			return nil, nil, err
		}
	}
	return done, capacity, nil
}

func duplicates() error { return invalid("Provided list of item keys contains duplicates") }

// checkWrite checks a write and returns a text that identifies its item.
func (ts *Tables) checkWrite(w *Named) (key string, err error) {
	leave, err := ts.enter()
	if err != nil {
		return "", err
	}
	defer leave()
	t, release, err := ts.use(w.Table)
	if err != nil {
		return "", err
	}
	defer release()
	if err := w.check(t.meta); err != nil {
		return "", err
	}
	return string(itemKey(t.meta.Number, 0, t.meta.schemas[0].placeOf(w.key()))), nil
}

// GetAll reads items by key until they exceed budget bytes in all, and calls show for each. read is how many keys were
// read, in their order. Faults: ResourceNotFoundException; ValidationException.
func (ts *Tables) GetAll(
	ctx context.Context, name Name, keys []expr.Item, consistent bool, budget int, visit func(Got),
) (read int, err error) {
	if err := ts.checkKeys(name, keys); err != nil {
		return 0, err
	}
	for i, key := range keys {
		if budget < 0 {
			return i, nil
		}
		g, err := ts.Get(ctx, name, key, consistent)
		if err != nil {
			return 0, err
		}
		budget -= g.Bytes
		visit(g)
	}
	return len(keys), nil
}

func (ts *Tables) checkKeys(name Name, keys []expr.Item) error {
	seen := make(map[string]bool, len(keys))
	for _, key := range keys {
		place, err := ts.checkWrite(&Named{name, Write{Kind: Delete, Key: key}})
		if err != nil {
			return err
		}
		if seen[place] {
			return duplicates()
		}
		seen[place] = true
	}
	return nil
}
