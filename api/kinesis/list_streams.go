package kinesis

import (
	"context"

	"github.com/shardmill/shardmill/stream"
)

type streamSummary struct {
	StreamARN               string
	StreamCreationTimestamp seconds
	StreamModeDetails       streamMode
	StreamName              string
	StreamStatus            stream.Status
}

// listStreams serves ListStreams: at most 100 names of the caller's account and region, sorted, with NextToken whenever
// more follow.
func (h *handler) listStreams(ctx context.Context, c *call) error {
	f := c.request("Limit", "ExclusiveStartStreamName", "NextToken")
	limit, after, token := f.integer("Limit"), f.str("ExclusiveStartStreamName"), f.str("NextToken")
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.number("limit", limit, optional, 1, 10000)
	v.name("exclusiveStartStreamName", after, optional)
	v.text("nextToken", token, optional, nil, 1, maxToken)
	if err := v.Err(); err != nil {
		return err
	}
	if err := c.admit(); err != nil {
		return err
	}
	page, next, err := h.streams.List(ctx, c.caller.Account, c.caller.Region, stream.ListInput{
		After: or(after), Token: or(token), Limit: int(or(limit)),
	})
	if err != nil {
		return err
	}
	names, summaries := make([]string, len(page)), make([]streamSummary, len(page))
	for i, info := range page {
		names[i] = info.Name.Name
		summaries[i] = streamSummary{
			info.ARN, secondsOf(info.Created), streamMode{info.Mode}, info.Name.Name, info.Status,
		}
	}
	return c.answer(struct {
		HasMoreStreams  bool
		NextToken       string `json:",omitempty"`
		StreamNames     []string
		StreamSummaries []streamSummary
	}{next != "", next, names, summaries})
}

// maxToken is the longest list token that the model allows, in characters.
const maxToken = 1048576
