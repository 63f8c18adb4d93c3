package memory_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

// BenchmarkAppend appends what one PutRecords call brings: n records of 100 B over four shards.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 500} {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			ctx := context.Background()
			log := memory.New(memory.Options{Limit: 1 << 40}).Log()
			batches := make([]storage.Batch, min(4, n))
			for i := range batches {
				shard := storage.Shard{Stream: 1, Index: record.ShardID(i)}
				if err := log.Create(ctx, shard, 0); err != nil {
					b.Fatal(err)
				}
				batches[i].Writer, _, _ = log.Acquire(ctx, shard)
			}
			for i := range n {
				batch := &batches[i%len(batches)]
				batch.Records = append(batch.Records, record.Record{Key: "key-17", Data: make([]byte, 100)})
			}
			b.SetBytes(int64(n * 106))
			b.ReportAllocs()
			done := 0
			for b.Loop() {
				if err := log.Append(ctx, batches)[0]; err != nil {
					b.Fatal(err)
				}
				if done += n; done >= 1_000_000 { // keep the memory bounded, as retention would
					done = 0
					for _, batch := range batches {
						if err := log.Trim(ctx, batch.Writer.Shard, record.MaxPosition); err != nil {
							b.Fatal(err)
						}
					}
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "rec/s")
		})
	}
}

func BenchmarkScan(b *testing.B) {
	ctx := context.Background()
	log := memory.New(memory.Options{Limit: 1 << 40}).Log()
	shard := storage.Shard{Stream: 1}
	if err := log.Create(ctx, shard, 0); err != nil {
		b.Fatal(err)
	}
	w, _, _ := log.Acquire(ctx, shard)
	const n = 100_000
	rs := make([]record.Record, n)
	for i := range rs {
		rs[i] = record.Record{Key: "key-17", Data: make([]byte, 100)}
	}
	if err := log.Append(ctx, []storage.Batch{{Writer: w, Records: rs}})[0]; err != nil {
		b.Fatal(err)
	}
	b.SetBytes(n * 106)
	b.ReportAllocs()
	for b.Loop() {
		seen := 0
		if _, _, err := log.Scan(ctx, shard, 1, storage.Limit{}, func(record.Record) { seen++ }); err != nil ||
			seen != n {
			b.Fatal(seen, err)
		}
	}
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "rec/s")
}
