package table

import (
	"context"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/companion/table/expr"
	"github.com/shardmill/shardmill/storage"
)

func addByX() Change {
	return Change{
		Attributes: []Attribute{{"x", "N"}},
		Add:        []Index{{Name: "byX", Key: []KeyElement{{"x", "HASH"}}, Projection: All}},
	}
}

// A new index holds the items from before; items that do not fit its key are left out, as on AWS.
func TestAddedIndexHoldsWhatWasThere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 3 {
		b.put(with(key("a", i), expr.Item{"x": num(i % 2)}))
	}
	b.put(with(key("b", 1), expr.Item{"x": expr.Text("no number")}))

	d, err := b.Change(t.Context(), orders, addByX())
	b.must(err)
	if len(d.Definition.Global) != 2 || len(d.Definition.Attributes) != 4 {
		t.Errorf("changed to %+v", d.Definition)
	}
	b = open(t, b.local.Kill())
	if p := b.page(Range{Index: "byX", Query: byHash("x", num(0))}); p.Read != 2 {
		t.Errorf("the index shows %v", p.Items)
	}
	if p := b.page(Range{Index: "byX"}); p.Read != 3 {
		t.Errorf("the index shows %v", p.Items)
	}
	_, err = b.Write(t.Context(), orders, Write{
		Kind: Put, Item: with(key("b", 2), expr.Item{"x": expr.Text("no number")}),
	})
	refused(
		t, err, CodeValidation,
		"One or more parameter values were invalid: Type mismatch for Index Key x Expected: N Actual: S IndexName: byX",
	)

	// Other attributes of an item that did not fit may be updated, but the key attribute may not be set to such a value
	// again.
	update := func(text string) error {
		u, err := expr.NewScope(nil, map[string]expr.Value{":v": expr.Text("")}).Update(text)
		b.must(err)
		_, err = b.Write(t.Context(), orders, Write{Kind: Update, Key: key("b", 1), Update: u})
		return err
	}
	b.must(update("SET y = :v"))
	refused(
		t, update("SET x = :v"), CodeValidation,
		"The update expression attempted to update the secondary index key to unsupported type",
	)
	refused(t, update("SET g = :v"), CodeValidation,
		prefixNotValid+
			"The update expression attempted to update a secondary index key to a value that is not supported. "+
			"The AttributeValue for a key attribute cannot contain an empty string value.")
}

// A removed index is gone with its entries and its attributes; an index of the same name starts afresh.
func TestRemovedIndexIsGone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put(with(key("a", 1), expr.Item{"x": num(1)}))
	_, err := b.Change(t.Context(), orders, addByX())
	b.must(err)
	d, err := b.Change(t.Context(), orders, Change{Remove: []string{"byX"}})
	b.must(err)
	if d.Removed == nil || d.Removed.Name != "byX" || len(d.Definition.Attributes) != 3 ||
		b.local.Count(prefixItem) != 1 {
		t.Errorf("changed to %+v; %d keys", d, b.local.Count(prefixItem))
	}
	_, err = b.Page(t.Context(), orders, Range{Index: "byX"})
	refused(t, err, CodeValidation, "The table does not have the specified index: byX")
	_, err = b.Change(t.Context(), orders, Change{Remove: []string{"byX"}})
	refused(t, err, CodeNotFound, "Requested resource not found: Index: byX not found")
	b.delete(key("a", 1))
	_, err = b.Change(t.Context(), orders, addByX())
	b.must(err)
	if p := b.page(Range{Index: "byX"}); p.Read != 0 {
		t.Errorf("the new index shows %v", p.Items)
	}
}

func TestBillingCanBeChanged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.Change(t.Context(), orders, Change{Billing: Provisioned})
	refused(
		t, err, CodeValidation,
		prefixInvalid+"ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
	)
	_, err = b.Change(t.Context(), orders, Change{Billing: Provisioned, Throughput: &Throughput{1, 2}})
	refused(
		t, err, CodeValidation,
		prefixInvalid+"ReadCapacityUnits and WriteCapacityUnits must both be specified for index: byG",
	)
	d, err := b.Change(t.Context(), orders, Change{
		Billing: Provisioned, Throughput: &Throughput{1, 2}, Indexes: map[string]Throughput{"byG": {3, 4}},
	})
	b.must(err)
	if *d.Definition.Throughput != (Throughput{1, 2}) {
		t.Errorf("changed to %+v", d.Definition)
	}
	if _, err = b.Change(t.Context(), orders, Change{Throughput: &Throughput{1, 2}}); err == nil ||
		!strings.Contains(err.Error(), "will not change") {
		t.Errorf("the same throughput: %v", err)
	}
	_, err = b.Change(t.Context(), orders, Change{Billing: Provisioned, Throughput: &Throughput{1, 2}})
	if err == nil || !strings.Contains(err.Error(), "for the table will not change") {
		t.Errorf("the same throughput and billing: %v", err)
	}
	_, err = b.Change(t.Context(), orders, Change{Indexes: map[string]Throughput{"byG": {3, 4}}})
	if err == nil ||
		!strings.Contains(
			err.Error(),
			"for the index byG will not change. The requested value equals the current value. Current ReadCapacityUnits provisioned for index byG: 3. ",
		) {
		t.Errorf("the same throughput of an index: %v", err)
	}
	d, err = b.Change(t.Context(), orders, Change{Billing: OnDemand})
	b.must(err)
	if d.Definition.Throughput != nil {
		t.Errorf("changed to %+v", d.Definition)
	}
}

