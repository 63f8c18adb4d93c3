package stream

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Pace says how long the states in which a stream is not ACTIVE stay visible, on the steered clock. The zero value is
// instant: a change is final before it is answered.
//
// CREATING: no reads, no writes, no shards shown. UPDATING, after any change of shards or settings: reads and writes go
// on, shards that a reshard closes are open until it ends, and settings have their new value at once. DELETING: neither
// reads nor writes. A second change meanwhile is refused with ResourceInUseException, but a CREATING stream may be
// deleted. What is left of a transition is kept across restarts.
type Pace struct{ Creating, Updating, Deleting time.Duration }

// AWSPace is as long as transitions of small streams take on AWS at best.
func AWSPace() Pace {
	return Pace{Creating: 5 * time.Second, Updating: 5 * time.Second, Deleting: 5 * time.Second}
}

// Pauses before what failed in the midst of a transition is tried again, on the steered clock; they double.
const (
	transitAgainLeast = time.Second
	transitAgainMost  = time.Minute
)

// transitions holds the timers of streams that are not ACTIVE. The zero value is ready.
type transitions struct {
	mu      sync.Mutex
	timers  map[uint32]*clock.Timer // by stream id
	pauses  map[uint32]time.Duration
	failed  []uint32 // ids of streams that waited for another attempt when stop was called
	stopped bool
	ctx     context.Context // of all that run; made with the first timer
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// dueAfter returns when a transition that begins now ends; 0 if it is not visible.
func (s *Streams) dueAfter(d time.Duration) record.Millis {
	if d <= 0 {
		return 0
	}
	return s.now() + record.Millis(d.Milliseconds())
}

// beginUpdate makes a stream UPDATING if that state is visible.
func (s *Streams) beginUpdate(r *streamRecord) {
	if r.Due = s.dueAfter(s.pace.Updating); r.Due != 0 {
		r.Status = Updating
	}
}

// schedulePaced sets the end of a visible transition, and reports whether there is one.
func (s *Streams) schedulePaced(st *stream) bool {
	due := st.snap.Load().info.Due
	if due != 0 {
		s.schedule(st, due.Time())
	}
	return due != 0
}

// schedule completes the transition of a stream at a time of the steered clock, in the place of an earlier appointment.
// After Stop it does nothing: the next start completes what is stored.
func (s *Streams) schedule(st *stream, at time.Time) {
	t, id := &s.transit, st.id.Load()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return
	}
	t.prepare()
	if old := t.timers[id]; old != nil {
		old.Stop()
	}
	var timer *clock.Timer
	timer = s.clock.At(at, func() {
		t.mu.Lock()
		if t.stopped || t.timers[id] != timer {
			t.mu.Unlock()
			return
		}
		delete(t.timers, id)
		t.mu.Unlock()
		ctx, ok := t.begin()
		if !ok {
			return
		}
		defer t.running.Done()
		s.complete(ctx, st)
	})
	t.timers[id] = timer
}

// prepare makes what the first use needs. t.mu is held.
func (t *transitions) prepare() {
	if t.cancel == nil {
		t.timers, t.pauses = map[uint32]*clock.Timer{}, map[uint32]time.Duration{}
		t.ctx, t.cancel = context.WithCancel(context.Background())
	}
}

// begin starts work of the room's own, until t.running.Done; ctx ends with Stop. After Stop there is none: ok is false.
func (t *transitions) begin() (ctx context.Context, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return nil, false
	}
	t.prepare()
	t.running.Add(1)
	return t.ctx, true
}

// complete ends the transition of a stream, and tries again later if storage fails.
func (s *Streams) complete(ctx context.Context, st *stream) {
	select {
	case st.working <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-st.working }()
	s.mu.RLock()
	known := s.byID[st.id.Load()] == st
	s.mu.RUnlock()
	if !known {
		return // deleted meanwhile; its name may be another stream's
	}
	if err := s.finish(ctx, st); err != nil {
		s.scheduleAgain(st, err)
		return
	}
	s.transit.mu.Lock()
	delete(s.transit.pauses, st.id.Load()) // harmless after Stop, when there are none
	s.transit.mu.Unlock()
}

// scheduleAgain makes another attempt at the transition of a stream after one has failed with err, unless the stream is
// gone or the store is closed.
func (s *Streams) scheduleAgain(st *stream, err error) {
	gone := fault.CodeOf(err) == codeNotFound
	if gone || errors.Is(err, storage.ErrClosed) || errors.Is(err, context.Canceled) {
		return
	}
	t, id := &s.transit, st.id.Load()
	t.mu.Lock()
	pause := min(cmp.Or(2*t.pauses[id], transitAgainLeast), transitAgainMost)
	if t.stopped {
		t.mu.Unlock()
		return
	}
	t.prepare()
	t.pauses[id] = pause
	t.mu.Unlock()
	s.slog.Error("a change of a stream is not complete; trying again", "stream", st.name.ARN(), "error", err)
	s.schedule(st, s.clock.Now().Add(pause))
}

// resumeTransitions sets the ends of all transitions that are under way, after a Stop. s.mu is held.
func (s *Streams) resumeTransitions() {
	s.transit.mu.Lock()
	stopped, failed := s.transit.stopped, s.transit.failed
	s.transit.stopped, s.transit.failed = false, nil
	s.transit.mu.Unlock()
	if !stopped {
		return
	}
	for _, st := range s.byID {
		s.schedulePaced(st)
	}
	for _, id := range failed {
		if st := s.byID[id]; st != nil {
			s.schedule(st, s.clock.Now())
		}
	}
}

// stop ends all attempts, and returns when none is under way.
func (t *transitions) stop() {
	t.mu.Lock()
	t.stopped = true
	for _, timer := range t.timers {
		timer.Stop()
	}
	t.failed = slices.AppendSeq(t.failed, maps.Keys(t.pauses))
	cancel := t.cancel
	t.timers, t.pauses, t.cancel = nil, nil, nil
	t.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	t.running.Wait()
}

// unlessDeleting refuses a change of a stream whose deletion has begun.
func (s *Streams) unlessDeleting(st *stream) func(Status) error {
	return func(now Status) error {
		if now == Deleting {
			return s.notFound(st.name)
		}
		return nil
	}
}

// finish completes what is under way with a stream: what a process that ended left, or what a timer waited for.
// st.working is held.
func (s *Streams) finish(ctx context.Context, st *stream) error {
	switch st.snap.Load().info.Status {
	case Creating:
		return s.activate(ctx, st)
	case Deleting:
		return s.erase(ctx, st)
	case Updating:
		if err := s.resumeReshard(ctx, st); err != nil {
			return err
		}
		if st.snap.Load().info.Status != Updating {
			return nil // the reshard has set it
		}
		return s.setStatusIf(ctx, st, Active, s.unlessDeleting(st))
	case Active:
	}
	return nil
}
