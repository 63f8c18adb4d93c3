package main

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
)

func newStream() *cobra.Command {
	c := &cobra.Command{
		Use:   "stream",
		Short: "List and describe streams, and change how many shards they have",
		Example: `  shardmill stream ls
  shardmill stream describe orders
  shardmill stream split orders shardId-000000000000
  shardmill stream merge orders shardId-000000000001 shardId-000000000002
  shardmill stream scale orders 8`,
	}
	c.AddCommand(newStreamLs(), newStreamDescribe(), newStreamSplit(), newStreamMerge(), newStreamScale())
	needsCommand(c, "ls, describe, split, merge or scale")
	return c
}

// streamFlags are what the commands about streams have in common.
type streamFlags struct {
	conn *connection
	out  *string
}

func newStreamFlags(c *cobra.Command) streamFlags {
	return streamFlags{connectionFlags(c), outputFlag(c)}
}

// start returns what a command needs: a client, and whether it prints JSON.
func (f *streamFlags) start(c *cobra.Command) (cl *client, js bool, err error) {
	if js, err = wantJSON(c, *f.out); err != nil {
		return nil, false, err
	}
	cl, err = f.conn.client()
	return cl, js, err
}

func newStreamLs() *cobra.Command {
	c := &cobra.Command{Use: "ls", Short: "List the streams of an account and region", Args: noArgs}
	f := newStreamFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cl, js, err := f.start(c)
		if err != nil {
			return err
		}
		all, err := cl.streams(c)
		if err != nil {
			return explain(err)
		}
		if js {
			return printJSON(c.OutOrStdout(), struct{ Streams []streamSummary }{all})
		}
		if len(all) == 0 {
			errs := newTerminal(c.ErrOrStderr())
			where := "account " + cl.account + ", " + cl.region
			if cl.given.ID != "" {
				where = cl.region + " of the account of this key"
			}
			errs.printf("%s there is no stream in %s\n", errs.dim("hint:"), where)
			return nil
		}
		table := newTable(c)
		table.row("NAME", "STATUS", "MODE", "SHARDS", "KEPT", "CREATED")
		for _, s := range all {
			table.row(
				s.StreamName, s.StreamStatus, s.StreamModeDetails.StreamMode, s.OpenShardCount,
				fmt.Sprintf("%d h", s.RetentionPeriodHours), stampOf(s.StreamCreationTimestamp),
			)
		}
		return table.end()
	}
	return c
}

// streams describes all streams of the client's account and region, by name. One that is deleted meanwhile is left out.
func (c *client) streams(cmd *cobra.Command) ([]streamSummary, error) {
	all := []streamSummary{} // in JSON, none is [] and not null
	for in := map[string]any{}; ; {
		var page struct {
			StreamNames    []string
			NextToken      string
			HasMoreStreams bool
		}
		if err := c.kinesis(cmd.Context(), "ListStreams", in, &page); err != nil {
			return nil, err
		}
		for _, name := range page.StreamNames {
			s, err := c.summary(cmd.Context(), name)
			if isCode(err, fault.CodeNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			all = append(all, s)
		}
		if !page.HasMoreStreams || page.NextToken == "" {
			return all, nil
		}
		in = map[string]any{"NextToken": page.NextToken}
	}
}

func newStreamDescribe() *cobra.Command {
	c := &cobra.Command{
		Use:     "describe STREAM",
		Short:   "Show a stream and its shards",
		Example: "  shardmill stream describe orders\n  shardmill stream describe orders -o json",
		Args:    exactly("describe", "one stream", 1),
	}
	f := newStreamFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, js, err := f.start(c)
		if err != nil {
			return err
		}
		s, err := cl.summary(c.Context(), args[0])
		if err != nil {
			return explainStream(err, f.conn.flags(cl))
		}
		var shards []shard
		if s.StreamStatus != "CREATING" { // until then it has none that could be listed
			if shards, err = cl.shards(c.Context(), args[0]); err != nil {
				return explainStream(err, f.conn.flags(cl))
			}
		}
		if js {
			all, err := cl.summaryAsItIs(c.Context(), args[0])
			if err != nil {
				return explainStream(err, f.conn.flags(cl))
			}
			if all["Shards"], err = json.Marshal(append([]shard{}, shards...)); err != nil {
				return err
			}
			return printJSON(c.OutOrStdout(), all)
		}
		t := newTerminal(c.OutOrStdout())
		t.printf("%s  %s, %s, %s\n", t.bold(s.StreamName), s.StreamStatus, s.StreamModeDetails.StreamMode, s.StreamARN)
		t.printf(
			"records of at most %d KiB are kept for %d h; encryption %s; %s; created %s\n", s.MaxRecordSizeInKiB,
			s.RetentionPeriodHours, strings.TrimSpace(s.EncryptionType+" "+s.KeyId),
			counted(s.ConsumerCount, "consumer"),
			stampOf(s.StreamCreationTimestamp),
		)
		table := newTable(c)
		table.row("SHARD", "STATE", "SHARE", "FIRST HASH KEY", "PARENTS")
		for i := range shards {
			table.shard(&shards[i])
		}
		return table.end()
	}
	return c
}

// exactly refuses all but n arguments.
func exactly(name, what string, n int) cobra.PositionalArgs { return between(name, what, n, n) }

// between refuses fewer than least and more than most arguments.
func between(name, what string, least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usage(c, "%s takes %s; got %s", name, what, counted(len(args), "argument"))
		}
		return nil
	}
}

// stampOf returns a time of the API for people, in the zone of this machine.
func stampOf(seconds float64) string {
	return time.UnixMilli(int64(seconds * 1000)).Format("2006-01-02 15:04:05")
}

// table prints rows with columns of one width.
type table struct {
	t terminal
	w *tabwriter.Writer
}

func newTable(c *cobra.Command) *table {
	t := newTerminal(c.OutOrStdout())
	return &table{t, tabwriter.NewWriter(t.w, 0, 0, 2, ' ', 0)}
}

// row adds a row, each cell escaped for a terminal.
func (b *table) row(cells ...any) {
	for i, cell := range cells {
		if i > 0 {
			_, _ = fmt.Fprint(b.w, "\t") // into memory; end reports what cannot be written
		}
		_, _ = fmt.Fprint(b.w, b.t.text("%v", cell))
	}
	_, _ = fmt.Fprintln(b.w)
}

// shard adds a row about a shard.
func (b *table) shard(s *shard) {
	state, parents := "open", ""
	if !s.open() {
		state = "closed"
	}
	for i, p := range s.parents() {
		if i > 0 {
			parents += ", "
		}
		parents += p
	}
	b.row(s.ShardId, state, s.share(), s.HashKeyRange.StartingHashKey, parents)
}

// end prints the table.
func (b *table) end() error { return b.w.Flush() }

// share returns how much of the hash key space belongs to a shard: about so many of all keys go to it.
func (s *shard) share() string {
	keys, ok := s.HashKeyRange.keys()
	if !ok {
		return "?"
	}
	width := new(big.Int).Sub(keys.End.Big(), keys.Start.Big())
	width.Add(width, big.NewInt(1))
	share, _ := new(big.Rat).SetFrac(width.Mul(width, big.NewInt(100)), spaceOfKeys()).Float64()
	return fmt.Sprintf("%.3g %%", share)
}

// spaceOfKeys returns the number of hash keys, 2^128.
func spaceOfKeys() *big.Int {
	n := record.MaxHashKey.Big()
	return n.Add(n, big.NewInt(1))
}
