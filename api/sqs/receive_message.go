package sqs

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/queue"
	"github.com/shardmill/shardmill/fault"
)

type message struct {
	MessageID           string                    `json:"MessageId"`
	ReceiptHandle       string                    `json:"ReceiptHandle"`
	MD5OfBody           string                    `json:"MD5OfBody"`
	Body                string                    `json:"Body"`
	Attributes          map[string]string         `json:"Attributes,omitempty"`
	MD5OfUserAttributes string                    `json:"MD5OfMessageAttributes,omitempty"`
	UserAttributes      map[string]attributeValue `json:"MessageAttributes,omitempty"`
}

type receiveMessageAnswer struct {
	Messages []message `json:"Messages,omitempty"`
}

// systemAttributes are the names that a receive may ask for. Those of FIFO queues, dead letters and tracing are never
// set here.
var systemAttributes = []string{
	"All", "SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp",
	"SequenceNumber", "MessageDeduplicationId", "MessageGroupId", "AWSTraceHeader", "DeadLetterQueueSourceArn",
}

// receiveMessage hands out messages, waiting for a first one if asked to. Source: SQS API Reference, ReceiveMessage.
func (h *Handler) receiveMessage(ctx context.Context, c wire.Caller, p params) (any, error) {
	name, err := h.queue(ctx, c, p)
	if err != nil {
		return nil, err
	}
	if err := p.refuse("ReceiveRequestAttemptId"); err != nil {
		return nil, err
	}
	in := queue.ReceiveInput{Max: 1}
	most, err := p.integer("MaxNumberOfMessages")
	if err != nil {
		return nil, err
	}
	if most != nil {
		in.Max = *most
	}
	if in.VisibilityTimeout, err = p.seconds("VisibilityTimeout"); err != nil {
		return nil, err
	}
	if in.Wait, err = p.seconds("WaitTimeSeconds"); err != nil {
		return nil, err
	}
	system, user, err := p.wantedAttributes()
	if err != nil {
		return nil, err
	}
	received, err := h.queues.Receive(ctx, name, in)
	if err != nil {
		return nil, err
	}
	var out receiveMessageAnswer
	for _, r := range received {
		out.Messages = append(out.Messages, onTheWire(r, system, user))
	}
	return out, nil
}

// wantedAttributes reads which attributes the receiver wants to see. AttributeNames is the older name of
// MessageSystemAttributeNames; both count.
func (p params) wantedAttributes() (system, user []string, err error) {
	var older []string
	if err := decode(p, "AttributeNames", &older); err != nil {
		return nil, nil, err
	}
	if err := decode(p, "MessageSystemAttributeNames", &system); err != nil {
		return nil, nil, err
	}
	if err := decode(p, "MessageAttributeNames", &user); err != nil {
		return nil, nil, err
	}
	system = append(system, older...)
	for _, n := range system {
		if !slices.Contains(systemAttributes, n) {
			return nil, nil, fault.New(queue.CodeUnknownAttribute, "Unknown Attribute %s.", clip(n))
		}
	}
	return system, user, nil
}

func onTheWire(r queue.Received, system, user []string) message {
	m := message{MessageID: r.MessageID, ReceiptHandle: r.ReceiptHandle, Body: r.Body, MD5OfBody: md5Hex(r.Body)}
	for name, value := range map[string]string{
		"SenderId":                         r.Sender,
		"SentTimestamp":                    strconv.FormatInt(r.Sent.UnixMilli(), 10),
		"ApproximateReceiveCount":          strconv.Itoa(r.Receives),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(r.First.UnixMilli(), 10),
	} {
		if slices.Contains(system, name) || slices.Contains(system, "All") {
			if m.Attributes == nil {
				m.Attributes = make(map[string]string)
			}
			m.Attributes[name] = value
		}
	}
	var shown []queue.Attribute
	for _, a := range r.Attributes {
		if wants(user, a.Name) {
			shown = append(shown, a)
		}
	}
	m.MD5OfUserAttributes = md5OfAttributes(shown)
	if len(shown) > 0 {
		m.UserAttributes = make(map[string]attributeValue, len(shown))
	}
	for _, a := range shown {
		v := attributeValue{DataType: a.Type}
		if a.Binary() {
			v.BinaryValue = a.Value
		} else {
			v.StringValue = new(string(a.Value))
		}
		m.UserAttributes[a.Name] = v
	}
	return m
}

// wants reports whether names, or a prefix among them (foo.* or foo*), or All, or .*, mean the attribute.
func wants(names []string, attribute string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		if n == attribute || n == "All" {
			return true
		}
		prefix, ok := strings.CutSuffix(n, "*")
		return ok && strings.HasPrefix(attribute, strings.TrimSuffix(prefix, "."))
	})
}
