package server

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/bucket"
	"github.com/shardmill/shardmill/companion/logstore"
	"github.com/shardmill/shardmill/companion/queue"
	"github.com/shardmill/shardmill/companion/topic"
	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// sources shows streams to package mapping.
type sources struct{ streams *stream.Streams }

func (s sources) Lookup(ctx context.Context, arn, account, region string) (mapping.Source, error) {
	if strings.Contains(arn, "/consumer/") {
		return s.lookupConsumer(ctx, arn, account)
	}
	name, hint, err := stream.ParseARN(arn, account)
	if err != nil {
		return mapping.Source{}, err
	}
	info, err := s.streams.Lookup(ctx, name)
	if err != nil {
		if fault.CodeOf(err) == fault.CodeNotFound {
			f := wire.AsFault(err, "", wire.Caller{}, nil)
			return mapping.Source{}, &fault.Error{
				Code: fault.CodeInvalidParameter, Message: "Stream not found: " + name.ARN(), Hint: f.Hint,
			}
		}
		return mapping.Source{}, err
	}
	return mapping.Source{ID: info.ID, ARN: info.ARN, Hint: hint}, nil
}

// lookupConsumer is Lookup for the ARN of a registered consumer.
func (s sources) lookupConsumer(ctx context.Context, arn, account string) (mapping.Source, error) {
	missing := fault.New(fault.CodeInvalidParameter, "Stream consumer not found: %s", arn)
	id, hint, err := stream.ParseConsumerARN(arn, account)
	if err != nil {
		return mapping.Source{}, missing
	}
	info, err := s.streams.Lookup(ctx, id.Stream)
	if err == nil {
		_, err = s.streams.Consumer(ctx, id)
	}
	switch {
	case fault.CodeOf(err) == fault.CodeNotFound:
		return mapping.Source{}, missing
	case err != nil:
		return mapping.Source{}, err
	}
	return mapping.Source{ID: info.ID, ARN: id.ARN(), Hint: hint}, nil
}

func (s sources) Starts(ctx context.Context, id uint32, position string, at record.Millis) (
	map[record.ShardID]record.Position, error,
) {
	info, ok, err := s.streams.LookupID(ctx, id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fault.New(
			fault.CodeInvalidParameter, "Stream not found: it was deleted while the mapping was created.",
		)
	}
	start := stream.Start{At: at}
	switch position {
	case mapping.Latest:
		start.Kind = stream.Latest
	case mapping.AtTimestamp:
		start.Kind = stream.AtTimestamp
	default:
		start.Kind = stream.TrimHorizon
	}
	out := make(map[record.ShardID]record.Position, len(info.Shards))
	for _, sh := range info.Shards {
		if out[sh.ID], err = s.streams.Resolve(ctx, id, sh.ID, start); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// functions shows functions to package mapping.
type functions struct{ functions *function.Functions }

func (f functions) Lookup(_ context.Context, nameOrARN, account, region string) (
	arn, name, hint string, ok bool, err error,
) {
	n, err := function.ParseName(nameOrARN, function.Caller{Account: account, Region: region})
	if err != nil {
		return "", "", "", false, err
	}
	_, ok = f.functions.Find(n.Ref, n.Qualifier)
	return n.ARN(), n.Ref.Name, n.Hint, ok, nil
}

// queues shows queues to package destination.
type queues struct{ queues *queue.Queues }

func (q queues) SendNotice(ctx context.Context, account, region, name, id string, body []byte) error {
	_, err := q.queues.Send(ctx, queue.Name{Account: account, Region: region, Name: name}, queue.Message{
		Body: string(body), DedupID: id,
	})
	return err
}

// Deliver puts a topic's copy of a message into a queue.
func (q queues) Deliver(ctx context.Context, queueARN, id string, c topic.Copy) error {
	a, _ := arn.Parse(queueARN)
	m := queue.Message{Body: c.Body, DedupID: id}
	for _, attribute := range c.Attributes {
		m.Attributes = append(m.Attributes, queue.Attribute(attribute))
	}
	name := queue.Name{Account: a.Account, Region: a.Region, Name: a.Resource}
	var err error
	if c.Topic.Account != name.Account { // whose queue says which topics may send to it
		err = q.queues.AuthorizeService(ctx, "sns.amazonaws.com", c.Topic.ARN(), name)
	}
	if err == nil {
		_, err = q.queues.Send(ctx, name, m)
	}
	switch {
	case errors.Is(err, queue.ErrStopped):
		return topic.ErrStopped
	case destination.Refused(err):
		return fmt.Errorf("%w: %w", topic.ErrRefused, err)
	}
	return err
}

// topics shows topics to package destination.
type topics struct{ topics *topic.Topics }

func (t topics) PublishNotice(ctx context.Context, account, region, name, id string, message []byte) error {
	return t.topics.PublishNotice(
		ctx, topic.Name{Account: account, Region: region, Name: name}, id, string(message),
	)
}

// noQueues stands for the queues of a server without any.
type noQueues struct{}

// Deliver refuses every copy.
func (noQueues) Deliver(context.Context, string, string, topic.Copy) error {
	return fmt.Errorf("%w: there are no queues here", topic.ErrRefused)
}

// buckets shows buckets to package destination.
type buckets struct{ buckets *bucket.Buckets }

func (b buckets) PutNotice(ctx context.Context, name, key string, body []byte) error {
	return b.buckets.PutObject(ctx, "", "", name, key, body, "application/json")
}

// logLines keeps what functions print in a log store.
type logLines struct{ logs *logstore.Store }

// Write keeps lines as Lambda's are kept: each ends in a line break.
func (l logLines) Write(owner function.Ref, group, stream string, events []function.LogEvent) {
	lines := make([]logstore.LogEvent, len(events))
	for i, e := range events {
		lines[i] = logstore.LogEvent{At: e.At, Message: e.Message + "\n"}
	}
	l.logs.Write(logstore.Group{Account: owner.Account, Region: owner.Region, Name: group}, stream, lines)
}

// logTee stores what functions print, and passes it to a watcher.
type logTee struct {
	kept  function.LogSink
	watch func(owner function.Ref, events []function.LogEvent)
}

// Write passes lines on.
func (t logTee) Write(owner function.Ref, group, stream string, events []function.LogEvent) {
	t.kept.Write(owner, group, stream, events)
	if t.watch != nil {
		t.watch(owner, events)
	}
}

// hinted passes on advice about a mapping, like a hint in an answer to the function's owner.
func (s *Server) hinted(of function.Ref, hint string) {
	if s.cfg.Hinted != nil {
		s.cfg.Hinted(wire.Caller{Account: of.Account, Region: of.Region}, hint)
	}
}
