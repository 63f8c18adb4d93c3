package kinesis

import (
	"context"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// putRecordInput is PutRecord decoded; data and key may point into memory that lasts as long as the call.
type putRecordInput struct {
	entry
	name, ordering, arn *string
}

// putRecord serves PutRecord. Well-formed requests of the common kind have a decoder of their own, which needs no other
// check.
func (h *handler) putRecord(ctx context.Context, c *call) error {
	d := c.in.decoder()
	defer d.release()
	in, ok := d.putRecord(c.body)
	if !ok {
		var err error
		if in, err = decodePutRecord(c); err != nil {
			return err
		}
	}
	return h.finishPutRecord(ctx, c, &in)
}

// decodePutRecord decodes any PutRecord, or returns what is wrong with it.
func decodePutRecord(c *call) (in putRecordInput, err error) {
	f := c.request(
		"StreamName", "Data", "PartitionKey", "ExplicitHashKey", "SequenceNumberForOrdering", "StreamARN", "DryRun",
	)
	in.name = f.str("StreamName")
	in.entry = f.entry()
	in.ordering, in.arn = f.str("SequenceNumberForOrdering"), f.str("StreamARN")
	f.refuseDryRun()
	return in, *f.err
}

func (h *handler) finishPutRecord(ctx context.Context, c *call, in *putRecordInput) error {
	var v constraints
	v.name("streamName", in.name, optional)
	in.check(&v, "")
	v.text("sequenceNumberForOrdering", in.ordering, optional, seqPattern, 0, 0)
	v.streamARN(in.arn, optional)
	if err := v.Err(); err != nil {
		return err
	}
	target, err := c.address(in.name, in.arn)
	if err != nil {
		return err
	}
	c.placed, err = h.streams.PutRecord(ctx, target, stream.PutRecordInput{
		Record:  record.Record{Key: string(in.key), Data: in.data},
		HashKey: string(in.hash), Ordering: or(in.ordering),
	})
	if err != nil {
		return err
	}
	out := c.in.place(c.in.beginMap(c.out), &c.placed)
	if c.placed.Encrypted {
		out = c.in.string(c.in.name(out, "EncryptionType"), string(stream.KMS))
	}
	c.out = c.in.endMap(out)
	return nil
}
