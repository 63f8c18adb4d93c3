package queue

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/storage"
)

func notice(body string) Message { return Message{Body: body, DedupID: "b5a4c0de-0001"} }

func TestARepeatIsAcknowledgedAndDropped(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{})
	first := b.sendMessage(notice("first"))
	second := b.sendMessage(notice("second"))
	if first.Duplicate || !second.Duplicate || second.MessageID != first.MessageID {
		t.Errorf("first %+v, second %+v", first, second)
	}
	b.expect(b.receive(), "first")
}

func TestARepeatIsDroppedAfterTheFirstCopyIsDeletedAndAfterAKill(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{})
	first := b.sendMessage(notice("first"))
	b.must(b.Delete(t.Context(), orders, b.receive()[0].ReceiptHandle))
	b.must(b.Purge(t.Context(), orders))

	after := open(t, b.local.Kill())
	if again := after.sendMessage(notice("again")); !again.Duplicate || again.MessageID != first.MessageID {
		t.Errorf("again %+v, first %+v", again, first)
	}
	after.expect(after.receive())
}

func TestARepeatCountsAnewOnceRetentionHasPassed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Given{Retention: new(time.Minute)})
		b.sendMessage(notice("first"))
		<-time.After(time.Minute - time.Millisecond)
		if s := b.sendMessage(notice("again")); !s.Duplicate {
			t.Error("taken as new within the retention")
		}
		<-time.After(time.Millisecond)
		if s := b.sendMessage(notice("later")); s.Duplicate {
			t.Error("dropped after the retention")
		}
		synctest.Wait()
		<-time.After(30 * time.Second) // the clean-up for the first must not forget the second
		if s := b.sendMessage(notice("later again")); !s.Duplicate {
			t.Error("the id of a later message was forgotten with the first")
		}
		b.expect(b.receive(), "later")
		b.Stop()
	})
}

func TestConcurrentRepeatsAreStoredOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Given{})
		gate := b.local.Hold(prefixContent)
		sent := make(chan Sent)
		for range 5 {
			go func() { sent <- b.sendMessage(notice("a")) }()
		}
		synctest.Wait()
		close(gate)
		stored := 0
		for range 5 {
			if s := <-sent; !s.Duplicate {
				stored++
			}
		}
		if stored != 1 {
			t.Errorf("%d copies stored", stored)
		}
		b.expect(b.receive(), "a")
		b.Stop()
	})
}

// A send that the store refused does not count as the first copy.
func TestAFailedSendIsNoFirstCopy(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{})
	b.local.FailWith(storage.ErrFull)
	if _, err := b.Send(t.Context(), orders, notice("a")); err == nil {
		t.Fatal("acknowledged without a write")
	}
	b.local.FailWith(nil)
	if s := b.sendMessage(notice("a")); s.Duplicate {
		t.Error("dropped")
	}
	b.expect(b.receive(), "a")
}

func TestForgettingGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, Given{Retention: new(time.Minute)})
		b.sendMessage(notice("a"))
		<-time.After(30 * time.Second)
		b.sendMessage(Message{Body: "b", DedupID: "another"})
		after := open(t, b.local.Kill())
		b.must(after.Purge(t.Context(), orders)) // the queue's first use; no expiry of a message can start the clean-up
		<-time.After(time.Minute)
		synctest.Wait()
		if n := after.local.Count(prefixDedup) + after.local.Count(prefixDue) +
			after.local.Count(prefixContent); n != 0 {
			t.Errorf("%d keys left", n)
		}
		b.Stop()
		after.Stop()
	})
}
