package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

var orders = Name{"000000000000", "us-east-1", "orders"}

type bench struct {
	*testing.T
	clock *clock.Clock
	store storage.Store
	s     *Streams
	ctx   context.Context
}

// setup returns an empty room over a store of its own.
func setup(t *testing.T) *bench {
	c := clock.New(0)
	b := &bench{T: t, clock: c, store: memory.New(memory.Options{Clock: c}), ctx: t.Context()}
	b.reopen()
	return b
}

// reopen continues with another process on the same store.
func (b *bench) reopen() {
	b.s = New(Options{Store: b.store, Clock: b.clock})
	b.must(b.s.Start(b.ctx))
	b.Cleanup(b.s.Stop)
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) create(name Name, shards int) *Info {
	b.Helper()
	b.must(b.s.Create(b.ctx, name, CreateInput{Shards: shards}))
	return b.lookup(name)
}

func (b *bench) lookup(name Name) *Info {
	b.Helper()
	info, err := b.s.Lookup(b.ctx, name)
	b.must(err)
	return info
}

func (b *bench) put(name Name, keys ...string) []Placed {
	b.Helper()
	recs := make([]record.Record, len(keys))
	for i, k := range keys {
		recs[i] = record.Record{Key: k, Data: []byte("data of " + k)}
	}
	placed, err := b.s.PutRecords(b.ctx, name, recs)
	b.must(err)
	for i := range placed {
		if placed[i].Fault != nil {
			b.Fatal(placed[i].Fault)
		}
	}
	return placed
}

// drain reads a shard from a position to its end and returns the keys, and how the reading ended.
func (b *bench) drain(id uint32, shard record.ShardID, from record.Position) (keys []string, end storage.End) {
	b.Helper()
	for {
		var err error
		from, end, err = b.s.Read(b.ctx, id, shard, from, storage.Limit{Records: 2}, func(r record.Record) {
			keys = append(keys, r.Key)
		})
		b.must(err)
		switch end.Kind {
		case storage.More:
		case storage.Trimmed:
			from = end.Oldest
		case storage.Tail, storage.ShardEnd:
			return keys, end
		}
	}
}

func (b *bench) advance(d time.Duration) {
	b.Helper()
	_, err := b.clock.Advance(b.ctx, d, func(context.Context) error { return nil })
	b.must(err)
}

// split cuts a shard in two halves.
func (b *bench) split(name Name, shard record.ShardID) {
	b.Helper()
	at := record.HashKey{0: 128}
	before := at
	for i := range before {
		before[i] = 255
	}
	before[0] = 127
	r := b.lookup(name).Shards[shard].Range
	b.must(b.s.Reshard(b.ctx, name, []record.ShardID{shard}, []record.HashKeyRange{
		{Start: r.Start, End: before}, {Start: at, End: r.End},
	}))
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Errorf("error is %v, want code %s", err, code)
	}
}

// D-01, D-02: even ranges, and MD5 routing over them.
func TestKeysGoToTheShardThatHoldsTheirHash(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(orders, 3)

	placed := b.put(orders, "a", "b", "e", "f")

	for i, want := range []record.ShardID{0, 1, 2, 1} {
		if placed[i].Shard != want {
			t.Errorf("record %d went to %s, want %s", i, placed[i].Shard, want)
		}
	}
}

func TestStreamsOutliveARestart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(orders, 3)
	b.must(b.s.AddTags(b.ctx, orders, map[string]string{"team": "blue"}))
	b.put(orders, "a", "b", "e")
	b.split(orders, 1)
	before := b.lookup(orders)

	b.reopen()

	if diff := cmp.Diff(before, b.lookup(orders)); diff != "" {
		t.Error(diff)
	}
	tags, _, err := b.s.Tags(b.ctx, orders, "", 10)
	b.must(err)
	if diff := cmp.Diff([]Tag{{"team", "blue"}}, tags); diff != "" {
		t.Error(diff)
	}
	if keys, _ := b.drain(before.ID, 0, 0); !cmp.Equal(keys, []string{"a"}) {
		t.Error(keys)
	}
	b.put(orders, "a")
}

