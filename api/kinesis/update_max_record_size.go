package kinesis

import "context"

// updateMaxRecordSize serves UpdateMaxRecordSize.
func (h *handler) updateMaxRecordSize(ctx context.Context, c *call) error {
	f := c.request("StreamARN", "MaxRecordSizeInKiB")
	arn, size := f.str("StreamARN"), f.integer("MaxRecordSizeInKiB")
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.streamARN(arn, optional)
	v.recordSize(size, required)
	if err := v.Err(); err != nil {
		return err
	}
	target, err := c.address(nil, arn)
	if err != nil {
		return err
	}
	return h.streams.SetRecordBytes(ctx, target, int(*size)*1024)
}
