package logs

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/logstore"
)

// Bounds of a batch. Source: CloudWatch Logs API Reference, PutLogEvents.
const (
	maxBatchEvents = 10_000
	maxBatchBytes  = 1 << 20
	eventOverhead  = 26 // bytes that each event counts beside its message
	maxBatchSpan   = 24 * time.Hour
)

type putLogEventsInput struct {
	streamInput
	LogEvents []struct {
		Timestamp *int64
		Message   *string
	}
	SequenceToken *string // ignored, as on AWS since 2023
	Entity        json.RawMessage
}

type rejectedAnswer struct {
	TooNew  *int `json:"tooNewLogEventStartIndex,omitempty"`
	TooOld  *int `json:"tooOldLogEventEndIndex,omitempty"`
	Expired *int `json:"expiredLogEventEndIndex,omitempty"`
}

type putLogEventsAnswer struct {
	NextSequenceToken string          `json:"nextSequenceToken"`
	Rejected          *rejectedAnswer `json:"rejectedLogEventsInfo,omitempty"`
}

// putLogEvents adds a batch to a stream. Source: CloudWatch Logs API Reference, PutLogEvents.
func (h *Handler) putLogEvents(_ context.Context, c wire.Caller, in *putLogEventsInput) (any, error) {
	events, err := in.events()
	if err != nil {
		return nil, err
	}
	r, err := h.store.Put(group(c, *in.LogGroupName), *in.LogStreamName, events)
	if err != nil {
		return nil, err
	}
	out := putLogEventsAnswer{NextSequenceToken: logstore.Place{Millis: h.clock.Now().UnixMilli()}.String()}
	if r.Any() {
		out.Rejected = &rejectedAnswer{index(r.New), index(r.Old), index(r.Expired)}
	}
	return out, nil
}

func index(n int) *int {
	if n < 0 {
		return nil
	}
	return &n
}

// events checks a batch and turns it into what the store takes.
func (in *putLogEventsInput) events() ([]logstore.LogEvent, error) {
	var v violations
	v.group(in.LogGroupName)
	v.stream(in.LogStreamName)
	if in.LogEvents == nil {
		v.Null("logEvents")
	} else if len(in.LogEvents) == 0 {
		v.Hidden("logEvents", "Member must have length greater than or equal to 1")
	} else if len(in.LogEvents) > maxBatchEvents {
		v.Hidden("logEvents", fmt.Sprintf("Member must have length less than or equal to %d", maxBatchEvents))
	}
	events := make([]logstore.LogEvent, 0, min(len(in.LogEvents), maxBatchEvents))
	size := 0
	for i, e := range in.LogEvents {
		if i == maxBatchEvents {
			break
		}
		path := fmt.Sprintf("logEvents.%d.member.", i+1)
		if e.Timestamp == nil {
			v.Null(path + "timestamp")
		}
		v.millis(path+"timestamp", e.Timestamp)
		if e.Message == nil {
			v.Null(path + "message")
		} else if *e.Message == "" {
			v.Add(path+"message", "", "Member must have length greater than or equal to 1")
		}
		if e.Timestamp == nil || e.Message == nil {
			continue
		}
		events = append(events, logstore.LogEvent{At: at(e.Timestamp), Message: *e.Message})
		size += len(*e.Message) + eventOverhead
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	if string(in.Entity) != "" && string(in.Entity) != "null" {
		return nil, unsupported("entity")
	}
	if size > maxBatchBytes {
		return nil, invalid("Upload too large: %d bytes exceeds limit of %d", size, maxBatchBytes)
	}
	for i := 1; i < len(events); i++ {
		if events[i].At.Before(events[i-1].At) {
			return nil, invalid("Log events in a single PutLogEvents request must be in chronological order.")
		}
	}
	if events[len(events)-1].At.Sub(events[0].At) > maxBatchSpan {
		return nil, invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
	}
	return events, nil
}
