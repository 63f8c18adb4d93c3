package mapping

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// A synced commit per batch would cost more than the batch: results are shown at once and written together, some
// seconds later. They do not count as a change of the mapping, and wake no waiter.
func TestResultsAreShownAtOnceAndWrittenLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		m := b.create(t)
		b.settle(t)
		before := b.coord.count()
		settled := b.get(t, m.UUID)
		changed := b.Changed()

		for i := range 1000 {
			b.SetResult(t.Context(), m.UUID, Result{Shard: record.ShardID(i % 5), Text: fmt.Sprint("PROBLEM: ", i)})
		}
		b.SetResult(t.Context(), m.UUID, Result{Text: "OK", Standing: true})
		if got := b.get(t, m.UUID); got.LastResult != "OK" || b.coord.count() != before {
			t.Errorf("%q after %d commits, want OK after none", got.LastResult, b.coord.count()-before)
		}
		<-time.After(resultDelay - 1)
		synctest.Wait()
		if n := b.coord.count() - before; n != 0 {
			t.Errorf("%d commits before %s are over", n, resultDelay)
		}
		<-time.After(1)
		synctest.Wait()
		if n := b.coord.count() - before; n != 1 {
			t.Errorf("%d commits, want 1", n)
		}
		select {
		case <-changed:
			t.Error("a result counts as a change")
		default:
		}
		again := reopen(b)
		got, err := again.Get(t.Context(), me, m.UUID)
		if err != nil || got.LastResult != "OK" || got.LastModified != settled.LastModified || got.State != Enabled {
			t.Errorf("after reopening: %+v, %v", got, err)
		}
		if len(b.results.pending) != 0 {
			t.Errorf("still pending: %v", b.results.pending)
		}
	})
}

func TestUnchangedResultIsNotWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		m := b.create(t)
		b.settle(t)
		b.SetResult(t.Context(), m.UUID, Result{Text: "OK"})
		<-time.After(2 * resultDelay)
		synctest.Wait()
		before := b.coord.count()

		b.SetResult(t.Context(), m.UUID, Result{Text: "OK"})
		<-time.After(2 * resultDelay)
		synctest.Wait()

		if b.coord.count() != before {
			t.Error("a result that was stored already was written again")
		}
	})
}

// An Update shows the last result, written or not.
func TestUpdateShowsTheLastResult(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t)
	b.settle(t)
	b.SetResult(t.Context(), m.UUID, Result{Text: "PROBLEM: Function call failed"})

	got := b.update(t, m.UUID, Knobs{BatchSize: new(int64(5))})
	if got.LastResult != "PROBLEM: Function call failed" {
		t.Errorf("result %q", got.LastResult)
	}
}

func TestCloseWritesWhatIsPending(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t)
	b.SetResult(t.Context(), m.UUID, Result{Text: "OK"})
	b.SetResult(t.Context(), "11111111-2222-4333-8444-555555555555", Result{Text: "OK"}) // removed meanwhile

	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	if got, err := reopen(b).Get(t.Context(), me, m.UUID); err != nil || got.LastResult != "OK" {
		t.Errorf("after reopening: %v, %v", got, err)
	}
	if len(b.results.pending) != 0 {
		t.Errorf("%d results of removed mappings are kept", len(b.results.pending))
	}
}

