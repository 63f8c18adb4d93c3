package kinesis

import "context"

type warmThroughput struct {
	CurrentMiBps int
	TargetMiBps  int
}

// updateStreamWarmThroughput serves UpdateStreamWarmThroughput.
func (h *handler) updateStreamWarmThroughput(ctx context.Context, c *call) error {
	f := c.request("StreamARN", "StreamName", "WarmThroughputMiBps")
	arn, name, warm := f.str("StreamARN"), f.str("StreamName"), f.integer("WarmThroughputMiBps")
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.streamARN(arn, optional)
	v.name("streamName", name, optional)
	v.warm(warm, required)
	if err := v.Err(); err != nil {
		return err
	}
	found, err := c.address(name, arn)
	if err != nil {
		return err
	}
	target, current, err := h.streams.SetWarm(ctx, found, int(*warm))
	if err != nil {
		return err
	}
	return c.answer(struct {
		StreamARN      string
		StreamName     string
		WarmThroughput warmThroughput
	}{found.ARN(), found.Name, warmThroughput{CurrentMiBps: current, TargetMiBps: target}})
}

// warm checks a warm throughput.
func (v *constraints) warm(n *int64, need bool) {
	v.number("warmThroughputMiBps", n, need, 0, maxInteger)
}
