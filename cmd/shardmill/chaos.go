package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/stream"
)

func newChaos() *cobra.Command {
	c := &cobra.Command{
		Use:   "chaos",
		Short: "Refuse or hold up puts on purpose, to try what producers make of it",
		Long: `Under dev, puts to a stream can be throttled, fail or be held up on purpose, and reads on request: so that it can be seen whether a producer puts the
failed entries of PutRecords again, how it backs off, and what it loses. What is set is gone when the server stops.`,
		Example: `  shardmill chaos stream orders --throttle 5%
  shardmill chaos stream orders --throttle 1/2 --fail 1% --latency 200ms --seed 7
  shardmill chaos ls
  shardmill chaos off orders`,
	}
	c.AddCommand(newChaosStream(), newChaosLs(), newChaosOff())
	needsCommand(c, "stream, ls or off")
	return c
}

// needsCommand makes a command that only has commands refuse to run without one.
func needsCommand(c *cobra.Command, which string) {
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage(c, "%s has no command %q", c.Name(), args[0])
		}
		return usage(c, "%s needs a command: %s", c.Name(), which)
	}
	c.RunE = func(*cobra.Command, []string) error { return nil } // not reached: its arguments are refused
}

func newChaosStream() *cobra.Command {
	var in control.ChaosRequest
	var seed uint64
	var latency time.Duration
	c := &cobra.Command{
		Use:   "stream STREAM",
		Short: "Say which puts to a stream are refused or held up, in place of what was said before",
		Example: `  shardmill chaos stream orders --throttle 5%                  each record with a chance of 5 %
  shardmill chaos stream orders --throttle 1/2                 exactly every second record
  shardmill chaos stream orders --fail 1% --seed 7             the same records each time
  shardmill chaos stream orders --throttle 10% --calls         whole calls of PutRecords
  shardmill chaos stream orders --latency 2s --reads           reads as well`,
		Args: exactly("stream", "one stream", 1),
	}
	conn, out := controlFlags(c), outputFlag(c)
	c.Flags().StringVar(&in.Throttle, "throttle", "", "answer ProvisionedThroughputExceededException for such a share, 5% or 1/20")
	c.Flags().StringVar(&in.Fail, "fail", "", "answer InternalFailure for such a share, 5% or 1/20")
	c.Flags().DurationVar(&latency, "latency", 0, "hold up every call for so long, such as 200ms")
	c.Flags().Uint64Var(&seed, "seed", 0, "which records are refused depends on it alone (default: one is drawn and shown)")
	c.Flags().StringVar(&in.Shard, "shard", "", "only records of this shard: its id or the number in it")
	c.Flags().BoolVar(&in.Calls, "calls", false, "refuse whole calls of PutRecords and not their entries")
	c.Flags().BoolVar(&in.Reads, "reads", false, "refuse and hold up GetRecords, too")
	c.RunE = func(c *cobra.Command, args []string) error {
		js, err := wantJSON(c, *out)
		if err != nil {
			return err
		}
		for _, share := range []struct{ name, text string }{{"throttle", in.Throttle}, {"fail", in.Fail}} {
			if _, err := control.ParseShare(share.text); err != nil {
				return usage(c, "--%s: %s", share.name, err)
			}
		}
		switch {
		case in.Throttle == "" && in.Fail == "" && latency == 0:
			return usage(c, "chaos stream needs --throttle, --fail or --latency")
		case latency < 0 || latency > stream.LongestChaosLatency || latency > 0 && latency < time.Millisecond:
			return usage(c, "--latency is %s; it must be 1ms to %s", latency, stream.LongestChaosLatency)
		}
		if _, ok := stream.ParseShardID(in.Shard); !ok && in.Shard != "" {
			return usage(c, "--shard is %q; a shard is named by its id or the number in it", in.Shard)
		}
		cl, err := conn.client()
		if err != nil {
			return err
		}
		in.Account, in.Region, in.Stream, in.LatencyMillis = cl.account, cl.region, args[0], latency.Milliseconds()
		if c.Flags().Changed("seed") {
			in.Seed = &seed
		}
		var a control.ChaosAnswer
		if err := cl.control(c.Context(), http.MethodPost, control.PathChaos, in, &a); err != nil {
			return explain(err)
		}
		if js {
			return printJSON(c.OutOrStdout(), a)
		}
		newTerminal(c.OutOrStdout()).printf("%s: %s\n", a.Stream, chaosText(&a))
		errs := newTerminal(c.ErrOrStderr())
		errs.printf(
			"%s it ends with the server, or with: shardmill chaos off %s%s\n", errs.dim("hint:"), shellWord(a.Stream),
			conn.flags(cl),
		)
		return nil
	}
	return c
}

