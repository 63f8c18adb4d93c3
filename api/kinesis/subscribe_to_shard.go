package kinesis

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// Bounds of events, in bytes of data and partition keys. An event is sent whole, so it is in memory as long as its
// reader takes it; many slow readers together get smaller ones. AWS's own bound is 10 MiB.
const (
	maxEvent   = 1 << 20
	shortEvent = 16 << 10
	eventsHeld = 64 << 20 // bytes of events on their way from which on they are short

	// stalled is how long a reader may take for one event, in real time, while memory is not short: for as long as its
	// subscription lasts. One whose subscription has ended gets leaving for the rest.
	stalled = stream.SubscriptionLife
	leaving = 5 * time.Second
)

// subscribeToShard serves SubscribeToShard: an answer of many messages, which ends with the subscription.
func (h *handler) subscribeToShard(ctx context.Context, c *call, out *wire.Stream) error {
	f := c.request("ConsumerARN", "ShardId", "StartingPosition", "DryRun")
	arn, shard := f.str("ConsumerARN"), f.str("ShardId")
	var kind, sequence *string
	var at *record.Millis
	start := f.structure("StartingPosition", "Type", "SequenceNumber", "Timestamp")
	if start != nil {
		kind, sequence, at = start.str("Type"), start.str("SequenceNumber"), start.timestamp("Timestamp")
	}
	f.refuseDryRun()
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.consumerARN(arn, required)
	v.name("shardId", shard, required)
	if start == nil {
		v.Null("startingPosition")
	}
	v.enum("startingPosition.type", kind, start != nil, iteratorTypes...)
	v.text("startingPosition.sequenceNumber", sequence, optional, seqPattern, 0, 0)
	if err := v.Err(); err != nil {
		return err
	}
	id, err := c.consumerByARN(*arn)
	if err != nil {
		return err
	}
	sub, err := h.streams.Subscribe(ctx, id, stream.IteratorInput{
		Shard: *shard, Type: stream.IteratorType(*kind), Sequence: or(sequence), Timestamp: at,
	})
	if err != nil {
		return err
	}
	defer sub.Close()
	sub.OnEnd(func() { out.Hurry(leaving) })
	out.ContentType, out.Patience = wire.TypeEventStream, stalled
	if c.hint != "" {
		out.Header = map[string]string{wire.HintHeader: c.hint}
	}
	c.lend()
	out.Broken = func(err error) []byte { return exception(c.in, h.asFault(ctx, c.caller, err)) }
	return h.publish(ctx, c.in, sub, out)
}

// publish sends the events of a subscription until it ends.
func (h *handler) publish(ctx context.Context, in encoding, sub *stream.Subscription, out *wire.Stream) error {
	first := beginEvent(in, nil, "initial-response")
	if err := out.Send(wire.EndMessage(in.endMap(in.beginMap(first)), 0)); err != nil {
		return err
	}
	for {
		e := event{in: in, room: &h.events}
		ev, err := sub.Next(ctx, e.limit, func(r record.Record) { e.add(sub.Shard(), &r) })
		if err == nil {
			out.Patience = e.patience()
			err = out.Send(e.end(&ev))
		}
		e.release()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// beginEvent appends the head of an event's message.
func beginEvent(in encoding, b []byte, kind string) []byte {
	return wire.BeginMessage(b, ":message-type", "event", ":event-type", kind, ":content-type", in.contentType())
}

// exception is the message that ends a subscription with a fault.
func exception(in encoding, f *fault.Error) []byte {
	if f.Status >= http.StatusInternalServerError {
		b := wire.BeginMessage(nil, ":message-type", "error", ":error-code", f.Code, ":error-message", f.Message)
		return wire.EndMessage(b, 0)
	}
	b := wire.BeginMessage(nil, ":message-type", "exception", ":exception-type", f.Code,
		":content-type", in.contentType())
	b = in.string(in.name(in.beginMap(b), "message"), f.Message)
	return wire.EndMessage(in.endMap(b), 0)
}

// eventRoom is the memory of all events that are on their way.
type eventRoom struct{ held atomic.Int64 }

// event is one SubscribeToShardEvent that is being written. Its memory is taken when there is something to write, so a
// subscription that waits has none.
type event struct {
	in   encoding
	room *eventRoom
	b    []byte
	own  any        // the buffer that b began in
	pool *sync.Pool // which that is from; nil: none
	most int        // bytes of data and keys
	held int64      // what the room has been charged with
}

// Buffers that are kept for other events, by their size: a short event must not hold a large one.
const (
	smallBuffer = 16 << 10
	largeBuffer = 2 << 20
)

var (
	smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
)

// limit returns how many bytes of data and keys the event may have.
func (e *event) limit() int {
	e.most = maxEvent
	if e.room.held.Load() >= eventsHeld {
		e.most = shortEvent
	}
	return e.most
}

// patience is how long a reader may take for the event.
func (e *event) patience() time.Duration {
	if e.room.held.Load() >= eventsHeld {
		return 0 // as long as all streams
	}
	return stalled
}

func (e *event) charge(n int) {
	e.room.held.Add(int64(n) - e.held)
	e.held = int64(n)
}

// begin writes what comes before the records.
func (e *event) begin() {
	small := smallBuffers.Get().(*[smallBuffer]byte)
	e.b, e.own, e.pool = small[:0], small, &smallBuffers
	e.b = beginEvent(e.in, e.b, "SubscribeToShardEvent")
	e.b = e.in.beginList(e.in.name(e.in.beginMap(e.b), "Records"))
}

// recordRoom is what a record takes at most, in bytes, beside its data and its key.
const recordRoom = 256

func (e *event) add(shard *stream.ShardInfo, r *record.Record) {
	if e.b == nil {
		e.charge(e.most)
		e.begin()
	}
	needed := len(e.b) + base64.StdEncoding.EncodedLen(len(r.Data)) + 6*len(r.Key) + recordRoom
	if e.pool == &smallBuffers && needed > smallBuffer {
		large := largeBuffers.Get().(*[largeBuffer]byte)
		b := append(large[:0], e.b...)
		e.giveBack()
		e.b, e.own, e.pool = b, large, &largeBuffers
	}
	e.b = e.in.record(e.in.element(e.b), shard, r)
}

// end completes the message and returns it.
func (e *event) end(ev *stream.Event) []byte {
	if e.b == nil {
		e.begin()
	}
	b := e.in.endList(e.b)
	if ev.Continuation != "" {
		b = e.in.string(e.in.name(b, "ContinuationSequenceNumber"), ev.Continuation)
	}
	b = e.in.number(e.in.name(b, "MillisBehindLatest"), ev.Behind)
	e.b = wire.EndMessage(e.in.endMap(appendChildren(e.in, b, ev.Children)), 0)
	e.charge(cap(e.b))
	return e.b
}

// release gives the memory back.
func (e *event) release() {
	e.giveBack()
	e.charge(0)
}

// giveBack gives the buffer back, also if what is written has outgrown it.
func (e *event) giveBack() {
	if e.pool != nil {
		e.pool.Put(e.own)
	}
	e.b, e.own, e.pool = nil, nil, nil
}
