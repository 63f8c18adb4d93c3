package main

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/shardmill/shardmill/internal/eventually"
	"github.com/shardmill/shardmill/internal/kpl"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// K-02, K-03: what is packed is delivered whole by clients, because all of an aggregate belongs to its shard – also
// after a reshard that the writer did not know of, which it learns from the shard that PutRecords answers.
func TestPackedRecordsBelongToTheirShard(t *testing.T) {
	cl, _ := served(t, 2)
	lists := 0
	p := &putter{cl: cl, stream: "orders", pack: &packing{list: func(ctx context.Context) ([]shard, error) {
		lists++
		return cl.shards(ctx, "orders")
	}}}
	put := func(from, to int) {
		t.Helper()
		var entries []putEntry
		for i := from; i < to; i++ {
			entries = append(entries, putEntry{Data: fmt.Append(nil, i), PartitionKey: fmt.Sprintf("key-%d", i%50)})
		}
		if err := p.put(t.Context(), entries); err != nil {
			t.Fatal(err)
		}
	}
	put(0, 2000)
	put(2000, 4000)
	if lists != 1 || p.tally.Records != 4000 || p.tally.Resent != 0 || p.tally.Packed > 6 {
		t.Errorf("%d lists of shards, %+v", lists, p.tally)
	}
	cl.must(t, "UpdateShardCount", map[string]any{
		"StreamName": "orders", "TargetShardCount": 4, "ScalingType": "UNIFORM_SCALING",
	})
	put(4000, 5000)
	put(5000, 6000)

	delivered := map[string]int{}
	perKey := map[string][]string{}
	records := make(chan tailRecord, 1000)
	reader := &tailer{
		c: cl, stream: "orders", from: origin{kind: stream.IterTrimHorizon},
		show: func(keys *record.HashKeyRange, r tailRecord) error {
			if a, ok := kpl.Open(r.Data); ok && !a.Within(*keys) {
				return nil // as the KCL
			}
			records <- r
			return nil
		},
	}
	ended := make(chan error, 1)
	go func() { ended <- reader.all(t.Context()); close(records) }()
	for r := range records {
		for one := range opened(r) {
			delivered[string(one.Data)]++
			perKey[one.PartitionKey] = append(perKey[one.PartitionKey], string(one.Data))
		}
	}
	if err := eventually.Comes(t, "the end of reading", ended); err != nil {
		t.Fatal(err)
	}
	for i := range 6000 {
		if n := delivered[fmt.Sprint(i)]; n != 1 {
			t.Fatalf("record %d is delivered %d times", i, n)
		}
	}
	if want := 5950; !slices.Contains(perKey["key-0"], fmt.Sprint(want)) || len(perKey["key-0"]) != 120 {
		t.Errorf("key-0 has %d records", len(perKey["key-0"]))
	}
	if p.tally.Records != 6000 || p.tally.Resent == 0 {
		t.Errorf("%+v", p.tally)
	}
}

// twoShards lists the shards of a stream, in halves of the key space or, after a reshard, with one of them split.
func twoShards(resharded bool) []shard {
	const half = "170141183460469231731687303715884105728"
	list := []shard{
		{ShardId: "low", HashKeyRange: hashKeys{"0", "170141183460469231731687303715884105727"}},
		{ShardId: "high", HashKeyRange: hashKeys{half, "340282366920938463463374607431768211455"}},
	}
	if resharded {
		list[0].SequenceNumberRange.EndingSequenceNumber = "1"
		list = append(list, shard{ShardId: "lowest", HashKeyRange: hashKeys{"0", "0"}, ParentShardId: "low"}, shard{
			ShardId: "lower", HashKeyRange: hashKeys{"1", list[0].HashKeyRange.EndingHashKey}, ParentShardId: "low",
		})
	}
	return list
}

// However many aggregates the records make, each says what it holds, and nothing is left out; records that went astray,
// two or more, are put again once, and a single one is not, because it is no aggregate.
func TestAggregatesKnowWhatTheyHold(t *testing.T) {
	t.Parallel()
	resharded := false
	pack := &packing{list: func(context.Context) ([]shard, error) { return twoShards(resharded), nil }}
	var entries []putEntry
	for i := range 300 {
		data := fmt.Appendf(nil, "%0*d", 1+i%7*1000, i)
		entries = append(entries, putEntry{Data: data, PartitionKey: fmt.Sprint("key ", i)})
	}

	out, err := pack.entries(t.Context(), entries)

	if err != nil || len(out) < 10 {
		t.Fatalf("%d aggregates, %v", len(out), err)
	}
	held := map[string]int{}
	for i, e := range out {
		a, ok := kpl.Open(e.Data)
		if got := slices.Collect(a.All()); !ok || !slices.EqualFunc(got, e.packed, func(x, y record.Record) bool {
			return x.Key == y.Key && string(x.Data) == string(y.Data)
		}) {
			t.Errorf("aggregate %d holds %d records, and says that it holds %d", i, len(got), len(e.packed))
		}
		for _, r := range e.packed {
			held[r.Key]++
		}
	}
	if len(held) != len(entries) {
		t.Errorf("%d of %d records are packed", len(held), len(entries))
	}

	resharded = true
	two, one := out[0], out[0]
	two.packed, one.packed = two.packed[:2], one.packed[:1]
	pack.acknowledge(&two, "lowest") // a shard of one key, of which no record is
	pack.acknowledge(&one, "lowest")
	for _, want := range []int{2, 0} {
		again, err := pack.lost(t.Context())
		if err != nil || len(again) != want {
			t.Errorf("%d records are put again, want %d; %v", len(again), want, err)
		}
	}
	if open := len(pack.shards); open != 3 {
		t.Errorf("%d shards are known to be open, want 3", open)
	}
}
