package esm_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// BenchmarkSettle measures the core alone: Reads of 1,000 records, every invocation succeeds, Observe on. The target is
// 5 million settled records a second on one core with batches of 1,000 and one lane.
func BenchmarkSettle(b *testing.B) {
	for _, c := range []struct{ batch, factor int }{{1000, 1}, {100, 1}, {10, 1}, {1, 1}, {1000, 10}} {
		b.Run(fmt.Sprintf("batch=%d/factor=%d", c.batch, c.factor), func(b *testing.B) {
			benchmarkSettle(b, c.batch, c.factor)
		})
	}
}

func benchmarkSettle(b *testing.B, batch, factor int) {
	const perRead = 1000
	cfg := esm.Config{BatchSize: batch, Factor: factor, MaxRetries: esm.Unlimited, Envelope: 14}.WithDefaults()
	s := esm.NewShard(cfg, esm.Checkpoint{}, 1)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	recs := make([]esm.Rec, perRead)
	var (
		settled, batches int
		last             record.Position
		pending          []esm.Event
		step             func(esm.Event)
	)
	step = func(ev esm.Event) {
		for _, c := range s.Step(now, ev) {
			switch c := c.(type) {
			case esm.Read:
				for i := range recs {
					last++
					recs[i] = esm.Rec{
						Pos: last, Arrival: record.MillisOf(now), Bytes: 500, Lane: uint8(int(last) % factor),
						Match: true,
					}
				}
				pending = append(pending, esm.ReadReturned{Seq: c.Seq, Records: recs, Next: last + 1, End: esm.More})
			case esm.Invoke:
				batches++
				pending = append(pending, esm.Returned{
					Batch: c.Batch, Outcome: esm.Outcome{Kind: esm.Success, StatusCode: 200},
				})
			case esm.Save:
				pending = append(pending, esm.Saved{Result: esm.SaveDone})
			case *esm.BatchSettled:
				settled += c.Count
			}
		}
	}
	b.ReportAllocs()
	step(esm.Tick{})
	for head := 0; b.Loop(); {
		for target := settled + perRead; settled < target; {
			ev := pending[head]
			if head++; head == 64 {
				pending, head = append(pending[:0], pending[head:]...), 0
			}
			step(ev)
		}
	}
	b.ReportMetric(float64(settled)/b.Elapsed().Seconds(), "rec/s")
	b.ReportMetric(float64(batches)/float64(b.N), "batches/op")
}
