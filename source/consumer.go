package source

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/stream"
)

// Consumer is a Kinesis data stream that is read by a registered consumer (enhanced fan-out): its records are pushed.
// Each shard that is read has a subscription of the consumer, which another reader may take over and which is renewed
// when its five minutes are over.
type Consumer struct {
	*Kinesis
	id    stream.ConsumerID
	arn   string
	owner string

	mu      sync.Mutex
	held    map[record.ShardID]*stream.Subscription
	refused map[record.ShardID]error // what Changed was told, for the Read that follows it
}

var _ Source = (*Consumer)(nil)

// NewConsumer returns a consumer of the stream with a numeric id as a source; payloads show its arn and region, notices
// the ARN of the stream. owner tells who reads, across restarts of the reading.
func NewConsumer(streams *stream.Streams, id uint32, arn, region, owner string) *Consumer {
	c := &Consumer{
		arn: arn, owner: owner, held: map[record.ShardID]*stream.Subscription{}, refused: map[record.ShardID]error{},
	}
	c.id, _, _ = stream.ParseConsumerARN(arn, "") // no consumer has an ARN that cannot be read
	c.Kinesis = NewKinesis(streams, id, arn, region)
	c.Kinesis.notices = c.id.Stream.ARN()
	return c
}

// Shards lists the shards of the stream. A consumer that is gone is as a stream that is gone.
func (c *Consumer) Shards(ctx context.Context) ([]Shard, error) {
	found, err := c.streams.Consumer(ctx, c.id)
	if fault.CodeOf(err) == fault.CodeNotFound || err == nil && found.Status == stream.Deleting {
		return nil, fault.New(fault.CodeNotFound, "Stream consumer not found: %s", c.arn)
	}
	if err != nil {
		return nil, err
	}
	return c.Kinesis.Shards(ctx)
}

// Read visits durable records, as events of the subscription, which it begins if there is none. Fault:
// ResourceInUseException while another reader has the place of the consumer.
func (c *Consumer) Read(
	ctx context.Context, shard record.ShardID, from record.Position, limit storage.Limit, visit func(record.Record),
) (record.Position, storage.End, error) {
	for {
		sub, err := c.subscription(ctx, shard)
		if err != nil {
			return from, storage.End{}, err
		}
		next, end, err := sub.Read(ctx, from, limit, visit)
		if !errors.Is(err, io.EOF) {
			return next, end, err
		}
		// its time is over: the next one goes on at the same place
	}
}

// subscription returns the subscription to a shard, a new one if the last has ended.
func (c *Consumer) subscription(ctx context.Context, shard record.ShardID) (*stream.Subscription, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.refused[shard]; err != nil {
		delete(c.refused, shard)
		return nil, err
	}
	sub := c.held[shard]
	if sub != nil {
		if sub.Ended() == nil {
			return sub, nil
		}
		sub.Close()
		delete(c.held, shard)
	}
	sub, err := c.streams.Hold(ctx, c.Kinesis.id, c.id, c.owner, shard)
	if err == nil {
		c.held[shard] = sub
	}
	return sub, err
}

// Changed returns a channel that is closed at the next change of the shard, and when the subscription ends. It begins
// the subscription for the Read that follows; if that is refused, so is that Read, without another try.
func (c *Consumer) Changed(shard record.ShardID) <-chan struct{} {
	sub, err := c.subscription(context.Background(), shard) // it is in memory
	if err != nil {
		c.mu.Lock()
		c.refused[shard] = err
		c.mu.Unlock()
		return c.Kinesis.Changed(shard)
	}
	return sub.Changed()
}

// Release ends the subscription to a shard.
func (c *Consumer) Release(shard record.ShardID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.refused, shard)
	if sub := c.held[shard]; sub != nil {
		delete(c.held, shard)
		sub.Close()
	}
}

// Pushed reports true.
func (c *Consumer) Pushed() bool { return true }

// Again returns the stream without the consumer, for reading what it has been pushed once before.
func (c *Consumer) Again() Source { return c.Kinesis }
