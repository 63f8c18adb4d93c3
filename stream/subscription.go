package stream

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Times of subscriptions. The first two are AWS's, and pass on the steered clock. The third protects clients, which
// take a silent subscription for a broken one: AWS sends an event every five seconds at least. It is real time.
const (
	SubscriptionLife = 5 * time.Minute
	DefaultTakeOver  = 5 * time.Second
	heartBeat        = 4 * time.Second
)

// Subscription is one SubscribeToShard: it hands out the records of a shard to one consumer as they become durable. Its
// methods are for one goroutine at a time, unless they say otherwise.
type Subscription struct {
	s     *Streams
	key   consumerKeyOf
	id    ConsumerID
	sn    *snapshot // as of its beginning
	shard *shard
	info  *ShardInfo // of shard, for readers
	owner string     // "": a client, which is not told from others
	meter *consumerMeter
	timer *clock.Timer

	from  record.Position // of the next record
	reach Sequence        // what the last event has shown as examined
	sent  time.Time       // when the last event was returned, in real time
	done  bool            // the end of the shard has been returned
	paced int64           // no event before, if rates are limited; nanoseconds

	mu    sync.Mutex
	why   error         // why it has ended; nil: it has not
	ended chan struct{} // closed then
	onEnd func()

	waits  <-chan struct{} // what either tells of beside the end; see Changed
	either <-chan struct{}
}

// Subscribe begins a subscription of a consumer to a shard. Another one of both ends with a fault, if it is old enough
// to be taken over. The caller must Close it. Faults, in this order: ResourceNotFoundException for an unknown consumer,
// ResourceInUseException for one that is not ACTIVE, ResourceNotFoundException for an unknown shard,
// LimitExceededException for a second call within a second after one that failed, if rates are limited,
// InvalidArgumentException for a start that does not fit, ResourceInUseException while the last subscription of both is
// too young. Source: Kinesis API Reference, SubscribeToShard.
func (s *Streams) Subscribe(ctx context.Context, id ConsumerID, in IteratorInput) (*Subscription, error) {
	sn, c, err := s.findConsumer(ctx, id)
	if err != nil {
		return nil, err
	}
	now := s.now()
	if c.status(sn.info.Status, now) != Active {
		return nil, consumerNotReady(sn, c)
	}
	shard, ok := ParseShardID(in.Shard)
	if !ok {
		return nil, malformedShard(sn.info.Name, in.Shard)
	}
	sh, ok := sn.live(shard, now)
	if !ok {
		return nil, s.shardMissing(sn.info.Name, shard)
	}
	if err := s.admitSubscription(sn, c, sh, now); err != nil {
		return nil, err
	}
	from, err := s.startOf(ctx, sn, sh, in)
	if err != nil {
		return nil, err
	}
	return s.subscribe(sn, c, sh, max(from, 1), "")
}

// consumerNotReady returns AWS's fault for reading by a consumer that is CREATING or DELETING.
func consumerNotReady(sn *snapshot, c *consumer) error {
	return fault.New(codeInUse,
		"Consumer %s with creation timestamp %d under stream: %s , account %s is not in ACTIVE status.",
		c.name, c.seconds(), sn.info.Name.Name, sn.info.Name.Account)
}

// subscribe is the part of Subscribe after the checks of what was asked for.
func (s *Streams) subscribe(
	sn *snapshot, c *consumer, sh *shard, from record.Position, owner string,
) (*Subscription, error) {
	sub := &Subscription{
		s: s, key: keyOf(sn, c), id: ConsumerID{sn.info.Name, c.name, c.seconds()}, sn: sn, shard: sh, from: from,
		info:  sn.readable(sh),
		owner: owner, sent: time.Now(), ended: make(chan struct{}),
	}
	now := s.now()
	if err := s.seats.take(sub, now); err != nil {
		s.slog.Info("a subscription is refused", "stream", sub.id.Stream.ARN(), "consumer", sub.id.Name,
			"shard", sh.key.Index.String(), "reason", err)
		return nil, err
	}
	// whoever has changed the consumer since it was looked up has not found the subscription
	if latest := s.current(sub.key.stream); latest == nil || !latest.serves(sub.key) {
		gone := consumerMissing(sub.id)
		s.seats.close(sub.key, gone) // with what the subscription has begun for it anew
		return nil, gone
	}
	sub.timer = s.clock.AtLeast(now.Time().Add(SubscriptionLife), func() { sub.end(io.EOF) })
	return sub, nil
}

// Close ends the subscription from the reader's side. Twice is harmless.
func (sub *Subscription) Close() {
	sub.OnEnd(nil)
	sub.end(context.Canceled)
	sub.timer.Stop()
	sub.s.seats.leave(sub, sub.s.now())
}

// end makes Next return why, unless it has another reason already. Safe for concurrent use.
func (sub *Subscription) end(why error) {
	sub.mu.Lock()
	tell := sub.onEnd
	if sub.why != nil {
		tell = nil
	} else {
		sub.why = why
		close(sub.ended)
	}
	sub.mu.Unlock()
	if tell != nil {
		tell()
	}
}

