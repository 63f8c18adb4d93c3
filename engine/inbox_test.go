package engine

import (
	"sync"
	"testing"
	"testing/synctest"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// However posts race with the end of a runner, none waits for ever and none counts as activity afterwards.
func TestInboxThatClosesLeavesNoActivity(t *testing.T) {
	t.Parallel()
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			var a activity
			b := newInbox[int](&a)
			var posts sync.WaitGroup
			for i := range 2 * inboxSize { // more than it holds
				posts.Go(func() { b.post(i) })
			}
			posts.Go(func() { b.offer(-1) })
			b.close()
			posts.Wait()
			b.post(1)
			if b.offer(2) {
				t.Error("a closed inbox took an offer")
			}
			if n := a.n.Load(); n != 0 {
				t.Errorf("%d count as under way", n)
			}
		})
	}
}

// An offer to a full inbox does not wait.
func TestOfferDoesNotWait(t *testing.T) {
	t.Parallel()
	var a activity
	b := newInbox[int](&a)
	for i := range inboxSize {
		if !b.offer(i) {
			t.Fatalf("full after %d", i)
		}
	}
	if b.offer(0) {
		t.Error("a full inbox took an offer")
	}
	if n := a.n.Load(); n != inboxSize {
		t.Errorf("%d count as under way", n)
	}
}

// Reads under way share the budget too: what does not fit any more is read by the batch.
func TestReservationsCount(t *testing.T) {
	t.Parallel()
	b := NewBudget(100)
	want, least := storage.Limit{Records: 9, Bytes: 60}, storage.Limit{Records: 1, Bytes: 10}
	first, n := b.Reserve(want, least)
	second, m := b.Reserve(want, least)
	if first != want || second != least || n != 60 || m != 10 || b.Used() != 70 {
		t.Errorf("%v and %v, %d used", first, second, b.Used())
	}
	b.add(-n - m)
	if b.Used() != 0 {
		t.Errorf("%d used", b.Used())
	}
}

// The cost of held records is counted exactly, or the budget would drift.
func TestHeldRecordsCostNothingOnceDropped(t *testing.T) {
	t.Parallel()
	var h heldRecords
	recs := make([]record.Record, 100)
	for i := range recs {
		recs[i] = record.Record{Pos: record.Position(i + 1), Key: "k", Data: make([]byte, i)}
	}
	h.push(recs)
	h.push(recs[50:]) // read again
	h.dropThrough(30)
	h.keep(80)
	h.push(recs[79:])
	if want := int64(70*(1+recordOverhead) + (30+99)*70/2); h.cost != want {
		t.Errorf("cost %d, want %d", h.cost, want)
	}
	h.dropThrough(100)
	if h.cost != 0 || h.len() != 0 {
		t.Errorf("cost %d of %d records", h.cost, h.len())
	}
}

// Who waits for rest is let go at once if there is rest, and else by the end of what is under way.
func TestRestIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	var a activity
	rests := func() bool {
		select {
		case <-a.rested():
			return true
		default:
			return false
		}
	}
	if !rests() {
		t.Error("nothing is under way, and it does not rest")
	}
	a.begin()
	waits := a.rested()
	if rests() {
		t.Error("it rests while something is under way")
	}
	a.end()
	<-waits
}
