package main

import (
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/server"
)

func newClock() *cobra.Command {
	c := &cobra.Command{
		Use:   "clock",
		Short: "Show the server's time, or move it forward",
		Long: `Everything a pipeline waits for goes by a clock that can be moved forward: batching windows, back-off, record age, retention, visibility timeouts.
Function timeouts stay on real time.`,
		Example: "  shardmill clock\n  shardmill clock advance 60s",
	}
	conn, out := connectionFlags(c), outputFlag(c)
	show := func(c *cobra.Command, js bool, s server.ClockState) error {
		if js {
			return printJSON(c.OutOrStdout(), s)
		}
		newTerminal(c.OutOrStdout()).printf("%s (%s ahead of real time)\n", s.Now.Format(time.RFC3339Nano), time.Duration(s.OffsetMillis)*time.Millisecond)
		return nil
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		js, err := wantJSON(c, *out)
		if err != nil {
			return err
		}
		cl, err := conn.client()
		if err != nil {
			return err
		}
		var s server.ClockState
		if err := cl.control(c.Context(), http.MethodGet, server.PathClock, nil, &s); err != nil {
			return explain(err)
		}
		return show(c, js, s)
	}
	advance := &cobra.Command{
		Use:   "advance DURATION",
		Short: "Move the clock forward, from deadline to deadline",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(c, "advance takes one duration, such as 60s or 24h; got %d arguments", len(args))
			}
			return nil
		},
	}
	aconn := connectionFlags(advance)
	aout := outputFlag(advance)
	advance.RunE = func(c *cobra.Command, args []string) error {
		d, err := time.ParseDuration(args[0])
		if err != nil || d < 0 {
			return usage(c, "%q is not a duration to move forward by; write it like 90s, 15m or 24h", args[0])
		}
		js, err := wantJSON(c, *aout)
		if err != nil {
			return err
		}
		cl, err := aconn.client()
		if err != nil {
			return err
		}
		var s server.ClockState
		if err := cl.control(c.Context(), http.MethodPost, server.PathClock, server.ClockChange{AdvanceMillis: d.Milliseconds()}, &s); err != nil {
			return explain(err)
		}
		return show(c, js, s)
	}
	c.AddCommand(advance)
	return c
}
