package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shardmill/shardmill/api/dynamodb"
	"github.com/shardmill/shardmill/api/iam"
	"github.com/shardmill/shardmill/api/logs"
	"github.com/shardmill/shardmill/api/s3"
	"github.com/shardmill/shardmill/api/sns"
	"github.com/shardmill/shardmill/api/sqs"
	"github.com/shardmill/shardmill/api/sts"
	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/logstore"
	"github.com/shardmill/shardmill/companion/topic"
	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/proxy"
	"github.com/shardmill/shardmill/proxy/translate"
)

// elsewhere is a companion that this process does not serve: its services, how they are forwarded, and the kind of
// destinations that it is.
type elsewhere struct {
	services []wire.Service
	forward  func(t *proxy.Target, row wire.Service) wire.Service
	kind     func(notices) destination.Kind // nil: it is no destination
	copies   bool                           // topics deliver to it
	sends    bool                           // it delivers to queues and functions
	lines    bool                           // it keeps what functions print
	shared   bool                           // its services are several at AWS, on several hosts
}

// notices is what the kinds of destinations need, of whichever of them.
type notices interface {
	destination.Queues
	destination.Topics
	destination.Buckets
}

// forms returns a forwarder of the JSON and the query protocols.
func forms(names *translate.Service) func(*proxy.Target, wire.Service) wire.Service {
	return func(t *proxy.Target, row wire.Service) wire.Service { return t.Service(row, names, nil) }
}

var (
	queuesElsewhere = elsewhere{
		services: []wire.Service{sqs.Service(nil)}, forward: forms(translate.SQS),
		kind: func(n notices) destination.Kind { return destination.SQS(n) }, copies: true,
	}
	topicsElsewhere = elsewhere{
		services: []wire.Service{sns.Service(nil)}, forward: forms(translate.SNS),
		kind: func(n notices) destination.Kind { return destination.SNS(n) }, sends: true,
	}
	tablesElsewhere  = elsewhere{services: []wire.Service{dynamodb.Service(nil)}, forward: forms(translate.DynamoDB)}
	bucketsElsewhere = elsewhere{
		services: []wire.Service{s3.Service(nil)},
		forward: func(t *proxy.Target, row wire.Service) wire.Service {
			return t.Objects(row, s3.HostBucket, s3.OperationOf)
		},
		kind: func(n notices) destination.Kind { return destination.S3(n) },
	}
	logsElsewhere = elsewhere{
		services: []wire.Service{logs.Service(nil)}, forward: forms(translate.Logs), lines: true,
	}
	identityElsewhere = elsewhere{
		services: []wire.Service{iam.Service(nil), sts.Service(nil)}, forward: forms(translate.Identity), shared: true,
	}
)

// CompanionNames returns the names of the companions, in the order of their table.
func CompanionNames() (all []string) {
	for _, r := range embedded() {
		all = append(all, r.name)
	}
	return all
}

// arrange returns the table of companions as the configuration wants it.
func (c *Config) arrange() ([]row, error) {
	table := embedded()
	for _, name := range slices.Sorted(maps.Keys(c.Companions)) {
		i := slices.IndexFunc(table, func(r row) bool { return r.name == name })
		if i < 0 {
			return nil, fmt.Errorf("companion %q is none of %s", name, strings.Join(CompanionNames(), ", "))
		}
		setting, err := proxy.ParseSetting(c.Companions[name])
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", name, err)
		}
		switch setting.Mode {
		case proxy.Embedded:
		case proxy.Off:
			table[i].open = table[i].off
		case proxy.Proxied:
			if table[i].open, err = c.proxied(&table[i], setting); err != nil {
				return nil, fmt.Errorf("--%s: %w", name, err)
			}
		}
	}
	return table, nil
}

// proxied returns what opens a companion that a target serves. Nothing is asked of the target.
func (c *Config) proxied(r *row, setting proxy.Setting) (opener, error) {
	if r.away.shared && !setting.Shared() {
		return nil, errors.New("IAM and STS are two hosts at AWS; name a server that serves both, or leave it embedded")
	}
	if c.ProxyCredentials == "" {
		return nil, errors.New("proxy: needs --proxy-credentials FILE, with the key that requests are signed with")
	}
	name, away := r.name, r.away
	keys := proxy.NewCredentials(c.ProxyCredentials)
	if away.sends {
		away.forward = subscribing(func(topics *proxy.Target) bool {
			queues, err := proxy.ParseSetting(c.Companions["queue"]) // what is wrong with it is said for itself
			if err != nil || queues.Mode != proxy.Proxied {
				return false
			}
			t, err := proxy.NewTarget("queue", queues, keys, nil)
			return err == nil && t.NamesAs(topics)
		})
	}
	if _, err := proxy.NewTarget(name, setting, keys, nil); err != nil {
		return nil, err
	}
	return func(_ context.Context, s *Server, _ *rooms) (c companion, err error) {
		log := s.log.With("room", "proxy", "companion", name)
		t, err := proxy.NewTarget(name, setting, keys, log)
		if err != nil {
			return c, err
		}
		if setting.Plain() {
			log.Warn("what is sent to the target of a companion is not encrypted", "target", t.String())
		}
		c = companion{wake: t.Stop, close: t.Close}
		for _, service := range away.services {
			c.services = append(c.services, away.forward(t, service))
		}
		if away.kind != nil {
			c.destinations = []destination.Kind{away.kind(t)}
		}
		if away.copies {
			c.copies = proxiedQueues{t}
		}
		if away.lines {
			kept := proxiedLines{proxy.NewLines(t)}
			c.lines, c.printed, c.wake = kept, kept, kept.lines.Stop
		}
		return c, nil
	}, nil
}

