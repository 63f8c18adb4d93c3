package logs

import (
	"context"
	"fmt"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/logstore"
	"github.com/shardmill/shardmill/companion/logstore/pattern"
)

const maxFilteredStreams = 100

type filterLogEventsInput struct {
	LogGroupName, LogGroupIdentifier, LogStreamNamePrefix, FilterPattern, NextToken *string
	LogStreamNames                                                                  []string
	StartTime, EndTime, Limit                                                       *int64
	// always so, as on AWS since 2019
	Interleaved bool
	Unmask      bool // nothing is masked
}

type filteredAnswer struct {
	LogStreamName string `json:"logStreamName"`
	eventAnswer
	EventID string `json:"eventId"`
}

type filterLogEventsAnswer struct {
	Events             []filteredAnswer `json:"events"`
	SearchedLogStreams []struct{}       `json:"searchedLogStreams"` // always empty on AWS, since 2020
	NextToken          string           `json:"nextToken,omitempty"`
}

// filterLogEvents reads the events of a group that match, in the order of their times. A page that ended at a limit has
// a token; the page behind it may be empty. Source: CloudWatch Logs API Reference, FilterLogEvents.
func (h *Handler) filterLogEvents(ctx context.Context, c wire.Caller, in *filterLogEventsInput) (any, error) {
	var v violations
	v.text("logStreamNamePrefix", in.LogStreamNamePrefix, false, maxName, streamNames, streamPattern)
	v.millis("startTime", in.StartTime)
	v.millis("endTime", in.EndTime)
	if in.LogStreamNames != nil && (len(in.LogStreamNames) < 1 || len(in.LogStreamNames) > maxFilteredStreams) {
		v.Hidden(
			"logStreamNames", fmt.Sprintf("Member must have length between 1 and %d, inclusive", maxFilteredStreams),
		)
	}
	q := logstore.Search{
		Streams: in.LogStreamNames, Limit: v.limit(in.Limit, maxPageEvents), Bytes: maxPageBytes,
		From: at(in.StartTime),
	}
	var err error
	if q.Group, err = v.target(c, in.LogGroupName, in.LogGroupIdentifier); err != nil {
		return nil, err
	}
	if in.EndTime != nil {
		q.To = at(in.EndTime).Add(time.Millisecond) // inclusive, unlike GetLogEvents
	}
	if in.LogStreamNamePrefix != nil {
		if in.LogStreamNames != nil {
			return nil, invalid("LogStreamNamePrefix and LogStreamNames are mutually exclusive parameters.")
		}
		q.StreamPrefix = *in.LogStreamNamePrefix
	}
	if in.FilterPattern != nil {
		p, err := pattern.Parse(*in.FilterPattern)
		if err != nil {
			return nil, invalid("Invalid filter pattern: %s.", err)
		}
		q.Match = p.Match
	}
	if in.NextToken != nil {
		place, ok := logstore.ParsePlace(*in.NextToken)
		if !ok {
			return nil, invalid("The specified nextToken is invalid.")
		}
		q.After = &place
	}
	events, more, err := h.store.Find(ctx, q)
	if err != nil {
		return nil, err
	}
	out := filterLogEventsAnswer{Events: make([]filteredAnswer, 0, len(events)), SearchedLogStreams: []struct{}{}}
	for _, e := range events {
		out.Events = append(out.Events, filteredAnswer{
			e.Stream, eventAnswer{e.Place.Millis, e.Message, e.Ingested.UnixMilli()}, e.Place.String(),
		})
	}
	if more && len(events) > 0 {
		out.NextToken = events[len(events)-1].Place.String()
	}
	return out, nil
}
