package engine_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/mapping"
)

// tracer keeps what a machine was given and wanted, as text that does not change any more.
type tracer struct {
	machine engine.Machine
	at      []time.Time
	events  []esm.Event
	wanted  []string
}

func (r *tracer) Given(now time.Time, ev esm.Event) {
	if read, ok := ev.(esm.ReadReturned); ok {
		read.Records = append([]esm.Rec(nil), read.Records...)
		ev = read
	}
	r.at, r.events = append(r.at, now), append(r.events, ev)
}

func (r *tracer) Wanted(commands []esm.Command) { r.wanted = append(r.wanted, asText(commands)) }

func asText(commands []esm.Command) string {
	b, err := json.Marshal(commands)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// What is traced of a machine is enough to play it again: the same events at the same times give the same commands.
func TestATraceReplaysInTheCore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		var traces []*tracer
		w.trace = func(m engine.Machine) engine.Tracer {
			traces = append(traces, &tracer{machine: m})
			return traces[len(traces)-1]
		}
		w.engine.Stop(t.Context())
		w.start()
		w.functions.handle = poisoned("7")
		w.put("k", numbered(1, 10)...)
		w.create(mapping.Knobs{BatchSize: p(int64(3)), MaxRetries: p(int64(2)), Bisect: p(true)})
		w.pass(time.Minute)
		w.engine.Stop(t.Context())

		if len(traces) != 1 || len(traces[0].events) < 10 {
			t.Fatalf("%d machines were traced", len(traces))
		}
		r := traces[0]
		again := esm.NewShard(r.machine.Config, r.machine.From, r.machine.Seed)
		for i, ev := range r.events {
			if got := asText(again.Step(r.at[i], ev)); got != r.wanted[i] {
				t.Fatalf("event %d, %T, gives\n%s, and gave\n%s", i, ev, got, r.wanted[i])
			}
		}
		if n := w.engine.Buffered(); n != 0 {
			t.Errorf("%d bytes of the buffer are taken after the end", n)
		}
	})
}
