package topic

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/jsontext"
)

// Limits of AWS's.
const (
	maxDisplayName = 100    // characters
	maxPolicy      = 30_720 // bytes
	maxTags        = 50
)

// Unsupported is returned for an attribute that AWS has and this room does not; the wire names it.
type Unsupported struct{ Attribute string }

func (u *Unsupported) Error() string { return "the attribute " + u.Attribute + " is not supported" }

// idle are attributes that AWS has and this room does not, with the values that change nothing. "" takes any away.
var idle = map[string][]string{
	"ApplicationFailureFeedbackRoleArn": nil, "ApplicationSuccessFeedbackRoleArn": nil,
	"ApplicationSuccessFeedbackSampleRate": {"0"}, "ArchivePolicy": nil, "ContentBasedDeduplication": {"false"},
	"DataProtectionPolicy": nil, "DeliveryPolicy": nil, "FifoThroughputScope": nil, "FifoTopic": {"false"},
	"FirehoseFailureFeedbackRoleArn": nil, "FirehoseSuccessFeedbackRoleArn": nil,
	"FirehoseSuccessFeedbackSampleRate": {"0"}, "HTTPFailureFeedbackRoleArn": nil,
	"HTTPSuccessFeedbackRoleArn": nil, "HTTPSuccessFeedbackSampleRate": {"0"}, "KmsMasterKeyId": nil,
	"LambdaFailureFeedbackRoleArn": nil, "LambdaSuccessFeedbackRoleArn": nil,
	"LambdaSuccessFeedbackSampleRate": {"0"}, "SQSFailureFeedbackRoleArn": nil,
	"SQSSuccessFeedbackRoleArn": nil, "SQSSuccessFeedbackSampleRate": {"0"}, "SignatureVersion": {"1"},
	"TracingConfig": {"PassThrough"},
}

// set changes one attribute. parameter is how the request names it in a refusal.
func (m *meta) set(attribute, value, parameter string) error {
	switch attribute {
	case "DisplayName":
		if utf8.RuneCountInString(value) > maxDisplayName || strings.ContainsAny(value, "\r\n") {
			return Invalid("%s Reason: DisplayName: Invalid value", parameter)
		}
		m.DisplayName = value
	case "Policy":
		if value != "" && !policyDocument(value) {
			return Invalid(
				"%s Reason: Policy: it must be a policy document in JSON, of at most %d bytes", parameter, maxPolicy,
			)
		}
		m.Policy = value
	default:
		harmless, known := idle[attribute]
		switch {
		case !known && parameter == "Attributes":
			return Invalid("Attributes Reason: Unknown attribute: %s", fault.Clip(attribute, 100))
		case !known:
			return Invalid("AttributeName")
		case value != "" && !slices.Contains(harmless, value):
			return &Unsupported{attribute}
		}
	}
	return nil
}

// policyDocument reports whether a text can be a policy. What it says is kept and shown, and permits or denies nothing.
func policyDocument(text string) bool {
	var document struct{ Statement json.RawMessage }
	return len(text) <= maxPolicy && jsontext.Faithful([]byte(text)) &&
		json.Unmarshal([]byte(text), &document) == nil &&
		len(document.Statement) > 0
}

// SetAttribute changes an attribute of a topic, durably. Faults: NotFound, InvalidParameter; or Unsupported.
func (ts *Topics) SetAttribute(ctx context.Context, name Name, attribute, value string) error {
	return ts.edit(ctx, name, noTopic, func(m *meta) error { return m.set(attribute, value, "AttributeName") })
}

// effectivePolicy is how AWS retries deliveries to HTTP endpoints, which there are none of here; clients read it.
const effectivePolicy = `{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,` +
	`"numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"},` +
	`"disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}}`

// defaultPolicy is the policy of a topic that has none of its own.
const defaultPolicy = `{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{"Sid":"__default_statement_ID",` +
	`"Effect":"Allow","Principal":{"AWS":"*"},"Action":["SNS:GetTopicAttributes","SNS:SetTopicAttributes",` +
	`"SNS:AddPermission","SNS:RemovePermission","SNS:DeleteTopic","SNS:Subscribe","SNS:ListSubscriptionsByTopic",` +
	`"SNS:Publish"],"Resource":"%s","Condition":{"StringEquals":{"AWS:SourceOwner":"%s"}}}]}`

// Attributes returns the attributes of a topic. Fault: NotFound.
func (ts *Topics) Attributes(_ context.Context, name Name) (map[string]string, error) {
	leave, err := ts.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	m, there, err := ts.find(name)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, noTopic()
	}
	subscriptions, err := ts.subscriptions(name)
	if err != nil {
		return nil, err
	}
	policy := m.Policy
	if policy == "" {
		policy = fmt.Sprintf(defaultPolicy, name.ARN(), name.Account)
	}
	return map[string]string{
		"TopicArn": name.ARN(), "Owner": name.Account, "DisplayName": m.DisplayName, "Policy": policy,
		"SubscriptionsConfirmed": strconv.Itoa(len(subscriptions)), "SubscriptionsPending": "0",
		"SubscriptionsDeleted": "0", "EffectiveDeliveryPolicy": effectivePolicy,
	}, nil
}

// Tag adds tags to a topic, or changes their values. Faults: ResourceNotFound, InvalidParameter, TagLimitExceeded.
func (ts *Topics) Tag(ctx context.Context, name Name, tags []Tag) error {
	return ts.edit(ctx, name, noResource, func(m *meta) (err error) {
		m.Tags, err = mergeTags(m.Tags, tags)
		return err
	})
}

// Untag removes tags; those that are not there do not matter. Fault: ResourceNotFound.
func (ts *Topics) Untag(ctx context.Context, name Name, keys []string) error {
	return ts.edit(ctx, name, noResource, func(m *meta) error {
		m.Tags = slices.DeleteFunc(m.Tags, func(t Tag) bool { return slices.Contains(keys, t.Key) })
		return nil
	})
}

// Tags returns the tags of a topic, in the order of their keys. Fault: ResourceNotFound.
func (ts *Topics) Tags(_ context.Context, name Name) ([]Tag, error) {
	leave, err := ts.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	m, there, err := ts.find(name)
	if err == nil && !there {
		err = noResource()
	}
	return m.Tags, err
}

// mergeTags returns tags with others added or changed.
func mergeTags(tags, more []Tag) ([]Tag, error) {
	tags = slices.Clone(tags)
	for i, t := range more {
		if slices.ContainsFunc(more[:i], func(o Tag) bool { return o.Key == t.Key }) {
			return nil, Invalid("Duplicated keys are not allowed.")
		}
		at, found := slices.BinarySearchFunc(tags, t, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
		if found {
			tags[at] = t
		} else {
			tags = slices.Insert(tags, at, t)
		}
	}
	if len(tags) > maxTags {
		return nil, fault.New(CodeTagLimit, "Could not complete request: tag quota of per resource exceeded")
	}
	return tags, nil
}

// principalOf returns whom a subscription of an account belongs to.
func principalOf(account, region string) string {
	return "arn:" + arn.PartitionOf(region) + ":iam::" + account + ":root"
}
