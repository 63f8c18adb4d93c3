package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"time"
)

const (
	idleConnections = 5000
	restBefore      = 5 * time.Second // reading the memory
)

// buildConnections measures what idle connections cost: each has put one record, and then nothing comes, as from
// clients that keep connections in a pool. The reference is a bare net/http server that has read the same bytes.
func buildConnections(_ context.Context, l *lab, _ *cleanup) (*stage, error) {
	body := putRecord("bench", 1, random(100))
	ours := func(ctx context.Context) ([]float64, error) {
		var c cleanup
		defer c.run()
		p, err := l.memory(ctx, &c)
		if err != nil {
			return nil, err
		}
		if err := (api{p.addr}).createStream(ctx, "bench", shards); err != nil {
			return nil, err
		}
		return idling(ctx, &c, p.cmd.Process.Pid, p.addr, request(p.addr, "PutRecord", body))
	}
	bare := func(ctx context.Context) ([]float64, error) {
		var c cleanup
		defer c.run()
		b, err := l.bare(&c)
		if err != nil {
			return nil, err
		}
		return idling(ctx, &c, b.pid, b.addr, b.request("/sink", body))
	}
	return &stage{refs: []side{{"bare", bare}}, ours: side{"ours", ours}}, nil
}

// idling opens connections, sends a request on each, and returns the memory of the server when they have rested.
func idling(ctx context.Context, c *cleanup, pid int, addr string, request []byte) ([]float64, error) {
	for i := range idleConnections {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return nil, fmt.Errorf("connection %d: %w", i, err)
		}
		c.add(func() { _ = conn.Close() })
		status, _, err := (&connection{Conn: conn, r: bufio.NewReaderSize(conn, 512)}).call(request)
		if err != nil || status != 200 {
			return nil, fmt.Errorf("connection %d: answered %d: %w", i, status, err)
		}
	}
	select {
	case <-time.After(restBefore):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	all, anonymous, err := resident(pid)
	return []float64{all, anonymous}, err
}
