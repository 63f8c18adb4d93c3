package simshell

import (
	"testing"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/source/sourcetest"
	"github.com/shardmill/shardmill/storage/memory"
)

// What makes reads late and lets them fail is a source once faults have stopped.
func TestTheReaderKeepsTheContractOfASource(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, func(t *testing.T) *sourcetest.Bench {
		w := newWorld(t, 7, Options{})
		w.calm.Store(true)
		w.knobs.readFails, w.knobs.lateReads = 100, false
		c := clock.New(0)
		b := sourcetest.Kinesis(t, memory.New(memory.Options{Clock: c}), c)
		b.Source = &reader{Source: b.Source, p: &process{w: w}}
		return b
	})
}
