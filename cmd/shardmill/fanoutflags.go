package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/server"
	"github.com/shardmill/shardmill/stream"
)

// fanoutFlags say how consumers of streams compete.
type fanoutFlags struct{ takeOver time.Duration }

func (f *fanoutFlags) register(c *cobra.Command) {
	c.Flags().DurationVar(
		&f.takeOver, "take-over-after", stream.DefaultTakeOver,
		"how long a SubscribeToShard keeps out another one of its consumer and shard; 0: the last one always wins",
	)
}

// into puts the flags into a configuration.
func (f *fanoutFlags) into(c *cobra.Command, cfg *server.Config) error {
	switch {
	case f.takeOver < 0:
		return usage(c, "--take-over-after %s is negative", f.takeOver)
	case f.takeOver == 0:
		cfg.TakeOverAfter = -1
	default:
		cfg.TakeOverAfter = f.takeOver
	}
	return nil
}
