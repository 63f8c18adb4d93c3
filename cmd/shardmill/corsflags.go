package main

import (
	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/server"
)

// corsFlags say which web pages may call.
type corsFlags struct{ kinesis string }

func (f *corsFlags) register(c *cobra.Command) {
	c.Flags().StringVar(
		&f.kinesis, "kinesis-cors", "",
		"origin of web pages that may call Kinesis, such as http://localhost:3000, or * for all (default: none)",
	)
}

// into puts the flags into a configuration.
func (f *corsFlags) into(c *cobra.Command, cfg *server.Config) error {
	if f.kinesis == "" && c.Flags().Changed("kinesis-cors") {
		return usage(c, `--kinesis-cors is ""; it must be an origin, such as http://localhost:3000, or *`)
	}
	cfg.KinesisCORS = f.kinesis
	return nil
}
