package table

import (
	"context"
	"math"
	"strings"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/ids"
	"github.com/shardmill/shardmill/storage"
)

// Create makes a table, durably; it can be used at once. Faults: ValidationException; ResourceInUseException.
func (ts *Tables) Create(ctx context.Context, name Name, d Definition) (Description, error) {
	leave, err := ts.enter()
	if err != nil {
		return Description{}, err
	}
	defer leave()
	if err := d.Validate(); err != nil {
		return Description{}, err
	}
	ts.define.Lock()
	defer ts.define.Unlock()
	switch _, err := ts.find(name, noResource); {
	case err == nil:
		return Description{}, fault.New(CodeInUse, "Table already exists: %s", name.Table)
	case fault.CodeOf(err) != CodeNotFound:
		return Description{}, err
	}
	m := &meta{Number: ts.nextID, ID: ids.New(), Created: ts.clock.Now().UnixMilli(), Definition: d, NextIndex: 1}
	for _, indexes := range [][]Index{d.Local, d.Global} {
		for i := range indexes {
			indexes[i].Number = m.NextIndex
			m.NextIndex++
		}
	}
	m.schemas = m.Definition.schemas()
	err = ts.local.Apply(context.WithoutCancel(ctx), storage.Sync,
		storage.LocalOp{Key: []byte(prefixNext), Value: encodeNextID(m.Number + 1)},
		storage.LocalOp{Key: metaKey(name), Value: encodeMeta(m)})
	if err != nil {
		return Description{}, storageFault("create table "+name.ARN(), err)
	}
	ts.nextID++
	t := &table{name: name, meta: m, tallies: make(map[uint32]*tally)}
	for _, s := range m.schemas {
		t.tallies[s.number] = new(tally) // it must be empty
	}
	answer := t.describe() // before another call can find and change it
	ts.mu.Lock()
	ts.tables[name] = t
	ts.mu.Unlock()
	return answer, nil
}

// Delete deletes a table with everything in it and returns when that is durable. The name can be used again at once.
// Faults: ResourceNotFoundException; ValidationException for a protected table.
func (ts *Tables) Delete(ctx context.Context, name Name) (Description, error) {
	leave, err := ts.enter()
	if err != nil {
		return Description{}, err
	}
	defer leave()
	ts.define.Lock()
	defer ts.define.Unlock()
	t, release, err := ts.own(name, noTable(name.Table))
	if err != nil {
		return Description{}, err
	}
	defer release()
	if t.meta.Definition.Protected {
		return Description{}, invalid(
			"Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
		)
	}
	ops := []storage.LocalOp{
		{Key: metaKey(name)},
		{Key: indexKey(t.meta.Number, 0), Until: indexKey(t.meta.Number+1, 0)},
	}
	if err := ts.local.Apply(context.WithoutCancel(ctx), storage.Sync, ops...); err != nil {
		return Description{}, storageFault("delete table "+name.ARN(), err)
	}
	t.deleted = true // entries in the order of expiry go when their time comes
	ts.mu.Lock()
	delete(ts.tables, name)
	ts.deletes++
	ts.mu.Unlock()
	return t.describe(), nil
}

// List returns up to n names of an account's tables in a region that sort behind after, in byte order, and whether
// there are more. n ≤ 0: all.
func (ts *Tables) List(_ context.Context, account, region, after string, n int) (names []string, more bool, err error) {
	leave, err := ts.enter()
	if err != nil {
		return nil, false, err
	}
	defer leave()
	if n <= 0 {
		n = math.MaxInt
	}
	base := string(metaKey(Name{Account: account, Region: region}))
	err = ts.local.Scan([]byte(base+after), nil, false, func(k, _ []byte) bool {
		name, ok := strings.CutPrefix(string(k), base)
		if !ok || len(names) == n {
			more = ok
			return false
		}
		if name != after {
			names = append(names, name)
		}
		return true
	})
	if err != nil {
		return nil, false, storageFault("list tables", err)
	}
	return names, more, nil
}
