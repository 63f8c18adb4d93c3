package queue

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// SQS Developer Guide, visibility timeout: a received message is hidden, and comes back when it is not deleted in time.
func TestReceivedMessageIsHiddenUntilItsVisibilityTimeoutEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Given{VisibilityTimeout: new(5 * time.Second)})
		b.send("a")
		first := b.receive()

		<-time.After(4999 * time.Millisecond)
		b.expect(b.receive())
		if got := b.counts(); got != [3]int{0, 1, 0} {
			t.Errorf("counts %v while in flight", got)
		}
		<-time.After(time.Millisecond)
		second := b.receive()

		b.expect(second, "a")
		if second[0].Receives != 2 || !second[0].First.Equal(first[0].First) ||
			second[0].ReceiptHandle == first[0].ReceiptHandle {
			t.Errorf("second receive %+v after %+v", second[0], first[0])
		}
		b.Stop()
	})
}

func TestVisibilityTimeoutOfZeroLeavesTheMessageVisible(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{})
	b.send("a")
	for i := range 3 {
		got, err := b.Receive(t.Context(), orders, ReceiveInput{Max: 10, VisibilityTimeout: new(time.Duration(0))})
		b.must(err)
		b.expect(got, "a")
		if got[0].Receives != i+1 {
			t.Errorf("receive count %d, want %d", got[0].Receives, i+1)
		}
	}
}

func TestDelayHidesAMessageAtFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Given{Delay: new(10 * time.Second)})
		b.send("as the queue says")
		b.sendMessage(Message{Body: "at once", Delay: new(time.Duration(0))})

		if got := b.counts(); got != [3]int{1, 0, 1} {
			t.Errorf("counts %v", got)
		}
		b.expect(b.receive(), "at once")
		<-time.After(10 * time.Second)
		b.expect(b.receive(), "as the queue says")
		b.Stop()
	})
}

func TestMessagesComeInTheOrderOfSending(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{})
	for _, s := range strings.Split("abcdefghijkl", "") {
		b.send(s)
	}
	b.expect(b.receive(), strings.Split("abcdefghij", "")...)
	b.expect(b.receive(), "k", "l")
}

// Retention is enforced without any call, by the steered clock: bodies and entries leave the store.
func TestExpiredMessagesLeaveTheStoreByThemselves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Given{Retention: new(time.Minute)})
		b.sendMessage(Message{Body: "a", DedupID: "one"})
		b.receive()
		_, err := b.clock.Advance(
			t.Context(), 30*time.Second, func(context.Context) error { synctest.Wait(); return nil },
		)
		b.must(err)
		b.send("b")

		_, err = b.clock.Advance(
			t.Context(), 31*time.Second, func(context.Context) error { synctest.Wait(); return nil },
		)
		b.must(err)

		if i, m, d, x := b.local.Count(prefixState), b.local.Count(prefixContent), b.local.Count(
			prefixDedup,
		), b.local.Count(prefixDue); i != 1 ||
			m != 1 || d != 0 || x != 0 {
			t.Errorf("stored: %d entries, %d bodies, %d deduplication ids, %d due times; want 1, 1, 0, 0", i, m, d, x)
		}
		b.expect(b.receive(), "b")
		b.Stop()
	})
}

// Receive counts and visibility are stored as Soon: a kill may lose them, but never a message.
func TestMessagesSurviveAKill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Given{})
		b.sendMessage(Message{
			Body: "a", Attributes: []Attribute{{"Foo", "String", []byte("Bar")}, {"bin", "Binary.png", []byte{0, 1}}},
			Sender: "me",
		})
		before := b.receive()
		b.send("b") // makes the receive durable as well
		b.send("deleted")
		gone := b.receive()
		b.must(b.Delete(t.Context(), orders, gone[1].ReceiptHandle))

		after := open(t, b.local.Kill())

		after.expect(after.receive()) // all of them are still in flight
		<-time.After(30 * time.Second)
		got := after.receive()
		after.expect(got, "a", "b")
		if got[0].Receives != 2 || got[0].MessageID != before[0].MessageID || got[0].Sender != "me" ||
			!got[0].Sent.Equal(before[0].Sent) ||
			len(got[0].Attributes) != 2 || string(got[0].Attributes[1].Value) != "\x00\x01" {
			t.Errorf("after the kill %+v, before %+v", got[0], before[0])
		}
		after.must(after.Delete(t.Context(), orders, before[0].ReceiptHandle)) // handles outlive the process
		if n := after.local.Count(prefixContent); n != 1 {
			t.Errorf("%d bodies left, want 1", n)
		}
		b.Stop()
		after.Stop()
	})
}

func TestLostVisibilityOnlyShowsAMessageSooner(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{})
	b.send("a")
	b.receive()
	after := open(t, b.local.Kill())
	after.expect(after.receive(), "a")
}

