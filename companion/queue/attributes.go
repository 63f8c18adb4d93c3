package queue

import (
	"context"
	"time"

	"github.com/shardmill/shardmill/fault"
)

// Limits of SQS for standard queues (SQS Developer Guide, quotas).
const (
	MaxVisibilityTimeout = 12 * time.Hour
	MaxDelay             = 15 * time.Minute
	MinRetention         = time.Minute
	MaxRetention         = 14 * 24 * time.Hour
	MaxReceiveWait       = 20 * time.Second
	MinMessageBytes      = 1 << 10
	MaxMessageBytes      = 1 << 20 // body plus names, types and values of the attributes
	MaxReceive           = 10      // messages of one Receive
	MaxInFlight          = 120_000 // received and neither deleted nor visible again
)

// Settings are what a queue does unless a call says otherwise. Durations count in milliseconds; AWS's API knows whole
// seconds.
type Settings struct {
	VisibilityTimeout time.Duration // 0 to 12 h: how long a received message stays hidden
	Delay             time.Duration // 0 to 15 min: how long a sent message stays hidden
	Retention         time.Duration // 1 min to 14 d: a message older than this is deleted
	ReceiveWait       time.Duration // 0 to 20 s: how long a Receive waits for a first message
	MaxMessageBytes   int           // 1,024 to 1,048,576
}

// Defaults are AWS's: 30 s hidden, no delay, 4 days kept, no waiting, 1 MiB.
func Defaults() Settings {
	return Settings{
		VisibilityTimeout: 30 * time.Second, Retention: 4 * 24 * time.Hour, MaxMessageBytes: MaxMessageBytes,
	}
}

// Given holds what a caller of Create sets; nil: not set.
type Given struct {
	VisibilityTimeout, Delay, Retention, ReceiveWait *time.Duration
	MaxMessageBytes                                  *int
	Tags                                             map[string]string // empty: not set
	Policy                                           string            // empty: not set
}

// over returns s with the settings of g.
func (g Given) over(s Settings) Settings {
	set(&s.VisibilityTimeout, g.VisibilityTimeout)
	set(&s.Delay, g.Delay)
	set(&s.Retention, g.Retention)
	set(&s.ReceiveWait, g.ReceiveWait)
	set(&s.MaxMessageBytes, g.MaxMessageBytes)
	return s
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// differs returns the name of the first setting of g that differs in s, or "".
func (g Given) differs(s Settings) string {
	want := g.over(s)
	switch {
	case want.VisibilityTimeout != s.VisibilityTimeout:
		return "VisibilityTimeout"
	case want.Delay != s.Delay:
		return "DelaySeconds"
	case want.Retention != s.Retention:
		return "MessageRetentionPeriod"
	case want.ReceiveWait != s.ReceiveWait:
		return "ReceiveMessageWaitTimeSeconds"
	case want.MaxMessageBytes != s.MaxMessageBytes:
		return "MaximumMessageSize"
	}
	return ""
}

// Validate refuses a value outside AWS's limits with InvalidAttributeValue.
func (s Settings) Validate() error {
	switch {
	case s.VisibilityTimeout < 0 || s.VisibilityTimeout > MaxVisibilityTimeout:
		return InvalidAttribute("VisibilityTimeout")
	case s.Delay < 0 || s.Delay > MaxDelay:
		return InvalidAttribute("DelaySeconds")
	case s.Retention < MinRetention || s.Retention > MaxRetention:
		return InvalidAttribute("MessageRetentionPeriod")
	case s.ReceiveWait < 0 || s.ReceiveWait > MaxReceiveWait:
		return InvalidAttribute("ReceiveMessageWaitTimeSeconds")
	case s.MaxMessageBytes < MinMessageBytes || s.MaxMessageBytes > MaxMessageBytes:
		return InvalidAttribute("MaximumMessageSize")
	}
	return nil
}

// InvalidAttribute returns the fault for a queue attribute whose value is out of bounds or not a number.
func InvalidAttribute(name string) error {
	return fault.New(CodeInvalidAttribute, "Invalid value for the parameter %s.", name)
}

// Attributes are the settings and the counts of a queue at one moment. The counts are exact.
type Attributes struct {
	Settings
	Created, Modified time.Time
	Policy            string // as it was put; "": none
	Visible           int    // can be received now
	InFlight          int    // received, hidden until their visibility timeout ends
	Delayed           int    // sent, hidden until their delay ends
}

// Attributes returns settings and counts. Faults: QueueDoesNotExist.
func (qs *Queues) Attributes(_ context.Context, name Name) (Attributes, error) {
	_, leave, err := qs.enter()
	if err != nil {
		return Attributes{}, err
	}
	defer leave()
	q, err := qs.lookup(name)
	if err != nil {
		return Attributes{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.advance(qs.now())
	q.rearm()
	visible, inFlight, delayed := q.index.counts()
	return Attributes{
		Settings: q.meta.settings,
		Policy:   q.meta.policy,
		Created:  time.UnixMilli(q.meta.created), Modified: time.UnixMilli(q.meta.modified),
		Visible: visible, InFlight: inFlight, Delayed: delayed,
	}, nil
}
