package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/server"
	"github.com/shardmill/shardmill/stream"
)

// limitsFlags say which of AWS's limits are enforced.
type limitsFlags struct {
	limits string
	shards int
	life   time.Duration
}

func (f *limitsFlags) register(c *cobra.Command) {
	c.Flags().StringVar(
		&f.limits, "limits", server.LimitsOff,
		"off, or aws: shards take and give what AWS's do in a second, calls have AWS's rates, changes are counted for a day",
	)
	c.Flags().IntVar(
		&f.shards, "shard-limit", stream.DefaultShardQuota, "open shards of provisioned streams of an account in a region",
	)
	c.Flags().DurationVar(&f.life, "iterator-life", stream.IteratorLife, "how long a shard iterator is valid")
}

// into puts the flags into a configuration.
func (f *limitsFlags) into(c *cobra.Command, cfg *server.Config) error {
	if f.shards == 0 { // it would stand for the default
		return usage(c, "--shard-limit must be at least 1")
	}
	if f.life < time.Millisecond {
		return usage(c, "--iterator-life must be at least 1ms")
	}
	cfg.Limits, cfg.ShardLimit, cfg.IteratorLife = f.limits, f.shards, f.life
	return nil
}
