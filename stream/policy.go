package stream

import (
	"cmp"
	"context"
	"strings"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/policy"
	"github.com/shardmill/shardmill/storage"
)

// maxPolicyBytes is how long a policy may be.
const maxPolicyBytes = 20 << 10

// noPolicy is what AWS shows as the policy of a resource that has none.
const noPolicy = "{}"

// Policy returns the policy of a stream as it was put, and {} if it has none. Fault: ResourceNotFoundException. Source:
// Kinesis API Reference, GetResourcePolicy.
func (s *Streams) Policy(ctx context.Context, name Name) (string, error) {
	st, err := s.find(ctx, name)
	if err != nil {
		return "", err
	}
	return cmp.Or(st.snap.Load().info.Policy, noPolicy), nil
}

// PolicyOfConsumer is Policy for a consumer.
func (s *Streams) PolicyOfConsumer(ctx context.Context, id ConsumerID) (string, error) {
	text, err := s.ConsumerPolicy(ctx, id)
	return cmp.Or(text, noPolicy), err
}

// SetPolicy replaces the policy of a stream, and returns when it is in effect and durable. Faults:
// ResourceNotFoundException; InvalidArgumentException for a document that is no policy, is too long, or says something
// that is not evaluated, which is named; ResourceInUseException unless ACTIVE or UPDATING. Source: Kinesis API
// Reference, PutResourcePolicy.
func (s *Streams) SetPolicy(ctx context.Context, name Name, text string) error {
	if _, err := s.find(ctx, name); err != nil {
		return err
	}
	if err := checkPolicy(text, shared); err != nil {
		return err
	}
	return s.changePolicy(ctx, name, func(r *streamRecord) error {
		r.Policy = text
		return nil
	})
}

// SetPolicyOfConsumer is SetPolicy for a consumer, which must be ACTIVE.
func (s *Streams) SetPolicyOfConsumer(ctx context.Context, id ConsumerID, text string) error {
	if _, err := s.Consumer(ctx, id); err != nil {
		return err
	}
	if err := checkPolicy(text, sharedOfConsumer); err != nil {
		return err
	}
	return s.SetConsumerPolicy(ctx, id, func(string) (string, error) { return text, nil })
}

// DeletePolicy removes the policy of a stream, and returns when that is in effect and durable. Faults:
// ResourceNotFoundException, also if there is no policy; ResourceInUseException unless ACTIVE or UPDATING. Source:
// Kinesis API Reference, DeleteResourcePolicy.
func (s *Streams) DeletePolicy(ctx context.Context, name Name) error {
	return s.changePolicy(ctx, name, func(r *streamRecord) error {
		if r.Policy == "" {
			return policyMissing(name.ARN())
		}
		r.Policy = ""
		return nil
	})
}

// DeletePolicyOfConsumer is DeletePolicy for a consumer, which must be ACTIVE.
func (s *Streams) DeletePolicyOfConsumer(ctx context.Context, id ConsumerID) error {
	return s.SetConsumerPolicy(ctx, id, func(now string) (string, error) {
		if now == "" {
			return "", policyMissing(id.ARN())
		}
		return "", nil
	})
}

func policyMissing(arn string) error {
	return fault.New(codeNotFound, "No resource policy found for resource ARN %s.", arn)
}

func (s *Streams) changePolicy(ctx context.Context, name Name, change func(r *streamRecord) error) error {
	st, err := s.settled(ctx, name)
	if err != nil {
		return err
	}
	return s.update(ctx, st, func(r *streamRecord) ([]storage.Op, error) {
		if r.Status != Active && r.Status != Updating {
			return nil, notActive(name, r.Status)
		}
		return nil, change(r)
	}, st.renewed)
}

// checkPolicy refuses a policy that cannot be read, or that says something which would have no effect. actions are
// those that it can open to other accounts.
func checkPolicy(text string, actions map[string]bool) error {
	if len(text) > maxPolicyBytes {
		return fault.New(
			codeInvalid, "The policy has %d bytes; a resource policy has at most %d.", len(text), maxPolicyBytes,
		)
	}
	document, err := policy.Parse(text)
	if err != nil {
		return fault.New(codeInvalid, "The policy is not valid: %s.", clip(err.Error()))
	}
	if unknown := document.Unknown(); len(unknown) > 0 {
		return fault.New(codeInvalid,
			"The policy is not valid: %s cannot be evaluated by shardmill and would be ignored; leave it out.",
			strings.Join(unknown, " and "))
	}
	for _, pattern := range document.Actions(false) {
		if !covers(pattern, actions) {
			return fault.New(codeInvalid,
				"The policy is not valid: %s cannot be shared with another account on this resource.", clip(pattern))
		}
	}
	for _, pattern := range document.Actions(true) {
		if service, _, ok := strings.Cut(pattern, ":"); ok && !policy.Match(service, "kinesis") {
			return fault.New(codeInvalid,
				"The policy is not valid: %s is no action of Kinesis Data Streams.", clip(pattern))
		}
	}
	return nil
}

// covers reports whether a pattern in lower case names any of the actions.
func covers(pattern string, actions map[string]bool) bool {
	for action := range actions {
		if policy.Match(pattern, strings.ToLower("kinesis:"+action)) {
			return true
		}
	}
	return false
}
