package kinesis

import "context"

// describeLimits serves DescribeLimits.
func (h *handler) describeLimits(ctx context.Context, c *call) error {
	if f := c.request(); *f.err != nil {
		return *f.err
	}
	if err := c.admit(); err != nil {
		return err
	}
	u, err := h.streams.Usage(ctx, c.caller.Account, c.caller.Region)
	if err != nil {
		return err
	}
	return c.answer(struct{ OnDemandStreamCount, OnDemandStreamCountLimit, OpenShardCount, ShardLimit int }{
		u.OnDemandStreams, u.OnDemandStreamQuota, u.OpenShards, u.ShardQuota,
	})
}
