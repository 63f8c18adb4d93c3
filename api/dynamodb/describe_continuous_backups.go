package dynamodb

import (
	"context"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/table"
	"github.com/shardmill/shardmill/fault"
)

type continuousBackups struct {
	ContinuousBackupsStatus        string
	PointInTimeRecoveryDescription struct{ PointInTimeRecoveryStatus string }
}

// describeContinuousBackups answers that there are none. Source: DynamoDB API Reference, DescribeContinuousBackups.
func (h *Handler) describeContinuousBackups(ctx context.Context, c wire.Caller, in *input) (any, error) {
	name := in.table(c)
	if err := in.err(); err != nil {
		return nil, err
	}
	_, err := h.tables.Inspect(ctx, name)
	if fault.CodeOf(err) == table.CodeNotFound {
		return nil, fault.New(codeTableNotFound, "Table not found: %s", name.Table)
	}
	if err != nil {
		return nil, err
	}
	b := continuousBackups{ContinuousBackupsStatus: "DISABLED"}
	b.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus = "DISABLED"
	return struct{ ContinuousBackupsDescription continuousBackups }{b}, nil
}
