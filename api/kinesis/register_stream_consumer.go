package kinesis

import (
	"context"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/stream"
)

type consumerShape struct {
	ConsumerARN               string
	ConsumerCreationTimestamp seconds
	ConsumerName              string
	ConsumerStatus            stream.Status
	StreamARN                 string `json:",omitempty"` // only in descriptions
}

func consumerOf(c *stream.Consumer) consumerShape {
	return consumerShape{
		ConsumerARN: c.ARN(), ConsumerCreationTimestamp: secondsOf(c.Created), ConsumerName: c.ID.Name,
		ConsumerStatus: c.Status,
	}
}

// registerStreamConsumer serves RegisterStreamConsumer. The answer shows the consumer CREATING, as AWS's does, whatever
// it is by then.
func (h *handler) registerStreamConsumer(ctx context.Context, c *call) error {
	f := c.request("StreamARN", "ConsumerName", "Tags")
	arn, name, tags := f.str("StreamARN"), f.str("ConsumerName"), f.texts("Tags")
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.streamARN(arn, required)
	v.name("consumerName", name, required)
	v.tags(tags, optional)
	if err := v.Err(); err != nil {
		return err
	}
	of, err := c.address(nil, arn)
	if err != nil {
		return err
	}
	var values map[string]string
	if tags != nil {
		values = tags.values
	}
	made, err := h.streams.RegisterConsumer(ctx, of, *name, values)
	if err != nil {
		return err
	}
	made.Status = stream.Creating
	return c.answer(struct{ Consumer consumerShape }{consumerOf(&made)})
}

// consumer returns the consumer that a request means by ARN, by stream and name, or by all of them.
func (c *call) consumer() (stream.ConsumerID, error) {
	f := c.request("StreamARN", "ConsumerName", "ConsumerARN")
	ofStream, name, arn := f.str("StreamARN"), f.str("ConsumerName"), f.str("ConsumerARN")
	if *f.err != nil {
		return stream.ConsumerID{}, *f.err
	}

	var v constraints
	v.streamARN(ofStream, optional)
	v.name("consumerName", name, optional)
	v.consumerARN(arn, optional)
	if err := v.Err(); err != nil {
		return stream.ConsumerID{}, err
	}
	if arn == nil && (ofStream == nil || name == nil) {
		return stream.ConsumerID{}, fault.New(codeInvalid,
			"Either ConsumerARN or both StreamARN and ConsumerName should be provided.")
	}
	var of stream.Name
	var err error
	if ofStream != nil {
		if of, err = c.resolve(nil, ofStream); err != nil {
			return stream.ConsumerID{}, err
		}
	}
	if arn == nil {
		id := stream.ConsumerNamed(of, *name)
		return id, c.authorizeConsumer(id)
	}
	id, err := c.consumerByARN(*arn)
	if err != nil {
		return stream.ConsumerID{}, err
	}
	if ofStream != nil && of != id.Stream || name != nil && *name != id.Name {
		return stream.ConsumerID{}, fault.New(codeInvalid,
			"ConsumerARN, StreamARN and ConsumerName do not refer to the same consumer.")
	}
	return id, nil
}

// consumerByARN returns the consumer that an ARN means. Faults: as AuthorizeConsumer, and InvalidArgumentException.
func (c *call) consumerByARN(text string) (stream.ConsumerID, error) {
	id, hint, err := stream.ParseConsumerARN(text, c.caller.Account)
	if err != nil {
		return stream.ConsumerID{}, err
	}
	c.hint = hint
	return id, c.authorizeConsumer(id)
}
