package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// both measures putting and delivering at once: records are put at a fixed rate while a mapping delivers them. Its
// rate is that of the slower of the two, and the age of what is delivered must not grow.
type both struct {
	batch     int
	perSecond int // records that are put
}

const (
	bothEach    = 500             // records in a request
	bothSeconds = 2               // of one measurement
	bothWindow  = time.Second / 2 // at its begin and at its end, in which the age is looked at
)

func (b both) build(ctx context.Context, l *lab, c *cleanup) (*stage, error) {
	const stream, conns = "bench", 4
	g, a, err := l.streaming(ctx, c, l.durable, stream)
	if err != nil {
		return nil, err
	}
	if err := l.install(ctx, a, "age", g.addr()); err != nil {
		return nil, err
	}
	if _, err := a.createMapping(ctx, stream, "bench", "TRIM_HORIZON", b.batch); err != nil {
		return nil, err
	}
	p := &putter{records: bothEach}
	if p.conns, err = dialAll(a.addr, conns, c); err != nil {
		return nil, err
	}
	for range conns {
		p.requests = append(p.requests, request(a.addr, "PutRecords", putRecords(stream, bothEach, 1024)))
	}
	s := &stage{ours: side{"ours", func(ctx context.Context) ([]float64, error) {
		g.reset()
		began, n := time.Now(), b.perSecond*bothSeconds/bothEach
		var acknowledged atomic.Int64 // when the last answer came
		err := paced(ctx, b.perSecond/bothEach, n, conns, func(conn, _ int, _ time.Time) error {
			_, err := p.put(conn)
			acknowledged.Store(time.Now().UnixNano())
			return err
		})
		if err == nil {
			err = g.wait(ctx, int64(n*bothEach))
		}
		if err == nil {
			err = g.exactly(int64(n * bothEach))
		}
		if err != nil {
			return nil, err
		}
		_, delivered := g.span()
		ended := max(acknowledged.Load(), delivered.UnixNano())
		first, last := g.ages(began.Add(bothWindow), delivered.Add(-bothWindow))
		return []float64{
			float64(n*bothEach) / time.Duration(ended-began.UnixNano()).Seconds(), first, last, last - first,
		}, nil
	}}}
	if _, err := s.ours.measure(ctx); err != nil { // environments start
		return nil, fmt.Errorf("warming up: %w", err)
	}
	return s, nil
}

// ages returns the median age, in milliseconds, of the last records of batches that arrived before one instant, and of
// those that arrived after another.
func (g *ledger) ages(before, after time.Time) (first, last float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var early, late []float64
	for _, b := range g.batches {
		age := float64(b.ended)/1e6 - float64(b.arrival)
		if b.ended < before.UnixNano() {
			early = append(early, age)
		}
		if b.ended > after.UnixNano() {
			late = append(late, age)
		}
	}
	return quantile(early, .5), quantile(late, .5)
}
