package kinesis

import (
	"context"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// getRecords serves GetRecords. Records go from storage straight into the answer.
func (h *handler) getRecords(ctx context.Context, c *call) error {
	f := c.request("ShardIterator", "Limit", "StreamARN", "DryRun")
	token, limit, arn := f.str("ShardIterator"), f.integer("Limit"), f.str("StreamARN")
	f.refuseDryRun()
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.text("shardIterator", token, required, nil, 1, 512)
	v.number("limit", limit, optional, 1, stream.MaxReadRecords)
	v.streamARN(arn, optional)
	if err := v.Err(); err != nil {
		return err
	}
	in := stream.GetRecordsInput{Iterator: *token, Limit: int(or(limit)), Caller: c.who()}
	if arn != nil {
		target, err := c.address(nil, arn)
		if err != nil {
			return err
		}
		in.Stream = &target
	}

	var shard *stream.ShardInfo
	var kept record.Record // one for all, as what an interface is given is on the heap
	w := c.in
	out := w.beginList(w.name(w.beginMap(c.out), "Records"))
	end, err := h.streams.GetRecords(ctx, in,
		func(s *stream.ShardInfo) { shard = s },
		func(r record.Record) {
			kept = r
			out = w.record(w.element(out), shard, &kept)
		})
	c.out = out
	if err != nil {
		return err
	}
	out = w.number(w.name(w.endList(out), "MillisBehindLatest"), end.Behind)
	if end.Next != "" {
		out = w.string(w.name(out, "NextShardIterator"), end.Next)
	}
	c.out = w.endMap(appendChildren(w, out, end.Children))
	return nil
}

// appendChildren appends the member that only the end of a shard has.
func appendChildren(w encoding, out []byte, children []stream.Child) []byte {
	if len(children) == 0 {
		return out
	}
	out = w.beginList(w.name(out, "ChildShards"))
	for _, child := range children {
		out = w.string(w.name(w.beginMap(w.element(out)), "ShardId"), child.ID.String())
		out = w.beginList(w.name(out, "ParentShards"))
		for _, p := range child.Parents {
			out = w.string(w.element(out), p.String())
		}
		out = w.beginMap(w.name(w.endList(out), "HashKeyRange"))
		out = w.string(w.name(out, "StartingHashKey"), child.Range.Start.String())
		out = w.string(w.name(out, "EndingHashKey"), child.Range.End.String())
		out = w.endMap(w.endMap(out))
	}
	return w.endList(out)
}
