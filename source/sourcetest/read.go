package sourcetest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
)

var readTests = []test{
	{"records come in the order of their puts, the one at from included", inOrder},
	{"whatever the limits are, reads one after the other visit every record once", withoutHoles},
	{"a tail says up to when nothing older comes", sealed},
	{"what was visited stays as it is", unchanged},
	{"what is not durable is not visited", durable},
	{"a context that has ended yields an error or the truth", cancelled},
}

func inOrder(t *testing.T, b *bench) {
	if r := b.from(0, storage.Limit{}); len(r.records) != 0 || r.end.Kind != storage.Tail {
		t.Errorf("an empty shard: %+v", r)
	}
	put := numbered("a", 10)
	b.Put(put[:3]...)
	b.Put(put[3:]...)
	all, err := b.all(t.Context(), first, 0, storage.Limit{})
	if err == nil {
		err = same(all.records, put)
	}
	if err != nil || all.end.Kind != storage.Tail {
		t.Fatalf("%v; it ended with %d", err, all.end.Kind)
	}
	for i, r := range all.records {
		got, err := b.all(t.Context(), first, r.Pos, storage.Limit{})
		if err == nil {
			err = same(got.records, put[i:])
		}
		if err != nil {
			t.Errorf("from %d, which holds a record: %v", r.Pos, err)
		}
	}
	for _, p := range []record.Position{all.next, all.next + 1000} {
		if r := b.from(p, storage.Limit{}); len(r.records) != 0 || r.next != p || r.end.Kind != storage.Tail {
			t.Errorf("from %d, behind the last record: %+v", p, r)
		}
	}
}

// The poller tells the core that a read ended at the tail. If that is said too early, the records behind it are never
// read.
func withoutHoles(t *testing.T, b *bench) {
	const seed = 9
	rng := rand.New(rand.NewPCG(seed, 0))
	var put []record.Record
	for i := range 60 {
		batch := make([]record.Record, 1+rng.IntN(9))
		for j := range batch {
			batch[j] = record.Record{
				Key: fmt.Sprint(rng.IntN(100)), Data: bytes.Repeat([]byte{byte('a' + (i+j)%26)}, rng.IntN(1500)),
			}
		}
		put = append(put, batch...)
		b.Put(batch...)
	}
	limits := []storage.Limit{
		{}, {Records: 1}, {Bytes: 1}, {Records: 7, Bytes: 3000}, {Records: len(put)}, {Records: len(put) - 1},
	}
	for range 20 {
		limits = append(limits, storage.Limit{Records: rng.IntN(50), Bytes: rng.IntN(20_000)})
	}
	for _, l := range limits {
		got, err := b.all(t.Context(), first, 0, l)
		if err == nil {
			err = same(got.records, put)
		}
		if err != nil || got.end.Kind != storage.Tail {
			t.Errorf("%+v: %v; it ended with %d", l, err, got.end.Kind)
		}
	}
}

// The core closes a tumbling window when Sealed has passed its end, so a record that arrives before Sealed would miss
// its window, and a Sealed that does not advance would leave the window open.
func sealed(t *testing.T, b *bench) {
	at := b.Now()
	b.Advance(5 * time.Minute)
	tail := b.from(0, storage.Limit{})
	if tail.end.Kind != storage.Tail || tail.end.Sealed < at || tail.end.Sealed > b.Now() {
		t.Fatalf("five minutes after %d: %+v, and it is %d", at, tail.end, b.Now())
	}
	for _, step := range []time.Duration{0, time.Second, -2 * time.Minute, -time.Second, time.Minute} {
		b.Advance(step)
		b.Put(numbered("r", 1)...)
		r := b.from(tail.next, storage.Limit{})
		if len(r.records) != 1 || r.records[0].Arrival < tail.end.Sealed {
			t.Fatalf(
				"the clock goes by %s: %+v, and nothing older than %d could come", step, r.records, tail.end.Sealed,
			)
		}
		if r.end.Kind == storage.Tail {
			tail = r
		}
	}
}

func unchanged(t *testing.T, b *bench) {
	put := numbered("a", 20)
	b.Put(put...)
	got := b.whole(0).records
	was := make([]string, len(got))
	for i, r := range got {
		was[i] = r.Key + string(r.Data)
	}
	for range 5 {
		b.Put(numbered("b", 200)...)
		b.from(0, storage.Limit{})
	}
	b.Advance(b.Retention + time.Hour)
	b.Put(numbered("c", 1)...)
	b.from(0, storage.Limit{})
	for i, r := range got {
		if r.Key+string(r.Data) != was[i] {
			t.Errorf("record %d was %.40q and is %.40q", i, was[i], r.Key+string(r.Data))
		}
	}
}

// No record that a power loss can still take away may reach a function.
func durable(t *testing.T, b *bench) {
	if b.Hold == nil {
		return // in this store everything is as durable as it gets
	}
	b.Put(numbered("a", 1)...)
	before := b.whole(0)
	reached, release := b.Hold()
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Put(numbered("b", 3)...)
	}()
	b.soon("the put has come to the disk", reached)
	if r := b.from(before.next, storage.Limit{}); len(r.records) != 0 || r.end.Kind != storage.Tail {
		t.Errorf("records were visited before they were durable: %+v", r)
	}
	changed := b.Changed(first)
	release()
	b.soon("the put is durable", done)
	b.soon("a put has become durable", changed)
	if r := b.whole(before.next); len(r.records) != 3 {
		t.Errorf("%d records are there once they are durable, want 3", len(r.records))
	}
}

// An engine that stops cancels its reads. The result must not look like the end of a shard, or like a deleted stream.
func cancelled(t *testing.T, b *bench) {
	put := numbered("a", 10)
	b.Put(put...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := b.all(ctx, first, 0, storage.Limit{}); err == nil {
		if err := same(r.records, put); err != nil || r.end.Kind != storage.Tail {
			t.Errorf("no error, and it ended with %d: %v", r.end.Kind, err)
		}
	} else if fault.CodeOf(err) == fault.CodeNotFound {
		t.Errorf("Read: %v", err)
	}
	list, err := b.Shards(ctx)
	if fault.CodeOf(err) == fault.CodeNotFound || err == nil &&
		!slices.ContainsFunc(list, func(s source.Shard) bool { return s.ID == first }) {
		t.Errorf("Shards: %+v, %v", list, err)
	}
	if _, err := b.Oldest(ctx, first); fault.CodeOf(err) == fault.CodeNotFound {
		t.Errorf("Oldest: %v", err)
	}
}
