package engine_test

import (
	"testing"
	"time"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/function/functiontest"
	"github.com/shardmill/shardmill/mapping/mappingtest"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/stream"
)

// The fake of the function room answers as the room does: class, reason and status alike.
func TestFakeFunctionsKeepTheContract(t *testing.T) {
	t.Parallel()
	functiontest.Run(t, func(t *testing.T) *functiontest.Bench {
		f := newFakeFunctions()
		f.missing, f.account, f.duration = true, 4, time.Millisecond
		f.handle = func(i invocation) function.Result {
			answer, fails := functiontest.Obey([]byte(i.payload), i.code)
			if fails {
				return failed("Boom")
			}
			res := ok()
			res.Payload = answer
			return res
		}
		return &functiontest.Bench{
			Functions: f, Ref: function.Ref{Account: account, Region: region, Name: "f"}, Account: f.account,
			Create:  func() { f.change(func() { f.missing = false }) },
			Delete:  func() { f.change(func() { f.missing, f.limit = true, -1 }) },
			Reserve: func(n int) { f.change(func() { f.limit = n }) },
			Update: func() (finish func()) {
				f.change(func() { f.updating = true })
				return func() { f.change(func() { f.updating, f.version = false, f.version+1 }) }
			},
			Publish: func() (version string) {
				f.change(func() { version = f.named.Publish(f.version) })
				return version
			},
			Point: func(alias, version string, weights map[string]float64) {
				f.change(func() { f.named.Point(alias, version, weights) })
			},
			Remove: func(qualifier string) { f.change(func() { f.named.Remove(qualifier) }) },
			Stop:   func() { f.change(func() { f.stopped = true }) },
		}
	})
}

// So do the adapters that stand for the server's.
func TestTestAdaptersKeepTheContract(t *testing.T) {
	t.Parallel()
	mappingtest.RunSources(t, func(t *testing.T) *mappingtest.Streams {
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		s := stream.New(stream.Options{Store: memory.New(memory.Options{})})
		return &mappingtest.Streams{
			Sources: testSources{s}, ARN: orders.ARN(), Caller: caller,
			Create: func() { must(s.Create(t.Context(), orders, stream.CreateInput{Shards: 1})) },
			Put: func() {
				_, err := s.PutRecords(t.Context(), orders, []record.Record{{Key: "k", Data: []byte("d")}})
				must(err)
			},
			Delete: func() { must(s.Delete(t.Context(), orders)) },
			Register: func() string {
				c, err := s.RegisterConsumer(t.Context(), orders, "c", nil)
				must(err)
				return c.ARN()
			},
			Deregister: func() {
				must(s.DeregisterConsumer(t.Context(), stream.ConsumerNamed(orders, "c")))
			},
		}
	})
	mappingtest.RunFunctions(t, mappingtest.Names{
		Functions: testFunctions{}, Name: "f", ARN: function.Ref{Account: account, Region: region, Name: "f"}.ARN(),
		Absent: "absent", Caller: caller,
	})
}
