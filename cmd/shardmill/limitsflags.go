package main

import (
	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/server"
	"github.com/shardmill/shardmill/stream"
)

// limitsFlags say which of AWS's limits are enforced.
type limitsFlags struct {
	limits string
	shards int
}

func (f *limitsFlags) register(c *cobra.Command) {
	c.Flags().StringVar(
		&f.limits, "limits", server.LimitsOff,
		"off, or aws: shards take and give what AWS's do in a second, calls have AWS's rates, changes are counted for a day",
	)
	c.Flags().IntVar(
		&f.shards, "shard-limit", stream.DefaultShardQuota, "open shards of provisioned streams of an account in a region",
	)
}

// into puts the flags into a configuration.
func (f *limitsFlags) into(c *cobra.Command, cfg *server.Config) error {
	if f.shards == 0 { // it would stand for the default
		return usage(c, "--shard-limit must be at least 1")
	}
	cfg.Limits, cfg.ShardLimit = f.limits, f.shards
	return nil
}
