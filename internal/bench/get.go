package main

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// buildDrain is reading a stream from its beginning to its tip, beside a bare server that returns as many bytes.
func buildDrain(ctx context.Context, l *lab, c *cleanup) (*stage, error) {
	const stream, records = "bench", 400_000
	server, err := l.memory(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := (api{server.addr}).createStream(ctx, stream, shards); err != nil {
		return nil, err
	}
	if err := fill(ctx, server.addr, stream, records, 100); err != nil {
		return nil, err
	}
	conns, err := dialAll(server.addr, shards, c)
	if err != nil {
		return nil, err
	}
	b, err := l.bare(c)
	if err != nil {
		return nil, err
	}
	probe, err := newReader(ctx, conns[0], server.addr, stream, 0, "TRIM_HORIZON")
	if err != nil {
		return nil, err
	}
	body, n, err := probe.read()
	if err != nil || n == 0 {
		return nil, fmt.Errorf("the first GetRecords answered %d records, %w", n, err)
	}
	if err := b.post(ctx, "/set", bytes.Clone(body)); err != nil {
		return nil, err
	}
	bareConns, err := dialAll(b.addr, shards, c)
	if err != nil {
		return nil, err
	}
	ask := b.request("/kept", []byte(`{"ShardIterator":"`+probe.iterator+`"}`))
	bareSide := side{"bare", func(context.Context) ([]float64, error) {
		began := time.Now()
		err := together(shards, func(i int) error {
			for range (records + shards*n - 1) / (shards * n) {
				_, body, err := bareConns[i].call(ask)
				if err != nil {
					return err
				}
				if bytes.Count(body, []byte(sequenceMark)) != n {
					return fmt.Errorf("a fixed answer changed")
				}
			}
			return nil
		})
		return []float64{records / time.Since(began).Seconds()}, err
	}}
	ours := side{"ours", func(ctx context.Context) ([]float64, error) {
		readers := make([]*reader, shards)
		for i := range readers {
			var err error
			if readers[i], err = newReader(ctx, conns[i], server.addr, stream, i, "TRIM_HORIZON"); err != nil {
				return nil, err
			}
		}
		totals := make([]int64, shards)
		began := time.Now()
		err := together(shards, func(i int) error {
			for {
				body, n, err := readers[i].read()
				totals[i] += int64(n)
				if err != nil || n == 0 && bytes.Contains(body, []byte(`"MillisBehindLatest":0`)) {
					return err
				}
			}
		})
		spent := time.Since(began)
		var total int64
		for _, n := range totals {
			total += n
		}
		if err == nil {
			err = same(records, total, "records drained")
		}
		return []float64{float64(total) / spent.Seconds()}, err
	}}
	return &stage{refs: []side{bareSide}, ours: ours}, nil
}

// visible returns how long it takes from sending a record until a reader that asks right after the acknowledgement has
// it. The reference makes the same two round trips to a bare server.
func visible(durable bool) builder {
	return func(ctx context.Context, l *lab, c *cleanup) (*stage, error) {
		return buildVisible(ctx, l, c, durable)
	}
}

func buildVisible(ctx context.Context, l *lab, c *cleanup, durable bool) (*stage, error) {
	const stream = "bench"
	start := l.memory
	if durable {
		start = l.durable
	}
	server, err := start(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := (api{server.addr}).createStream(ctx, stream, 1); err != nil {
		return nil, err
	}
	conns, err := dialAll(server.addr, 2, c)
	if err != nil {
		return nil, err
	}
	b, err := l.bare(c)
	if err != nil {
		return nil, err
	}
	bareConns, err := dialAll(b.addr, 2, c)
	if err != nil {
		return nil, err
	}
	put := putRecord(stream, 1, random(100))
	r, err := newReader(ctx, conns[1], server.addr, stream, 0, "LATEST")
	if err != nil {
		return nil, err
	}
	p := &putter{conns: conns[:1], requests: [][]byte{request(server.addr, "PutRecord", put)}, records: 1}
	if err := b.post(ctx, "/set", random(600)); err != nil {
		return nil, err
	}
	barePut, bareGet := b.request("/sink", put), b.request("/kept", []byte(`{"ShardIterator":"`+r.iterator+`"}`))
	timed := func(pair func() error) func(context.Context) ([]float64, error) {
		return func(ctx context.Context) ([]float64, error) {
			var took []float64
			for end := time.Now().Add(l.opt.each); time.Now().Before(end) && ctx.Err() == nil; {
				began := time.Now()
				if err := pair(); err != nil {
					return nil, err
				}
				took = append(took, time.Since(began).Seconds()*1000)
			}
			return []float64{quantile(took, .5), quantile(took, .99)}, ctx.Err()
		}
	}
	return &stage{
		refs: []side{{"bare", timed(func() error {
			if _, _, err := bareConns[0].call(barePut); err != nil {
				return err
			}
			_, _, err := bareConns[1].call(bareGet)
			return err
		})}},
		ours: side{"ours", timed(func() error {
			if _, err := p.put(0); err != nil {
				return err
			}
			body, n, err := r.read()
			if err == nil && n != 1 {
				err = fmt.Errorf("a reader got %d records right after one was acknowledged: %.200s", n, body)
			}
			return err
		})},
	}, nil
}
