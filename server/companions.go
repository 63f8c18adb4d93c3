package server

import (
	"context"
	"net/http"
	"slices"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/api/dynamodb"
	"github.com/shardmill/shardmill/api/iam"
	"github.com/shardmill/shardmill/api/logs"
	"github.com/shardmill/shardmill/api/s3"
	"github.com/shardmill/shardmill/api/sns"
	"github.com/shardmill/shardmill/api/sqs"
	"github.com/shardmill/shardmill/api/sts"
	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/bucket"
	"github.com/shardmill/shardmill/companion/identity"
	"github.com/shardmill/shardmill/companion/logstore"
	"github.com/shardmill/shardmill/companion/queue"
	"github.com/shardmill/shardmill/companion/table"
	"github.com/shardmill/shardmill/companion/topic"
	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/policy"
	"github.com/shardmill/shardmill/proxy"
)

// companion is a service that functions and destinations call back. Everything that others need from it is here, so
// that only its row in the table knows what serves it.
type companion struct {
	services     []wire.Service     // its rows of the shared port, by which functions reach it too
	destinations []destination.Kind // how notices reach it
	// judges whether a caller may send to one of the destinations; nil: everybody of its account may
	admits  func(ctx context.Context, who policy.Caller, to arn.ARN) error
	copies  topic.Queues     // how a topic's messages reach queues; set by one companion
	lines   function.LogSink // keeps what functions print; set by one companion
	printed control.Logs     // gives it back; set beside lines
	off     string           // its name, if it refuses everything

	wake  func() // ends requests that wait for something; nil: none does
	close func() // once no request is under way; nil: nothing to do
	// keeps its files, whatever is deleted, until the result is called; nil: the store has everything
	hold func() (release func())
}

// row is a companion and what serves it. A companion that another program serves is a row whose open returns
// forwarders: a handler in services, and senders in destinations. See arrange.
type row struct {
	name string
	open opener
	away elsewhere // what is left of it where this process does not serve it
}

// opener makes a companion usable. Its result is closed even if there is an error.
type opener func(ctx context.Context, s *Server, r *rooms) (companion, error)

// embedded returns the table of companions in which this process serves them all.
func embedded() []row {
	return []row{
		{"queue", openQueues, queuesElsewhere},
		{"topic", openTopics, topicsElsewhere}, // behind the row whose queues get the copies
		{"table", openTables, tablesElsewhere},
		{"bucket", openObjects, bucketsElsewhere},
		{"logs", openLogs, logsElsewhere},
		{"identity", openIdentity, identityElsewhere},
	}
}

// openCompanions opens every row of the table, in order.
func (s *Server) openCompanions(ctx context.Context, r *rooms) error {
	for _, row := range s.companions {
		c, err := row.open(ctx, s, r)
		r.companions = append(r.companions, c)
		if err != nil {
			return s.dataError(err)
		}
	}
	return nil
}

// services returns the rows of all companions on the shared port.
func (r *rooms) services() (all []wire.Service) {
	for _, c := range r.companions {
		all = append(all, c.services...)
	}
	return all
}

// destinations returns the kinds of destinations that there are.
func (r *rooms) destinations() (all destination.Table) {
	for _, c := range r.companions {
		for _, kind := range c.destinations {
			all = append(all, r.guarded(kind))
		}
	}
	return all
}

// lacks says why a service can be no destination of new mappings; "" if it can.
func (r *rooms) lacks(service string) string {
	for _, c := range r.companions {
		if c.off != "" && slices.ContainsFunc(c.services, func(s wire.Service) bool { return s.Name == service }) {
			return proxy.OffText(c.off)
		}
	}
	if !r.destinations().Has(service) {
		return "this server does not have the service " + service + "."
	}
	return ""
}

// copies returns how a topic's messages reach queues.
func (r *rooms) copies() topic.Queues {
	for _, c := range r.companions {
		if c.copies != nil {
			return c.copies
		}
	}
	return noQueues{}
}

// logs returns the companion that keeps what functions print.
func (r *rooms) logs() companion {
	return r.companions[slices.IndexFunc(r.companions, func(c companion) bool { return c.lines != nil })]
}

func openQueues(ctx context.Context, s *Server, r *rooms) (c companion, err error) {
	q, err := queue.New(queue.Options{Local: r.store.Local(), Clock: s.clock, Log: s.log.With("room", "queue")})
	if err != nil {
		return c, err
	}
	return companion{
		services: []wire.Service{sqs.Service(wire.Lazy(func() http.Handler {
			return sqs.New(sqs.Options{Queues: q, Log: s.log.With("room", "api/sqs")})
		}))},
		destinations: []destination.Kind{destination.SQS(queues{q})},
		admits: func(ctx context.Context, who policy.Caller, to arn.ARN) error {
			name := queue.Name{Account: to.Account, Region: to.Region, Name: to.Resource}
			return q.Authorize(ctx, who, name, "SendMessage")
		},
		copies: queues{q},
		wake:   q.Stop,
	}, q.Start(ctx)
}

