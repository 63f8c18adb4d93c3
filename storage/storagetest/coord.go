package storagetest

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/storage"
)

var coordTests = []test{
	simple("RevisionsGuardEveryChange", func(t *testing.T, b *bench) {
		c := b.Store.Coord()
		if e := b.get("a/x"); e.Revision != 0 || e.Value != nil {
			t.Fatalf("a missing key answered %+v", e)
		}
		first := b.commit("a/", storage.Op{Key: "a/x", Value: []byte("1"), Expect: storage.Absent})
		if e := b.get("a/x"); e.Key != "a/x" || string(e.Value) != "1" || e.Revision != first || first == 0 {
			t.Fatalf("written at revision %d, got %+v", first, e)
		}
		second := b.commit("a/", storage.Op{Key: "a/x", Value: []byte("2"), Expect: first})
		if second <= first {
			t.Fatalf("revision went from %d to %d", first, second)
		}
		for _, op := range []storage.Op{
			{Key: "a/x", Value: []byte("3"), Expect: storage.Absent},
			{Key: "a/x", Value: []byte("3"), Expect: first},
			{Key: "a/x", Expect: first},
			{Key: "a/y", Value: []byte("3"), Expect: second},
		} {
			_, err := c.Commit(b.ctx, "a/", op)
			b.want(err, storage.ErrConflict)
		}
		b.commit("a/", storage.Op{Key: "a/x", Expect: second})
		if e := b.get("a/x"); e.Revision != 0 {
			t.Fatalf("deleted, got %+v", e)
		}
		again := b.commit("a/", storage.Op{Key: "a/x", Value: []byte{}, Expect: storage.Absent})
		if e := b.get("a/x"); again <= second || e.Value == nil || len(e.Value) != 0 {
			t.Fatalf(
				"written again at %d after %d: %+v; want a later revision and an empty value that is not nil", again,
				second, e,
			)
		}
		b.commit("a/", storage.Op{Key: "a/x", Value: []byte("4"), Expect: storage.Any})
		b.commit("a/", storage.Op{Key: "a/none", Expect: storage.Any}) // deleting what is not there
		if rev, err := c.Commit(b.ctx, "a/"); rev != 0 || err != nil {
			t.Fatalf("an empty commit answered %d, %v", rev, err)
		}
	}),
	simple("ACommitAppliesAsAWholeOrNotAtAll", func(t *testing.T, b *bench) {
		rev := b.commit("g/", storage.Op{Key: "g/1", Value: []byte("a")}, storage.Op{
			Key: "g/2", Value: []byte("b"), Expect: storage.Absent,
		})
		_, err := b.Store.Coord().Commit(b.ctx, "g/",
			storage.Op{Key: "g/1", Value: []byte("changed"), Expect: rev},
			storage.Op{Key: "g/3", Value: []byte("new"), Expect: storage.Absent},
			storage.Op{Key: "g/2", Expect: rev + 1000})
		b.want(err, storage.ErrConflict)
		if b.get("g/1").Revision != rev || string(b.get("g/1").Value) != "a" || b.get("g/3").Revision != 0 ||
			b.get("g/2").Revision != rev {
			t.Fatal("part of a conflicting commit was applied")
		}
		b.commit("g/", storage.Op{Key: "g/4", Value: []byte("x"), Expect: storage.Absent}, storage.Op{
			Key: "g/4", Expect: storage.Any,
		},
			storage.Op{Key: "g/4", Value: []byte("y"), Expect: storage.Absent})
		if got := string(b.get("g/4").Value); got != "y" {
			t.Fatalf("ops on one key in order left %q, want y", got)
		}
	}),
	simple("KeysOutsideTheGroupAreRefused", func(t *testing.T, b *bench) {
		_, err := b.Store.Coord().Commit(b.ctx, "a/", storage.Op{Key: "a/1", Value: []byte("x")}, storage.Op{
			Key: "b/1", Value: []byte("x"),
		})
		if err == nil || b.get("a/1").Revision != 0 {
			t.Fatalf("err %v, a/1 at %d; want a refusal of everything", err, b.get("a/1").Revision)
		}
	}),
	simple("ListPagesInByteOrder", func(t *testing.T, b *bench) {
		var want []string
		for i := range 300 {
			want = append(want, fmt.Sprintf("l/%03d", i))
			b.commit("l/", storage.Op{Key: want[i], Value: []byte(strconv.Itoa(i))})
		}
		b.commit(
			"", storage.Op{Key: "k", Value: []byte("x")}, storage.Op{Key: "l0", Value: []byte("x")},
			storage.Op{Key: "m", Value: []byte("x")},
		)
		for _, page := range []int{1, 7, 300, 1000, 0, -1} {
			var got []string
			for after := ""; ; {
				es, err := b.Store.Coord().List(b.ctx, "l/", after, page)
				b.must(err)
				for _, e := range es {
					got = append(got, e.Key)
					if string(e.Value) != strconv.Itoa(len(got)-1) || e.Revision == 0 {
						t.Fatalf("entry %+v", e)
					}
				}
				if page <= 0 || len(es) < page {
					break
				}
				after = es[len(es)-1].Key
			}
			b.same(fmt.Sprintf("keys in pages of %d", page), got, want)
		}
		es, err := b.Store.Coord().List(b.ctx, "", "l/299", 0)
		b.must(err)
		if len(es) != 2 || es[0].Key != "l0" || es[1].Key != "m" {
			t.Fatalf("list of everything after l/299: %v", es)
		}
		if es, _ := b.Store.Coord().List(b.ctx, "l/", "m", 0); len(es) != 0 {
			t.Fatalf("list after the last key of the prefix: %v", es)
		}
		if es, _ := b.Store.Coord().List(b.ctx, "l/", "a", 1); len(es) != 1 || es[0].Key != "l/000" {
			t.Fatalf("list after a key before the prefix: %v", es)
		}
	}),
	simple("ValuesBelongToWhoeverHoldsThem", func(t *testing.T, b *bench) {
		in := []byte("mine")
		b.commit("", storage.Op{Key: "v", Value: in})
		copy(in, "XXXX")
		out := b.get("v").Value
		copy(out, "YYYY")
		if got := string(b.get("v").Value); got != "mine" {
			t.Fatalf("value is %q", got)
		}
	}),
	// Many goroutines add to one counter by compare-and-set; no addition may be lost.
	simple("ConcurrentCompareAndSetLosesNothing", func(t *testing.T, b *bench) {
		const workers, each = 6, 30
		var all sync.WaitGroup
		for range workers {
			all.Go(func() {
				for done := 0; done < each; {
					e := b.get("n")
					n, _ := strconv.Atoi(string(e.Value))
					_, err := b.Store.Coord().Commit(b.ctx, "", storage.Op{
						Key: "n", Value: []byte(strconv.Itoa(n + 1)), Expect: e.Revision,
					})
					if err == nil {
						done++
						continue
					}
					b.want(err, storage.ErrConflict)
				}
			})
		}
		all.Wait()
		if got := string(b.get("n").Value); got != strconv.Itoa(workers*each) {
			t.Fatalf("counter is %s, want %d", got, workers*each)
		}
	}),
	simple("ChangedLosesNoWakeUp", func(t *testing.T, b *bench) {
		const last = 200
		go func() {
			for i := range last + 1 {
				if _, err := b.Store.Coord().Commit(b.ctx, "w/", storage.Op{
					Key: "w/x", Value: []byte(strconv.Itoa(i)), Expect: storage.Any,
				}); err != nil {
					t.Errorf("commit: %v", err)
				}
			}
		}()
		for {
			changed := b.Store.Coord().Changed("w/")
			es, err := b.Store.Coord().List(b.ctx, "w/", "", 0)
			b.must(err)
			if len(es) == 1 && string(es[0].Value) == strconv.Itoa(last) {
				break
			}
			<-changed
		}
		still := b.Store.Coord().Changed("w/")
		b.commit("", storage.Op{Key: "v", Value: []byte("x")})
		if isClosed(still) {
			t.Fatal("a key outside the prefix woke the waiter")
		}
		b.commit("", storage.Op{Key: "w/x", Expect: storage.Any})
		<-still
	}),
}

func (b *bench) get(key string) storage.Entry {
	b.t.Helper()
	e, err := b.Store.Coord().Get(b.ctx, key)
	b.must(err)
	return e
}

func (b *bench) commit(group string, ops ...storage.Op) storage.Revision {
	b.t.Helper()
	rev, err := b.Store.Coord().Commit(b.ctx, group, ops...)
	b.must(err)
	return rev
}
