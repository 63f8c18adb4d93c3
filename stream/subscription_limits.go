package stream

import (
	"context"
	"fmt"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
)

// subscribeCalls is how often a consumer may try to subscribe to a shard, in a second. Source: Kinesis API Reference,
// SubscribeToShard.
const subscribeCalls = 1

// admitSubscription refuses one more call for a consumer and shard within a second, if rates are limited. While a
// subscription keeps others out, that is what the caller is told instead.
func (s *Streams) admitSubscription(sn *snapshot, c *consumer, sh *shard, now record.Millis) error {
	if s.limits == nil || s.seats.young(keyOf(sn, c), sh.key.Index, now) {
		return nil
	}
	key := fmt.Sprintf("SubscribeToShard/%d/%s/%d/%d", sn.info.ID, c.name, c.created, sh.key.Index)
	if s.limits.call(key, subscribeCalls, s.clock.Now()) {
		return nil
	}
	name := sn.info.Name
	return fault.New(codeLimit, "Rate exceeded for stream %s under account %s.", name.Name, name.Account)
}

// leastPace is the shortest pause between events; shorter ones add up.
const leastPace = 10 * time.Millisecond

// pace waits until the reader may be told more: 2 MiB a second, if rates are limited. A subscription that ends
// meanwhile is no error: the read that follows says why.
func (sub *Subscription) pace(ctx context.Context) error {
	if sub.s.limits == nil {
		return nil
	}
	pause := time.Duration(sub.paced - sub.s.clock.Now().UnixNano())
	if pause > time.Duration(spent(MaxReadBytes, readBytes)) {
		sub.paced, pause = 0, 0 // the clock was set back
	}
	if pause < leastPace {
		return nil
	}
	over := make(chan struct{})
	timer := sub.s.clock.After(pause, func() { close(over) })
	defer timer.Stop()
	select {
	case <-over:
	case <-sub.ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// count counts what an event has brought.
func (sub *Subscription) count(bytes int) {
	if sub.s.limits != nil {
		sub.paced = max(sub.paced, sub.s.clock.Now().UnixNano()) + spent(bytes, readBytes)
	}
}
