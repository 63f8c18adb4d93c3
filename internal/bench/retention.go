package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/pebble"
)

// Retention at a steady rate: batches of 100 × 1 KB are due at 40 MB/s, and every second records older than two seconds
// are trimmed.
const (
	retentionBatch     = 100
	retentionRecord    = 1024
	retentionPerSecond = 40_000_000 / (retentionBatch * retentionRecord)
	retentionSeconds   = 12
	retentionKeep      = 2 * time.Second
)

// buildRetention measures bytes written by this process per byte of data acknowledged, the longest time from when a
// batch was due until it was durable, how long it is without the calls of the system that commits wait for, how long it
// is without the time in which the machine stood still, and the longest such standstill.
func buildRetention(ctx context.Context, l *lab, c *cleanup) (*stage, error) {
	if _, err := writtenBytes(); err != nil {
		return nil, err
	}
	calls := &logCalls{FS: vfs.Default}
	log, writers, err := durableLog(ctx, l, c, calls)
	if err != nil {
		return nil, err
	}
	conns := 2 * len(writers)
	batches := make([][]storage.Batch, conns)
	data := random(conns * retentionBatch * retentionRecord) // nothing repeats in it, because flushes compress
	for i := range batches {
		recs := make([]record.Record, retentionBatch)
		for j := range recs {
			recs[j], data = record.Record{Key: "key-000000", Data: data[:retentionRecord]}, data[retentionRecord:]
		}
		batches[i] = []storage.Batch{{Writer: writers[i%len(writers)], Records: recs}}
	}
	ours := side{"ours", func(ctx context.Context) ([]float64, error) {
		trimming, stop := context.WithCancel(ctx)
		var trimmer sync.WaitGroup
		var trimErr error
		trimmer.Go(func() { trimErr = trimBehind(trimming, log, writers) })
		before, err := writtenBytes()
		if err != nil {
			stop()
			return nil, err
		}
		n := retentionPerSecond * retentionSeconds
		puts := make([]span, n)
		calls.take()
		machine := watchMachine(ctx, l.dir)
		err = paced(ctx, retentionPerSecond, n, conns, func(conn, i int, due time.Time) error {
			err := errors.Join(log.Append(ctx, batches[conn])...)
			puts[i] = span{due, time.Now()}
			return err
		})
		machine.end()
		stop()
		trimmer.Wait()
		after, werr := writtenBytes()
		payload := float64(n) * retentionBatch * retentionRecord
		var worst, ours, running time.Duration
		called := calls.take()
		for _, p := range puts {
			took := p.to.Sub(p.from)
			worst = max(worst, took)
			ours = max(ours, took-called.within(p))
			if took > running {
				running = max(running, took-machine.within(p))
			}
		}
		return []float64{
			float64(after-before) / payload, millis(worst), millis(ours), millis(running), millis(machine.longest()),
		}, errors.Join(err, trimErr, werr)
	}}
	return &stage{ours: ours}, nil
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// trimBehind trims records older than retentionKeep, once a second.
func trimBehind(ctx context.Context, log storage.Log, writers []storage.Writer) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, w := range writers {
			pos, err := log.Seek(ctx, w.Shard, record.MillisOf(time.Now().Add(-retentionKeep)))
			if err == nil {
				err = log.Trim(ctx, w.Shard, pos)
			}
			if err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// durableLog opens the durable backend over a file system, in this process, and returns its log with shards and their
// writers.
func durableLog(ctx context.Context, l *lab, c *cleanup, fs vfs.FS) (storage.Log, []storage.Writer, error) {
	dir, err := l.scratch("store", c)
	if err != nil {
		return nil, nil, err
	}
	store, err := pebble.Open(pebble.Options{Dir: dir, FS: fs})
	if err != nil {
		return nil, nil, err
	}
	c.add(func() { _ = store.Close() })
	log := store.Log()
	writers := make([]storage.Writer, shards)
	for i := range writers {
		shard := storage.Shard{Stream: 1, Index: record.ShardID(i)}
		if err := log.Create(ctx, shard, 1); err != nil {
			return nil, nil, err
		}
		if writers[i], _, err = log.Acquire(ctx, shard); err != nil {
			return nil, nil, err
		}
	}
	return log, writers, nil
}
