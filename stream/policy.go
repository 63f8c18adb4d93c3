package stream

import (
	"cmp"
	"context"

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
	if _, err := rules.Check(text); err != nil {
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
	if _, err := rulesOfConsumer.Check(text); err != nil {
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

// rulesOf returns what Kinesis asks of a policy that can open these actions to other accounts.
func rulesOf(actions map[string]bool) policy.Rules {
	return policy.Rules{
		Service: "kinesis", Name: "Kinesis Data Streams", Code: codeInvalid, Most: maxPolicyBytes, Shared: actions,
	}
}

var rules, rulesOfConsumer = rulesOf(shared), rulesOf(sharedOfConsumer)
