package logs

import (
	"context"
	"fmt"
	"slices"

	"github.com/shardmill/shardmill/api/wire"
)

// retentionDays are the values that AWS takes.
var retentionDays = []int{
	1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
}

type putRetentionPolicyInput struct {
	groupInput
	RetentionInDays *int
}

// putRetentionPolicy sets for how many days events are shown. Source: CloudWatch Logs API Reference,
// PutRetentionPolicy.
func (h *Handler) putRetentionPolicy(_ context.Context, c wire.Caller, in *putRetentionPolicyInput) (any, error) {
	var v violations
	v.group(in.LogGroupName)
	if in.RetentionInDays == nil {
		v.Null("retentionInDays")
	} else if !slices.Contains(retentionDays, *in.RetentionInDays) {
		v.Add(
			"retentionInDays", fmt.Sprint(*in.RetentionInDays),
			"Member must satisfy enum value set: ["+joined(retentionDays)+"]",
		)
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	return nil, h.store.SetRetention(group(c, *in.LogGroupName), *in.RetentionInDays)
}

func joined(numbers []int) (out string) {
	for i, n := range numbers {
		if i > 0 {
			out += ", "
		}
		out += fmt.Sprint(n)
	}
	return out
}

// deleteRetentionPolicy restores the retention of groups without a policy. Source: CloudWatch Logs API Reference,
// DeleteRetentionPolicy.
func (h *Handler) deleteRetentionPolicy(_ context.Context, c wire.Caller, in *groupInput) (any, error) {
	var v violations
	v.group(in.LogGroupName)
	if err := v.err(); err != nil {
		return nil, err
	}
	return nil, h.store.SetRetention(group(c, *in.LogGroupName), 0)
}
