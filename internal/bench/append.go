package main

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

const shards = 4

// appends measures storage alone: producers append to the durable backend in process, beside files that get the same
// bytes in the same groups.
func appends(producers, records int) builder {
	return func(ctx context.Context, l *lab, c *cleanup) (*stage, error) {
		return buildAppends(ctx, l, c, producers, records)
	}
}

func buildAppends(ctx context.Context, l *lab, c *cleanup, producers, records int) (*stage, error) {
	const size = 1024
	pre, err := rawSide(l, c, "pre", false, producers, records, size)
	if err != nil {
		return nil, err
	}
	app, err := rawSide(l, c, "app", true, producers, records, size)
	if err != nil {
		return nil, err
	}
	log, writers, err := durableLog(ctx, l, c, vfs.Default)
	if err != nil {
		return nil, err
	}
	batches := make([][]storage.Batch, producers)
	for i := range batches {
		recs := make([]record.Record, records)
		for j := range recs {
			recs[j] = record.Record{Key: "key-000000", Data: random(size)}
		}
		batches[i] = []storage.Batch{{Writer: writers[i%shards], Records: recs}}
	}
	var acknowledged int64
	ours := side{"ours", func(ctx context.Context) ([]float64, error) {
		r, n, err := rate(producers, l.opt.each, func(i int) (int, error) {
			return records, errors.Join(log.Append(ctx, batches[i])...)
		})
		acknowledged += n
		return []float64{r}, err
	}}
	check := func(ctx context.Context) error {
		var delivered int64
		for _, w := range writers {
			from, last := record.Position(1), record.Position(0)
			for {
				next, end, err := log.Scan(ctx, w.Shard, from, storage.Limit{Records: 10_000}, func(r record.Record) {
					if r.Pos > last {
						delivered++
					}
					last = r.Pos
				})
				if err != nil {
					return err
				}
				if end.Kind != storage.More {
					break
				}
				from = next
			}
		}
		return same(acknowledged, delivered, "records in the log")
	}
	return &stage{refs: []side{pre, app}, ours: ours, check: check}, nil
}
