package dynamodb

import (
	"context"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/table"
)

var scans = parameters{
	[]string{"ProjectionExpression", "FilterExpression"}, []string{"AttributesToGet", "ScanFilter"},
}

// scan reads every item, or one of the equal parts that a scan is split into. Source: DynamoDB API Reference, Scan.
func (h *Handler) scan(ctx context.Context, c wire.Caller, in *input) (any, error) {
	name := in.table(c)
	scans.keepApart(in)
	segment, split := in.integer("Segment", 0, 999_999)
	total, counted := in.integer("TotalSegments", 1, 1_000_000)
	switch {
	case split && !counted:
		in.fail(invalid(
			"The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
		))
	case counted && !split:
		in.fail(invalid(
			"The Segment parameter is required but was not present in the request when parameter TotalSegments is present",
		))
	case segment >= total && counted:
		in.fail(invalid("The Segment parameter is zero-based and must be less than parameter TotalSegments: "+
			"Segment: %d is not less than TotalSegments: %d", segment, total))
	}
	r := table.Range{Segment: int(segment), Segments: int(total)}
	return h.page(ctx, in, name, r, scans)
}
