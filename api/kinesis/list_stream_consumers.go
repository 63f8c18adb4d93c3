package kinesis

import (
	"context"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/stream"
)

// listStreamConsumers serves ListStreamConsumers: at most 100 consumers, by name.
func (h *handler) listStreamConsumers(ctx context.Context, c *call) error {
	f := c.request("StreamARN", "NextToken", "MaxResults", "StreamCreationTimestamp")
	arn, token := f.str("StreamARN"), f.str("NextToken")
	limit, created := f.integer("MaxResults"), f.timestamp("StreamCreationTimestamp")
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.streamARN(arn, required)
	v.text("nextToken", token, optional, nil, 1, maxToken)
	v.number("maxResults", limit, optional, 1, 10000)
	if err := v.Err(); err != nil {
		return err
	}
	if token != nil && created != nil {
		return fault.New(codeInvalid, "NextToken and StreamCreationTimestamp cannot be provided together.")
	}
	of, err := c.address(nil, arn)
	if err != nil {
		return err
	}
	page, next, err := h.streams.ListConsumers(ctx, of, stream.ListConsumersInput{
		Token: or(token), Created: created, Limit: int(or(limit)),
	})
	if err != nil {
		return err
	}
	shapes := make([]consumerShape, len(page))
	for i := range page {
		shapes[i] = consumerOf(&page[i])
	}
	return c.answer(struct {
		Consumers []consumerShape
		NextToken string `json:",omitempty"`
	}{shapes, next})
}
