package stream

import (
	"context"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Hold begins a subscription whose owner reads by itself, from any position: see Read and Changed. It competes for the
// seat as Subscribe does, but an owner may take over from itself at any time. The caller must Close it. id is the
// number of the stream, as names are given again. Faults: as Subscribe.
func (s *Streams) Hold(
	ctx context.Context, id uint32, of ConsumerID, owner string, shard record.ShardID,
) (*Subscription, error) {
	sn, c, err := s.findConsumer(ctx, of)
	if err != nil {
		return nil, err
	}
	if sn.info.ID != id {
		return nil, consumerMissing(of)
	}
	now := s.now()
	if c.status(sn.info.Status, now) != Active {
		return nil, consumerNotReady(sn, c)
	}
	sh, ok := sn.live(shard, now)
	if !ok {
		return nil, s.shardMissing(sn.info.Name, shard)
	}
	return s.subscribe(sn, c, sh, 1, owner)
}

// Read is Streams.Read for as long as the subscription lasts, and counts as an event of it. After its end it returns
// what Next would.
func (sub *Subscription) Read(
	ctx context.Context, from record.Position, limit storage.Limit, visit func(record.Record),
) (record.Position, storage.End, error) {
	var got reading
	next, end, err := sub.read(ctx, from, limit, &got, visit)
	if err == nil && got.records > 0 {
		behind := int64(0)
		if end.Kind == storage.More {
			behind = max(int64(sub.s.now()-got.last), 0)
		}
		sub.measure(&got, behind)
	}
	return next, end, err
}

// Changed is Streams.Changed of the shard, and tells also of the end of the subscription. Take it before Read.
func (sub *Subscription) Changed() <-chan struct{} {
	changed := sub.s.Changed(sub.key.stream, sub.shard.key.Index)
	sub.mu.Lock()
	defer sub.mu.Unlock()
	switch {
	case sub.why != nil:
		return closedChannel
	case sub.waits == changed:
		return sub.either
	}
	either := make(chan struct{})
	sub.waits, sub.either = changed, either
	go func() { // at most one for each change, which ends with it
		select {
		case <-changed:
		case <-sub.ended:
		}
		close(either)
	}()
	return either
}
