package sourcetest

import (
	"testing"
	"time"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

var retentionTests = []test{
	{"records beyond retention are announced by Trimmed, and never visited", trimmed},
	{"when retention has taken everything, reading goes on behind it", allTrimmed},
	{"the oldest position never moves back", monotone},
	{"the tip is where the next record goes, and ends with its shard", tip},
}

func trimmed(t *testing.T, b *bench) {
	if p := b.oldest(); p > 1 {
		t.Errorf("the oldest position of an empty shard is %d", p)
	}
	b.Put(numbered("old", 5)...)
	old := b.whole(0)
	b.Advance(b.Retention + time.Minute)
	young := numbered("young", 4)
	b.Put(young...)

	oldest := b.oldest()
	if oldest <= old.records[4].Pos || oldest > b.from(oldest, storage.Limit{}).records[0].Pos {
		t.Errorf("the oldest position is %d, and the last expired record lies at %d", oldest, old.records[4].Pos)
	}
	for _, p := range []int{0, 1, 3, 4} {
		from := old.records[p].Pos
		if p == 0 {
			from = 1
		}
		for _, limit := range []storage.Limit{{}, {Records: 1}, {Bytes: 1}} {
			r := b.from(from, limit)
			if len(r.records) != 0 || r.end.Kind != storage.Trimmed || r.end.Oldest != oldest {
				t.Errorf("from %d with %+v: %+v, want Trimmed with %d", from, limit, r, oldest)
			}
		}
	}
	got, err := b.all(t.Context(), first, oldest, storage.Limit{Records: 1})
	if err == nil {
		err = same(got.records, young)
	}
	if err != nil {
		t.Errorf("from the oldest position: %v", err)
	}
}

func allTrimmed(t *testing.T, b *bench) {
	b.Put(numbered("old", 5)...)
	old := b.whole(0)
	b.Advance(b.Retention + time.Minute)
	r := b.from(1, storage.Limit{})
	if len(r.records) != 0 || r.end.Kind != storage.Trimmed || r.end.Oldest <= old.records[4].Pos {
		t.Fatalf("from 1: %+v", r)
	}
	if tail := b.from(r.end.Oldest, storage.Limit{}); len(tail.records) != 0 || tail.end.Kind != storage.Tail {
		t.Errorf("from %d: %+v", r.end.Oldest, tail)
	}
	b.Put(numbered("young", 2)...)
	if tail := b.whole(r.end.Oldest); len(tail.records) != 2 {
		t.Errorf("from %d, after a put: %+v", r.end.Oldest, tail)
	}
}

// The engine tells the core of a new oldest position, and the core gives up the records before it.
func monotone(t *testing.T, b *bench) {
	last := b.oldest()
	for i, step := range []time.Duration{1, 1, -1, 1, 2, -2, 3, -1, 1} {
		b.Put(numbered("r", 3)...)
		b.Advance(step * (b.Retention/2 + time.Minute)) // never to the exact moment at which a record expires
		now := b.oldest()
		if now < last {
			t.Errorf("step %d: the oldest position was %d and is %d", i, last, now)
		}
		if r := b.from(now, storage.Limit{}); r.end.Kind == storage.Trimmed {
			t.Errorf("step %d: from the oldest position %d it says %+v", i, now, r.end)
		}
		last = now
	}
	if last <= 1 {
		t.Error("retention has taken nothing: the test has tested nothing")
	}
}

// The engine knows by it a checkpoint that is not this shard's.
func tip(t *testing.T, b *bench) {
	is := func(when string, closed bool) record.Position {
		t.Helper()
		next, ended, err := b.Tip(t.Context(), first)
		if err != nil || ended != closed || next < 1 {
			t.Errorf("%s: the next position is %d, closed: %v, %v", when, next, ended, err)
		}
		return next
	}
	empty := is("empty", false)
	for range 2 {
		b.Put(numbered("r", 3)...)
		all := b.whole(empty)
		if last := all.records[len(all.records)-1].Pos; is("after a put", false) != last+1 {
			t.Errorf("the last record lies at %d", last)
		}
	}
	before := is("before the retention", false)
	b.Advance(b.Retention + time.Minute)
	if next := is("when retention has taken everything", false); next < before {
		t.Errorf("the next position was %d and is %d", before, next)
	}
	b.Split(first)
	if next := is("closed", true); next < before {
		t.Errorf("the next position was %d and is %d", before, next)
	}
}
