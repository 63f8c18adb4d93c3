package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/stream/streamtest"
)

// heard keeps what is told.
type heard struct {
	mu  sync.Mutex
	all []engine.Observation
}

func (h *heard) observe(o engine.Observation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, o)
}

// kinds returns what a shard's machines told, in order.
func (h *heard) kinds(shard int) (kinds []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range h.all {
		if _, ok := o.What.(*esm.Stands); !ok && int(o.Shard) == shard {
			kinds = append(kinds, esm.KindOf(o.What))
		}
	}
	return kinds
}

// The engine is not idle before everything that it has observed has been told, so a clock that moves on does not leave
// that behind; and what is not told yet holds no shard up.
func TestTheEngineIsIdleWhenAllIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.create(mapping.Knobs{BatchSize: p(int64(1))})
		hold, told := make(chan struct{}), 0
		w.observe = func(o engine.Observation) {
			if _, ok := o.What.(*esm.BatchSettled); ok {
				<-hold
				told++
			}
		}
		w.put("k", numbered(1, 100)...)
		w.pass(time.Minute)
		if n := len(w.functions.delivered()); n != 100 || w.engine.Idle() {
			t.Errorf("%d records are delivered while a listener waits, idle=%t", n, w.engine.Idle())
		}

		close(hold)
		synctest.Wait()

		if told != 100 || !w.engine.Idle() {
			t.Errorf("%d batches are told, idle=%t", told, w.engine.Idle())
		}
	})
}

// What happens while an engine stops is told before it has stopped: every machine begins, and every machine ends.
func TestStopTellsWhatIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		h := &heard{}
		w.observe = h.observe
		w.create(mapping.Knobs{BatchSize: p(int64(1))})
		for i := range 20 {
			w.put(fmt.Sprint(i), "x")
		}
		w.pass(time.Second)
		w.close()
		for shard := range 2 {
			kinds := h.kinds(shard)
			if len(kinds) < 10 || kinds[0] != "started" || kinds[len(kinds)-1] != "stopped" {
				t.Errorf("shard %d: %q", shard, kinds)
			}
		}
	})
}

// A machine that is taken out of service is told of, as the last of it; a restart begins another one.
func TestParkedMachinesAreTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		h := &heard{}
		w.observe = h.observe
		w.restartWith(func(s source.Source) source.Source { return miscounting{s, 0} })
		w.create(mapping.Knobs{BatchSize: p(int64(1))})
		w.put("k", "x")
		w.pass(time.Minute)
		kinds := h.kinds(0)
		if n := len(kinds); n == 0 || kinds[n-1] != "parked" || slices.Contains(kinds, "stopped") {
			t.Errorf("told %q", kinds)
		}
	})
}

// A notice that does not arrive says why, try by try, and what becomes of its records.
func TestNoticesThatFailSayWhy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		h := &heard{}
		w.observe = h.observe
		w.functions.handle = poisoned("1")
		w.create(mapping.Knobs{
			BatchSize: p(int64(1)), MaxRetries: p(int64(0)),
			Destination: &mapping.DestinationConfig{OnFailure: deadARN + "-missing"},
		})
		w.put("k", "1")
		w.pass(time.Minute)
		var tries []int
		for _, o := range h.all {
			if f, ok := o.What.(*esm.NoticeFailed); ok {
				tries = append(tries, f.Try)
				if f.Result != esm.DeliveryRefused || !strings.Contains(f.Reason, "does not exist") {
					t.Errorf("try %d ends as %s: %q", f.Try, f.Result, f.Reason)
				}
			}
		}
		if !slices.Equal(tries, []int{1, 2, 3}) || !slices.Contains(h.kinds(0), "dropped") {
			t.Errorf("tries %v: %q", tries, h.kinds(0))
		}
	})
}

// How a shard stands is told whether or not a machine runs it: a child that waits for its parent is seen to wait, and
// to begin when the parent has ended.
func TestWhatShardsWaitForIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		h := &heard{}
		w.observe = h.observe
		w.create(mapping.Knobs{})
		w.functions.duration = time.Minute
		w.put("k", "1")
		w.pass(time.Second)
		streamtest.Split(t, w.streams, orders, 0)
		w.pass(time.Second)
		w.pass(time.Hour)
		var stands [3][]string
		for _, o := range h.all {
			if s, ok := o.What.(*esm.Stands); ok && o.Shard == s.Shard {
				stands[s.Shard] = append(stands[s.Shard], s.Phase.String())
			}
		}
		want := [3][]string{{"runs", "ended"}, {"parents", "runs"}, {"parents", "runs"}}
		if d := cmp.Diff(want, stands); d != "" {
			t.Error(d)
		}
	})
}
