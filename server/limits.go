package server

import "fmt"

// Values of Config.Limits.
const (
	LimitsOff = "off"
	LimitsAWS = "aws"
)

// mostShards is the largest Config.ShardLimit: beyond it no AWS account goes.
const mostShards = 1_000_000

func (c *Config) checkLimits() error {
	if c.Limits != "" && c.Limits != LimitsOff && c.Limits != LimitsAWS {
		return fmt.Errorf("limits %q is neither off nor aws", c.Limits)
	}
	if c.ShardLimit < 0 || c.ShardLimit > mostShards {
		return fmt.Errorf("shard-limit %d is outside 1 to %d", c.ShardLimit, mostShards)
	}
	return nil
}
