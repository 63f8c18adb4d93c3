package main

import (
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/api/control"
)

func newClock() *cobra.Command {
	c := &cobra.Command{
		Use:   "clock",
		Short: "Show the server's time, or move it forward",
		Long: `Everything a pipeline waits for goes by a clock that can be moved forward: batching windows, back-off, record age, retention, visibility timeouts.
Functions see it too, unless the server runs with --function-clock real; their timeouts stay on real time.`,
		Example: "  shardmill clock\n  shardmill clock --iso\n  shardmill clock advance 60s",
	}
	conn, out := controlFlags(c), outputFlag(c)
	run := func(c *cobra.Command, conn *connection, out string, method string, change any) error {
		js, err := wantJSON(c, out)
		if err != nil {
			return err
		}
		cl, err := conn.client()
		if err != nil {
			return err
		}
		var s control.ClockState
		if err := cl.control(c.Context(), method, control.PathClock, change, &s); err != nil {
			return explain(err)
		}
		if js {
			return printJSON(c.OutOrStdout(), s)
		}
		newTerminal(c.OutOrStdout()).printf(
			"%s (%s ahead of real time)\n", s.Now.Format(time.RFC3339Nano),
			time.Duration(s.OffsetMillis)*time.Millisecond,
		)
		return nil
	}
	iso := c.Flags().Bool(
		"iso", false, "print the time alone, rounded up to a whole second, as the end of what has happened so far",
	)
	epoch := c.Flags().Bool("epoch", false, "print the seconds since 1970 alone")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *iso && *epoch || (*iso || *epoch) && c.Flags().Changed("output") {
			return usage(c, "--iso, --epoch and --output exclude each other")
		}
		if !*iso && !*epoch {
			return run(c, conn, *out, http.MethodGet, nil)
		}
		cl, err := conn.client()
		if err != nil {
			return err
		}
		var s control.ClockState
		if err := cl.control(c.Context(), http.MethodGet, control.PathClock, nil, &s); err != nil {
			return explain(err)
		}
		t := newTerminal(c.OutOrStdout())
		if *epoch {
			t.printf("%d\n", s.Now.Unix())
		} else {
			t.printf("%s\n", s.Now.UTC().Add(time.Second-1).Format(time.RFC3339)) // printing cuts the fraction
		}
		return nil
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
	aconn := controlFlags(advance)
	aout := outputFlag(advance)
	advance.RunE = func(c *cobra.Command, args []string) error {
		d, err := time.ParseDuration(args[0])
		if err != nil || d < 0 {
			return usage(c, "%q is not a duration to move forward by; write it like 90s, 15m or 24h", args[0])
		}
		if d < time.Millisecond {
			return usage(c, "%q moves nothing: the clock goes forward by a millisecond at least", args[0])
		}
		return run(c, aconn, *aout, http.MethodPost, control.ClockChange{AdvanceMillis: d.Milliseconds()})
	}
	c.AddCommand(advance)
	return c
}