// subscribing returns a forwarder of topics that refuses subscriptions of what the target cannot reach: functions, and
// queues unless they are there, too.
func subscribing(queuesThere func(topics *proxy.Target) bool) func(*proxy.Target, wire.Service) wire.Service {
	return func(t *proxy.Target, row wire.Service) wire.Service {
		queuesToo := queuesThere(t)
		return t.Service(row, translate.SNS, func(c wire.Caller, form wire.Form) *fault.Error {
			a, ok := arn.Parse(form.Get("Endpoint"))
			if id, _, _ := arn.FoldAccount(a.Account, c.Account); form.Action() != "Subscribe" || !ok ||
				id != c.Account || a.Region != c.Region || a.Service != "lambda" && (a.Service != "sqs" || queuesToo) {
				return nil
			}
			return fault.New(proxy.CodeInvalidParameter,
				"Invalid parameter: Endpoint Reason: %s is of this server, and topics are served by %s, which cannot reach it.",
				fault.Clip(form.Get("Endpoint"), 200), t).WithHint("proxy queues to the same account and region, too (--queue), or leave topics embedded")
		})
	}
}

// off opens a companion that is off: its operations, and notices to it, are refused by name.
func (r row) off(context.Context, *Server, *rooms) (c companion, _ error) {
	c.off = r.name
	for _, service := range r.away.services {
		c.services = append(c.services, proxy.OffService(service, r.name))
	}
	if r.away.kind != nil {
		c.destinations = []destination.Kind{r.away.kind(nowhere(r.name))}
	}
	if r.away.copies {
		c.copies = nowhere(r.name)
	}
	if r.away.lines {
		c.lines, c.printed = nowhere(r.name), nowhere(r.name)
	}
	return c, nil
}

// nowhere stands for a companion that is off, by its name.
type nowhere string

func (n nowhere) err() error { return fault.New(proxy.CodeOff, "%s", proxy.OffText(string(n))) }

// SendNotice refuses a notice.
func (n nowhere) SendNotice(context.Context, string, string, string, string, []byte) error {
	return n.err()
}

// PublishNotice refuses a notice.
func (n nowhere) PublishNotice(context.Context, string, string, string, string, []byte) error {
	return n.err()
}

// PutNotice refuses a notice.
func (n nowhere) PutNotice(context.Context, string, string, []byte) error { return n.err() }

// Deliver refuses a copy of a topic's message.
func (n nowhere) Deliver(context.Context, string, string, topic.Copy) error {
	return fmt.Errorf("%w: %w", topic.ErrRefused, n.err())
}

// Write keeps no line.
func (nowhere) Write(function.Ref, string, string, []function.LogEvent) {}

// Exists says that a log group may exist.
func (nowhere) Exists(logstore.Group, string) error { return nil }

// Off says why there is nothing to be read.
func (n nowhere) Off() error { return n.err() }

// Read refuses by name.
func (n nowhere) Read(context.Context, logstore.Query, func(logstore.Event) bool) error {
	return n.err()
}

// proxiedQueues shows the queues of a target to package topic.
type proxiedQueues struct{ target *proxy.Target }

// Deliver puts a topic's copy of a message into a queue. What the target refuses it will refuse again; where it does
// not answer, the publisher is told to try again.
func (q proxiedQueues) Deliver(ctx context.Context, queueARN, _ string, c topic.Copy) error {
	a, _ := arn.Parse(queueARN)
	attributes := make([]proxy.Attribute, len(c.Attributes))
	for i, attribute := range c.Attributes {
		attributes[i] = proxy.Attribute(attribute)
	}
	err := q.target.SendMessage(ctx, a.Account, a.Region, a.Resource, c.Body, attributes)
	if proxy.Refused(err) {
		return fmt.Errorf("%w: %w", topic.ErrRefused, err)
	}
	return err
}

// proxiedLines shows the log groups of a target to packages function and control.
type proxiedLines struct{ lines *proxy.Lines }

// Write sends lines as Lambda's are kept: each ends in a line break.
func (l proxiedLines) Write(_ function.Ref, group, stream string, events []function.LogEvent) {
	lines := make([]proxy.Line, len(events))
	for i, e := range events {
		lines[i] = proxy.Line{At: e.At, Message: e.Message + "\n"}
	}
	l.lines.Write(proxy.Stream{Group: group, Name: stream}, lines)
}

// lookLimit is how long a target may take to say that it has a log group.
const lookLimit = 10 * time.Second

// Exists returns an error unless the target has the group.
func (l proxiedLines) Exists(group logstore.Group, _ string) error {
	ctx, cancel := context.WithTimeout(context.Background(), lookLimit)
	defer cancel()
	return l.lines.Exists(ctx, group.Name)
}

// Read visits the lines of a query.
func (l proxiedLines) Read(ctx context.Context, q logstore.Query, visit func(logstore.Event) bool) error {
	r := proxy.Reading{Group: q.Group.Name, Since: q.Since, Follow: q.Follow}
	return l.lines.Read(ctx, r, func(p proxy.Printed) bool {
		if q.Stream != nil && !q.Stream(p.Stream) {
			return true
		}
		return visit(logstore.Event{Group: q.Group, Stream: p.Stream, At: p.At, Message: p.Message})
	})
}
