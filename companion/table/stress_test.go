package table

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/companion/table/expr"
	"github.com/shardmill/shardmill/fault"
)

// Items are written, read and counted while indexes come and go and the table is deleted and made again. In the end
// every index shows exactly the items that belong in it.
func TestTablesChangeUnderWay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	// Errors that may occur at any moment: the table was just deleted, or exists; its index exists already, or not yet.
	expected := func(err error) bool {
		return err == nil || slices.Contains([]string{CodeNotFound, CodeValidation, CodeInUse}, fault.CodeOf(err))
	}
	var all sync.WaitGroup
	run := func(n int, do func(i int) error) {
		all.Go(func() {
			for i := range n {
				if err := do(i); !expected(err) {
					t.Error(err)
				}
			}
		})
	}
	for w := range 4 {
		run(100, func(i int) error {
			_, err := b.Write(ctx, orders, Write{
				Kind: Put, Item: with(key("a", i%10), expr.Item{"x": num(w), "g": expr.Text("u"), "ttl": num(1 << 40)}),
			})
			return err
		})
	}
	run(50, func(i int) error {
		_, _, err := b.WriteAll(ctx, []Named{
			{orders, Write{Kind: Delete, Key: key("a", i%10)}}, {orders, Write{Kind: Put, Item: key("b", i)}},
		})
		return err
	})
	run(50, func(int) error { _, err := b.Page(ctx, orders, Range{Index: "byG", Limit: 3}); return err })
	run(20, func(int) error { _, err := b.Describe(ctx, orders); return err })
	run(10, func(int) error { _, err := b.Change(ctx, orders, addByX()); return err })
	run(10, func(int) error { _, err := b.Change(ctx, orders, Change{Remove: []string{"byX"}}); return err })
	run(10, func(i int) error { return b.SetExpiry(ctx, orders, "ttl", i%2 == 0) })
	run(3, func(int) error {
		_, err := b.Delete(ctx, orders)
		_, again := b.Create(ctx, orders, definition())
		return errors.Join(err, again)
	})
	all.Wait()

	items := b.page(Range{}).Items
	for index, attribute := range map[string]string{"byG": "g", "byL": "g"} {
		want := 0
		for _, i := range items {
			if _, ok := i[attribute]; ok {
				want++
			}
		}
		if got := b.page(Range{Index: index}).Read; got != want {
			t.Errorf("%s shows %d items of %d", index, got, want)
		}
	}
	d, err := b.Describe(ctx, orders)
	if err != nil || d.Items != int64(len(items)) {
		t.Errorf("counted %d of %d: %v", d.Items, len(items), err)
	}
	b.Stop()
}
