package engine_test

import (
	"context"
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
		f.missing = true
		f.handle = func(i invocation) function.Result {
			switch i.payload {
			case functiontest.Fail:
				return failed("Boom")
			case functiontest.Hang:
				t.Error("the fake answers an event that nobody answers")
			}
			res := ok()
			res.Payload = []byte(i.payload)
			return res
		}
		return &functiontest.Bench{
			Functions: hanging{f}, Ref: function.Ref{Account: account, Region: region, Name: "f"},
			Create:  func() { f.change(func() { f.missing = false }) },
			Delete:  func() { f.change(func() { f.missing = true }) },
			Reserve: func(n int) { f.change(func() { f.limit = n }) },
		}
	})
}

// hanging is a fake whose function takes an hour when it is asked to hang.
type hanging struct{ *fakeFunctions }

func (h hanging) Invoke(ctx context.Context, inv function.Invocation) function.Result {
	if string(inv.Payload) == functiontest.Hang {
		h.mu.Lock()
		h.duration = time.Hour
		h.mu.Unlock()
	}
	return h.fakeFunctions.Invoke(ctx, inv)
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
		}
	})
	mappingtest.RunFunctions(t, mappingtest.Names{
		Functions: testFunctions{}, Name: "f", ARN: function.Ref{Account: account, Region: region, Name: "f"}.ARN(),
		Absent: "absent", Caller: caller,
	})
}
