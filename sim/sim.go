// Package sim is a seeded world around the core: model storage, a model function and a model destination, virtual time,
// faults, crashes, and a naive judge.
//
// It drives esm.Mapping and the engine's Executor, the very code that runs live, in one goroutine: the same seed gives
// the same run to the byte. The judge shares no code with the core. It holds what the product promises: nothing
// accepted is lost, order per partition key, limits and retries as configured, a checkpoint that never passes what is
// not settled, bounded repeats after a crash, and an end to everything once faults stop. Imported by tests only.
package sim

import (
	"fmt"

	"github.com/shardmill/shardmill/esm"
)

// Options choose a kind of world. The zero value is the usual one.
type Options struct {
	Trace bool // keep what happened, line by line
}

// Report is what came of one run.
type Report struct {
	Seed       uint64
	Complaints []string // broken promises; none: the run is clean
	Trace      []string
	Steps      int // events that machines were given
	Crashes    int
	Calls      int
	Windows    int // tumbling windows that had their final invocation
	Notices    int
	Records    int
	Events     map[string]int // how often it came to what few worlds have
}

// Run plays the world of a seed to its end.
func Run(seed uint64, o Options) (rep Report) {
	w := newWorld(seed, o)
	defer func() {
		if p := recover(); p != nil {
			b, ok := p.(*esm.Broken)
			if !ok {
				panic(p)
			}
			w.complain("%s", b.Error())
		}
		rep = Report{
			Seed: seed, Complaints: w.complaints, Trace: w.trace, Steps: w.steps, Crashes: w.crashes, Calls: w.calls,
			Windows: w.windows, Notices: w.notices, Records: w.accepted(),
			Events: w.events,
		}
	}()
	w.run()
	return rep
}

// complain notes a broken promise.
func (w *world) complain(format string, args ...any) {
	c := fmt.Sprintf("%s: %s", w.clock(), fmt.Sprintf(format, args...))
	w.complaints = append(w.complaints, c)
	w.tracef("BROKEN %s", c)
}

// saw counts that it came to something.
func (w *world) saw(what string) { w.events[what]++ }

func (w *world) tracef(format string, args ...any) {
	if w.opts.Trace {
		w.trace = append(w.trace, fmt.Sprintf("%s %s", w.clock(), fmt.Sprintf(format, args...)))
	}
}
