package kinesis

import (
	"context"
	"strconv"

	"github.com/shardmill/shardmill/internal/base64"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// getRecords serves GetRecords. Records go from storage straight into the answer.
func (h *handler) getRecords(ctx context.Context, c *call) error {
	f := c.request("ShardIterator", "Limit", "StreamARN")
	token, limit, arn := f.str("ShardIterator"), f.integer("Limit"), f.str("StreamARN")
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
	in := stream.GetRecordsInput{Iterator: *token, Limit: int(or(limit))}
	if arn != nil {
		target, err := c.address(nil, arn)
		if err != nil {
			return err
		}
		in.Stream = &target
	}

	var shard *stream.ShardInfo
	out := append(c.out, `{"Records":[`...)
	first := true
	end, err := h.streams.GetRecords(ctx, in,
		func(s *stream.ShardInfo) { shard = s },
		func(r record.Record) {
			if !first {
				out = append(out, ',')
			}
			first = false
			out = appendRecord(out, shard, &r)
		})
	c.out = out
	if err != nil {
		return err
	}
	out = append(out, `],"MillisBehindLatest":`...)
	out = strconv.AppendInt(out, end.Behind, 10)
	if end.Next != "" {
		out = append(out, `,"NextShardIterator":"`...)
		out = append(append(out, end.Next...), '"')
	}
	c.out = append(appendChildren(out, end.Children), '}')
	return nil
}

func appendRecord(out []byte, shard *stream.ShardInfo, r *record.Record) []byte {
	out = append(out, `{"ApproximateArrivalTimestamp":`...)
	out = appendSeconds(out, r.Arrival)
	out = append(out, `,"Data":"`...)
	out = base64.AppendEncode(out, r.Data)
	out = append(out, `","PartitionKey":`...)
	out = appendString(out, r.Key)
	out = append(out, `,"SequenceNumber":"`...)
	out = shard.AppendSequenceNumber(out, r.Pos, r.Arrival)
	return append(out, `"}`...)
}

// appendChildren appends the member that only the end of a shard has.
func appendChildren(out []byte, children []stream.Child) []byte {
	for i, child := range children {
		if i == 0 {
			out = append(out, `,"ChildShards":[`...)
		} else {
			out = append(out, ',')
		}
		out = append(out, `{"ShardId":"`...)
		out = append(appendShardID(out, child.ID), `","ParentShards":["`...)
		for j, p := range child.Parents {
			if j > 0 {
				out = append(out, `","`...)
			}
			out = appendShardID(out, p)
		}
		out = append(out, `"],"HashKeyRange":{"StartingHashKey":"`...)
		out = append(append(out, child.Range.Start.String()...), `","EndingHashKey":"`...)
		out = append(append(out, child.Range.End.String()...), `"}}`...)
	}
	if len(children) > 0 {
		out = append(out, ']')
	}
	return out
}
