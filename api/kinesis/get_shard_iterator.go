package kinesis

import (
	"context"

	"github.com/shardmill/shardmill/stream"
)

// iteratorTypes are the ways to begin, in the order of AWS's messages.
var iteratorTypes = []string{
	string(stream.IterAfter), string(stream.IterLatest), string(stream.IterAtTimestamp), string(stream.IterAt),
	string(stream.IterTrimHorizon),
}

// getShardIterator serves GetShardIterator, all five types.
func (h *handler) getShardIterator(ctx context.Context, c *call) error {
	f := c.request(
		"StreamName", "ShardId", "ShardIteratorType", "StartingSequenceNumber", "Timestamp", "StreamARN", "DryRun",
	)
	name, shard, kind, sequence := f.str("StreamName"), f.str("ShardId"), f.str("ShardIteratorType"), f.str(
		"StartingSequenceNumber",
	)
	at, arn := f.timestamp("Timestamp"), f.str("StreamARN")
	f.refuseDryRun()
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.name("streamName", name, optional)
	v.name("shardId", shard, required)
	v.enum("shardIteratorType", kind, required, iteratorTypes...)
	v.text("startingSequenceNumber", sequence, optional, seqPattern, 0, 0)
	target, err := c.target(&v, name, arn)
	if err != nil {
		return err
	}
	token, err := h.streams.Iterator(ctx, target, stream.IteratorInput{
		Shard: *shard, Type: stream.IteratorType(*kind), Sequence: or(sequence), Timestamp: at,
	})
	if err != nil {
		return err
	}
	return c.answer(struct{ ShardIterator string }{token})
}
