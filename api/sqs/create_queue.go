package sqs

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/queue"
	"github.com/shardmill/shardmill/fault"
)

type urlAnswer struct {
	QueueURL string `json:"QueueUrl"`
}

// createQueue makes a standard queue. Source: SQS API Reference, CreateQueue. FIFO queues, redrive and KMS are
// refused by name.
func (h *Handler) createQueue(ctx context.Context, c wire.Caller, p params) (any, error) {
	name, err := p.text("QueueName")
	if err != nil {
		return nil, err
	}
	var attributes map[string]string
	if err := decode(p, "Attributes", &attributes); err != nil {
		return nil, err
	}
	fifo := strings.HasSuffix(name, ".fifo")
	if fifo && queue.ValidQueueName(strings.TrimSuffix(name, ".fifo")) {
		return nil, unsupported("FIFO queues (the name " + name + " ends in .fifo)")
	}
	given, err := givenSettings(attributes)
	if err != nil {
		return nil, err
	}
	if err := decode(p, "tags", &given.Tags); err != nil {
		return nil, err
	}
	if err := h.queues.Create(ctx, queue.Name{Account: c.Account, Region: c.Region, Name: name}, given); err != nil {
		return nil, err
	}
	return urlAnswer{queueURL(c, c.Account, name)}, nil
}

// givenSettings reads the attributes of CreateQueue, in the order of their names.
func givenSettings(attributes map[string]string) (given queue.Given, err error) {
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		value := attributes[name]
		switch name {
		case "Policy":
			given.Policy = value
		case "VisibilityTimeout":
			err = settingSeconds(&given.VisibilityTimeout, name, value)
		case "DelaySeconds":
			err = settingSeconds(&given.Delay, name, value)
		case "MessageRetentionPeriod":
			err = settingSeconds(&given.Retention, name, value)
		case "ReceiveMessageWaitTimeSeconds":
			err = settingSeconds(&given.ReceiveWait, name, value)
		case "MaximumMessageSize":
			n, ok := number(value)
			if !ok {
				return given, queue.InvalidAttribute(name)
			}
			given.MaxMessageBytes = new(n)
		default:
			err = refuseAttribute(name, value)
		}
		if err != nil {
			return given, err
		}
	}
	return given, nil
}

func settingSeconds(to **time.Duration, name, value string) error {
	n, ok := number(value)
	if !ok {
		return queue.InvalidAttribute(name)
	}
	*to = new(time.Duration(n) * time.Second)
	return nil
}

// refuseAttribute refuses an attribute that no queue here has. Values that AWS takes for "not set" are accepted,
// because they ask for nothing.
func refuseAttribute(name, value string) error {
	switch name {
	case "SqsManagedSseEnabled":
		if value == "false" {
			return nil
		}
		if value != "true" {
			return queue.InvalidAttribute(name)
		}
	case "KmsMasterKeyId", "RedrivePolicy", "RedriveAllowPolicy":
		if value == "" {
			return nil
		}
	case "KmsDataKeyReusePeriodSeconds":
	default: // also FifoQueue and its relatives: AWS answers this for a name without .fifo
		return fault.New(queue.CodeUnknownAttribute, "Unknown Attribute %s.", clip(name))
	}
	return unsupported("the attribute " + name)
}

// clip keeps a quoted value of a caller short.
func clip(s string) string { return fault.Clip(s, 100) }