// openTopics makes SNS's topics usable. Nothing is read of a topic before it is used.
func openTopics(_ context.Context, s *Server, r *rooms) (c companion, err error) {
	t, err := topic.New(topic.Options{
		Local: r.store.Local(), Queues: r.copies(), Clock: s.clock, Metrics: r.metrics, Endpoint: s.advertised,
		Log: s.log.With("room", "topic"),
	})
	if err != nil {
		return c, err
	}
	return companion{
		services: []wire.Service{sns.Service(wire.Lazy(func() http.Handler {
			return sns.New(sns.Options{Topics: t, Log: s.log.With("room", "api/sns")})
		}))},
		destinations: []destination.Kind{destination.SNS(topics{t})},
		admits: func(ctx context.Context, who policy.Caller, to arn.ARN) error {
			name := topic.Name{Account: to.Account, Region: to.Region, Name: to.Resource}
			return t.Authorize(ctx, who, name, "Publish")
		},
		close: t.Stop,
	}, nil
}

// openTables makes DynamoDB's tables usable. Nothing is read of a table before it is used.
func openTables(ctx context.Context, s *Server, r *rooms) (c companion, err error) {
	t, err := table.New(table.Options{Local: r.store.Local(), Clock: s.clock, Log: s.log.With("room", "table")})
	if err != nil {
		return c, err
	}
	return companion{
		services: []wire.Service{dynamodb.Service(wire.Lazy(func() http.Handler {
			return dynamodb.New(dynamodb.Options{Tables: t, Log: s.log.With("room", "api/dynamodb")})
		}))},
		close: t.Stop,
	}, t.Start(ctx)
}

// openObjects makes S3's buckets usable. Nothing is read of a bucket before it is used.
func openObjects(ctx context.Context, s *Server, r *rooms) (c companion, err error) {
	b, err := bucket.New(bucket.Options{
		Local: r.store.Local(), Dir: s.under("objects"), MinFree: s.cfg.MinFree, Clock: s.clock,
		Log: s.log.With("room", "bucket"),
	})
	if err != nil {
		return c, err
	}
	return companion{
		services: []wire.Service{s3.Service(wire.Lazy(func() http.Handler {
			return s3.New(s3.Options{Buckets: b, Log: s.log.With("room", "api/s3")})
		}))},
		destinations: []destination.Kind{destination.S3(buckets{b})},
		admits: func(ctx context.Context, who policy.Caller, to arn.ARN) error {
			i, err := b.Look(ctx, to.Resource)
			if fault.CodeOf(err) == bucket.CodeNoSuchBucket {
				return nil // which the notice is told
			}
			if err != nil {
				return err
			}
			return i.Authorize(who, "s3:PutObject", "aws/lambda/")
		},
		close: b.Stop,
		hold:  b.Hold,
	}, b.Start(ctx)
}

func openLogs(_ context.Context, s *Server, r *rooms) (c companion, err error) {
	l, err := logstore.Open(logstore.Options{
		Dir: s.under("logs"), Coord: r.store.Coord(), Clock: s.clock, Log: s.log.With("room", "logstore"),
	})
	if err != nil {
		return c, err
	}
	return companion{
		services: []wire.Service{logs.Service(wire.Lazy(func() http.Handler {
			return logs.New(logs.Options{Store: l, Clock: s.clock, Log: s.log.With("room", "api/logs")})
		}))},
		lines: logLines{l}, printed: l,
		wake: func() { _ = l.Close() }, // logged events are written; followers end
	}, nil
}

// openIdentity makes the two identity services, IAM and STS. STS knows the keys of functions.
func openIdentity(_ context.Context, s *Server, r *rooms) (companion, error) {
	identities := identity.New(identity.Options{Coord: r.store.Coord(), Clock: s.clock})
	session := func(ctx context.Context, accessKey string) (sts.Session, bool) {
		ref, role, ok := r.functions.Holder(accessKey)
		if !ok {
			return sts.Session{}, false
		}
		return sts.Session{RoleARN: role, RoleID: identities.RoleID(ctx, role), Function: ref.Name}, true
	}
	return companion{services: []wire.Service{
		iam.Service(wire.Lazy(func() http.Handler {
			return iam.New(iam.Options{Identities: identities, Log: s.log.With("room", "api/iam")})
		})),
		sts.Service(wire.Lazy(func() http.Handler {
			return sts.New(sts.Options{Session: session, Log: s.log.With("room", "api/sts")})
		})),
	}}, nil
}
