package topic

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/ids"
)

// atOnce is how many queues get their copies of a message at the same time.
const atOnce = 16

// Publish gives a message to every queue that is subscribed, and returns its id when each has its copy, durably. A copy
// that a queue refuses is dropped, logged and counted. An error that is not a fault of the caller, of a store that is
// full, say, means that some queues may have a copy and others not: the caller sends the message again, so that every
// queue has it at least once. Faults: NotFound, InvalidParameter, ParameterValueInvalid.
func (ts *Topics) Publish(ctx context.Context, name Name, m Message) (id string, err error) {
	id = ids.New()
	return id, ts.publish(ctx, name, m, id)
}

// PublishNotice is Publish for a caller who repeats himself: queues drop the repeat of a copy that they have.
func (ts *Topics) PublishNotice(ctx context.Context, name Name, noticeID, text string) error {
	return ts.publish(ctx, name, Message{Body: text}, ids.Named("message", noticeID))
}

func (ts *Topics) publish(ctx context.Context, name Name, m Message, id string) error {
	leave, err := ts.enter()
	if err != nil {
		return err
	}
	defer leave()
	switch _, there, err := ts.find(name); {
	case err != nil:
		return err
	case !there:
		return noTopic()
	}
	if err := m.Validate(); err != nil {
		return err
	}
	to, err := ts.subscriptions(name)
	if err != nil {
		return err
	}
	now := ts.o.Clock.Now()
	meter := ts.meterOf(name)
	if err := ts.deliver(ctx, to, &m, id, now, meter); err != nil {
		return err
	}
	meter.published.Add(now, 1)
	meter.size.Add(now, float64(m.Size()))
	return nil
}

// deliver gives each subscriber its copy, and returns the first error that a repeat may change.
func (ts *Topics) deliver(
	ctx context.Context, to []Subscription, m *Message, id string, now time.Time, meter *meter,
) error {
	text, err := m.forQueues()
	if err != nil {
		return err
	}
	endpoint := ts.o.Endpoint()
	var (
		senders sync.WaitGroup
		mu      sync.Mutex
		failed  error
	)
	slots := make(chan struct{}, atOnce)
	for _, s := range to {
		slots <- struct{}{}
		senders.Go(func() {
			defer func() { <-slots }()
			c := Copy{Topic: s.Topic, Body: text, Attributes: m.Attributes}
			if !s.Raw {
				c = Copy{Topic: s.Topic, Body: envelope(s, id, m.Subject, text, m.Attributes, now, endpoint)}
			}
			switch err := ts.o.Queues.Deliver(ctx, s.Queue, "sns/"+s.ID+"/"+id, c); {
			case err == nil:
				meter.delivered.Add(now, 1)
			case errors.Is(err, ErrRefused):
				meter.failed.Add(now, 1)
				ts.o.Log.Warn("a copy of a message is dropped: the queue refused it", "topic", s.Topic.ARN(), "queue",
					s.Queue,
					"subscription", s.ID, "message", id, "error", err)
			default:
				mu.Lock()
				defer mu.Unlock()
				if failed == nil {
					failed = notDelivered(s, err)
				}
			}
		})
	}
	senders.Wait()
	return failed
}

// notDelivered returns the error of a copy that could not be delivered by our own fault. Codes of another service mean
// nothing to a publisher.
func notDelivered(s Subscription, err error) error {
	err = fmt.Errorf("deliver to %s: %w", s.Queue, err)
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	return &fault.Error{Code: CodeInternal, Status: http.StatusInternalServerError, Hint: f.Hint, Err: err}
}
