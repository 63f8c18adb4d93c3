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
