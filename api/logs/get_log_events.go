package logs

import (
	"context"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/logstore"
)

// Bounds of a page of events. Source: CloudWatch Logs API Reference, GetLogEvents.
const (
	maxPageEvents = 10_000
	maxPageBytes  = 1 << 20
)

type getLogEventsInput struct {
	LogGroupName, LogGroupIdentifier, LogStreamName, NextToken *string
	StartTime, EndTime, Limit                                  *int64
	StartFromHead                                              bool
	Unmask                                                     bool // nothing is masked
}

type eventAnswer struct {
	Timestamp     int64  `json:"timestamp"`
	Message       string `json:"message"`
	IngestionTime int64  `json:"ingestionTime"`
}

type getLogEventsAnswer struct {
	Events            []eventAnswer `json:"events"`
	NextForwardToken  string        `json:"nextForwardToken"`
	NextBackwardToken string        `json:"nextBackwardToken"`
}

// Tokens are the direction and the place of the event next to the page.
const (
	forwardToken  = "f/"
	backwardToken = "b/"
)

// getLogEvents reads a page of one stream, the latest unless startFromHead. At either end the token of that direction
// is the one that was given. Source: CloudWatch Logs API Reference, GetLogEvents.
func (h *Handler) getLogEvents(ctx context.Context, c wire.Caller, in *getLogEventsInput) (any, error) {
	var v violations
	v.stream(in.LogStreamName)
	v.millis("startTime", in.StartTime)
	v.millis("endTime", in.EndTime)
	q := logstore.Search{
		Limit: v.limit(in.Limit, maxPageEvents), Bytes: maxPageBytes, From: at(in.StartTime), To: at(in.EndTime),
		Backward: !in.StartFromHead,
	}
	var err error
	if q.Group, err = v.target(c, in.LogGroupName, in.LogGroupIdentifier); err != nil {
		return nil, err
	}
	q.Streams = []string{*in.LogStreamName}
	var place logstore.Place // the place of an empty page
	if in.StartTime != nil {
		place.Millis = at(in.StartTime).UnixMilli()
	}
	if in.NextToken != nil {
		var ok bool
		if place, ok = logstore.ParsePlace((*in.NextToken)[min(2, len(*in.NextToken)):]); !ok {
			return nil, invalid("The specified nextToken is invalid.")
		}
		switch {
		case strings.HasPrefix(*in.NextToken, forwardToken):
			q.After, q.Backward = &place, false
		case strings.HasPrefix(*in.NextToken, backwardToken):
			q.Before, q.Backward = &place, true
		default:
			return nil, invalid("The specified nextToken is invalid.")
		}
	}
	events, _, err := h.store.Find(ctx, q)
	if err != nil {
		return nil, err
	}
	first, last := place, place
	if len(events) > 0 {
		first, last = events[0].Place, events[len(events)-1].Place
	}
	out := getLogEventsAnswer{
		make([]eventAnswer, 0, len(events)), forwardToken + last.String(), backwardToken + first.String(),
	}
	for _, e := range events {
		out.Events = append(out.Events, eventAnswer{e.Place.Millis, e.Message, e.Ingested.UnixMilli()})
	}
	return out, nil
}