func TestIdsAreNeverReused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.create(orders, 1).ID
	b.must(b.s.Delete(b.ctx, orders))
	b.reopen()

	second := b.create(orders, 1).ID

	if second <= first {
		t.Errorf("ids %d, then %d", first, second)
	}
}

func TestAShardEndIsSeenOnlyWithItsChildren(t *testing.T) {
	t.Parallel()
	b := setup(t)
	info := b.create(orders, 1)
	b.put(orders, "a", "b")
	shards, changed := b.s.ShardsChanged(info.ID), b.s.Changed(info.ID, 0)

	b.split(orders, 0)

	<-shards
	<-changed
	keys, end := b.drain(info.ID, 0, 0)
	if !cmp.Equal(keys, []string{"a", "b"}) || end.Kind != storage.ShardEnd {
		t.Errorf("read %v, ended with %v", keys, end)
	}
	zero := record.ShardID(0)
	want := []Child{{ID: 1, Parents: []record.ShardID{zero}}, {ID: 2, Parents: []record.ShardID{zero}}}
	after := b.lookup(orders)
	got := after.Children(0)
	for i := range got {
		got[i].Range = record.HashKeyRange{}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	//
	if d := after.Shards[1].Created - after.Shards[0].Closed; d != 1000 {
		t.Errorf("the child is created %d ms after its parent's end", d)
	}
}

// A reader that sees the shard closed in storage before the children are committed must not take that for the end, and
// must be woken by that commit.
func TestAHalfDoneReshardLooksOpen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	info := b.create(orders, 1)
	b.put(orders, "a")
	_, err := b.store.Log().Close(b.ctx, storage.Shard{Stream: info.ID})
	b.must(err)

	changed := b.s.Changed(info.ID, 0)
	keys, end := b.drain(info.ID, 0, 0)
	if !cmp.Equal(keys, []string{"a"}) || end.Kind != storage.Tail {
		t.Errorf("read %v, ended with %v", keys, end)
	}
	b.split(orders, 0)

	<-changed
	if _, end := b.drain(info.ID, 0, 0); end.Kind != storage.ShardEnd {
		t.Errorf("ended with %v", end)
	}
}

// puts that race with a reshard go to the parent or to a child, and none is lost or refused.
func TestPutsGoOnWhileAShardIsSplit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	info := b.create(orders, 1)
	const producers, each = 4, 50
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				placed, err := b.s.PutRecords(b.ctx, orders, []record.Record{
					{Key: fmt.Sprint(p, "-", i)}, {Key: fmt.Sprint(i, "-", p)},
				})
				if err != nil || placed[0].Fault != nil || placed[1].Fault != nil {
					t.Error(placed, err)
				}
			}
		})
	}
	b.split(orders, 0)
	wg.Wait()

	total := 0
	for shard := range b.lookup(orders).Shards {
		keys, _ := b.drain(info.ID, record.ShardID(shard), 0)
		total += len(keys)
	}
	if total != producers*each*2 {
		t.Errorf("%d records are readable, %d were acknowledged", total, producers*each*2)
	}
}

func TestAFencedWriterIsAcquiredAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	info := b.create(orders, 1)
	b.put(orders, "a")
	_, _, err := b.store.Log().Acquire(b.ctx, storage.Shard{Stream: info.ID})
	b.must(err)

	b.put(orders, "b")

	if keys, _ := b.drain(info.ID, 0, 0); !cmp.Equal(keys, []string{"a", "b"}) {
		t.Error(keys)
	}
}

