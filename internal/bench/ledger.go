package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// ledger collects what functions report over loopback: what reached them and when.
type ledger struct {
	l       net.Listener
	readers sync.WaitGroup

	mu      sync.Mutex
	batches []batch
	stamps  []stamp
	count   int64 // records of batches and stamps
	broken  error
	changed chan struct{}
	conns   []net.Conn
}

// batch is what one invocation got.
type batch struct {
	began, ended int64 // when its payload began and finished arriving, in nanoseconds since the epoch
	shard        string
	first, last  string // sequence numbers
	records      int64
	arrival      int64 // of the last record, in milliseconds since the epoch; 0: the function did not tell
}

// stamp is the report of one record: when it was due to be sent, and when it reached the function.
type stamp struct{ due, got int64 }

func newLedger(c *cleanup) (*ledger, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &ledger{l: l, changed: make(chan struct{})}
	g.readers.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			g.mu.Lock()
			g.conns = append(g.conns, conn)
			g.mu.Unlock()
			g.readers.Go(func() { g.read(conn) })
		}
	})
	c.add(func() {
		_ = l.Close()
		g.mu.Lock()
		for _, conn := range g.conns {
			_ = conn.Close()
		}
		g.mu.Unlock()
		g.readers.Wait()
	})
	return g, nil
}

func (g *ledger) addr() string { return g.l.Addr().String() }

func (g *ledger) read(conn net.Conn) {
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		g.note(lines.Text())
	}
}

// note records one line of a report.
func (g *ledger) note(line string) {
	var b batch
	var s stamp
	var err error
	switch {
	case strings.HasPrefix(line, "b "):
		_, err = fmt.Sscanf(line, "b %d %d %s %s %s %d", &b.began, &b.ended, &b.shard, &b.first, &b.last, &b.records)
	case strings.HasPrefix(line, "a "):
		_, err = fmt.Sscanf(
			line, "a %d b %d %d %s %s %s %d", &b.arrival, &b.began, &b.ended, &b.shard, &b.first, &b.last, &b.records,
		)
	default:
		_, err = fmt.Sscanf(line, "r %d %d", &s.due, &s.got)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err != nil:
		g.broken = fmt.Errorf("the ledger does not understand %q", line)
	case b.records > 0:
		g.batches = append(g.batches, b)
		g.count += b.records
	case s.due > 0:
		g.stamps = append(g.stamps, s)
		g.count++
	}
	close(g.changed)
	g.changed = make(chan struct{})
}

// reset forgets everything.
func (g *ledger) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.batches, g.stamps, g.count = nil, nil, 0
}

// wait returns when n records were reported. If nothing comes for ten seconds, the rest counts as lost.
func (g *ledger) wait(ctx context.Context, n int64) error {
	for {
		g.mu.Lock()
		count, changed, broken := g.count, g.changed, g.broken
		g.mu.Unlock()
		switch {
		case broken != nil:
			return broken
		case count >= n:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Second):
			return same(n, count, "records in functions; nothing came for 10 s")
		}
	}
}

// span returns the times of the first invocation and of the last one's payload.
func (g *ledger) span() (first, last time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.batches) == 0 {
		return first, last
	}
	a, z := g.batches[0].began, g.batches[0].ended
	for _, b := range g.batches {
		a, z = min(a, b.began), max(z, b.ended)
	}
	return time.Unix(0, a), time.Unix(0, z)
}

// latencies returns the latencies of all stamps, in milliseconds.
func (g *ledger) latencies() []float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]float64, len(g.stamps))
	for i, s := range g.stamps {
		out[i] = float64(s.got-s.due) / 1e6
	}
	return out
}

// exactly returns nil if the batches hold n records, each once: batches of a shard do not overlap, and their sizes add
// up.
func (g *ledger) exactly(n int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := same(n, g.count, "records in functions"); err != nil {
		return err
	}
	slices.SortFunc(g.batches, func(a, b batch) int {
		return strings.Compare(a.shard+padded(a.first), b.shard+padded(b.first))
	})
	for i := 1; i < len(g.batches); i++ {
		a, b := g.batches[i-1], g.batches[i]
		if a.shard == b.shard && padded(a.last) >= padded(b.first) {
			return fmt.Errorf("batches of %s overlap: one ends at %s, the next begins at %s", a.shard, a.last, b.first)
		}
	}
	return nil
}

// padded pads a decimal number so that numbers compare as text.
func padded(n string) string { return fmt.Sprintf("%64s", n) }
