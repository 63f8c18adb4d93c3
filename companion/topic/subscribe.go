package topic

import (
	"context"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/ids"
	"github.com/shardmill/shardmill/storage"
)

// MaxSubscriptions bounds the subscriptions of a topic, all of which a Publish waits for. AWS's quota is 12,500,000.
const MaxSubscriptions = 1000

// Subscription is a queue that gets what is published to a topic.
type Subscription struct {
	Topic Name
	ID    string // UUID
	Owner string // the account that subscribed
	Queue string // ARN
	Raw   bool   // the message alone, without its envelope
}

// ARN returns the subscription's Amazon resource name.
func (s Subscription) ARN() string { return s.Topic.ARN() + ":" + s.ID }

// Subscribe subscribes a queue to a topic, durably, and returns the subscription; it needs no confirmation. Subscribing
// the same queue again returns the subscription that there is, unless a given attribute differs. Whether the queue
// exists is not looked at. Faults: NotFound, InvalidParameter, SubscriptionLimitExceeded; or Unsupported.
func (ts *Topics) Subscribe(
	ctx context.Context, name Name, owner, queueARN string, attributes map[string]string,
) (Subscription, error) {
	leave, err := ts.enter()
	if err != nil {
		return Subscription{}, err
	}
	defer leave()
	ts.change.Lock()
	defer ts.change.Unlock()
	switch _, there, err := ts.find(name); {
	case err != nil:
		return Subscription{}, err
	case !there:
		return Subscription{}, noTopic()
	}
	if err := checkQueue(queueARN); err != nil {
		return Subscription{}, err
	}
	s := Subscription{Topic: name, ID: ids.New(), Owner: owner, Queue: queueARN}
	for attribute, value := range attributes {
		if err := s.set(attribute, value, "Attributes"); err != nil {
			return Subscription{}, err
		}
	}
	all, err := ts.subscriptions(name)
	if err != nil {
		return Subscription{}, err
	}
	if i := slices.IndexFunc(all, func(o Subscription) bool { return o.Queue == queueARN }); i >= 0 {
		if _, given := attributes["RawMessageDelivery"]; given && all[i].Raw != s.Raw {
			return Subscription{}, Invalid("Attributes Reason: Subscription already exists with different attributes")
		}
		return all[i], nil
	}
	if len(all) >= MaxSubscriptions {
		return Subscription{}, fault.New(
			CodeSubscriptionLimit, "The topic has %d subscriptions, which is the limit of shardmill.", MaxSubscriptions,
		)
	}
	return s, ts.keep(ctx, "subscribe to topic "+name.ARN(), s)
}

// checkQueue refuses what is not the ARN of a standard queue.
func checkQueue(text string) error {
	a, ok := arn.Parse(text)
	switch {
	case !ok || a.Service != "sqs" || !arn.IsAccount(a.Account) || !validRegion(a.Region) ||
		a.Partition != arn.PartitionOf(a.Region):
		return Invalid("SQS endpoint ARN")
	case strings.HasSuffix(a.Resource, ".fifo"):
		return Invalid(
			"Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics",
		)
	case len(a.Resource) > 80 || !ValidTopicName(a.Resource):
		return Invalid("SQS endpoint ARN")
	}
	return nil
}

// set changes one attribute. parameter is how the request names it in a refusal.
func (s *Subscription) set(attribute, value, parameter string) error {
	switch attribute {
	case "RawMessageDelivery":
		switch strings.ToLower(value) {
		case "true", "false":
			s.Raw = strings.EqualFold(value, "true")
			return nil
		}
		return Invalid(
			"%s Reason: RawMessageDelivery: Invalid value [%s]. Must be true or false.", parameter,
			fault.Clip(value, 100),
		)
	case "DeliveryPolicy", "FilterPolicy", "FilterPolicyScope", "RedrivePolicy", "ReplayPolicy", "SubscriptionRoleArn":
		if value != "" {
			return &Unsupported{attribute}
		}
		return nil
	}
	if parameter == "Attributes" {
		return Invalid("Attributes Reason: Unknown attribute: %s", fault.Clip(attribute, 100))
	}
	return Invalid("AttributeName")
}

// keep stores a subscription.
func (ts *Topics) keep(ctx context.Context, doing string, s Subscription) error {
	return ts.put(ctx, doing, subscriptionKey(s.Topic, s.ID), subscribed{
		Version: formatVersion, Created: ts.o.Clock.Now().UnixMilli(), Owner: s.Owner, Queue: s.Queue, Raw: s.Raw,
	})
}

// Unsubscribe ends a subscription, durably; what is published later does not reach its queue. None is harmless.
func (ts *Topics) Unsubscribe(ctx context.Context, name Name, id string) error {
	leave, err := ts.enter()
	if err != nil {
		return err
	}
	defer leave()
	if !name.valid() || !validID(id) {
		return nil
	}
	ts.change.Lock()
	defer ts.change.Unlock()
	op := storage.LocalOp{Key: subscriptionKey(name, id)}
	if err := ts.o.Local.Apply(context.WithoutCancel(ctx), storage.Sync, op); err != nil {
		return storageFault("unsubscribe from topic "+name.ARN(), err)
	}
	return nil
}

