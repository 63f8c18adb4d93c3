package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// idleShards is how long a server with nothing to do is watched.
const idleShards = 3 * time.Second

// shardFigures shows how cost grows with the number of shards. Each measurement is a server of its own: it makes one
// stream, is left alone, ends, and starts again.
func shardFigures() (all []figure) {
	for _, n := range []int{1, 4, 100, 1000, 10_000} {
		f := figure{
			name: fmt.Sprintf("shards-%d", n), what: fmt.Sprintf("a stream of %d shards, durable", n), rounds: 3,
			metrics: []metric{
				{name: "created", unit: "ms", lower: true, digits: 1},
				{name: "start on it, exec → ready", unit: "ms", lower: true, index: 1},
				{name: "idle, of a core", unit: "%", lower: true, index: 2, digits: 2},
				{name: "memory added, a shard", unit: "KiB", lower: true, index: 3, digits: 1},
			},
			build: shardsFigure(n),
		}
		if n == 10_000 {
			for i, at := range []float64{5000, 3000, 1, 10} {
				f.metrics[i].at = at
			}
		}
		all = append(all, f)
	}
	return all
}

func shardsFigure(n int) builder {
	return func(_ context.Context, l *lab, _ *cleanup) (*stage, error) {
		return &stage{ours: side{"ours", func(ctx context.Context) ([]float64, error) {
			var c cleanup
			defer c.run()
			return l.withShards(ctx, n, &c)
		}}}, nil
	}
}

func (l *lab) withShards(ctx context.Context, n int, c *cleanup) ([]float64, error) {
	dir, err := l.scratch("shards", c)
	if err != nil {
		return nil, err
	}
	p, err := l.server(ctx, c, "serve", "--data", dir)
	if err != nil {
		return nil, err
	}
	if err := (api{p.addr}).createStream(ctx, "first", 1); err != nil { // what the first request makes is not counted
		return nil, err
	}
	pid := p.cmd.Process.Pid
	_, before, err := resident(pid)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := (api{p.addr}).createStream(ctx, "bench", n); err != nil {
		return nil, err
	}
	created := time.Since(began)
	pause(time.Second) // for what the creation has left to do
	used, err := familyTime(pid)
	if err != nil {
		return nil, err
	}
	pause(idleShards)
	idle, err := familyTime(pid)
	if err != nil {
		return nil, err
	}
	_, after, err := resident(pid)
	if err != nil {
		return nil, err
	}
	p.stop()

	port, err := freePort()
	if err != nil {
		return nil, err
	}
	began = time.Now()
	again, err := l.spawn(nil, l.binary, "serve", "--data", dir, "--port", strconv.Itoa(port))
	if err != nil {
		return nil, err
	}
	c.add(again.stop)
	if err := ready(ctx, again, port); err != nil {
		return nil, err
	}
	started := time.Since(began)
	return []float64{
		millis(created), millis(started), 100 * float64(idle-used) / float64(idleShards),
		1024 * (after - before) / float64(n),
	}, nil
}