// Of several shards' results the one shown is the mapping's standing one, then that of its lowest shard, else the
// latest.
func TestResultsAreJoined(t *testing.T) {
	t.Parallel()
	at := func(shard record.ShardID, at int64, text string, standing ...bool) told {
		return told{Result{Shard: shard, Text: text, Standing: len(standing) > 0}, at}
	}
	for want, results := range map[string][]told{
		"base":   {},
		"newest": {at(0, 1, "older"), at(1, 3, "newest"), at(2, 2, "between")},
		"lower":  {at(3, 5, "higher"), at(2, 5, "lower")},
		"stands": {at(0, 9, "newest"), at(1, 2, "stands", true), at(2, 1, "stands higher", true)},
		"whole":  {at(0, 9, "stands", true), at(Whole, 1, "whole", true)},
		"shard":  {at(0, 9, "shard"), at(Whole, 1, "was gone")},
	} {
		byShard := map[record.ShardID]told{}
		for _, r := range results {
			byShard[r.Shard] = r
		}
		if got := joined("base", byShard); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Two processes report results of different shards of one mapping: neither is lost, whichever writes last, and each
// sees the other's without a restart. For one shard the later owner's result counts.
func TestOwnersDoNotOverwriteEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := setup(t)
		m := a.create(t)
		a.settle(t)
		b := reopen(a)
		defer func() {
			if err := b.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		pass := func() {
			<-time.After(2 * resultDelay)
			synctest.Wait()
		}
		want := func(when, text string) {
			t.Helper()
			for name, room := range map[string]*Mappings{"a": a.Mappings, "b": b} {
				got, err := room.Get(t.Context(), me, m.UUID)
				all, unread := room.All(t.Context())
				if err != nil || unread != nil || got.LastResult != text || all[0].LastResult != text {
					t.Errorf("%s: %s shows %+v and %+v, %v, %v; want %s", when, name, got, all, err, unread, text)
				}
			}
		}
		a.SetResult(t.Context(), m.UUID, Result{Shard: 0, Epoch: 1, Text: "zero stands", Standing: true})
		b.SetResult(t.Context(), m.UUID, Result{Shard: 1, Epoch: 2, Text: "one"})
		pass()
		want("both told", "zero stands")
		a.SetResult(t.Context(), m.UUID, Result{Shard: 0, Epoch: 1, Text: "zero"})
		pass()
		want("the problem is overcome", "zero")
		b.SetResult(t.Context(), m.UUID, Result{Shard: 1, Epoch: 2, Text: "one"})
		pass()
		want("the same again, later", "one")

		b.SetResult(t.Context(), m.UUID, Result{Shard: 0, Epoch: 3, Text: "zero at b"})
		pass()
		a.SetResult(t.Context(), m.UUID, Result{Shard: 0, Epoch: 1, Text: "zombie", Standing: true})
		want("a zombie tells", "zero at b")
		pass()
		want("a zombie has told", "zero at b")
		if len(a.results.pending)+len(b.results.pending) != 0 {
			t.Errorf("pending: %v, %v", a.results.pending, b.results.pending)
		}
	})
}

// Standing results are passed to the next owner, which alone can end them.
func TestStandingResultsAreHandedOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t)
	for _, r := range []Result{
		{Shard: 0, Text: "fine"},
		{Shard: 4, Text: "parked", Standing: true},
		{Shard: Whole, Text: "gone", Standing: true},
	} {
		b.SetResult(t.Context(), m.UUID, r)
	}
	all, err := b.All(t.Context())
	if err != nil || len(all[0].Standing) != 1 || all[0].Standing[4] != "parked" || all[0].LastResult != "gone" {
		t.Errorf("%+v, %v", all, err)
	}
}

// Results are deleted with their shard and with their mapping.
func TestResultsAreForgotten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t)
	b.settle(t)
	for shard := range record.ShardID(3) {
		b.SetResult(t.Context(), m.UUID, Result{Shard: shard, Text: fmt.Sprint(shard)})
	}
	if err := b.writeResults(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys := func() (n int) {
		all, err := b.coord.List(t.Context(), byResult, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	if keys() != 3 {
		t.Fatalf("%d results", keys())
	}
	for range 2 {
		if err := b.ForgetShards(t.Context(), m.UUID, []record.ShardID{2}); err != nil || keys() != 2 {
			t.Errorf("%d results, %v", keys(), err)
		}
	}
	if _, err := b.Delete(t.Context(), me, m.UUID); err != nil {
		t.Fatal(err)
	}
	b.settle(t)
	if n := b.coord.keys(); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}

// docs/format/mapping.md: older and newer programs must read what this one writes.
func TestStoredFormOfAResult(t *testing.T) {
	t.Parallel()
	r := told{Result{Shard: 7, Epoch: 3, Text: "OK", Standing: true}, 1_700_000_000_123_456_789}
	const want = `{"Version":1,"Epoch":3,"At":1700000000123456789,"Text":"OK","Standing":true}`
	if got := string(encodeResult(r)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	key := resultKey("u", 7)
	if key != "mapping/result/u/0000000007" || resultKey("u", Whole) != "mapping/result/u/4294967295" {
		t.Errorf("keys %s, %s", key, resultKey("u", Whole))
	}
	uuid, back, err := decodeResult(storage.Entry{Key: key, Value: []byte(want)})
	if err != nil || uuid != "u" || back != r {
		t.Errorf("%s %+v, %v", uuid, back, err)
	}
	for _, e := range []storage.Entry{
		{Key: key, Value: []byte(strings.Replace(want, "1", "2", 1))},
		{Key: key, Value: []byte("nonsense")},
		{Key: "mapping/result/u", Value: []byte(want)},
		{Key: "mapping/result/u/x", Value: []byte(want)},
		{Key: key, Value: []byte("{}")},
	} {
		if _, _, err := decodeResult(e); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%s %s: got %v", e.Key, e.Value, err)
		}
	}
}