// A clock that is moved while the sweep looks may have passed what the sweep would wait for: it looks again at once,
// and not as much later as it would have waited.
func TestASweepIsNotLateWhenTheClockMovesMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := clock.New(0)
		store := memory.New(memory.Options{Clock: c})
		b := &bench{T: t, clock: c, ctx: t.Context()}
		b.store = &hooked{Store: store, seek: func() { b.advance(time.Hour) }} // when the first record can have expired
		b.reopen()
		info := b.create(orders, 1)
		<-time.After(50 * time.Minute)
		b.put(orders, "k")

		<-time.After(DefaultRetention - 40*time.Minute)
		synctest.Wait()

		oldest, end, _, err := store.Log().Bounds(b.ctx, storage.Shard{Stream: info.ID})
		if err != nil || oldest != end {
			t.Errorf("records from %d to %d are still kept after %s, %v", oldest, end, c.Now().Sub(info.Created), err)
		}
		b.s.Stop()
	})
}

// P-24, first half: the horizon is exact at the moment of the read, whether or not the sweep has passed.
func TestRecordsDisappearWhenRetentionHasPassed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	info := b.create(orders, 1)
	b.put(orders, "old")
	start, err := b.s.Resolve(b.ctx, info.ID, 0, Start{Kind: TrimHorizon})
	b.must(err)
	b.advance(time.Hour)
	b.put(orders, "young")

	b.advance(23*time.Hour - time.Minute)
	keys, _ := b.drain(info.ID, 0, start)
	if !cmp.Equal(keys, []string{"old", "young"}) {
		t.Errorf("one minute before: %v", keys)
	}
	b.clock.SetOffset(b.clock.Offset() + 2*time.Minute)
	_, end, err := b.s.Read(b.ctx, info.ID, 0, start, storage.Limit{}, func(record.Record) {})
	b.must(err)
	if end.Kind != storage.Trimmed {
		t.Errorf("one minute after: ended with %v", end)
	}
	keys, _ = b.drain(info.ID, 0, start)
	if !cmp.Equal(keys, []string{"young"}) {
		t.Errorf("one minute after: %v", keys)
	}
	horizon, err := b.s.Resolve(b.ctx, info.ID, 0, Start{Kind: TrimHorizon})
	b.must(err)
	if keys, end := b.drain(info.ID, 0, horizon); !cmp.Equal(keys, []string{"young"}) || end.Kind != storage.Tail {
		t.Errorf("from the horizon: %v, %v", keys, end)
	}
}

// A record is readable until exactly its retention has passed, and not a millisecond longer, even if it was read at
// that very moment.
func TestTheHorizonIsExactToTheMillisecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		info := b.create(orders, 1)
		b.advance(time.Hour)
		b.put(orders, "a")
		for _, step := range []struct {
			d    time.Duration
			want int
		}{{DefaultRetention - time.Millisecond, 1}, {time.Millisecond, 1}, {time.Millisecond, 0}, {time.Hour, 0}} {
			b.advance(step.d)
			if keys, _ := b.drain(info.ID, 0, 0); len(keys) != step.want {
				t.Errorf("after %v more: %v", step.d, keys)
			}
		}
		b.put(orders, "b")
		if keys, _ := b.drain(info.ID, 0, 0); len(keys) != 1 {
			t.Errorf("a later record: %v", keys)
		}
		b.s.Stop()
	})
}

// The trim horizon never moves back, not even when the clock steps back to before the shard could have lost anything.
func TestTheHorizonStaysWhenTheClockStepsBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	info := b.create(orders, 1)
	b.put(orders, "old")
	horizon := func() record.Position {
		p, err := b.s.Resolve(b.ctx, info.ID, 0, Start{Kind: TrimHorizon})
		b.must(err)
		return p
	}
	b.clock.SetOffset(DefaultRetention + time.Minute)
	before := horizon()
	if before <= 1 {
		t.Fatalf("the horizon is %d once the record has expired", before)
	}
	b.clock.SetOffset(time.Minute)
	if after := horizon(); after < before {
		t.Errorf("the horizon was %d and is %d", before, after)
	}
}

