package kinesis

import "context"

// stopStreamEncryption serves StopStreamEncryption. The key need not be the one that the stream has.
func (h *handler) stopStreamEncryption(ctx context.Context, c *call) error {
	target, kind, keyID, err := c.encryption()
	if err != nil {
		return err
	}
	return h.streams.StopEncryption(ctx, target, kind, keyID)
}
