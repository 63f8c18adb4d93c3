package stream

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// checked returns what Check finds, and looks for records of streams 1 to 3 itself.
func (b *bench) checked() string {
	b.Helper()
	var kept []storage.Shard
	for id := range uint32(3) {
		for index := range record.ShardID(10) {
			shard := storage.Shard{Stream: id + 1, Index: index}
			if _, _, _, err := b.store.Log().Bounds(b.ctx, shard); err == nil {
				kept = append(kept, shard)
			}
		}
	}
	var text strings.Builder
	b.must(Check(b.ctx, b.store, kept, func(where, what string) { fmt.Fprintf(&text, "%s: %s\n", where, what) }))
	return text.String()
}

// Whatever change a process dies in, what it leaves is no finding: the next start completes it. Nor is anything that
// has been completed.
func TestACheckFindsNothingInWhatACrashLeaves(t *testing.T) {
	t.Parallel()
	for steps := range 40 {
		b := setup(t)
		f := &failing{Store: b.store}
		f.left.Store(int64(steps))
		ctx := b.ctx
		dying := New(Options{Store: f, Clock: b.clock})
		full := []record.HashKeyRange{{End: record.MaxHashKey}}
		err := dying.Create(ctx, orders, CreateInput{Shards: 2, Tags: map[string]string{"team": "a"}})
		for _, change := range []func() error{
			func() error { return dying.IncreaseRetention(ctx, orders, 48) },
			func() error { return dying.AddTags(ctx, orders, map[string]string{"team": "b"}) },
			func() error { return dying.Reshard(ctx, orders, []record.ShardID{0, 1}, full) },
			func() error { return dying.DecreaseRetention(ctx, orders, 24) },
			func() error { return dying.Delete(ctx, orders) },
		} {
			if err == nil {
				err = change()
			}
		}
		if err != nil && !errors.Is(err, errDied) {
			t.Fatalf("after %d steps: %v", steps, err)
		}
		if found := b.checked(); found != "" {
			t.Errorf("after %d steps the check found\n%s", steps, found)
		}

		b.reopen()

		if found := b.checked(); found != "" {
			t.Errorf("after %d steps and a start the check found\n%s", steps, found)
		}
		if err == nil {
			return
		}
	}
	t.Fatal("the whole story takes more steps than were tried")
}

// Metadata that does not fit itself, or the shards that have records, is found and named.
func TestACheckFindsMetadataThatDoesNotFit(t *testing.T) {
	t.Parallel()
	first, second := shardKey(1, 0), shardKey(1, 1)
	at := func(e storage.Entry, from, to string) storage.Op {
		if !strings.Contains(string(e.Value), from) {
			t.Errorf("%s has no %s: %s", e.Key, from, e.Value)
		}
		return storage.Op{Key: e.Key, Value: []byte(strings.Replace(string(e.Value), from, to, 1)), Expect: storage.Any}
	}
	for name, c := range map[string]struct {
		change func(b *bench, get func(string) storage.Entry) storage.Op
		want   string
	}{
		"a shard is gone": {func(_ *bench, _ func(string) storage.Entry) storage.Op {
			return storage.Op{Key: first, Expect: storage.Any}
		}, "shardId-000000000000, which must come before it, is missing"},
		"the last shard is gone": {func(_ *bench, _ func(string) storage.Entry) storage.Op {
			return storage.Op{Key: shardKey(1, 2), Expect: storage.Any}
		}, "shardId-000000000002 of stream orders of 000000000000 in us-east-1: there are records of it"},
		"nothing is kept of a shard": {func(_ *bench, get func(string) storage.Entry) storage.Op {
			return storage.Op{Key: shardKey(1, 3), Value: get(shardKey(1, 2)).Value, Expect: storage.Any}
		}, "shardId-000000000003 of stream orders of 000000000000 in us-east-1: nothing is kept of it"},
		"hash keys are no shard's": {func(_ *bench, get func(string) storage.Entry) storage.Op {
			return at(get(shardKey(1, 2)), `"start":"0"`, `"start":"5"`)
		}, "no shard has the hash keys below 5"},
		"hash keys end too early": {func(_ *bench, get func(string) storage.Entry) storage.Op {
			return at(get(shardKey(1, 2)), `"end":"`+record.MaxHashKey.String(), `"end":"77`)
		}, "no shard has the hash keys above 77"},
		"a parent is open": {func(_ *bench, get func(string) storage.Entry) storage.Op {
			return at(get(second), `"closed":`, `"other":`)
		}, "its parent shardId-000000000001 is open"},
		"a closed shard's records are open": {func(b *bench, get func(string) storage.Entry) storage.Op {
			b.must(b.store.Log().Delete(b.ctx, 1))
			for i := range record.ShardID(3) {
				b.must(b.store.Log().Create(b.ctx, storage.Shard{Stream: 1, Index: i}, 0))
			}
			return at(get(second), `"v":1`, `"v":1`)
		}, "its stream says that it is closed, and its records that it is open"},
		"the stream is gone": {func(_ *bench, _ func(string) storage.Entry) storage.Op {
			return storage.Op{Key: nameKey(orders), Expect: storage.Any}
		}, "its stream does not exist"},
		"the id was never given out": {func(_ *bench, get func(string) storage.Entry) storage.Op {
			return at(get(keyID), "1", "0")
		}, "the last one given out is 0"},
		"another stream's record": {func(_ *bench, get func(string) storage.Entry) storage.Op {
			return at(get(nameKey(orders)), `"name":"orders"`, `"name":"orderz"`)
		}, "it is the record of another stream, orderz"},
		"the token key is cut": {func(_ *bench, _ func(string) storage.Entry) storage.Op {
			return storage.Op{Key: keyToken, Value: []byte("short"), Expect: storage.Any}
		}, "it has 5 bytes, not 32"},
		"a newer format": {func(_ *bench, get func(string) storage.Entry) storage.Op {
			return at(get(first), `"v":1`, `"v":99`)
		}, "format version 99 is not known here"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.create(orders, 2)
			b.must(b.s.Reshard(b.ctx, orders, []record.ShardID{0, 1}, []record.HashKeyRange{{End: record.MaxHashKey}}))
			if found := b.checked(); found != "" {
				t.Fatalf("found before anything is wrong:\n%s", found)
			}
			get := func(key string) storage.Entry {
				e, err := b.store.Coord().Get(b.ctx, key)
				b.must(err)
				return e
			}
			_, err := b.store.Coord().Commit(b.ctx, group, c.change(b, get))
			b.must(err)

			if found := b.checked(); !strings.Contains(found, c.want) {
				t.Errorf("%q is not in what was found:\n%s", c.want, found)
			}
		})
	}
}
