// Package metric keeps measured values under their CloudWatch names: counters and series, one bucket a minute, for 15
// days.
//
// In come values from other rooms, from PutMetricData and from embedded metrics in log lines; out go statistics over
// periods, exact in SampleCount, Sum, Minimum and Maximum and within 1 % in percentiles. catalogue.go names everything
// that shardmill itself measures. Buckets are kept in storage.Local and written at most once a second, with durability
// Soon: a crash of the process loses at most the last second of values, a power loss about one second more. A read
// writes first, so it sees everything recorded before. Nothing runs while nothing is recorded. Minutes go by the
// steered clock; the second between two writes is real time. Source: CloudWatch User Guide, "Metrics concepts";
// CloudWatch API Reference.
package metric

import (
	"errors"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage"
)

// Retention is how long one-minute buckets are kept.
const Retention = 15 * 24 * time.Hour

// MaxValue bounds the magnitude of a value. Source: CloudWatch API Reference, MetricDatum.
const MaxValue = 0x1p360

// Dimension is a name and value that tell series of a metric apart.
type Dimension struct{ Name, Value string }

// ID names a metric. No part may hold a NUL byte; the order of Dimensions does not matter.
type ID struct {
	Account, Region string
	Namespace, Name string
	Dimensions      []Dimension
}

// Options are what a Store needs. Local is required; a nil Clock is real time, a nil Log is silent.
type Options struct {
	Local storage.Local // the keys under "metric/" are ours
	Clock *clock.Clock
	Log   *slog.Logger
}

// Store holds all series of this node. All methods are safe for concurrent use.
type Store struct {
	local storage.Local
	clock *clock.Clock
	log   *slog.Logger

	backlog atomic.Int64 // buckets in memory that wait to be written

	mu      sync.Mutex
	known   map[string]*Series // by key
	waiting []*Series          // with something to write
	spare   []*Series          // the list of the previous write, for reuse
	alarm   *time.Timer        // of the next write; nil: nothing waits
	stopped bool

	writing sync.Mutex       // one write or read of the store at a time
	places  map[string]place // by key: what is stored about the series
	next    uint64           // number of the next series; 0: not read yet
	swept   time.Time        // when expired buckets were last deleted
	failing bool             // the last write failed, and was logged
}

// New returns a Store that has read nothing yet.
func New(o Options) (*Store, error) {
	if o.Local == nil {
		return nil, errors.New("metric: Options.Local is nil: series need a store")
	}
	if o.Clock == nil {
		o.Clock = clock.New(0)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Store{
		local: o.Local, clock: o.Clock, log: o.Log, known: map[string]*Series{}, places: map[string]place{},
	}, nil
}

// Stop writes what is waiting. Values recorded afterwards are dropped. Twice is harmless.
func (st *Store) Stop() {
	st.mu.Lock()
	st.stopped = true
	if st.alarm != nil {
		st.alarm.Stop()
		st.alarm = nil
	}
	st.mu.Unlock()
	_ = st.write() // write has logged its error, and there will be no other try
}

// Clock returns the clock that assigns minutes.
func (st *Store) Clock() *clock.Clock { return st.clock }

// Series returns the series of a metric in one unit; the same arguments return the same series. A caller that records
// often keeps it. It stays in memory until it is released: use it only for what shardmill itself measures, and Put for
// the rest.
func (st *Store) Series(id ID, unit string) *Series {
	s := st.series(id, unit)
	st.mu.Lock()
	defer st.mu.Unlock()
	s.pinned = true
	st.known[s.key] = s
	return s
}

// Release is called when what the series measures is gone: Each no longer shows it, and nothing keeps it in memory.
// Recorded values stay readable, and values that are still added are not lost. Releasing a nil Series does nothing.
func (s *Series) Release() {
	if s == nil {
		return
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	s.pinned = false
	if s.store.known[s.key] == s {
		delete(s.store.known, s.key)
	}
}

// maxKnown bounds the series that stay in memory because values were put to them recently.
const maxKnown = 10_000

func (st *Store) series(id ID, unit string) *Series {
	id.Dimensions = sorted(id.Dimensions)
	key := string(appendUnit(appendID(nil, id), unit))
	st.mu.Lock()
	defer st.mu.Unlock()
	s := st.known[key]
	if s == nil {
		if len(st.known) >= maxKnown {
			for key, old := range st.known { // a waiting series is written all the same
				if !old.pinned {
					delete(st.known, key)
				}
			}
		}
		s = &Series{store: st, id: id, unit: unit, key: key}
		st.known[key] = s
	}
	return s
}

// Each visits the series that shardmill itself measures, in order of their names.
func (st *Store) Each(visit func(id ID, unit string, t Total)) {
	st.mu.Lock()
	pinned := make([]*Series, 0, len(st.known))
	for _, s := range st.known {
		if s.pinned {
			pinned = append(pinned, s)
		}
	}
	st.mu.Unlock()
	slices.SortFunc(pinned, func(a, b *Series) int { return strings.Compare(a.key, b.key) })
	for _, s := range pinned {
		visit(s.id, s.unit, s.Total())
	}
}

// maxBacklog bounds the buckets that wait in memory when more is put than the store accepts.
const maxBacklog = 10_000

// Value is a value that was measured Count times.
type Value struct{ Value, Count float64 }

// Put records values at an instant. It fails when too much is waiting and the store does not accept it; then nothing is
// recorded.
func (st *Store) Put(id ID, unit string, at time.Time, values ...Value) error {
	if err := st.makeRoom(); err != nil {
		return err
	}
	s := st.series(id, unit)
	for _, v := range values {
		s.add(at, v.Value, v.Count)
	}
	return nil
}

// PutSummary records values that a client has summed up. Percentiles of a period with such sums are unknown, unless all
// of their values are equal. It fails as Put does.
func (st *Store) PutSummary(id ID, unit string, at time.Time, count, sum, minimum, maximum float64) error {
	if err := st.makeRoom(); err != nil {
		return err
	}
	s := st.series(id, unit)
	if minimum == maximum && sum == minimum*count || count == 1 {
		s.add(at, sum/count, count)
		return nil
	}
	s.record(at, func(b *bucket) { b.addSummary(count, sum, minimum, maximum) }, count, sum, maximum)
	return nil
}

func (st *Store) makeRoom() error {
	if st.backlog.Load() < maxBacklog {
		return nil
	}
	return st.write()
}

// sorted returns a copy of dimensions in order of name, then value.
func sorted(dimensions []Dimension) []Dimension {
	out := slices.Clone(dimensions)
	slices.SortFunc(out, func(a, b Dimension) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(a.Value, b.Value)
	})
	return out
}

// usable reports whether v can be recorded.
func usable(v float64) bool { return !math.IsNaN(v) && math.Abs(v) <= MaxValue }
