package server

import (
	"context"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/policy"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/stream"
)

// What a mapping reads and where it sends is its function's to reach, in the name of the function's role: policies of
// streams, consumers, queues, topics and buckets are asked when a mapping is made, and at each read and notice.

// Actions that a mapping needs. Source: Lambda Developer Guide, "Creating a cross-account event source mapping".
var (
	readsStream   = []string{"DescribeStream", "ListShards", "GetShardIterator", "GetRecords"}
	listsStream   = []string{"DescribeStream", "ListShards"} // whose records a consumer brings
	readsConsumer = []string{"DescribeStreamConsumer", "SubscribeToShard"}
)

// actor returns as whom a function acts: its account, and its role as it is now.
func (r *rooms) actor(functionARN string) policy.Caller {
	a, _ := arn.Parse(functionARN)
	n, err := function.ParseName(functionARN, function.Caller{Account: a.Account, Region: a.Region})
	if err != nil {
		return policy.Caller{}
	}
	return r.acting(n)
}

func (r *rooms) acting(n function.Name) policy.Caller {
	c := policy.Caller{Account: n.Ref.Account}
	if conf, ok := r.functions.Find(n.Ref, n.Qualifier); ok {
		c.Role = conf.Role
	}
	return c
}

// acts is wire.Router.Acts and stream.Options.Role: a function acts in a session of its role, which is of the role's
// account and has the function's name.
func (r *rooms) acts(accessKey string) string {
	ref, role, ok := r.functions.Holder(accessKey)
	if !ok {
		return ""
	}
	a, _ := arn.Parse(role)
	a.Service, a.Resource = "sts", "assumed-role/"+roleName(role)+"/"+ref.Name
	return a.String()
}

// mayRead is mapping.Options.MayRead.
func (r *rooms) mayRead(ctx context.Context, c mapping.Caller, functionARN, sourceARN string) (bool, error) {
	if err := r.streams.Ready(ctx); err != nil {
		return false, err
	}
	who := r.actor(functionARN)
	caller := stream.Caller{Account: who.Account, Region: c.Region, Role: who.Role}
	permit := func(err error) (bool, error) {
		if fault.CodeOf(err) == fault.CodeAccessDenied {
			return false, nil
		}
		return err == nil, err
	}
	actions := readsStream
	name, _, err := stream.ParseARN(sourceARN, c.Account)
	if strings.Contains(sourceARN, "/consumer/") {
		var id stream.ConsumerID
		if id, _, err = stream.ParseConsumerARN(sourceARN, c.Account); err == nil {
			name, actions = id.Stream, listsStream
			for _, action := range readsConsumer {
				if ok, err := permit(r.streams.AuthorizeConsumer(caller, id, action)); !ok {
					return false, err
				}
			}
		}
	}
	if err != nil {
		return true, nil // the search for it says so
	}
	for _, action := range actions {
		if ok, err := permit(r.streams.Authorize(caller, name, action)); !ok {
			return false, err
		}
	}
	return true, nil
}

// reader returns what judges each read of a mapping, by the policies as they are then.
func (r *rooms) reader(m *mapping.Mapping) func(context.Context) error {
	n, err := function.ParseName(m.FunctionARN, function.Caller{Account: m.Account, Region: m.Region})
	if err != nil {
		return func(context.Context) error { return err }
	}
	caller := func() stream.Caller {
		return stream.Caller{Account: m.Account, Region: m.Region, Role: r.acting(n).Role}
	}
	if m.Consumer() {
		id, _, _ := stream.ParseConsumerARN(m.EventSourceARN, m.Account)
		return func(context.Context) error { return r.streams.AuthorizeConsumer(caller(), id, "SubscribeToShard") }
	}
	name, _, _ := stream.ParseARN(m.EventSourceARN, m.Account)
	return func(context.Context) error { return r.streams.Authorize(caller(), name, "GetRecords") }
}

// maySend is mapping.Options.MaySend.
func (r *rooms) maySend(ctx context.Context, _ mapping.Caller, functionARN, destinationARN string) (bool, error) {
	a, _ := arn.Parse(destinationARN)
	err := r.admits(ctx, r.actor(functionARN), a)
	if fault.CodeOf(err) != "" && destination.Refused(err) {
		return false, nil
	}
	return err == nil, err
}

// admits judges whether a caller may send to a destination. One that another program serves judges by itself, and takes
// notices of its own account only.
func (r *rooms) admits(ctx context.Context, who policy.Caller, a arn.ARN) error {
	for _, c := range r.companions {
		serves := slices.ContainsFunc(c.services, func(s wire.Service) bool { return s.Name == a.Service })
		if serves && c.admits != nil {
			return c.admits(ctx, who, a)
		}
	}
	if a.Account == "" || a.Account == who.Account {
		return nil
	}
	return fault.New(fault.CodeAccessDenied, "%s is of another account, and what serves it is not asked.", a)
}

// guarded is a kind of destination that takes what the sender may send.
func (r *rooms) guarded(k destination.Kind) destination.Kind {
	open := k.Open
	k.Open = func(a arn.ARN) destination.Sender { return guardedSender{open(a), a, r} }
	return k
}

type guardedSender struct {
	destination.Sender

	to arn.ARN
	r  *rooms
}

// Send sends a notice, unless the policy of the destination does not let its sender.
func (s guardedSender) Send(ctx context.Context, n destination.Sending) error {
	if err := s.r.admits(ctx, s.r.actor(n.Function), s.to); err != nil {
		return err
	}
	return s.Sender.Send(ctx, n)
}