func TestQueueNumbersAreNotReusedAfterAKill(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{})
	b.send("old")
	old := b.receive()[0].ReceiptHandle
	b.must(b.DeleteQueue(t.Context(), orders))
	after := open(t, b.local.Kill())
	after.must(after.Create(t.Context(), orders, Given{}))
	after.send("new")
	if err := after.Delete(t.Context(), orders, old); fault.CodeOf(err) != CodeInvalidReceipt {
		t.Errorf("a handle of the deleted queue: %v", err)
	}
	after.expect(after.receive(), "new")
}

// AWS's standard queues delete by any handle ever issued for the message.
func TestAnOldHandleDeletesAMessageThatWasReceivedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{VisibilityTimeout: new(time.Duration(0))})
	b.send("a")
	old := b.receive()[0].ReceiptHandle
	b.receive()
	b.must(b.Delete(t.Context(), orders, old))
	b.expect(b.receive())
	b.must(b.Delete(t.Context(), orders, old)) // already gone: no error
}

func TestHandlesAreChecked(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{})
	b.send("a")
	good := b.receive()[0].ReceiptHandle
	other := Name{orders.Account, orders.Region, "other"}
	b.must(b.Create(t.Context(), other, Given{}))
	for name, try := range map[string]struct {
		queue  Name
		handle string
	}{
		"garbage": {orders, "garbage"},
		"empty":   {orders, ""},
		"one letter wrong": {
			orders,
			"AQ" + strings.Map(func(r rune) rune { return map[bool]rune{true: 'B', false: r}[r == 'A'] }, good[2:]),
		},
		"another queue": {other, good},
	} {
		if err := b.Delete(t.Context(), try.queue, try.handle); fault.CodeOf(err) != CodeInvalidReceipt {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := b.counts(); got != [3]int{0, 1, 0} {
		t.Errorf("counts %v", got)
	}
}

func TestPurgeDeletesEverythingSentBefore(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{})
	b.send("in flight")
	b.receive()
	b.send("visible")
	b.sendMessage(Message{Body: "delayed", Delay: new(time.Minute)})
	b.must(b.Purge(t.Context(), orders))
	b.send("after")

	if got := b.counts(); got != [3]int{1, 0, 0} {
		t.Errorf("counts %v", got)
	}
	after := open(t, b.local.Kill())
	after.expect(after.receive(), "after")
}

// A send whose write is under way when the queue is purged leaves nothing behind, neither now nor after a restart.
func TestPurgeCatchesASendUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Given{})
		b.counts() // in memory now
		gate := b.local.Hold(prefixContent)
		done := make(chan error)
		go func() {
			_, err := b.Send(t.Context(), orders, Message{Body: "a"})
			done <- err
		}()
		synctest.Wait()
		b.must(b.Purge(t.Context(), orders))
		close(gate)
		b.must(<-done)

		b.expect(b.receive())
		if n := b.local.Count(prefixContent) + b.local.Count(prefixState); n != 0 {
			t.Errorf("%d keys left", n)
		}
		b.Stop()
	})
}

// A receive that is recorded after its message was deleted does not outlive it.
func TestDeleteCatchesAReceiveUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Given{VisibilityTimeout: new(time.Duration(0))})
		b.send("a")
		handle := b.receive()[0].ReceiptHandle
		gate := b.local.Hold(prefixState)
		done := make(chan []Received)
		go func() { done <- b.receive() }()
		synctest.Wait()
		b.must(b.Delete(t.Context(), orders, handle))
		close(gate)
		<-done
		if n := b.local.Count(prefixState); n != 0 {
			t.Errorf("%d entries left", n)
		}
		b.Stop()
	})
}

// The wall clock, or a reset of the steered one, may go back: messages stay in order and are visible at once.
func TestAClockThatGoesBackHidesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{})
	b.clock.SetOffset(time.Hour)
	b.send("a")
	b.clock.SetOffset(0)
	b.send("b")
	got := b.receive()
	b.expect(got, "a", "b")
	if got[1].Sent.Before(got[0].Sent) {
		t.Errorf("sent at %v, then at %v", got[0].Sent, got[1].Sent)
	}
}

func TestDeletedQueueLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{})
	b.sendMessage(Message{Body: "a", DedupID: "x"})
	b.receive()
	b.must(b.DeleteQueue(t.Context(), orders))

	if n := b.local.Count("queue/"); n != 1 { // the number of the next queue
		t.Errorf("%d keys left", n)
	}
	_, sendErr := b.Send(t.Context(), orders, Message{Body: "a"})
	_, receiveErr := b.Receive(t.Context(), orders, ReceiveInput{Max: 1})
	_, attributesErr := b.Attributes(t.Context(), orders)
	for _, err := range []error{
		sendErr, receiveErr, attributesErr, b.Find(t.Context(), orders),
		b.Delete(t.Context(), orders, "x"), b.Purge(t.Context(), orders), b.DeleteQueue(t.Context(), orders),
	} {
		if fault.CodeOf(err) != CodeNoSuchQueue {
			t.Errorf("got %v, want QueueDoesNotExist", err)
		}
	}
	b.must(b.Create(t.Context(), orders, Given{}))
	b.expect(b.receive())
	if s := b.sendMessage(Message{Body: "a", DedupID: "x"}); s.Duplicate {
		t.Error("the new queue remembers a deduplication id of the old one")
	}
}

func TestCreateAgainComparesWhatIsNamed(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{Delay: new(time.Second)})
	b.must(b.Create(t.Context(), orders, Given{}))
	b.must(b.Create(t.Context(), orders, Given{Delay: new(time.Second)}))
	err := b.Create(t.Context(), orders, Given{Delay: new(2 * time.Second)})
	// Recorded: AWS's text ends without a full stop.
	if fault.CodeOf(err) != CodeNameExists ||
		!strings.HasSuffix(
			err.Error(), "A queue already exists with the same name and a different value for attribute DelaySeconds",
		) {
		t.Errorf("got %v", err)
	}
}

func TestListIsByAccountRegionPrefixAndPage(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{})
	for _, n := range []Name{
		{orders.Account, orders.Region, "a"},
		{orders.Account, orders.Region, "order"},
		{orders.Account, "eu-west-2", "orders2"},
		{"999999999999", orders.Region, "orders3"},
	} {
		b.must(b.Create(t.Context(), n, Given{}))
	}
	for _, c := range []struct {
		prefix, after string
		n             int
		want          []string
	}{
		{"", "", 0, []string{"a", "order", "orders"}},
		{"order", "", 0, []string{"order", "orders"}},
		{"", "a", 1, []string{"order"}},
		{"o", "order", 5, []string{"orders"}},
		{"a", "z", 0, nil},
	} {
		got, err := b.List(t.Context(), orders.Account, orders.Region, c.prefix, c.after, c.n)
		b.must(err)
		if !slices.Equal(got, c.want) {
			t.Errorf("list %+v: %v", c, got)
		}
	}
}

// AWS: 120,000 messages in flight; beyond that a short poll answers OverLimit, a long one waits.
func TestInFlightMessagesAreLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Given{})
		b.inFlightLimit = 2
		for _, s := range []string{"a", "b", "c"} {
			b.send(s)
		}
		got := b.receive()
		b.expect(got, "a", "b")

		_, err := b.Receive(t.Context(), orders, ReceiveInput{Max: 1})
		if fault.CodeOf(err) != CodeOverLimit {
			t.Errorf("short poll: %v", err)
		}
		go func() { b.must(b.Delete(t.Context(), orders, got[0].ReceiptHandle)) }()
		b.expect(b.poll(20*time.Second), "c")
		b.Stop()
	})
}

func TestFailedWritesChangeNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{VisibilityTimeout: new(time.Duration(0))})
	b.send("a")
	handle := b.receive()[0].ReceiptHandle

	b.local.FailWith(storage.ErrFull)
	_, sendErr := b.Send(t.Context(), orders, Message{Body: "b"})
	deleteErr := b.Delete(t.Context(), orders, handle)
	b.local.FailWith(nil)

	var f *fault.Error
	if !errors.As(sendErr, &f) || f.Code != CodeInternal || f.Status != 500 || f.Hint == "" ||
		!errors.Is(sendErr, storage.ErrFull) {
		t.Errorf("send: %#v", sendErr)
	}
	if deleteErr == nil {
		t.Error("a delete that was not stored is acknowledged")
	}
	b.expect(b.receive(), "a")
}

func TestStartAndStopTwiceAreHarmless(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{})
	b.must(b.Start(t.Context()))
	b.send("a")
	b.Stop()
	b.Stop()
	if _, err := b.Send(t.Context(), orders, Message{Body: "b"}); !errors.Is(err, ErrStopped) {
		t.Errorf("send after stop: %v", err)
	}
	b.must(b.Start(t.Context()))
	b.expect(b.receive(), "a")
}

func TestAReceiveWithoutMessageDropsTheEntry(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{})
	b.send("a")
	// as if a kill had kept only the entry
	b.must(b.local.Apply(t.Context(), storage.Sync, storage.LocalOp{Key: contentKey(1, 1)}))
	b.expect(b.receive())
	if got := b.counts(); got != [3]int{} || b.local.Count(prefixState) != 0 {
		t.Errorf("counts %v, %d entries stored", got, b.local.Count(prefixState))
	}
}
