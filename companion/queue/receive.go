package queue

import (
	"context"
	"slices"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// ReceiveInput is what a Receive asks for.
type ReceiveInput struct {
	Max               int            // 1 to 10 messages
	VisibilityTimeout *time.Duration // 0 to 12 h; nil: as the queue says
	Wait              *time.Duration // 0 to 20 s for a first message; nil: as the queue says
}

// Received is one message as a receiver sees it. The receiver owns all of it.
type Received struct {
	MessageID     string
	ReceiptHandle string // deletes the message, even after it was received again
	Body          string
	Attributes    []Attribute
	Sender        string
	Sent, First   time.Time // when sent, when first received
	Receives      int       // this one included
}

// Receive hands out up to Max visible messages, the longest sent first, and hides them for the visibility timeout. With
// none visible it waits, up to Wait on the steered clock: a new message goes to the call that has waited longest. It
// returns nothing, without an error, when the wait is over, the context ends or Stop is called.
//
// Receive counts and visibility become durable within about a second; if a crash loses them, a message only becomes
// visible sooner. Faults: QueueDoesNotExist; InvalidParameterValueException; OverLimit (120,000 messages in flight,
// when not waiting).
func (qs *Queues) Receive(ctx context.Context, name Name, in ReceiveInput) ([]Received, error) {
	stop, leave, err := qs.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	q, err := qs.lookup(name)
	if err != nil {
		return nil, err
	}
	hide, wait := q.meta.settings.VisibilityTimeout, q.meta.settings.ReceiveWait
	set(&hide, in.VisibilityTimeout)
	set(&wait, in.Wait)
	if err := in.validate(hide, wait); err != nil {
		return nil, err
	}
	got, err := q.await(ctx, stop, in.Max, millis(hide), wait)
	if err != nil || len(got) == 0 {
		return nil, err
	}
	return q.deliver(ctx, got)
}

func (in ReceiveInput) validate(hide, wait time.Duration) error {
	switch {
	case in.Max < 1 || in.Max > MaxReceive:
		return invalid(
			"Value %d for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and %d, if provided.",
			in.Max, MaxReceive,
		)
	case hide < 0 || hide > MaxVisibilityTimeout:
		return invalid(
			"Value %d for parameter VisibilityTimeout is invalid. Reason: Must be >= 0 and <= %d, if provided.",
			hide/time.Second, MaxVisibilityTimeout/time.Second,
		)
	case wait < 0 || wait > MaxReceiveWait:
		return invalid(
			"Value %d for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= %d, if provided.",
			wait/time.Second, MaxReceiveWait/time.Second,
		)
	}
	return nil
}

// await takes visible messages, waiting for the first one.
func (q *queue) await(
	ctx context.Context, stop <-chan struct{}, n int, hide int64, wait time.Duration,
) ([]taken, error) {
	q.mu.Lock()
	if q.deleted {
		q.mu.Unlock()
		return nil, noSuchQueue()
	}
	now := q.qs.now()
	q.advance(now)
	if wait == 0 && q.index.hiddenFlights >= q.qs.inFlightLimit {
		q.rearm()
		q.mu.Unlock()
		return nil, fault.New(
			CodeOverLimit, "The maximum number of in flight messages is reached: %d.", q.qs.inFlightLimit,
		)
	}
	got := q.take(n, now, hide)
	if len(got) > 0 || wait == 0 {
		q.rearm()
		q.mu.Unlock()
		return got, nil
	}
	w := &waiter{want: n, hide: hide, got: make(chan []taken, 1)}
	q.waiters = append(q.waiters, w)
	q.rearm()
	q.mu.Unlock()

	over := make(chan struct{})
	timer := q.qs.clock.After(wait, func() { close(over) })
	defer timer.Stop()
	select {
	case got = <-w.got:
		if got == nil {
			return nil, noSuchQueue()
		}
		return got, nil
	case <-over:
		return q.leaveLine(w), nil
	case <-ctx.Done():
	case <-stop:
	}
	if got := q.leaveLine(w); len(got) > 0 {
		q.mu.Lock()
		q.giveBack(got, q.qs.now())
		q.rearm()
		q.mu.Unlock()
	}
	return nil, nil
}

// leaveLine removes w from the line and returns what was handed to it at the last moment.
func (q *queue) leaveLine(w *waiter) []taken {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.waiters, w); i >= 0 {
		q.waiters = slices.Delete(q.waiters, i, i+1)
		q.rearm()
		return nil
	}
	return <-w.got
}

// deliver reads the bodies of taken messages and records the receive.
func (q *queue) deliver(ctx context.Context, got []taken) ([]Received, error) {
	q.mu.Lock()
	err := q.begin()
	q.mu.Unlock()
	if err != nil {
		return nil, err
	}
	defer q.writes.Done()
	out := make([]Received, 0, len(got))
	var ops []storage.LocalOp
	var noted []uint64
	for _, t := range got {
		value, ok, err := q.qs.local.Get(contentKey(q.meta.id, t.seq))
		if err != nil {
			return nil, q.undeliver(got, "read message", err)
		}
		if !ok { // deleted since it was taken
			q.drop(t.seq)
			ops = append(ops, q.erase(t.seq)...)
			continue
		}
		c, err := decodeContent(value)
		if err != nil {
			return nil, q.undeliver(got, "read message", err)
		}
		out = append(out, Received{
			MessageID: c.id.String(), ReceiptHandle: receiptHandle(q.meta.id, t.seq, t.receives), Body: c.body,
			Attributes: c.attributes, Sender: c.sender,
			Sent: time.UnixMilli(t.sent), First: time.UnixMilli(t.first), Receives: int(t.receives),
		})
		ops = append(ops, storage.LocalOp{Key: stateKey(q.meta.id, t.seq), Value: encodeState(t)})
		noted = append(noted, t.seq)
	}
	if err := q.apply(ctx, storage.Soon, ops...); err != nil {
		return nil, q.undeliver(got, "note a receive", err)
	}
	return out, q.eraseGone(ctx, noted)
}

// undeliver makes messages visible again that could not be delivered, and returns why.
func (q *queue) undeliver(got []taken, doing string, err error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.giveBack(got, q.qs.now())
	q.rearm()
	return storageFault(doing+" of queue "+q.name.ARN(), err)
}

// drop forgets a message that is no longer in the store.
func (q *queue) drop(seq uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e := q.index.bySeq[seq]; e != nil {
		q.index.remove(e)
	}
}

// eraseGone deletes the recorded receives of messages that were deleted meanwhile, so that none outlives its message.
func (q *queue) eraseGone(ctx context.Context, noted []uint64) error {
	var ops []storage.LocalOp
	q.mu.Lock()
	for _, seq := range noted {
		if e := q.index.bySeq[seq]; e == nil || e.gone {
			ops = append(ops, storage.LocalOp{Key: stateKey(q.meta.id, seq)})
		}
	}
	q.mu.Unlock()
	if len(ops) == 0 {
		return nil
	}
	if err := q.apply(ctx, storage.Soon, ops...); err != nil {
		return storageFault("receive from queue "+q.name.ARN(), err)
	}
	return nil
}
