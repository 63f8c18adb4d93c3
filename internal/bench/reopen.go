package main

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"
)

// buildReopen fills a durable server, kills it in the middle of puts, and measures how long the next one takes to be
// ready. Afterwards every record that any of them acknowledged must be there. Records of the put that the kill cut off
// may be missing: they were not acknowledged.
func buildReopen(ctx context.Context, l *lab, c *cleanup) (*stage, error) {
	const stream, size, producers = "bench", 1024, 4
	dir, err := l.scratch("reopen", c)
	if err != nil {
		return nil, err
	}
	start := func() (*process, int, error) {
		port, err := freePort()
		if err != nil {
			return nil, 0, err
		}
		p, err := l.spawn(nil, l.binary, "serve", "--data", dir, "--port", strconv.Itoa(port))
		return p, port, err
	}
	p, port, err := start()
	if err != nil {
		return nil, err
	}
	c.add(func() { p.kill() })
	if err := ready(ctx, p, port); err != nil {
		return nil, err
	}
	addr := func() string { return "127.0.0.1:" + strconv.Itoa(port) }
	if err := (api{addr()}).createStream(ctx, stream, shards); err != nil {
		return nil, err
	}
	records := int(l.opt.reopen / size)
	if err := fill(ctx, addr(), stream, records, size); err != nil {
		return nil, err
	}
	acknowledged := int64((records + 499) / 500 * 500)
	var uncertain int64
	body := putRecords(stream, 500, size)
	ours := side{"ours", func(ctx context.Context) ([]float64, error) {
		n, cut, err := killDuringPuts(p, addr(), producers, body)
		acknowledged += n
		uncertain += cut
		if err != nil {
			return nil, err
		}
		began := time.Now()
		if p, port, err = start(); err != nil {
			return nil, err
		}
		err = ready(ctx, p, port)
		return []float64{time.Since(began).Seconds() * 1000, float64(acknowledged) * size / (1 << 20)}, err
	}}
	check := func(ctx context.Context) error {
		delivered, err := drained(ctx, addr(), stream, shards)
		if err != nil {
			return err
		}
		if delivered < acknowledged || delivered > acknowledged+uncertain {
			return same(
				acknowledged, delivered,
				"records after kill -9; "+strconv.FormatInt(uncertain, 10)+" more were cut off without an answer",
			)
		}
		return nil
	}
	return &stage{ours: ours, check: check}, nil
}

// killDuringPuts kills the server after a fifth of a second of puts and returns how many records were acknowledged and
// how many got no response.
func killDuringPuts(p *process, addr string, producers int, body []byte) (acknowledged, cut int64, err error) {
	var c cleanup
	defer c.run()
	conns, err := dialAll(addr, producers, &c)
	if err != nil {
		return 0, 0, err
	}
	put := &putter{conns: conns, records: 500}
	for range conns {
		put.requests = append(put.requests, request(addr, "PutRecords", body))
	}
	var dead atomic.Bool
	time.AfterFunc(200*time.Millisecond, func() {
		dead.Store(true)
		p.kill()
	})
	err = together(producers, func(i int) error {
		for {
			if _, err := put.put(i); err != nil {
				if dead.Load() {
					return nil
				}
				return errors.Join(errors.New("before the kill"), err)
			}
		}
	})
	<-p.done
	return put.acknowledged.Load(), int64(producers * put.records), err
}
