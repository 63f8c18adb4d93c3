package kinesis

import "context"

// disableEnhancedMonitoring serves DisableEnhancedMonitoring. A metric that is not measured may be named.
func (h *handler) disableEnhancedMonitoring(ctx context.Context, c *call) error {
	target, metrics, err := c.monitoring()
	if err != nil {
		return err
	}
	before, after, err := h.streams.Monitor(ctx, target, 0, metrics)
	if err != nil {
		return err
	}
	return c.answerMonitoring(target, before, after)
}
