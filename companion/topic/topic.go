// Package topic keeps standard topics as SNS does: what is published reaches every queue that is subscribed.
//
// In come topics, subscriptions and messages, by name; out go copies of messages, to the queues behind Queues. Topics
// and subscriptions are kept in storage.Local, and nothing in memory; a message is kept nowhere but in the queues. A
// Publish returns when every queue has its copy, so nothing that was acknowledged can be lost; a copy that a queue
// refuses, because it was deleted, say, is dropped and counted. SNS's behaviour is described in the SNS Developer Guide
// and API Reference.
package topic

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"

	"github.com/shardmill/shardmill/companion/door"
	"github.com/shardmill/shardmill/companion/message"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/storage"
)

// Name identifies a topic: account of 12 digits, region, and a name of 1 to 256 letters, digits, hyphens and
// underscores.
type Name struct{ Account, Region, Name string }

// ARN returns the topic's Amazon resource name.
func (n Name) ARN() string { return arn.New("sns", n.Region, n.Account, n.Name).String() }

// valid reports whether n can name a standard topic.
func (n Name) valid() bool {
	return arn.IsAccount(n.Account) && validRegion(n.Region) && ValidTopicName(n.Name)
}

// ValidTopicName reports whether s has 1 to 256 letters, digits, hyphens and underscores.
func ValidTopicName(s string) bool { return message.ValidName(s, 256) }

// validRegion keeps what separates the parts of a key out of them.
func validRegion(s string) bool { return s != "" && !strings.Contains(s, "/") }

// Queues takes copies of messages to queues.
type Queues interface {
	// Deliver returns when the copy is durable in the queue that an ARN names. A repeat with the same id is dropped. An
	// error that is ErrRefused means that the queue will not take this copy, now or later.
	Deliver(ctx context.Context, queueARN, id string, c Copy) error
}

// ErrRefused is wrapped by errors of Queues that no repeat will change.
var ErrRefused = errors.New("the queue refused it")

// Options are what Topics needs. Local and Queues are required; a nil Clock is real time, a nil Log is silent, and with
// a nil Metrics nothing is counted.
type Options struct {
	Local    storage.Local // the keys under "topic/" are ours
	Queues   Queues
	Clock    *clock.Clock
	Log      *slog.Logger
	Metrics  *metric.Store
	Endpoint func() string // where the API is, for links in messages; nil: they lead nowhere
}

// Validate returns an error that names what is missing.
func (o Options) Validate() error {
	switch {
	case o.Local == nil:
		return errors.New("topic: Options.Local is nil: topics need a store")
	case o.Queues == nil:
		return errors.New("topic: Options.Queues is nil: topics need what they deliver to")
	}
	return nil
}

// ErrStopped is returned by operations after Stop.
var ErrStopped = errors.New("topic: not running")

// Topics holds every topic of this node. All methods are safe for concurrent use.
type Topics struct {
	o Options

	change sync.Mutex // held while a topic or a subscription is changed

	door   door.Door // for operations
	mu     sync.Mutex
	meters map[Name]*meter
}

// New returns topics, which need no start: nothing is read before it is used.
func New(o Options) (*Topics, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = clock.New(0)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Endpoint == nil {
		o.Endpoint = func() string { return "" }
	}
	ts := &Topics{o: o}
	ts.door.Open()
	return ts, nil
}

// Stop waits for operations under way; those that come later get ErrStopped. Twice is harmless.
func (ts *Topics) Stop() {
	if wait, ok := ts.door.Shut(); ok {
		wait()
	}
}

// enter counts an operation that Stop waits for. The caller calls leave when it has ended.
func (ts *Topics) enter() (leave func(), err error) {
	leave, ok := ts.door.Enter()
	if !ok {
		return nil, ErrStopped
	}
	return leave, nil
}

// meter counts what becomes of a topic's messages.
type meter struct{ published, size, delivered, failed *metric.Series }

// meterOf returns the meter of a topic that was there a moment ago.
func (ts *Topics) meterOf(n Name) *meter {
	m, made := ts.findMeter(n)
	if made {
		if _, there, err := ts.find(n); err == nil && !there {
			ts.forget(n) // it was deleted meanwhile, before there was a meter to forget
		}
	}
	return m
}

// findMeter returns the meter of a topic, and whether it was made for that.
func (ts *Topics) findMeter(n Name) (m *meter, made bool) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	m = ts.meters[n]
	if m == nil {
		of := func(k metric.Kind) *metric.Series {
			return ts.o.Metrics.Of(k, n.Account, n.Region, metric.TopicName, n.Name)
		}
		m = &meter{
			of(metric.MessagesPublished), of(metric.PublishSize), of(metric.NotificationsDelivered),
			of(metric.NotificationsFailed),
		}
		if ts.meters == nil {
			ts.meters = map[Name]*meter{}
		}
		ts.meters[n] = m
		made = true
	}
	return m, made
}

// forget lets go of the meter of a topic that is deleted.
func (ts *Topics) forget(n Name) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if m := ts.meters[n]; m != nil {
		for _, s := range []*metric.Series{m.published, m.size, m.delivered, m.failed} {
			s.Release()
		}
		delete(ts.meters, n)
	}
}
