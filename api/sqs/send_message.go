package sqs

import (
	"context"
	"maps"
	"slices"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/queue"
	"github.com/shardmill/shardmill/fault"
)

// attributeValue is MessageAttributeValue on the wire.
type attributeValue struct {
	DataType         string   `json:"DataType"`
	StringValue      *string  `json:"StringValue,omitempty"`
	BinaryValue      []byte   `json:"BinaryValue,omitempty"`
	StringListValues []string `json:"StringListValues,omitempty"`
	BinaryListValues [][]byte `json:"BinaryListValues,omitempty"`
}

type sendMessageAnswer struct {
	MessageID           string `json:"MessageId"`
	MD5OfBody           string `json:"MD5OfMessageBody"`
	MD5OfUserAttributes string `json:"MD5OfMessageAttributes,omitempty"`
}

// sendMessage stores one message. Source: SQS API Reference, SendMessage. System attributes and message groups are
// refused by name.
func (h *Handler) sendMessage(ctx context.Context, c wire.Caller, p params) (any, error) {
	name, err := h.queue(ctx, c, p)
	if err != nil {
		return nil, err
	}
	if err := p.refuse("MessageSystemAttributes", "MessageGroupId"); err != nil {
		return nil, err
	}
	var m queue.Message
	var dedup *string
	if err := decode(p, "MessageDeduplicationId", &dedup); err != nil {
		return nil, err
	}
	if dedup != nil {
		return nil, fault.New(queue.CodeInvalidParameter,
			"Value %s for parameter MessageDeduplicationId is invalid. Reason: The request includes a parameter that is not valid for this queue type.",
			clip(*dedup))
	}
	if err := decode(p, "MessageBody", &m.Body); err != nil {
		return nil, err
	}
	if m.Delay, err = p.seconds("DelaySeconds"); err != nil {
		return nil, err
	}
	var values map[string]attributeValue
	if err := decode(p, "MessageAttributes", &values); err != nil {
		return nil, err
	}
	if m.Attributes, err = userAttributes(values); err != nil {
		return nil, err
	}
	m.Sender = c.Account
	sent, err := h.queues.Send(ctx, name, m)
	if err != nil {
		return nil, err
	}
	return sendMessageAnswer{sent.MessageID, md5Hex(m.Body), md5OfAttributes(m.Attributes)}, nil
}

// userAttributes turns the map of the wire into attributes, in the order of their names.
func userAttributes(values map[string]attributeValue) ([]queue.Attribute, error) {
	out := make([]queue.Attribute, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		v := values[name]
		if v.StringListValues != nil || v.BinaryListValues != nil {
			return nil, fault.New(
				queue.CodeUnsupported, "Message attribute list values in SendMessage operation are not supported.",
			)
		}
		a := queue.Attribute{Name: name, Type: v.DataType, Value: v.BinaryValue}
		switch {
		case a.Binary() && v.StringValue != nil, !a.Binary() && v.BinaryValue != nil:
			return nil, fault.New(
				queue.CodeInvalidParameter, "The message attribute '%s' with type '%s' must use field '%s'.",
				clip(name), clip(v.DataType), fieldOf(a),
			)
		case v.StringValue != nil:
			a.Value = []byte(*v.StringValue)
		}
		out = append(out, a)
	}
	return out, nil
}

func fieldOf(a queue.Attribute) string {
	if a.Binary() {
		return "Binary"
	}
	return "String"
}
