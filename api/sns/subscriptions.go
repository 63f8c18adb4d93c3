package sns

import (
	"context"
	"slices"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/topic"
	"github.com/shardmill/shardmill/internal/arn"
)

// otherProtocols are those that AWS delivers by and this room does not.
var otherProtocols = []string{"application", "email", "email-json", "firehose", "http", "https", "lambda", "sms"}

type subscriptionArnXML struct {
	SubscriptionArn string
}

// subscribe subscribes a queue to a topic. Source: SNS API Reference, Subscribe.
func (h *Handler) subscribe(ctx context.Context, c wire.Caller, r *request) (any, error) {
	if err := r.need("TopicArn", "Protocol"); err != nil {
		return nil, err
	}
	name, err := r.topic("TopicArn")
	if err != nil {
		return nil, err
	}
	switch protocol := r.Get("Protocol"); {
	case protocol == "sqs":
	case slices.Contains(otherProtocols, protocol):
		return nil, absent.Parameter(topic.CodeInvalid, "the protocol "+protocol)
	default:
		return nil, topic.Invalid("Amazon SNS does not support this protocol string: %s", clip(protocol))
	}
	endpoint := r.Get("Endpoint")
	if a, ok := arn.Parse(endpoint); ok {
		if a.Account, ok = r.fold(a.Account); ok {
			endpoint = a.String()
		}
		if ok && a.Service == "sqs" && a.Account != c.Account {
			return nil, topic.Invalid(
				"Endpoint Reason: the queue %s is of another account, which has to subscribe it itself", clip(endpoint),
			)
		}
	}
	s, err := h.topics.Subscribe(ctx, name, c.Account, endpoint, r.entries("Attributes"))
	if err != nil {
		return nil, named(err)
	}
	return subscriptionArnXML{s.ARN()}, nil
}

// confirmSubscription confirms nothing: a queue of ours needs no confirmation, so that no token was ever given out.
// Source: SNS API Reference, ConfirmSubscription.
func (h *Handler) confirmSubscription(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	if err := r.need("TopicArn", "Token"); err != nil {
		return nil, err
	}
	name, err := r.topic("TopicArn")
	if err != nil {
		return nil, err
	}
	if _, err := h.topics.Attributes(ctx, name); err != nil {
		return nil, err
	}
	return nil, topic.Invalid("Token").WithHint("subscriptions of queues are confirmed from the start; there is no token")
}

// unsubscribe ends a subscription. Source: SNS API Reference, Unsubscribe.
func (h *Handler) unsubscribe(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	name, id, err := r.subscription()
	if err != nil {
		return nil, err
	}
	if id == "" {
		return nil, topic.Invalid("SubscriptionId")
	}
	return nil, h.topics.Unsubscribe(ctx, name, id)
}

type subscriptionXML struct {
	SubscriptionArn string
	Owner           string
	Protocol        string
	Endpoint        string
	TopicArn        string
}

type listSubscriptionsAnswer struct {
	Subscriptions []subscriptionXML `xml:"Subscriptions>member"`
	NextToken     string            `xml:",omitempty"`
}

// listSubscriptions lists the subscriptions of the caller's topics in the region. Source: SNS API Reference,
// ListSubscriptions.
func (h *Handler) listSubscriptions(ctx context.Context, c wire.Caller, r *request) (any, error) {
	return h.list(ctx, r, topic.Scope{Account: c.Account, Region: c.Region})
}

// listSubscriptionsByTopic lists the subscriptions of a topic. Source: SNS API Reference, ListSubscriptionsByTopic.
func (h *Handler) listSubscriptionsByTopic(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	name, err := r.topic("TopicArn")
	if err != nil {
		return nil, err
	}
	return h.list(ctx, r, topic.Scope{Account: name.Account, Region: name.Region, Topic: name.Name})
}

func (h *Handler) list(ctx context.Context, r *request, of topic.Scope) (any, error) {
	behind, err := r.behind()
	if err != nil {
		return nil, err
	}
	page, last, err := h.topics.Subscriptions(ctx, of, behind, pageSize)
	if err != nil {
		return nil, err
	}
	a := listSubscriptionsAnswer{NextToken: next(last)}
	for _, s := range page {
		a.Subscriptions = append(a.Subscriptions, subscriptionXML{s.ARN(), s.Owner, "sqs", s.Queue, s.Topic.ARN()})
	}
	return a, nil
}

// getSubscriptionAttributes shows a subscription. Source: SNS API Reference, GetSubscriptionAttributes.
func (h *Handler) getSubscriptionAttributes(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	name, id, err := r.subscription()
	if err != nil {
		return nil, err
	}
	attributes, err := h.topics.SubscriptionAttributes(ctx, name, id)
	if err != nil {
		return nil, err
	}
	return attributesOf(attributes), nil
}

// setSubscriptionAttributes changes one attribute of a subscription. Source: SNS API Reference,
// SetSubscriptionAttributes.
func (h *Handler) setSubscriptionAttributes(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	if err := r.need("SubscriptionArn", "AttributeName"); err != nil {
		return nil, err
	}
	name, id, err := r.subscription()
	if err != nil {
		return nil, err
	}
	return nil, named(
		h.topics.SetSubscriptionAttribute(ctx, name, id, r.Get("AttributeName"), r.Get("AttributeValue")),
	)
}
