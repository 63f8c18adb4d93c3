package stream

import (
	"sync"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
)

// consumerKeyOf tells consumers apart, also those that have the name of another that is gone.
type consumerKeyOf struct {
	stream  uint32
	name    string
	created record.Millis
}

func keyOf(sn *snapshot, c *consumer) consumerKeyOf {
	return consumerKeyOf{sn.info.ID, c.name, c.created}
}

// serves reports whether a consumer is there and may read.
func (sn *snapshot) serves(key consumerKeyOf) bool {
	for _, c := range sn.consumers {
		if c.name == key.name && c.created == key.created {
			return !c.leaving && sn.info.Status != Deleting
		}
	}
	return false
}

// seats knows who reads which shard for which consumer, in this process.
type seats struct {
	gap time.Duration // how old a subscription is that can be taken over

	mu      sync.Mutex
	of      map[consumerKeyOf]*consumerSeats
	stopped bool
}

type consumerSeats struct {
	at    map[record.ShardID]seat
	free  int // seats that nobody has
	meter consumerMeter
}

// seat is a consumer's place at a shard. It stays for a while when the subscription has ended: what counts is when the
// last one began, however short it was.
type seat struct {
	since record.Millis
	sub   *Subscription // nil: nobody
	owner string        // of the last subscription
}

// mostFree is how many free seats are kept before those that mean nothing any more are removed.
const mostFree = 64

// errStopping ends subscriptions when the server stops. Clients subscribe again, as after all of its faults.
var errStopping = internal("The server is stopping.")

func anotherSubscription(id ConsumerID, shard record.ShardID) *fault.Error {
	return fault.New(codeInUse, "Another active subscription exists for this consumer: %s:%s:%s:%s",
		id.Stream.Account, id.Stream.Name, shard, id.Name)
}

// take gives sub the seat of its consumer at its shard. Who had it for long enough loses it.
func (r *seats) take(sub *Subscription, now record.Millis) error {
	id, shard := sub.id, sub.shard.key.Index
	r.mu.Lock()
	if r.stopped {
		r.mu.Unlock()
		return errStopping
	}
	c := r.of[sub.key]
	if c == nil {
		c = &consumerSeats{at: map[record.ShardID]seat{}}
		if r.of == nil {
			r.of = map[consumerKeyOf]*consumerSeats{}
		}
		r.of[sub.key] = c
	}
	sub.meter = &c.meter
	old, taken := c.at[shard]
	age := time.Duration(now-old.since) * time.Millisecond
	own := sub.owner != "" && old.owner == sub.owner
	if taken && age < r.gap && !own {
		r.mu.Unlock()
		sub.began(false)
		return anotherSubscription(id, shard).WithHint(
			"The last subscription of consumer %s to %s began %s ago; after %s it can be taken over.", id.Name, shard, age, r.gap,
		)
	}
	if taken && old.sub == nil {
		c.free--
	}
	c.at[shard] = seat{now, sub, sub.owner}
	r.mu.Unlock()
	if old.sub != nil {
		old.sub.end(anotherSubscription(id, shard))
	}
	sub.began(true)
	return nil
}

// young reports whether the last subscription of a consumer to a shard began so lately that it keeps others out.
func (r *seats) young(key consumerKeyOf, shard record.ShardID, now record.Millis) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of[key] == nil {
		return false
	}
	last, taken := r.of[key].at[shard]
	return taken && time.Duration(now-last.since)*time.Millisecond < r.gap
}

// leave frees the seat of sub, if it still has it.
func (r *seats) leave(sub *Subscription, now record.Millis) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.of[sub.key]
	if c == nil || c.at[sub.shard.key.Index].sub != sub {
		return
	}
	old := c.at[sub.shard.key.Index]
	c.at[sub.shard.key.Index] = seat{since: old.since, owner: old.owner}
	if c.free++; c.free <= mostFree {
		return
	}
	for shard, s := range c.at {
		if s.sub == nil && time.Duration(now-s.since)*time.Millisecond >= r.gap {
			delete(c.at, shard)
			c.free--
		}
	}
}

// close ends all subscriptions of a consumer that is gone.
func (r *seats) close(key consumerKeyOf, why error) {
	r.mu.Lock()
	c := r.of[key]
	delete(r.of, key)
	r.mu.Unlock()
	if c == nil {
		return
	}
	for _, s := range c.at { // nobody else has it any more
		if s.sub != nil {
			s.sub.end(why)
		}
	}
	c.meter.release()
}

// closeGone ends the subscriptions of the consumers that sn has lost against old; sn nil: the stream is gone.
func (s *Streams) closeGone(old, sn *snapshot) {
	for _, c := range old.consumers {
		key := keyOf(old, c)
		switch {
		case sn == nil || sn.info.Status == Deleting:
			s.seats.close(key, s.notFound(old.info.Name))
		case !sn.serves(key):
			s.seats.close(key, consumerMissing(ConsumerID{old.info.Name, c.name, c.seconds()}))
		}
	}
}

// EndSubscriptions ends all subscriptions and refuses new ones, because the server stops.
func (s *Streams) EndSubscriptions() {
	r := &s.seats
	r.mu.Lock()
	r.stopped = true
	var all []*Subscription
	for _, c := range r.of {
		for _, s := range c.at {
			if s.sub != nil {
				all = append(all, s.sub)
			}
		}
	}
	r.mu.Unlock()
	for _, sub := range all {
		sub.end(errStopping)
	}
}
