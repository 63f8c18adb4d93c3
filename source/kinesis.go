package source

import (
	"context"
	"sync/atomic"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/stream"
)

// Kinesis is a Kinesis data stream of this server as a Source.
type Kinesis struct {
	streams *stream.Streams
	id      uint32
	arn     string
	region  string
	notices string                      // the ARN in notices; "": arn
	info    atomic.Pointer[stream.Info] // as last listed
}

var _ Source = (*Kinesis)(nil)

// NewKinesis returns the stream with a numeric id as a source; payloads show arn and region.
func NewKinesis(streams *stream.Streams, id uint32, arn, region string) *Kinesis {
	return &Kinesis{streams: streams, id: id, arn: arn, region: region}
}

// Shards lists the shards that are not expired.
func (k *Kinesis) Shards(ctx context.Context) ([]Shard, error) {
	info, ok, err := k.streams.LookupID(ctx, k.id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fault.New(fault.CodeNotFound, "Stream not found: %s", k.arn)
	}
	k.info.Store(info)
	out := make([]Shard, 0, len(info.Shards))
	for _, s := range info.Shards {
		sh := Shard{ID: s.ID, Range: s.Range}
		for _, p := range []*record.ShardID{s.Parent, s.AdjacentParent} {
			if p != nil {
				sh.Parents = append(sh.Parents, *p)
			}
		}
		out = append(out, sh)
	}
	return out, nil
}

// ShardsChanged returns a channel that is closed when the stream's shards change or the stream is deleted.
func (k *Kinesis) ShardsChanged() <-chan struct{} { return k.streams.ShardsChanged(k.id) }

// Read visits durable records. It counts as a read of the stream, as AWS's pollers do.
func (k *Kinesis) Read(
	ctx context.Context, shard record.ShardID, from record.Position, limit storage.Limit, visit func(record.Record),
) (record.Position, storage.End, error) {
	return k.streams.Poll(ctx, k.id, shard, from, limit, visit)
}

// Oldest returns the trim horizon.
func (k *Kinesis) Oldest(ctx context.Context, shard record.ShardID) (record.Position, error) {
	return k.streams.Resolve(ctx, k.id, shard, stream.Start{Kind: stream.TrimHorizon})
}

// Tip returns where the next record of a shard goes.
func (k *Kinesis) Tip(ctx context.Context, shard record.ShardID) (record.Position, bool, error) {
	return k.streams.Tip(ctx, k.id, shard)
}

// Changed returns a channel that is closed at the next change of the shard.
func (k *Kinesis) Changed(shard record.ShardID) <-chan struct{} {
	return k.streams.Changed(k.id, shard)
}

// Pushed reports false: it is polled.
func (k *Kinesis) Pushed() bool { return false }

// Release does nothing: no place is kept for a reader.
func (k *Kinesis) Release(record.ShardID) {}

// Format returns the payload format of a shard that Shards has listed.
func (k *Kinesis) Format(shard record.ShardID, roleARN string) Format {
	s, ok := k.info.Load().Shard(shard)
	if !ok {
		panic("source: the format of a shard that was not listed") // a bug of the caller
	}
	f := NewKinesisFormat(shard, k.arn, k.region, roleARN, s.AppendSequenceNumber)
	if k.notices != "" {
		f.StreamARN = k.notices
	}
	return f
}