// chaosText says in words what is set.
func chaosText(a *control.ChaosAnswer) string {
	var parts []string
	what := "of the records"
	if a.Calls {
		what = "of the calls"
	}
	if a.Shard != "" {
		what += " of " + a.Shard
	}
	for _, share := range []struct{ text, verb string }{{a.Throttle, "throttled"}, {a.Fail, "failed"}} {
		if share.text != "" {
			parts = append(parts, share.verb+" "+share.text)
		}
	}
	text := strings.Join(parts, ", ")
	if text != "" {
		text += " " + what
	}
	if a.LatencyMillis > 0 {
		if text != "" {
			text += ", "
		}
		text += "calls held up for " + (time.Duration(a.LatencyMillis) * time.Millisecond).String()
	}
	if a.Reads {
		text += ", reads too"
	}
	if a.Seed != nil && len(parts) > 0 {
		text += fmt.Sprintf(" (--seed %d)", *a.Seed)
	}
	return text
}

func newChaosLs() *cobra.Command {
	c := &cobra.Command{Use: "ls", Short: "Show what is refused on purpose, and how often it was", Args: noArgs}
	conn, out := controlFlags(c), outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		js, err := wantJSON(c, *out)
		if err != nil {
			return err
		}
		cl, err := conn.client()
		if err != nil {
			return err
		}
		var list control.ChaosList
		if err := cl.control(c.Context(), http.MethodGet, control.PathChaos, nil, &list); err != nil {
			return explain(err)
		}
		if js {
			return printJSON(c.OutOrStdout(), list)
		}
		if len(list.Streams) == 0 {
			errs := newTerminal(c.ErrOrStderr())
			errs.printf("%s nothing is refused on purpose\n", errs.dim("hint:"))
			return nil
		}
		table := newTable(c)
		table.row("STREAM", "ACCOUNT", "REGION", "JUDGED", "THROTTLED", "FAILED", "HELD UP", "WHAT")
		for i := range list.Streams {
			a := &list.Streams[i]
			table.row(a.Stream, a.Account, a.Region, a.Judged, a.Throttled, a.Failed, a.Delayed, chaosText(a))
		}
		return table.end()
	}
	return c
}

func newChaosOff() *cobra.Command {
	c := &cobra.Command{
		Use:   "off [STREAM]",
		Short: "Leave a stream alone again, or all streams",
		Args:  between("off", "at most one stream", 0, 1),
	}
	conn, out := controlFlags(c), outputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		js, err := wantJSON(c, *out)
		if err != nil {
			return err
		}
		cl, err := conn.client()
		if err != nil {
			return err
		}
		path := control.PathChaos
		if len(args) == 1 {
			path += "?" + url.Values{"account": {cl.account}, "region": {cl.region}, "stream": args}.Encode()
		}
		var list control.ChaosList
		if err := cl.control(c.Context(), http.MethodDelete, path, nil, &list); err != nil {
			return explain(err)
		}
		if js {
			if err := printJSON(c.OutOrStdout(), list); err != nil {
				return err
			}
		}
		if len(list.Streams) == 0 {
			return &failure{text: "nothing was refused on purpose", hint: "what is: shardmill chaos ls" + conn.flags(cl)}
		}
		if js {
			return nil
		}
		t := newTerminal(c.OutOrStdout())
		for _, a := range list.Streams {
			t.printf(
				"%s is left alone: of %d judged, %d were throttled and %d failed; %s held up\n", a.Stream, a.Judged,
				a.Throttled, a.Failed, counted(int(a.Delayed), "call"),
			)
		}
		return nil
	}
	return c
}
