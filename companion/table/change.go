package table

import (
	"context"
	"maps"
	"slices"

	"github.com/shardmill/shardmill/companion/table/expr"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// Change is what UpdateTable changes; an empty field changes nothing.
type Change struct {
	Attributes []Attribute // with Add: the attributes of its key, and any that exist already
	Billing    string
	Throughput *Throughput
	Protected  *bool
	// EncryptionKey is as in Definition
	EncryptionKey *string
	Add           []Index // global indexes to make
	Remove        []string
	Indexes       map[string]Throughput // of global indexes, by name
}

// Changed is the result of a Change. Description shows the table afterwards; Removed is the index that was removed.
type Changed struct {
	Description
	Removed *Index
}

// Change changes a table and returns when that is durable; a new index is complete by then. Other operations on the
// table wait meanwhile. Faults: ResourceNotFoundException; ValidationException; LimitExceededException.
func (ts *Tables) Change(ctx context.Context, name Name, c Change) (Changed, error) {
	leave, err := ts.enter()
	if err != nil {
		return Changed{}, err
	}
	defer leave()
	t, release, err := ts.own(name, noTable(name.Table))
	if err != nil {
		return Changed{}, err
	}
	defer release()
	if len(c.Add)+len(c.Remove) > 1 {
		return Changed{}, fault.New(
			CodeLimit,
			"Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
		)
	}
	m := t.meta.change()
	removed, err := c.apply(m)
	if err != nil {
		return Changed{}, err
	}
	ctx = context.WithoutCancel(ctx)
	if len(c.Add) == 1 {
		if err := ts.fill(ctx, t, m); err != nil {
			return Changed{}, storageFault("fill index of table "+name.ARN(), err)
		}
	}
	if err := ts.redefine(ctx, t, m); err != nil {
		return Changed{}, storageFault("change table "+name.ARN(), err)
	}
	if removed != nil {
		op := storage.LocalOp{Key: indexKey(m.Number, removed.Number), Until: indexKey(m.Number, removed.Number+1)}
		// nothing reads them any more, and they would go with the table
		if err := ts.local.Apply(ctx, storage.Soon, op); err != nil {
			ts.log.Warn("delete entries of a removed index", "table", name.ARN(), "error", err)
		}
	}
	if len(c.Add) == 1 {
		t.tallies = nil // counted again by the next Describe
	}
	return Changed{t.describe(), removed}, nil
}

// apply changes a definition.
func (c *Change) apply(m *meta) (removed *Index, err error) {
	d := &m.Definition
	if err := c.applyBilling(d); err != nil {
		return nil, err
	}
	if c.Protected != nil {
		d.Protected = *c.Protected
	}
	if c.EncryptionKey != nil {
		d.EncryptionKey = *c.EncryptionKey
	}
	for name, throughput := range c.Indexes {
		i := indexOf(d.Global, name)
		if i < 0 {
			return nil, noIndex(name)
		}
		if old := d.Global[i].Throughput; old != nil && *old == throughput {
			return nil, unchanged("the index "+name, "index "+name, old)
		}
		d.Global[i].Throughput = &throughput
	}
	for _, name := range c.Remove {
		i := indexOf(d.Global, name)
		if i < 0 {
			return nil, noIndex(name)
		}
		x := d.Global[i]
		removed = &x
		d.Global = slices.Delete(d.Global, i, i+1)
	}
	for _, x := range c.Add {
		for _, a := range c.Attributes {
			if !slices.ContainsFunc(d.Attributes, func(b Attribute) bool { return b.Name == a.Name }) {
				d.Attributes = append(d.Attributes, a)
			}
		}
		x.Number = m.NextIndex
		m.NextIndex++
		d.Global = append(d.Global, x)
	}
	d.dropUnused()
	return removed, d.Validate()
}

func noIndex(name string) error {
	return fault.New(CodeNotFound, "Requested resource not found: Index: %s not found", name)
}

func indexOf(indexes []Index, name string) int {
	return slices.IndexFunc(indexes, func(x Index) bool { return x.Name == name })
}

func (c *Change) applyBilling(d *Definition) error {
	if c.Billing == OnDemand && d.Billing != OnDemand {
		d.Throughput = nil
		for i := range d.Global {
			d.Global[i].Throughput = nil
		}
	}
	if c.Billing != "" {
		d.Billing = c.Billing
	}
	if c.Throughput == nil {
		return nil
	}
	if old := d.Throughput; old != nil && *old == *c.Throughput {
		return unchanged("the table", "the table", old)
	}
	d.Throughput = c.Throughput
	return nil
}

// unchanged refuses a throughput that is already set.
func unchanged(what, of string, t *Throughput) error {
	return invalid("The provisioned throughput for %s will not change. The requested value equals the current value. "+
		"Current ReadCapacityUnits provisioned for %s: %d. Requested ReadCapacityUnits: %d. "+
		"Current WriteCapacityUnits provisioned for %s: %d. Requested WriteCapacityUnits: %d. "+
		"Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.",
		what, of, t.Read, t.Read, of, t.Write, t.Write)
}

// dropUnused drops attributes that no key uses any more.
func (d *Definition) dropUnused() {
	d.Attributes = slices.DeleteFunc(d.Attributes, func(a Attribute) bool {
		in := func(key []KeyElement) bool {
			return slices.ContainsFunc(key, func(k KeyElement) bool { return k.Name == a.Name })
		}
		inIndex := func(x Index) bool { return in(x.Key) }
		return !in(d.Key) && !slices.ContainsFunc(d.Local, inIndex) && !slices.ContainsFunc(d.Global, inIndex)
	})
}

// fill writes the entries of m's newest index. t.gate is held for writing.
func (ts *Tables) fill(ctx context.Context, t *table, m *meta) error {
	schemas := m.Definition.schemas()
	s := &schemas[len(schemas)-1]
	ops := batch{ctx: ctx, local: ts.local}
	// An earlier process that died at this point may have left entries.
	if err := ops.add(storage.LocalOp{
		Key: indexKey(m.Number, s.number), Until: indexKey(m.Number, s.number+1),
	}); err != nil {
		return err
	}
	err := ts.entries(t.meta, 0, func(place []byte, item expr.Item) error {
		e := s.entry(m, place, item)
		if e == nil {
			return nil
		}
		return ops.add(storage.LocalOp{Key: e.key, Value: e.value, Refusable: true})
	})
	if err != nil {
		return err
	}
	return ops.flush()
}

// Tags returns a table's tags. The caller owns the map. Faults: ResourceNotFoundException.
func (ts *Tables) Tags(_ context.Context, name Name) (map[string]string, error) {
	leave, err := ts.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	t, release, err := ts.look(name, noTagged(name))
	if err != nil {
		return nil, err
	}
	defer release()
	return maps.Clone(t.meta.Definition.Tags), nil
}

// Tag adds tags, or changes their values. Faults: ResourceNotFoundException; ValidationException.
func (ts *Tables) Tag(ctx context.Context, name Name, tags map[string]string) error {
	return ts.retag(ctx, name, func(have map[string]string) error {
		maps.Copy(have, tags)
		if len(have) > MaxTags {
			return invalid(
				"One or more parameter values were invalid: Too many tags: a resource has at most %d", MaxTags,
			)
		}
		return nil
	})
}

// Untag removes tags; missing keys are harmless. Faults: ResourceNotFoundException.
func (ts *Tables) Untag(ctx context.Context, name Name, keys []string) error {
	return ts.retag(ctx, name, func(have map[string]string) error {
		for _, k := range keys {
			delete(have, k)
		}
		return nil
	})
}

func (ts *Tables) retag(ctx context.Context, name Name, change func(map[string]string) error) error {
	leave, err := ts.enter()
	if err != nil {
		return err
	}
	defer leave()
	t, release, err := ts.own(name, noTagged(name))
	if err != nil {
		return err
	}
	defer release()
	m := t.meta.change()
	if m.Definition.Tags == nil {
		m.Definition.Tags = make(map[string]string)
	}
	if err := change(m.Definition.Tags); err != nil {
		return err
	}
	if err := ts.redefine(context.WithoutCancel(ctx), t, m); err != nil {
		return storageFault("tag table "+name.ARN(), err)
	}
	return nil
}

func noTagged(name Name) func() error {
	return func() error {
		return fault.New(CodeNotFound, "Requested resource not found: ResourcArn: %s not found", name.ARN())
	}
}
