package engine_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/mapping"
)

// A payload is written again only when the function has answered it. After a timeout, or when nobody waits any more,
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
