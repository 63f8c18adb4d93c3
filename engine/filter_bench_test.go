package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/filter"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
)

// What 10,000 records of 1 KB cost the executor, from the read to the last save: delivered in batches of 1,000 without
// a filter, or taken out by one of three conditions. Function, transport and storage are left out of the account, so
// this is the part of a delivery that filtering saves least of.
func BenchmarkTenThousandRecords(b *testing.B) {
	f, err := filter.Compile([]string{
		`{"data":{"status":["paid","shipped"],"price":[{"numeric":[">",100]}],"country":[{"anything-but":["US"]}]}}`,
	})
	if err != nil {
		b.Fatal(err)
	}
	data := []byte(`{"id":4711,"status":"open","price":99.5,"country":"DE","note":"` + strings.Repeat("x", 940) + `"}`)
	records := make([]record.Record, 10_000)
	for _, c := range []struct {
		name   string
		filter *filter.Filter
	}{{"delivered", nil}, {"filtered", f}} {
		b.Run(c.name, func(b *testing.B) {
			format := source.NewKinesisFormat(
				0, "arn:aws:kinesis:us-east-1:000000000000:stream/s", "us-east-1", "arn:aws:iam::000000000000:role/r",
				func(dst []byte, p record.Position, _ record.Millis) []byte {
					return append(dst, "49590338271490256608559692538361571095921575989136588898"...)
				},
			)
			now := time.Unix(1_700_000_000, 0)
			cfg := esm.Config{BatchSize: 1000, Factor: 1, MaxRetries: esm.Unlimited}.WithDefaults()
			whole := record.HashKeyRange{End: record.MaxHashKey}
			x := NewExecutor(Identity{Mapping: "m"}, cfg, whole, format, esm.Checkpoint{}, 1, nil)
			x.Filter(c.filter)
			var fetch *Fetch // the read that is out
			next := record.Position(1)
			var take func(effects []Effect)
			take = func(effects []Effect) {
				for _, e := range append([]Effect(nil), effects...) {
					switch e := e.(type) {
					case Fetch:
						fetch = &e
					case Call:
						ok := Answer{Kind: AnswerOK, Payload: []byte("{}"), StatusCode: 200}
						take(x.Step(now, x.Answered(e.Batch, ok)))
					case Keep:
						take(x.Step(now, esm.Saved{Result: esm.SaveDone}))
					default: // nothing fails
					}
				}
			}
			take(x.Step(now, esm.Tick{}))
			b.ReportAllocs()
			for b.Loop() {
				for next += 10_000; fetch.From < next; {
					out := *fetch
					n := min(out.Limit.Records, int(next-out.From), max(1, out.Limit.Bytes/len(data)))
					for i := range n {
						records[i] = record.Record{
							Pos: out.From + record.Position(i), Arrival: 1_700_000_000_000, Key: "k", Data: data,
						}
					}
					to := out.From + record.Position(n)
					take(x.Step(now, x.Fetched(out.Seq, records[:n], to, storage.End{Kind: storage.More})))
				}
			}
			if low := x.Low(); low != next-1 {
				b.Fatalf("settled up to %d of %d", low, next-1)
			}
		})
	}
}
