package stream

import (
	"context"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/policy"
)

// Caller is whose request it is: an account in a region, by an access key, which may be one of a role. The zero value
// is this process itself, which may do everything.
type Caller struct {
	Account, Region, AccessKey string

	Role   string // the ARN of the role as which it acts; "": what the access key or Holder says
	Holder string // the ARN of whoever holds the key; "": signatures are not verified
	Rights Rights // nil: all streams
}

// Rights say which streams the holder of a key may use. They are compared, so a pointer is behind them.
type Rights interface{ MayUse(stream string) bool }

// permit judges whether the holder of the caller's key may use a stream.
func (c *Caller) permit(name Name, action string) error {
	if c.Rights == nil || c.Rights.MayUse(name.Name) {
		return nil
	}
	return fault.New(codeDenied, "User: %s is not authorized to perform: kinesis:%s on resource: %s because no "+
		"identity-based policy allows the kinesis:%s action", c.Holder, action, name.ARN(), action).
		WithHint("The key file of this server gives the key other streams; see docs/auth.md.")
}

// principal returns whom policies mean by a caller: the role as which it acts, which a key that was issued may say, or
// the user who holds the key.
func (s *Streams) principal(c Caller) policy.Caller {
	p := policy.Caller{Account: c.Account, Role: c.Role}
	if p.Role == "" && s.role != nil {
		p.Role = s.role(c.AccessKey)
	}
	if p.Role == "" {
		p.Role = c.Holder
	}
	return p
}

// The actions that the policy of a stream, or of a consumer, can open to other accounts. All others are the owner's.
// Source: Kinesis Developer Guide, "Share your data stream with another account".
var (
	shared = map[string]bool{
		"DescribeStream": true, "DescribeStreamSummary": true, "ListShards": true, "GetShardIterator": true,
		"GetRecords": true, "PutRecord": true, "PutRecords": true,
	}
	sharedOfConsumer = map[string]bool{"DescribeStreamConsumer": true, "SubscribeToShard": true}
)

// Ready loads the metadata, if that has not been done; other methods do it themselves.
func (s *Streams) Ready(ctx context.Context) error { return s.ready(ctx) }

// Authorize decides whether a caller may carry out an action, such as PutRecord, on a stream. A request is answered by
// the region that it was signed for, whatever an ARN in it says. The owner may do everything that the stream's policy
// does not deny; other accounts what it allows. A stream of another account that does not exist is not told apart from
// one that is not shared. Call it after Ready. Faults: ResourceNotFoundException for another region,
// AccessDeniedException.
func (s *Streams) Authorize(c Caller, name Name, action string) error {
	if c == (Caller{}) {
		return nil
	}
	if name.Region != c.Region {
		return outside(name, c)
	}
	if err := c.permit(name, action); err != nil {
		return err
	}
	owner := name.Account == c.Account
	if owner && !s.policed.Load() {
		return nil
	}
	var document *policy.Document
	if sn := s.known(name); sn != nil {
		document = sn.policy
	}
	if owner && document == nil {
		return nil
	}
	return s.judge(document, c, name.Account, shared[action], action, name.ARN())
}

// AuthorizeConsumer is Authorize for an action on a consumer, such as SubscribeToShard: its own policy counts, not its
// stream's.
func (s *Streams) AuthorizeConsumer(c Caller, id ConsumerID, action string) error {
	if c == (Caller{}) {
		return nil
	}
	if id.Stream.Region != c.Region {
		return outside(id.Stream, c)
	}
	if err := c.permit(id.Stream, action); err != nil {
		return err
	}
	var document *policy.Document
	if sn := s.known(id.Stream); sn != nil {
		if found := sn.consumer(id, s.now()); found != nil {
			id.Created = found.seconds()
			document = parsePolicy(found.policy)
		}
	}
	owner := id.Stream.Account == c.Account
	if owner && document == nil {
		return nil
	}
	resource := id.ARN()
	if id.Created == anyCreation {
		resource = id.Stream.ARN() + "/consumer/" + id.Name
	}
	return s.judge(document, c, id.Stream.Account, sharedOfConsumer[action], action, resource)
}

// known returns the snapshot of a stream; nil: there is none of that name.
func (s *Streams) known(name Name) *snapshot {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if st := s.byName[name]; st != nil {
		return st.snap.Load()
	}
	return nil
}

// outside refuses a request for a stream of another region than its own.
func outside(name Name, c Caller) error {
	return fault.New(codeNotFound, "Stream %s under account %s not found.", name.Name, name.Account).WithHint(
		"The ARN names a stream of %s, but the request was signed for %s; a region answers for its own streams only.",
		name.Region, c.Region)
}

// judge applies a policy to an action on a resource. shared says that the action can be another account's.
func (s *Streams) judge(
	document *policy.Document, c Caller, owner string, shared bool, action, resource string,
) error {
	refusal := document.Judge(
		policy.Request{Caller: s.principal(c), Action: "kinesis:" + action, Resource: resource}, owner, !shared,
	)
	if refusal == nil {
		return nil
	}
	return refusal.Fault(codeDenied)
}

// sawPolicy has Authorize look for the policies of streams, once there is one.
func (s *Streams) sawPolicy(sn *snapshot) {
	if sn.policy != nil {
		s.policed.Store(true)
	}
}

// policyOf returns the parsed form of a stream's policy, which old may have already.
func policyOf(text string, old *snapshot) *policy.Document {
	if old != nil && old.info.Policy == text {
		return old.policy
	}
	return parsePolicy(text)
}

// parsePolicy returns nil without a policy. One that this release cannot read, which no release of ours has stored,
// opens nothing.
func parsePolicy(text string) *policy.Document {
	if text == "" {
		return nil
	}
	document, err := policy.Parse(text)
	if err != nil {
		return nil
	}
	return document
}
