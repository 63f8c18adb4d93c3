package server

import (
	"fmt"
	"time"
)

// Values of Config.Limits.
const (
	LimitsOff = "off"
	LimitsAWS = "aws"
)

// mostShards is the largest Config.ShardLimit: beyond it no AWS account goes.
const mostShards = 1_000_000

// mostLife is the largest Config.IteratorLife: no record is kept for longer.
const mostLife = 8760 * time.Hour

func (c *Config) checkLimits() error {
	if c.Limits != "" && c.Limits != LimitsOff && c.Limits != LimitsAWS {
		return fmt.Errorf("limits %q is neither off nor aws", c.Limits)
	}
	if c.ShardLimit < 0 || c.ShardLimit > mostShards {
		return fmt.Errorf("shard-limit %d is outside 1 to %d", c.ShardLimit, mostShards)
	}
	if c.IteratorLife < 0 || c.IteratorLife > mostLife {
		return fmt.Errorf("iterator-life %s is outside 1ms to %s", c.IteratorLife, mostLife)
	}
	return nil
}
