// Package simshell is a seeded world of faults around the real shell: engine.Engine with streams, mappings and
// checkpoints in a Pebble store on a crashable file system, in a synctest bubble.
//
// The core has its own simulator, package sim, which is exact to the byte. Here goroutines run, and their order is the
// scheduler's. So a seed fixes the faults and not the schedule: which put, call, read, commit or sync goes wrong is
// drawn from the seed and the name of the thing, not from a generator that goroutines share. A red run therefore leaves
// the trace of every machine, which Replay plays again in the core, exactly; see trace.go.
//
// The judge is outside: it sees what the function got, what arrived at the destination, which checkpoints were
// committed, and what a store holds after a loss of power. It believes no machine. Imported by tests only.
package simshell

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Options choose how a world is played. The zero value is the usual one.
type Options struct {
	Log   bool // keep what happened, line by line
	Plain bool // without what a world may have beside: filters, qualifiers, another mapping, a pace
}

// Report is what came of one run.
type Report struct {
	Seed       uint64
	Complaints []string // broken promises; none: the run is clean
	Log        []string
	Crashes    int
	Restarts   int
	Calls      int
	Records    int // acknowledged
	Bytes      int
	Notices    int
	Windows    int
	Events     map[string]int // how often it came to what only some worlds have
	Machines   []*Machine     // every machine that ran, in order of their beginning
}

// Run plays the world of a seed to its end, in a bubble of its own. t is for the bubble alone: what is wrong is in the
// report.
func Run(t *testing.T, seed uint64, o Options) (rep Report) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed, o)
		w.run()
		rep = w.report()
	})
	return rep
}

func (w *world) report() Report {
	w.mu.Lock()
	defer w.mu.Unlock()
	rep := w.rep
	rep.Seed, rep.Complaints, rep.Log = w.seed, w.complaints, w.lines
	rep.Machines = w.recorder.machines
	return rep
}

// maxComplaints is after how many a run has said enough.
const maxComplaints = 20

// complain notes a broken promise. w.mu is held.
func (w *world) complain(format string, args ...any) {
	c := fmt.Sprintf("%s: %s", w.since(), fmt.Sprintf(format, args...))
	if len(w.complaints) < maxComplaints {
		w.complaints = append(w.complaints, c)
	}
	w.logf("BROKEN %s", c)
	w.red.Store(true)
}

// say is complain for callers without the lock.
func (w *world) say(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.complain(format, args...)
}

// logf keeps a line. w.mu is held.
func (w *world) logf(format string, args ...any) {
	if w.opts.Log {
		w.lines = append(w.lines, fmt.Sprintf("%s %s", w.since(), fmt.Sprintf(format, args...)))
	}
}

// note is logf for callers without the lock.
func (w *world) note(format string, args ...any) {
	if w.opts.Log {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.logf(format, args...)
	}
}

// count notes that it came to something. The root goroutine's.
func (w *world) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rep.Events[what]++
	w.logf("%s", what)
}

func (w *world) since() string { return time.Since(w.began).String() }

// dice draws what becomes of things. Of the n-th thing of a kind and name the seed alone decides, in whatever order
// goroutines come.
type dice struct {
	seed uint64
	mu   sync.Mutex
	seen map[string]uint64
}

// roll is the generator for the next thing of a kind and name.
func (d *dice) roll(kind, name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(kind))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(name))
	d.mu.Lock()
	key := kind + "\x00" + name
	n := d.seen[key]
	d.seen[key] = n + 1
	d.mu.Unlock()
	return rand.New(rand.NewPCG(d.seed, h.Sum64()+n*0x9e3779b97f4a7c15))
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// grid is what durations are whole multiples of, so that many things happen at the same instant, in an order that the
// scheduler picks.
const grid = 5 * time.Millisecond

func upTo(r *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(d))).Truncate(grid)
}

// pause lets time pass in the bubble.
func pause(d time.Duration) {
	t := time.NewTimer(d)
	<-t.C
}
