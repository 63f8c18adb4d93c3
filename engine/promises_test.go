package engine_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/mapping"
)

// A payload is written again only when the function has answered it. After a timeout, or when its caller has gone,
// the room may still be giving it to a process, and would give it the records of another batch.
func TestPayloadsAreLeftAloneAfterATimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		defer w.close() // complains of payloads that were changed
		w.functions.timeout, w.functions.duration = time.Second, 20*time.Second
		for i := range 40 {
			w.put(fmt.Sprint("key", i), fmt.Sprint(i))
		}

		w.create(mapping.Knobs{
			BatchSize: p(int64(1)), ParallelizationFactor: p(int64(3)), MaxRetries: p(int64(0)),
			Destination: &mapping.DestinationConfig{OnFailure: deadARN},
		})
		w.pass(15 * time.Second)

		if n := len(w.functions.seen()); n != 40 {
			t.Errorf("%d invocations", n)
		}
	})
}

// A lane that tries by itself, its back-off being over, leaves the line: a place that is offered to it while it runs,
// or when it has nothing more to do, is kept from those that wait.
func TestLaneThatTriesByItselfLeavesTheLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		inLine := func() int {
			w.functions.mu.Lock()
			defer w.functions.mu.Unlock()
			return len(w.functions.waiters)
		}
		w.functions.limit = 0
		w.create(mapping.Knobs{})
		w.put("k", "1")
		synctest.Wait()
		if n := inLine(); n != 1 {
			t.Fatalf("%d lanes stand in line, one was refused", n)
		}
		w.functions.mu.Lock()
		w.functions.limit = -1 // the place that came of it was offered to another
		w.functions.duration = time.Hour
		w.functions.mu.Unlock()
		w.pass(time.Minute) // its back-off is over

		if n, seen := inLine(), len(w.functions.seen()); n != 0 || seen != 1 {
			t.Errorf("%d lanes stand in line while %d invocations run", n, seen)
		}
		w.functions.change(func() {})
		w.pass(2 * time.Hour)
	})
}

// A shard that ends takes its lanes out of the line.
func TestShardsThatEndLeaveTheLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		defer w.close() // complains of lanes that stay
		w.functions.limit = 0
		w.create(mapping.Knobs{ParallelizationFactor: p(int64(4))})
		for i := range 120 {
			w.put(fmt.Sprint("key", i), fmt.Sprint(i))
		}
		w.pass(10 * time.Second)
		w.functions.mu.Lock()
		defer w.functions.mu.Unlock()
		if n := len(w.functions.waiters); n != 12 {
			t.Errorf("%d lanes stand in line, and all 12 were refused", n)
		}
	})
}