// OnEnd has f called once when the subscription ends other than by Close, at once if it has: a reader that does not
// take what it was sent must not hold it for ever. f must not block; it is called from another goroutine. nil: nothing.
func (sub *Subscription) OnEnd(f func()) {
	sub.mu.Lock()
	sub.onEnd = f
	over := sub.why != nil
	sub.mu.Unlock()
	if over && f != nil {
		f()
	}
}

// Ended returns why the subscription has ended, as Next does; nil: it has not. Safe for concurrent use.
func (sub *Subscription) Ended() error {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return sub.why
}

// Shard returns the shard whose records Next visits.
func (sub *Subscription) Shard() *ShardInfo { return sub.info }

// Event is what a subscription tells at one moment, beside records.
type Event struct {
	Behind int64 // milliseconds behind the tip of the shard
	// a sequence number from which another subscription can continue, AT or AFTER it; "" at the end of the shard
	Continuation string
	Children     []Child // only at the end of the shard, and never empty there
}

// Next visits the next records, or waits for them: 10,000 at most and as many bytes of data and keys as most says at
// that moment, but at least one record. After four seconds without any it returns all the same. io.EOF: the five
// minutes are over, or the end of the shard was returned before. Any other error is a fault to be told, such as
// ResourceInUseException when a later subscription has taken over, or that of ctx. The records must not be changed.
func (sub *Subscription) Next(
	ctx context.Context, most func() int, visit func(record.Record),
) (Event, error) {
	if sub.done {
		return Event{}, io.EOF
	}
	beat := time.NewTimer(time.Until(sub.sent.Add(heartBeat)))
	defer beat.Stop()
	if err := sub.pace(ctx); err != nil {
		return Event{}, err
	}
	for {
		changed := sub.s.Changed(sub.key.stream, sub.shard.key.Index)
		got := reading{}
		next, end, err := sub.read(ctx, sub.from, storage.Limit{Records: MaxReadRecords, Bytes: most()}, &got, visit)
		switch {
		case err != nil:
			return Event{}, err
		case end.Kind == storage.Trimmed:
			sub.from = end.Oldest
			continue
		case got.records > 0 || end.Kind == storage.ShardEnd:
			sub.from = next
			sub.count(got.bytes)
			return sub.event(ctx, &got, end)
		}
		select {
		case <-changed:
		case <-beat.C:
			return sub.event(ctx, &got, end)
		case <-sub.ended:
		case <-ctx.Done():
			return Event{}, ctx.Err()
		}
	}
}

// read is Streams.Read while the subscription lasts.
func (sub *Subscription) read(
	ctx context.Context, from record.Position, limit storage.Limit, got *reading, visit func(record.Record),
) (record.Position, storage.End, error) {
	if why := sub.Ended(); why != nil {
		return from, storage.End{}, why
	}
	next, end, err := sub.s.Read(ctx, sub.key.stream, sub.shard.key.Index, from, limit, func(r record.Record) {
		got.saw(&r)
		visit(r)
	})
	if err != nil {
		return from, storage.End{}, sub.failed(ctx, err)
	}
	return next, end, nil
}

// failed returns what a failed read means: the consumer or the stream may be gone, which says more.
func (sub *Subscription) failed(ctx context.Context, err error) error {
	if why := sub.Ended(); why != nil {
		return why
	}
	if ctx.Err() == nil {
		sub.meter.failed(sub.s.clock.Now())
	}
	return err
}

// event returns what is to be told with the records of got, after a read that ended with end.
func (sub *Subscription) event(ctx context.Context, got *reading, end storage.End) (Event, error) {
	var ev Event
	now, shard := sub.s.now(), sub.shard.key.Index
	switch end.Kind {
	case storage.ShardEnd:
		latest := sub.s.current(sub.key.stream)
		if latest == nil {
			return ev, sub.failed(ctx, sub.s.shardMissing(sub.sn.info.Name, shard))
		}
		sub.done = true
		ev.Children = latest.info.Children(shard)
		ev.Behind = max(int64(now-latest.info.Shards[shard].Closed), 0)
	case storage.More:
		_, tip, _, err := sub.s.log.Bounds(ctx, sub.shard.key)
		if err != nil {
			return ev, sub.failed(ctx, sub.s.readFault(sub.sn.info.Name, shard, err))
		}
		if sub.from < tip {
			ev.Behind = max(int64(now-got.last), 0)
		}
	case storage.Tail, storage.Trimmed:
	}
	if !sub.done {
		ev.Continuation = sub.reached(got, now).String()
	}
	sub.measure(got, ev.Behind)
	sub.sent = time.Now()
	return ev, nil
}

// reached returns the number up to which the shard has been examined: that of the last record, and as long as none
// follows the same with the present time. It never steps back.
func (sub *Subscription) reached(got *reading, now record.Millis) Sequence {
	at := now
	if got.records > 0 {
		at = got.last
	}
	q := sub.Shard().sequence(min(sub.from-1, record.MaxPosition), at)
	if q.Pos == sub.reach.Pos {
		q.Time = max(q.Time, sub.reach.Time)
	}
	sub.reach = q
	return q
}
