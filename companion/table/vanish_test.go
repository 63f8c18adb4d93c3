package table

import (
	"sync/atomic"
	"testing"

	"github.com/shardmill/shardmill/companion/table/expr"
	"github.com/shardmill/shardmill/storage"
)

// pausing is a store that pauses once, after it has read a table's definition and before it returns it.
type pausing struct {
	storage.Local
	paused        atomic.Bool
	read, proceed chan struct{}
}

func (p *pausing) Get(key []byte) ([]byte, bool, error) {
	v, ok, err := p.Local.Get(key)
	if string(key) == string(metaKey(orders)) && p.paused.CompareAndSwap(false, true) {
		close(p.read)
		<-p.proceed
	}
	return v, ok, err
}

// A write that looks a table up for the first time since the start while another call deletes it finds no table: it
// must not bring back what it read before.
func TestTableDeletedWhileItIsLookedUpStaysDeleted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	slow := &pausing{Local: b.local, read: make(chan struct{}), proceed: make(chan struct{})}
	again, err := New(Options{Local: slow, Clock: b.clock})
	b.must(err)
	b.must(again.Start(t.Context()))
	t.Cleanup(again.Stop)
	wrote := make(chan error)
	go func() {
		_, err := again.Write(t.Context(), orders, Write{Kind: Put, Item: with(key("a", 1), expr.Item{"x": num(1)})})
		wrote <- err
	}()
	<-slow.read
	_, err = again.Delete(t.Context(), orders)
	close(slow.proceed)
	b.must(err)
	refused(t, <-wrote, CodeNotFound, "Requested resource not found")
	if n := b.local.Count(prefixItem); n != 0 {
		t.Errorf("%d entries are left of a table that was deleted", n)
	}
	_, err = again.Create(t.Context(), orders, definition())
	b.must(err)
}