func TestOneIndexChangesAtATime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := addByX()
	c.Remove = []string{"byG"}
	_, err := b.Change(t.Context(), orders, c)
	refused(
		t, err, CodeLimit,
		"Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
	)
}

// The texts are AWS's.
func TestDefinitionsAreChecked(t *testing.T) {
	t.Parallel()
	ok := func() Definition { return definition() }
	for want, change := range map[string]func(*Definition){
		"Invalid KeySchema: The first KeySchemaElement is not a HASH key type": func(d *Definition) {
			d.Key[0].Type = "RANGE"
		},
		"Invalid KeySchema: The second KeySchemaElement is not a RANGE key type": func(d *Definition) {
			d.Key[1].Type = "HASH"
		},
		"Both the Hash Key and the Range Key element in the KeySchema have the same name": func(
			d *Definition,
		) {
			d.Key[1].Name = "id"
		},
		prefixInvalid +
			"Duplicate index name: byG": func(d *Definition) { d.Local[0].Name = "byG" },
		prefixInvalid +
			"Unknown ProjectionType: null": func(d *Definition) { d.Global[0].Projection = "" },
		prefixInvalid +
			"ProjectionType is ALL, but NonKeyAttributes is specified": func(d *Definition) {
			d.Global[0].Projection = All
		},
		prefixInvalid +
			"Index KeySchema does not have a range key for index: byL": func(d *Definition) {
			d.Local[0].Key = d.Local[0].Key[:1]
		},
		prefixInvalid +
			"ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED": func(
			d *Definition,
		) {
			d.Billing = Provisioned
		},
		prefixInvalid +
			"Some index key attributes are not defined in AttributeDefinitions. Keys: [id, none], AttributeDefinitions: [id, at, g]": func(
			d *Definition,
		) {
			d.Key[1].Name = "none"
		},
		prefixInvalid +
			"Some AttributeDefinitions are not used. AttributeDefinitions: [id, at, g, z], keys used: [id, at, g]": func(
			d *Definition,
		) {
			d.Attributes = append(d.Attributes, Attribute{"z", "S"})
		},
		prefixInvalid +
			"Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions": func(
			d *Definition,
		) {
			d.Global, d.Local = nil, nil
		},
		prefixInvalid +
			"Index KeySchema does not have the same leading hash key as table KeySchema for index: byL. index hash key: g, table hash key: id": func(
			d *Definition,
		) {
			d.Local[0].Key = []KeyElement{{"g", "HASH"}, {"at", "RANGE"}}
		},
	} {
		d := ok()
		change(&d)
		refused(t, d.Validate(), CodeValidation, want)
	}
}

// weighing records the heaviest batch that was applied.
type weighing struct {
	storage.Local
	heaviest int
}

func (w *weighing) Apply(ctx context.Context, d storage.Durability, ops ...storage.LocalOp) error {
	n := 0
	for _, op := range ops {
		n += len(op.Key) + len(op.Value)
	}
	w.heaviest = max(w.heaviest, n)
	return w.Local.Apply(ctx, d, ops...)
}

// Filling an index holds only a piece of it in memory, however large the items are.
func TestIndexIsFilledInSmallPieces(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 10 {
		b.put(with(key("a", i), expr.Item{"x": num(i), "body": expr.Text(strings.Repeat("b", 390<<10))}))
	}
	scale := &weighing{Local: b.local}
	again, err := New(Options{Local: scale, Clock: b.clock})
	b.must(err)
	b.must(again.Start(t.Context()))
	t.Cleanup(again.Stop)
	_, err = again.Change(t.Context(), orders, addByX())
	b.must(err)
	if scale.heaviest > batchBytes+MaxItemBytes {
		t.Errorf("a batch of %d bytes", scale.heaviest)
	}
}
