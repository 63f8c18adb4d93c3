package dynamodb

import (
	"context"

	"github.com/shardmill/shardmill/api/wire"
)

type timeToLive struct {
	AttributeName string
	Enabled       bool
}

type timeToLiveDescription struct {
	TimeToLiveStatus string
	AttributeName    string `json:",omitempty"`
}

// updateTimeToLive makes items expire, or stops that. It is done when the answer goes out. Source: DynamoDB API
// Reference, UpdateTimeToLive.
func (h *Handler) updateTimeToLive(ctx context.Context, c wire.Caller, in *input) (any, error) {
	name := in.table(c)
	in.need("TimeToLiveSpecification")
	var want timeToLive
	if s := in.structure("TimeToLiveSpecification"); s != nil {
		s.need("AttributeName", "Enabled")
		want = timeToLive{s.text("AttributeName"), s.boolean("Enabled")}
		if s.has("AttributeName") && (want.AttributeName == "" || len(want.AttributeName) > 255) {
			in.fail(invalid("TimeToLiveSpecification.AttributeName must be non empty and at most 255 bytes"))
		}
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	if err := h.tables.SetExpiry(ctx, name, want.AttributeName, want.Enabled); err != nil {
		return nil, err
	}
	return struct{ TimeToLiveSpecification timeToLive }{want}, nil
}

// describeTimeToLive answers which attribute holds the time to live. Source: DynamoDB API Reference,
// DescribeTimeToLive.
func (h *Handler) describeTimeToLive(ctx context.Context, c wire.Caller, in *input) (any, error) {
	name := in.table(c)
	if err := in.err(); err != nil {
		return nil, err
	}
	d, err := h.tables.Inspect(ctx, name)
	if err != nil {
		return nil, err
	}
	ttl := timeToLiveDescription{"DISABLED", ""}
	if d.Expiry != "" {
		ttl = timeToLiveDescription{"ENABLED", d.Expiry}
	}
	return struct{ TimeToLiveDescription timeToLiveDescription }{ttl}, nil
}
