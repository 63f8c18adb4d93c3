package table

import (
	"errors"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/companion/table/expr"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

// With no space left, new and growing items are refused with a hint; reading, shrinking and deleting go on, and make
// room again.
func TestAFullStoreTakesNoMoreItems(t *testing.T) {
	t.Parallel()
	ts, err := New(Options{Local: memory.New(memory.Options{Limit: 1 << 20}).Local()})
	b := &bench{t: t, Tables: ts}
	b.must(err)
	b.must(ts.Start(t.Context()))
	t.Cleanup(ts.Stop)
	_, err = ts.Create(t.Context(), orders, definition())
	b.must(err)
	put := func(n, size int) error {
		_, err := ts.Write(t.Context(), orders, Write{
			Kind: Put, Item: with(key("a", n), expr.Item{"body": expr.Text(strings.Repeat("b", size))}),
		})
		return err
	}
	n := 0
	for err = nil; err == nil; n++ {
		err = put(n, 100_000)
	}
	n--
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != CodeInternal || f.Hint == "" || !errors.Is(err, storage.ErrFull) || n < 10 {
		t.Fatalf("after %d items of 100 kB: %v", n, err)
	}
	if b.get(key("a", 0)) == nil || b.get(key("a", n)) != nil {
		t.Error("the items that were taken are gone, or the one that was refused is there")
	}
	b.must(put(0, 10)) // smaller than before
	b.delete(key("a", 1))
	b.must(put(n, 100_000))
}