// Subscription returns one subscription. Fault: NotFound.
func (ts *Topics) Subscription(_ context.Context, name Name, id string) (Subscription, error) {
	leave, err := ts.enter()
	if err != nil {
		return Subscription{}, err
	}
	defer leave()
	return ts.subscription(name, id)
}

func (ts *Topics) subscription(name Name, id string) (Subscription, error) {
	if !name.valid() || !validID(id) {
		return Subscription{}, noSubscription()
	}
	key := subscriptionKey(name, id)
	value, there, err := ts.o.Local.Get(key)
	if err != nil {
		return Subscription{}, storageFault("read subscription "+id, err)
	}
	if !there {
		return Subscription{}, noSubscription()
	}
	return subscriptionOf(key, value)
}

// SubscriptionAttributes returns the attributes of a subscription. Fault: NotFound.
func (ts *Topics) SubscriptionAttributes(ctx context.Context, name Name, id string) (map[string]string, error) {
	s, err := ts.Subscription(ctx, name, id)
	if err != nil {
		return nil, err
	}
	raw := "false"
	if s.Raw {
		raw = "true"
	}
	return map[string]string{
		"SubscriptionArn": s.ARN(), "TopicArn": name.ARN(), "Owner": s.Owner, "Protocol": "sqs", "Endpoint": s.Queue,
		"RawMessageDelivery": raw, "PendingConfirmation": "false", "ConfirmationWasAuthenticated": "true",
		"SubscriptionPrincipal": principalOf(s.Owner, name.Region),
	}, nil
}

// SetSubscriptionAttribute changes an attribute of a subscription, durably. Faults: NotFound, InvalidParameter; or
// Unsupported.
func (ts *Topics) SetSubscriptionAttribute(ctx context.Context, name Name, id, attribute, value string) error {
	leave, err := ts.enter()
	if err != nil {
		return err
	}
	defer leave()
	ts.change.Lock()
	defer ts.change.Unlock()
	s, err := ts.subscription(name, id)
	if err != nil {
		return err
	}
	if err := s.set(attribute, value, "AttributeName"); err != nil {
		return err
	}
	return ts.keep(ctx, "change subscription "+id, s)
}

// Scope is whose subscriptions are listed: those of a topic, or those of all topics of an account in a region.
type Scope struct{ Account, Region, Topic string }

// Subscriptions returns up to n subscriptions that sort behind one, which is given as the Last that came with it, and
// where the next page begins; "" if there is none. Fault: NotFound, if the scope is a topic that does not exist.
func (ts *Topics) Subscriptions(_ context.Context, of Scope, behind string, n int) (
	page []Subscription, last string, err error,
) {
	leave, err := ts.enter()
	if err != nil {
		return nil, "", err
	}
	defer leave()
	name := Name{of.Account, of.Region, of.Topic}
	base := prefixSubscription + of.Account + "/" + of.Region + "/"
	if of.Topic != "" {
		if _, there, err := ts.find(name); err != nil || !there {
			if err == nil {
				err = noTopic()
			}
			return nil, "", err
		}
		base = subscriptionsOf(name)
	}
	page, more, err := ts.scan(base, behind, n)
	if err != nil || !more {
		return page, "", err
	}
	end := page[len(page)-1]
	return page, strings.TrimPrefix(string(subscriptionKey(end.Topic, end.ID)), base), nil
}

// subscriptions returns all subscriptions of a topic.
func (ts *Topics) subscriptions(name Name) ([]Subscription, error) {
	all, _, err := ts.scan(subscriptionsOf(name), "", MaxSubscriptions)
	return all, err
}

// scan returns up to n subscriptions with a prefix behind one of them, and whether there are more.
func (ts *Topics) scan(base, behind string, n int) (found []Subscription, more bool, err error) {
	var broken error
	err = ts.o.Local.Scan([]byte(base+behind), after(base), false, func(k, v []byte) bool {
		if string(k) == base+behind {
			return true
		}
		if more = len(found) == n; more {
			return false
		}
		var s Subscription
		if s, broken = subscriptionOf(k, v); broken != nil {
			return false
		}
		found = append(found, s)
		return true
	})
	if err == nil {
		err = broken
	}
	if err != nil {
		return nil, false, storageFault("read subscriptions", err)
	}
	return found, more, nil
}

// subscriptionOf reads what is stored about a subscription.
func subscriptionOf(key, value []byte) (Subscription, error) {
	name, id, err := splitSubscriptionKey(key)
	if err != nil {
		return Subscription{}, err
	}
	v, err := decode[subscribed](key, value)
	return Subscription{Topic: name, ID: id, Owner: v.Owner, Queue: v.Queue, Raw: v.Raw}, err
}