// A shard of which every record has expired is open for others, and they expire in their time.
func TestWhatFollowsAnEmptyTimeExpires(t *testing.T) {
	t.Parallel()
	b := setup(t)
	info := b.create(orders, 1)
	horizon := func() record.Position {
		p, err := b.s.Resolve(b.ctx, info.ID, 0, Start{Kind: TrimHorizon})
		b.must(err)
		return p
	}
	last := horizon()
	for range 3 {
		b.put(orders, "k")
		b.advance(DefaultRetention + time.Minute)
		p := horizon()
		if p <= last {
			t.Fatalf("the horizon was %d and is %d once the record has expired", last, p)
		}
		last = p
	}
}

func TestTheSweepGivesSpaceBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	info := b.create(orders, 1)
	key := storage.Shard{Stream: info.ID}
	b.put(orders, "a", "b")
	trimmed := b.store.Log().Changed(key)

	b.clock.SetOffset(25 * time.Hour)

	<-trimmed
	oldest, end, _, err := b.store.Log().Bounds(b.ctx, key)
	b.must(err)
	if oldest != end {
		t.Errorf("records from %d to %d are still kept", oldest, end)
	}
}

// a closed shard whose records have all expired is gone, but its child still names it.
func TestClosedShardsExpire(t *testing.T) {
	t.Parallel()
	b := setup(t)
	info := b.create(orders, 1)
	b.put(orders, "a")
	b.split(orders, 0)

	b.advance(24*time.Hour + time.Second)

	after := b.lookup(orders)
	if len(after.Shards) != 2 || after.Shards[0].ID != 1 || after.Shards[0].Parent == nil ||
		*after.Shards[0].Parent != 0 {
		t.Errorf("shards are %+v", after.Shards)
	}
	_, _, err := b.s.Read(b.ctx, info.ID, 0, 0, storage.Limit{}, func(record.Record) {})
	wantCode(t, err, "ResourceNotFoundException")
	b.put(orders, "b")
}

func TestLatestIsFixedWhenItIsAskedFor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	info := b.create(orders, 1)
	b.put(orders, "a")

	latest, err := b.s.Resolve(b.ctx, info.ID, 0, Start{Kind: Latest})
	b.must(err)
	b.put(orders, "b")

	if keys, _ := b.drain(info.ID, 0, latest); !cmp.Equal(keys, []string{"b"}) {
		t.Error(keys)
	}
}

func TestDeletionWakesEveryReader(t *testing.T) {
	t.Parallel()
	b := setup(t)
	info := b.create(orders, 1)
	shards, changed := b.s.ShardsChanged(info.ID), b.s.Changed(info.ID, 0)

	b.must(b.s.Delete(b.ctx, orders))

	<-shards
	<-changed
	<-b.s.ShardsChanged(info.ID)
	<-b.s.Changed(info.ID, 0)
	_, _, err := b.s.Read(b.ctx, info.ID, 0, 0, storage.Limit{}, func(record.Record) {})
	wantCode(t, err, "ResourceNotFoundException")
	if _, ok, err := b.s.LookupID(b.ctx, info.ID); ok || err != nil {
		t.Error(ok, err)
	}
}

func TestOnlyOneOfManyCreatorsWins(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var wg sync.WaitGroup
	codes := make([]string, 8)
	for i := range codes {
		wg.Go(func() { codes[i] = fault.CodeOf(b.s.Create(b.ctx, orders, CreateInput{Shards: 2})) })
	}
	wg.Wait()

	won := 0
	for _, c := range codes {
		switch c {
		case "":
			won++
		case "ResourceInUseException":
		default:
			t.Error(c)
		}
	}
	if won != 1 {
		t.Errorf("%d creations succeeded", won)
	}
}

func TestConcurrentChangesOfOneStreamAllCount(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(orders, 1)
	const n = 20
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := b.s.AddTags(b.ctx, orders, map[string]string{fmt.Sprint("tag", i): "x"}); err != nil {
				t.Error(err)
			}
		})
	}
	b.split(orders, 0)
	wg.Wait()

	for range 2 { // as known now, and as stored
		tags, _, err := b.s.Tags(b.ctx, orders, "", 50)
		b.must(err)
		if info := b.lookup(orders); len(tags) != n || info.Status != Active || len(info.Shards) != 3 {
			t.Errorf("%d tags, %+v", len(tags), info)
		}
		b.reopen()
	}
}

func TestADeletionThatMeetsAReshardLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	whole := []record.HashKeyRange{{End: record.MaxHashKey}}
	for range 20 {
		b.create(orders, 2)
		done := make(chan error)
		go func() { done <- b.s.Reshard(b.ctx, orders, []record.ShardID{0, 1}, whole) }()

		b.must(b.s.Delete(b.ctx, orders))

		if code := fault.CodeOf(<-done); code != "" && code != "ResourceNotFoundException" &&
			code != "ResourceInUseException" {
			t.Errorf("the reshard ends with %s", code)
		}
		_, err := b.s.Lookup(b.ctx, orders)
		wantCode(t, err, "ResourceNotFoundException")
		for _, prefix := range []string{prefixName, prefixShard, prefixPlan} {
			if left, err := b.store.Coord().List(b.ctx, prefix, "", 0); err != nil || len(left) > 0 {
				t.Errorf("left under %s: %v, %v", prefix, left, err)
			}
		}
	}
}

func TestNotFoundHintsAtTheOtherRegion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(Name{orders.Account, "eu-west-1", "orders"}, 1)

	_, err := b.s.Lookup(b.ctx, orders)

	var f *fault.Error
	if !errors.As(err, &f) || f.Message != "Stream orders under account 000000000000 not found." ||
		f.Hint != "A stream named orders exists in eu-west-1; this request was for us-east-1." {
		t.Errorf("%+v", f)
	}
}

func TestARNsWithTutorialAccountsMeanTheCaller(t *testing.T) {
	t.Parallel()
	b := setup(t)
	want := b.create(orders, 1)

	info, err := b.s.LookupARN(b.ctx, "arn:aws:kinesis:us-east-1:123456789:stream/orders", orders.Account, "eu-west-1")
	b.must(err)
	_, hint, err := ParseARN("arn:aws:kinesis:us-east-1:123456789:stream/orders", orders.Account)
	b.must(err)

	if info.ID != want.ID || hint != "An account id has 12 digits; 123456789 was read as 000000000000." {
		t.Error(info, hint)
	}
	_, err = b.s.LookupARN(b.ctx, "arn:aws:kinesis:us-east-1:999999999999:stream/orders", orders.Account, "us-east-1")
	wantCode(t, err, "ResourceNotFoundException")
	_, err = b.s.LookupARN(b.ctx, "arn:aws:sqs:us-east-1:999999999999:orders", orders.Account, "us-east-1")
	wantCode(t, err, "InvalidArgumentException")
}

func TestStartAndStopTwiceAreHarmless(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 2 {
		b.must(b.s.Start(b.ctx))
		b.must(b.s.Start(b.ctx))
		b.s.Stop()
		b.s.Stop()
	}
}

func FuzzIteratorToken(f *testing.F) {
	c := clock.New(0)
	s := New(Options{Store: memory.New(memory.Options{Clock: c}), Clock: c})
	ctx := context.Background()
	if err := s.Create(ctx, orders, CreateInput{Shards: 1}); err != nil {
		f.Fatal(err)
	}
	token, err := s.Iterator(ctx, orders, IteratorInput{Shard: "0", Type: IterTrimHorizon})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Add(`"` + token + `"`)
	f.Add("aaaa")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := s.GetRecords(ctx, GetRecordsInput{Iterator: text}, func(*ShardInfo) {}, func(record.Record) {})
		genuine := text == token || text == `"`+token+`"`
		if genuine != (err == nil) {
			t.Fatalf("%q: %v", text, err)
		}
	})
}

// A refusal quotes the caller's text, cut between characters.
func TestQuotedTextIsCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	_, _, err := ParseARN("a"+strings.Repeat("ä", 200), "000000000000")
	if err == nil || !utf8.ValidString(err.Error()) || !strings.Contains(err.Error(), "ä… is not the ARN") {
		t.Errorf("got %v", err)
	}
}
