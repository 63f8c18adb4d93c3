package queue

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// With senders, long polls and deletes side by side every message is received once, none is lost, and nothing is left
// in the store.
func TestNothingIsLostOrDoubledUnderConcurrency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const senders, each, receivers = 4, 60, 5
		b := setup(t, Given{})
		var all sync.WaitGroup
		for s := range senders {
			all.Go(func() {
				for i := range each {
					if _, err := b.Send(t.Context(), orders, Message{
						Body: fmt.Sprint(s, "-", i), DedupID: fmt.Sprint(s, "-", i/2),
					}); err != nil {
						t.Error(err)
					}
					<-time.After(time.Duration(i%3) * time.Millisecond)
				}
			})
		}
		var mu sync.Mutex
		seen := map[string]int{}
		for range receivers {
			all.Go(func() {
				for {
					got, err := b.Receive(t.Context(), orders, ReceiveInput{Max: 3, Wait: new(5 * time.Second)})
					if err != nil {
						t.Error(err)
					}
					if len(got) == 0 {
						return // five seconds without a message: the senders have ended
					}
					for _, r := range got {
						mu.Lock()
						seen[r.Body]++
						mu.Unlock()
						if err := b.Delete(t.Context(), orders, r.ReceiptHandle); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		all.Wait()
		if len(seen) != senders*each/2 {
			t.Errorf("%d different messages received, want %d", len(seen), senders*each/2)
		}
		for body, n := range seen {
			if n != 1 {
				t.Errorf("message %s was received %d times", body, n)
			}
		}
		if n := b.local.Count(prefixContent) + b.local.Count(prefixState); n != 0 {
			t.Errorf("%d keys left", n)
		}
		b.Stop()
	})
}
