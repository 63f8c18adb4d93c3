package table

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/shardmill/shardmill/companion/table/expr"
)

// model is a table as a list of items: slow and obvious.
type model []expr.Item

func (m model) without(k expr.Item) model {
	return slices.DeleteFunc(slices.Clone(m), func(i expr.Item) bool {
		return i["id"].Equal(k["id"]) && i["at"].Equal(k["at"])
	})
}

// query returns the result of a query on hash = v with a condition on the range key.
func (m model) query(hash string, v expr.Value, sort string, keep func(expr.Value) bool, tie ...string) []expr.Item {
	var out []expr.Item
	for _, i := range m {
		if h, ok := i[hash]; ok && h.Equal(v) {
			if r, ok := i[sort]; ok && keep(r) {
				out = append(out, i)
			}
		}
	}
	slices.SortFunc(out, func(a, b expr.Item) int {
		for _, name := range append([]string{sort}, tie...) {
			if less(a[name], b[name]) {
				return -1
			}
			if less(b[name], a[name]) {
				return 1
			}
		}
		return 0
	})
	return out
}

func less(a, b expr.Value) bool {
	return expr.Compare{Operator: "<", Left: expr.Literal{Value: a}, Right: expr.Literal{Value: b}}.Holds(nil)
}

func anyKey(t *rapid.T) expr.Item {
	id := rapid.SampledFrom([]string{"a", "a\x00", "a\x00b", "ab", "\xff", "b"}).Draw(t, "id")
	at, err := expr.ParseNumber(
		rapid.SampledFrom([]string{"-10", "-9.5", "-1", "0", "0.001", "1", "2", "10", "1e20"}).Draw(t, "at"),
	)
	if err != nil {
		t.Fatal(err)
	}
	return expr.Item{"id": expr.Text(id), "at": expr.Num(at)}
}

func anyG(t *rapid.T) expr.Value {
	return expr.Text(rapid.SampledFrom([]string{"g", "g\x00", "gg", "h"}).Draw(t, "g"))
}

// Whatever is written, queries and scans of the table and its indexes return what the model returns, page by page, in
// both directions.
func TestQueriesAnswerWhatTheModelAnswers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		b := setup(t)
		defer b.Stop()
		var m model
		for range rapid.IntRange(1, 25).Draw(rt, "writes") {
			k := anyKey(rt)
			m = m.without(k)
			if rapid.IntRange(0, 3).Draw(rt, "delete") == 0 {
				b.delete(k)
				continue
			}
			if rapid.IntRange(0, 2).Draw(rt, "indexed") > 0 {
				k["g"] = anyG(rt)
			}
			k["x"] = num(rapid.IntRange(0, 3).Draw(rt, "x"))
			b.put(k)
			m = append(m, k)
		}
		check := func(what string, r Range, want []expr.Item) {
			t.Helper()
			r.Everything = r.Index == "byL"
			if r.Descending {
				slices.Reverse(want)
			}
			got := all(t, b, r)
			if d := cmp.Diff(want, got, cmp.AllowUnexported(expr.Number{})); d != "" {
				rt.Fatalf("%s %+v (-want +got)\n%s", what, r, d)
			}
		}
		r := Range{Limit: rapid.IntRange(0, 3).Draw(rt, "limit"), Descending: rapid.Bool().Draw(rt, "descending")}
		k := anyKey(rt)
		part, keep := anyPart(rt, k["at"])
		r.Query = append(byHash("id", k["id"]), part...)
		check("table", r, m.query("id", k["id"], "at", keep))

		g := anyG(rt)
		r.Index, r.Query = "byG", append(byHash("g", g), part...)
		check("global index", r, m.query("g", g, "at", keep, "id"))

		r.Index = "byL"
		r.Query = append(byHash("id", k["id"]), expr.KeyPart{
			Attribute: "g", Operator: "begins_with", Values: []expr.Value{expr.Text("g")},
		})
		check("local index", r, m.query("id", k["id"], "g", func(v expr.Value) bool { return v.Text[0] == 'g' }, "at"))

		segments := rapid.IntRange(1, 5).Draw(rt, "segments")
		var scanned []expr.Item
		for i := range segments {
			scanned = append(scanned, all(t, b, Range{Segment: i, Segments: segments, Limit: r.Limit})...)
		}
		if len(scanned) != len(m) || len(all(t, b, Range{Limit: r.Limit})) != len(m) {
			rt.Fatalf("%d segments show %d items of %d", segments, len(scanned), len(m))
		}
		d, err := b.Describe(t.Context(), orders)
		if err != nil || d.Items != int64(len(m)) {
			rt.Fatalf("counted %d of %d: %v", d.Items, len(m), err)
		}
	})
}

// all reads every page.
func all(t *testing.T, b *bench, r Range) []expr.Item {
	var items []expr.Item
	for {
		p, err := b.Page(t.Context(), orders, r)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, p.Items...)
		if r.After = p.Last; p.Last == nil {
			return items
		}
	}
}

// anyPart returns a condition on the range key, or none.
func anyPart(t *rapid.T, v expr.Value) ([]expr.KeyPart, func(expr.Value) bool) {
	operator := rapid.SampledFrom([]string{"", "=", "<", "<=", ">", ">=", "BETWEEN"}).Draw(t, "operator")
	switch operator {
	case "":
		return nil, func(expr.Value) bool { return true }
	case "BETWEEN":
		return []expr.KeyPart{
			{Attribute: "at", Operator: operator, Values: []expr.Value{num(-1), v}},
		}, func(w expr.Value) bool { return !less(w, num(-1)) && !less(v, w) }
	}
	return []expr.KeyPart{{Attribute: "at", Operator: operator, Values: []expr.Value{v}}}, func(w expr.Value) bool {
		return expr.Compare{Operator: operator, Left: expr.Literal{Value: w}, Right: expr.Literal{Value: v}}.Holds(nil)
	}
}
