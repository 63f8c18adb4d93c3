package sqs

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/queue"
	"github.com/shardmill/shardmill/fault"
)

type attributesAnswer struct {
	Attributes map[string]string `json:"Attributes,omitempty"`
}

// unsetAttributes are attributes of AWS that no queue here has: requesting them is no error, and they are not in the
// answer.
var unsetAttributes = []string{
	"RedrivePolicy", "RedriveAllowPolicy", "FifoQueue", "ContentBasedDeduplication", "DeduplicationScope",
	"FifoThroughputLimit",
	"KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds",
}

// getQueueAttributes answers settings and counts. Source: SQS API Reference, GetQueueAttributes.
func (h *Handler) getQueueAttributes(ctx context.Context, c wire.Caller, p params) (any, error) {
	name, err := h.queue(ctx, c, p)
	if err != nil {
		return nil, err
	}
	var wanted []string
	if err := decode(p, "AttributeNames", &wanted); err != nil {
		return nil, err
	}
	a, err := h.queues.Attributes(ctx, name)
	if err != nil {
		return nil, err
	}
	all := map[string]string{
		"QueueArn":                              name.ARN(),
		"ApproximateNumberOfMessages":           strconv.Itoa(a.Visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(a.InFlight),
		"ApproximateNumberOfMessagesDelayed":    strconv.Itoa(a.Delayed),
		"CreatedTimestamp":                      strconv.FormatInt(a.Created.Unix(), 10),
		"LastModifiedTimestamp":                 strconv.FormatInt(a.Modified.Unix(), 10),
		"VisibilityTimeout":                     wholeSeconds(a.VisibilityTimeout),
		"MaximumMessageSize":                    strconv.Itoa(a.MaxMessageBytes),
		"MessageRetentionPeriod":                wholeSeconds(a.Retention),
		"DelaySeconds":                          wholeSeconds(a.Delay),
		"ReceiveMessageWaitTimeSeconds":         wholeSeconds(a.ReceiveWait),
		"SqsManagedSseEnabled":                  "false",
	}
	if a.Policy != "" {
		all["Policy"] = a.Policy
	}
	out := make(map[string]string, len(all))
	for _, n := range wanted {
		value, ok := all[n]
		switch {
		case ok:
			out[n] = value
		case n == "All":
			return attributesAnswer{all}, nil
		case n != "Policy" && !slices.Contains(unsetAttributes, n):
			return nil, fault.New(queue.CodeUnknownAttribute, "Unknown Attribute %s.", clip(n))
		}
	}
	return attributesAnswer{out}, nil
}

func wholeSeconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }
