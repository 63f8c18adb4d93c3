package queue

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/fault"
)

// F-75: a long poll answers within 100 ms of a send. In a bubble time stands still while any goroutine can run, so here
// it must take no time at all.
func TestLongPollReturnsAtOnceWhenAMessageComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Given{})
		start := time.Now()
		go func() {
			<-time.After(3 * time.Second)
			b.send("a")
		}()
		b.expect(b.poll(5*time.Second), "a")
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
		b.Stop()
	})
}

func TestLongPollEndsEmptyWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Given{ReceiveWait: new(7 * time.Second)})
		start := time.Now()
		got, err := b.Receive(t.Context(), orders, ReceiveInput{Max: 1})
		b.must(err)
		b.expect(got)
		if took := time.Since(start); took != 7*time.Second {
			t.Errorf("took %v, want the queue's 7 s", took)
		}
		b.Stop()
	})
}

func TestLongPollSeesWhatBecomesVisible(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Given{VisibilityTimeout: new(2 * time.Second)})
		b.send("in flight")
		b.receive()
		b.sendMessage(Message{Body: "delayed", Delay: new(4 * time.Second)})
		start := time.Now()

		b.expect(b.poll(20*time.Second), "in flight")
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("took %v, want 2 s", took)
		}
		b.must(b.Purge(t.Context(), orders))
		b.sendMessage(Message{Body: "delayed", Delay: new(4 * time.Second)})
		b.expect(b.poll(20*time.Second), "delayed")
		if took := time.Since(start); took != 6*time.Second {
			t.Errorf("took %v, want 6 s", took)
		}
		b.Stop()
	})
}

func TestLongPollsAreServedInTheOrderTheyCame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Given{})
		got := make([]chan []Received, 3)
		for i := range got {
			got[i] = make(chan []Received, 1)
			go func() { got[i] <- b.poll(20 * time.Second) }()
			synctest.Wait()
		}
		for i, body := range []string{"a", "b", "c"} {
			b.send(body)
			b.expect(<-got[i], body)
		}
		b.Stop()
	})
}

func TestLongPollEndsWithItsContextAndKeepsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Given{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan []Received)
		go func() {
			got, err := b.Receive(ctx, orders, ReceiveInput{Max: 10, Wait: new(20 * time.Second)})
			b.must(err)
			done <- got
		}()
		synctest.Wait()
		cancel()
		b.expect(<-done)
		b.send("a")
		b.expect(b.receive(), "a")
		b.Stop()
	})
}

// A message handed to a poll whose caller has just left is visible again at once, as if it had not been received.
func TestMessageOfACallerThatHasGoneIsGivenBack(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{})
	b.send("a")
	q, err := b.lookup(orders)
	b.must(err)
	q.mu.Lock()
	got := q.take(1, b.now(), 30_000)
	q.giveBack(got, b.now())
	q.mu.Unlock()

	again := b.receive()
	b.expect(again, "a")
	if again[0].Receives != 1 {
		t.Errorf("receive count %d", again[0].Receives)
	}
}

func TestStopEndsLongPolls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Given{})
		done := make(chan []Received, 2)
		for range 2 {
			go func() { done <- b.poll(20 * time.Second) }()
		}
		synctest.Wait()
		start := time.Now()
		b.Stop()
		b.expect(append(<-done, <-done...))
		if took := time.Since(start); took != 0 {
			t.Errorf("stop took %v", took)
		}
	})
}

func TestDeleteQueueEndsLongPolls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Given{})
		done := make(chan error)
		go func() {
			_, err := b.Receive(t.Context(), orders, ReceiveInput{Max: 1, Wait: new(20 * time.Second)})
			done <- err
		}()
		synctest.Wait()
		b.must(b.DeleteQueue(t.Context(), orders))
		if err := <-done; fault.CodeOf(err) != CodeNoSuchQueue {
			t.Errorf("got %v", err)
		}
		b.Stop()
	})
}

func TestWaitGoesByTheSteeredClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Given{})
		done := make(chan []Received)
		go func() { done <- b.poll(20 * time.Second) }()
		synctest.Wait()
		start := time.Now()
		b.clock.SetOffset(time.Hour)
		b.expect(<-done)
		if took := time.Since(start); took != 0 {
			t.Errorf("took %v of real time", took)
		}
		b.Stop()
	})
}
