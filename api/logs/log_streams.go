package logs

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/logstore"
)

type streamInput struct {
	LogGroupName, LogStreamName *string
}

func (in *streamInput) validate() error {
	var v violations
	v.group(in.LogGroupName)
	v.stream(in.LogStreamName)
	return v.err()
}

// createLogStream makes a stream. Source: CloudWatch Logs API Reference, CreateLogStream.
func (h *Handler) createLogStream(_ context.Context, c wire.Caller, in *streamInput) (any, error) {
	if err := in.validate(); err != nil {
		return nil, err
	}
	return nil, h.store.CreateStream(group(c, *in.LogGroupName), *in.LogStreamName)
}

// deleteLogStream deletes a stream with its events. Source: CloudWatch Logs API Reference, DeleteLogStream.
func (h *Handler) deleteLogStream(_ context.Context, c wire.Caller, in *streamInput) (any, error) {
	if err := in.validate(); err != nil {
		return nil, err
	}
	return nil, h.store.DeleteStream(group(c, *in.LogGroupName), *in.LogStreamName)
}

type describeLogStreamsInput struct {
	LogGroupName, LogGroupIdentifier, LogStreamNamePrefix, OrderBy, NextToken *string
	Descending                                                                bool
	Limit                                                                     *int64
}

type streamAnswer struct {
	LogStreamName       string `json:"logStreamName"`
	CreationTime        int64  `json:"creationTime"`
	FirstEventTimestamp *int64 `json:"firstEventTimestamp,omitempty"`
	LastEventTimestamp  *int64 `json:"lastEventTimestamp,omitempty"`
	LastIngestionTime   *int64 `json:"lastIngestionTime,omitempty"`
	UploadSequenceToken string `json:"uploadSequenceToken,omitempty"`
	ARN                 string `json:"arn"`
	StoredBytes         int64  `json:"storedBytes"` // always 0 on AWS, since 2019
}

type describeLogStreamsAnswer struct {
	LogStreams []streamAnswer `json:"logStreams"`
	NextToken  string         `json:"nextToken,omitempty"`
}

// describeLogStreams lists streams by name or by the time of their last event; those without events have the earliest.
// Source: CloudWatch Logs API Reference, DescribeLogStreams.
func (h *Handler) describeLogStreams(_ context.Context, c wire.Caller, in *describeLogStreamsInput) (any, error) {
	var v violations
	v.text("logStreamNamePrefix", in.LogStreamNamePrefix, false, maxName, streamNames, streamPattern)
	byTime := in.OrderBy != nil && *in.OrderBy == "LastEventTime"
	if in.OrderBy != nil && !byTime && *in.OrderBy != "LogStreamName" {
		v.Add("orderBy", clip(*in.OrderBy), "Member must satisfy enum value set: [LogStreamName, LastEventTime]")
	}
	limit := v.limit(in.Limit, 50)
	g, err := v.target(c, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	prefix := ""
	if in.LogStreamNamePrefix != nil {
		if byTime {
			return nil, invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
		}
		prefix = *in.LogStreamNamePrefix
	}
	all, err := h.store.Streams(g, prefix)
	if err != nil {
		return nil, err
	}
	key := func(s logstore.StreamInfo) string { return s.Name }
	if byTime {
		key = func(s logstore.StreamInfo) string { return fmt.Sprintf("%020d %s", max(s.Last.UnixMilli(), 0), s.Name) }
	}
	slices.SortFunc(all, func(a, b logstore.StreamInfo) int { return cmp.Compare(key(a), key(b)) })
	if in.Descending {
		slices.Reverse(all)
	}
	all, next, err := page(all, limit, in.NextToken, in.Descending, key)
	if err != nil {
		return nil, err
	}
	out := describeLogStreamsAnswer{LogStreams: make([]streamAnswer, 0, len(all)), NextToken: next}
	for _, s := range all {
		a := streamAnswer{
			LogStreamName: s.Name, CreationTime: s.Created.UnixMilli(), ARN: g.ARN() + ":log-stream:" + s.Name,
			FirstEventTimestamp: millisOf(s.First), LastEventTimestamp: millisOf(s.Last),
			LastIngestionTime: millisOf(s.Ingested),
		}
		if a.LastIngestionTime != nil {
			a.UploadSequenceToken = logstore.Place{Millis: *a.LastIngestionTime}.String()
		}
		out.LogStreams = append(out.LogStreams, a)
	}
	return out, nil
}
