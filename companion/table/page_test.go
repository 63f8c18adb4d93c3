package table

import (
	"strings"
	"testing"

	"github.com/shardmill/shardmill/companion/table/expr"
)

// A page ends at 1 MB, before the filter, and says where to continue.
func TestPageEndsAtOneMegabyte(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 4 {
		b.put(with(key("a", i), expr.Item{"x": expr.Text(strings.Repeat("x", 300<<10))}))
	}
	none, err := expr.NewScope(nil, nil).Condition("FilterExpression", "attribute_exists(gone)")
	b.must(err)
	p := b.page(Range{Query: byHash("id", expr.Text("a")), Filter: none})
	if p.Read != 3 || len(p.Items) != 0 || p.Capacity.Table != 226 {
		t.Errorf("read %d, shown %d, %d half units, want 3, 0 and 226", p.Read, len(p.Items), p.Capacity.Table)
	}
	b.same(p.Last, key("a", 2))
	p = b.page(Range{Query: byHash("id", expr.Text("a")), After: p.Last})
	if p.Read != 1 || p.Last != nil {
		t.Errorf("then read %d, last %v", p.Read, p.Last)
	}
}

// A page that ended at its limit has a Last even if nothing follows, as on AWS.
func TestLimitEndsAPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put(with(key("a", 1), expr.Item{"g": expr.Text("u")}))
	p := b.page(Range{Index: "byG", Limit: 1})
	b.same(p.Last, with(key("a", 1), expr.Item{"g": expr.Text("u")}))
	p = b.page(Range{Index: "byG", Limit: 1, After: p.Last})
	if p.Read != 0 || p.Last != nil {
		t.Errorf("read %d, last %v", p.Read, p.Last)
	}
}

func TestRangesAreChecked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := byHash("id", expr.Text("a"))
	more := func(parts ...expr.KeyPart) []expr.KeyPart { return append(byHash("id", expr.Text("a")), parts...) }
	filter, err := expr.NewScope(nil, nil).Condition("FilterExpression", "attribute_exists(id)")
	b.must(err)
	for want, r := range map[string]Range{
		"Query condition missed key schema element: id": {
			Query: byHash("at", num(1)),
		},
		"Query condition missed key schema element: at": {
			Query: more(expr.KeyPart{Attribute: "x", Operator: "=", Values: []expr.Value{num(1)}}),
		},
		"Query key condition not supported": {
			Query: []expr.KeyPart{{Attribute: "id", Operator: "<", Values: []expr.Value{expr.Text("a")}}},
		},
		prefixInvalid +
			"Condition parameter type does not match schema type": {Query: byHash("id", num(1))},
		prefixNotValid +
			"The AttributeValue for a key attribute cannot contain an empty string value. Key: id": {
			Query: byHash("id", expr.Text("")),
		},
		"Filter Expression can only contain non-primary key attributes: Primary key attribute: id": {
			Query: a, Filter: filter,
		},
		"The table does not have the specified index: none": {
			Index: "none",
		},
		"Consistent reads are not supported on global secondary indexes": {
			Index: "byG", Consistent: true,
		},
		prefixInvalid +
			"Global secondary index byG does not project [y]": {Index: "byG", Attributes: []string{"x", "y"}},
		"The provided starting key is invalid: The provided key element does not match the schema": {
			After: expr.Item{"id": expr.Text("a")},
		},
		"The provided starting key is outside query boundaries based on provided conditions": {
			Query: a, After: key("b", 1),
		},
		"The provided starting key does not match the range key predicate": {
			Query: more(expr.KeyPart{Attribute: "at", Operator: ">", Values: []expr.Value{num(5)}}), After: key("a", 1),
		},
		prefixInvalid +
			"Select type ALL_ATTRIBUTES is not supported for global secondary index byG because its projection type is not ALL": {
			Index: "byG", Everything: true,
		},
	} {
		_, err := b.Page(t.Context(), orders, r)
		refused(t, err, CodeValidation, want)
	}
}

// Source: DynamoDB Developer Guide, "DynamoDB read and write operations".
func TestCapacityIsCountedAsAWSCounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	full := with(key("a", 1), expr.Item{"g": expr.Text("u"), "x": num(1), "y": expr.Text(strings.Repeat("y", 1500))})
	w := b.put(full)
	if got := w.Capacity; got.Table.Float() != 2 || got.Global["byG"].Float() != 1 || got.Local["byL"].Float() != 1 ||
		got.Total().Float() != 4 {
		t.Errorf("put: %+v", got)
	}
	again := with(key("a", 1), expr.Item{"g": expr.Text("u"), "x": num(1), "y": expr.Text("small")})
	if got := b.put(again).Capacity; got.Table.Float() != 2 || got.Total().Float() != 2 {
		t.Errorf("put of what no index shows: %+v; the larger of both counts", got)
	}
	moved := with(key("a", 1), expr.Item{"g": expr.Text("v")})
	if got := b.put(moved).Capacity; got.Global["byG"].Float() != 2 {
		t.Errorf("put that moves an index entry: %+v", got)
	}
	if got := b.delete(key("a", 1)).Capacity; got.Table.Float() != 1 || got.Global["byG"].Float() != 1 {
		t.Errorf("delete: %+v", got)
	}
	for consistent, want := range map[bool]float64{true: 1, false: 0.5} {
		got, err := b.Get(t.Context(), orders, key("a", 1), consistent)
		if err != nil || got.Capacity.Table.Float() != want {
			t.Errorf("get of nothing, consistent %t: %+v %v", consistent, got.Capacity, err)
		}
	}
	if got := b.page(Range{Index: "byG"}).Capacity; got.Table != 0 || got.Global["byG"].Float() != 0.5 {
		t.Errorf("scan of an index: %+v", got)
	}
}
