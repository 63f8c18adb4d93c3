package main

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// reshard is a command that changes the shards of a stream.
type reshard struct {
	streamFlags
	wait bool

	cl   *client
	js   bool
	name string
	mode string
	open []shard // before the change, in the order of their hash keys
}

func newReshard(c *cobra.Command) *reshard {
	r := &reshard{streamFlags: newStreamFlags(c)}
	c.Flags().BoolVar(&r.wait, "wait", true, "wait until the stream is ACTIVE again, and before that if it is not yet")
	return r
}

// begin finds the open shards of the stream that the command is about.
func (r *reshard) begin(c *cobra.Command, name string) (err error) {
	if r.cl, r.js, err = r.start(c); err != nil {
		return err
	}
	r.name = name
	var s streamSummary
	if r.wait {
		s, err = r.cl.settle(c.Context(), name)
	} else {
		s, err = r.cl.summary(c.Context(), name)
	}
	if err != nil {
		return r.explain(err)
	}
	r.mode = s.StreamModeDetails.StreamMode
	if r.open, err = r.cl.openShards(c.Context(), name); err != nil {
		return r.explain(err)
	}
	if len(r.open) == 0 {
		return &failure{text: fmt.Sprintf("the stream %s is %s and has no open shard", name, s.StreamStatus)}
	}
	return nil
}

// explain adds to the error of a request what to do about it.
func (r *reshard) explain(err error) error {
	if isCode(err, fault.CodeValidation) && r.mode == string(stream.OnDemand) {
		return &failure{text: err.Error(), hint: fmt.Sprintf(
			"an on-demand stream grows by itself; to set its shards: aws kinesis update-stream-mode --stream-arn … "+
				"--stream-mode-details StreamMode=%s", stream.Provisioned,
		)}
	}
	return explainStream(err, r.conn.flags(r.cl))
}

// find returns the open shard that an argument names: by its id, or by the number in it.
func (r *reshard) find(text string) (int, error) {
	id, ok := stream.ParseShardID(text)
	if ok {
		if i := slices.IndexFunc(r.open, func(s shard) bool { return s.ShardId == id.String() }); i >= 0 {
			return i, nil
		}
	}
	return 0, &failure{
		text: fmt.Sprintf("the stream %s has no open shard %q; it has %s", r.name, text, idsOf(r.open)),
		hint: "all shards: shardmill stream describe " + shellWord(r.name) + r.conn.flags(r.cl),
	}
}

// idsOf names shards, of many only the first.
func idsOf(shards []shard) string {
	ids := make([]string, len(shards))
	for i := range shards {
		ids[i] = shards[i].ShardId
	}
	if more := len(ids) - 8; more > 0 {
		return strings.Join(ids[:8], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(ids, ", ")
}

// resharded is the result of a change.
type resharded struct {
	StreamName   string
	StreamStatus string
	Before       []string // the shards that were open
	OpenShards   []shard  // now, in the order of their hash keys
}

// end waits for the change and prints its result; line says in text what happened, given the open shards of now.
func (r *reshard) end(c *cobra.Command, line func(t terminal, open []shard) text) error {
	s, err := r.settled(c)
	if err != nil {
		return err
	}
	open, err := r.cl.openShards(c.Context(), r.name)
	if err != nil {
		return r.explain(err)
	}
	if r.js {
		out := resharded{s.StreamName, s.StreamStatus, make([]string, len(r.open)), append([]shard{}, open...)}
		for i := range r.open {
			out.Before[i] = r.open[i].ShardId
		}
		return printJSON(c.OutOrStdout(), out)
	}
	t, errs := newTerminal(c.OutOrStdout()), newTerminal(c.ErrOrStderr())
	if s.StreamStatus != "ACTIVE" {
		t.printf("%s is %s\n", r.name, s.StreamStatus)
		errs.printf(
			"%s the shards will show in: shardmill stream describe %s%s\n", errs.dim("hint:"), shellWord(r.name),
			r.conn.flags(r.cl),
		)
		return nil
	}
	t.printf("%s\n", line(t, open))
	return nil
}

// settled describes the stream after a change, which it waits for if the user wants to.
func (r *reshard) settled(c *cobra.Command) (s streamSummary, err error) {
	if r.wait {
		s, err = r.cl.settle(c.Context(), r.name)
	} else {
		s, err = r.cl.summary(c.Context(), r.name)
	}
	if err != nil {
		return s, r.explain(err)
	}
	return s, nil
}

// children returns the open shards that have followed parents, with their shares.
func children(t terminal, open []shard, parents ...string) text {
	var parts []string
	for i := range open {
		if slices.ContainsFunc(open[i].parents(), func(p string) bool { return slices.Contains(parents, p) }) {
			parts = append(parts, fmt.Sprintf("%s (%s)", open[i].ShardId, open[i].share()))
		}
	}
	return t.text("%s → %s", strings.Join(parents, " + "), t.bold(strings.Join(parts, ", ")))
}

func newStreamSplit() *cobra.Command {
	var at string
	c := &cobra.Command{
		Use:   "split STREAM [SHARD]",
		Short: "Split an open shard in two, in the middle unless --at says where",
		Long: `Splits an open shard in two. SHARD is its id or the number in it; it may be left away if the stream has one open shard only.
Records that the shard already has stay in it: readers finish it before they begin with its children.`,
		Example: `  shardmill stream split orders
  shardmill stream split orders shardId-000000000003 --at 170141183460469231731687303715884105728`,
		Args: between("split", "a stream and one shard", 1, 2),
	}
	r := newReshard(c)
	c.Flags().StringVar(&at, "at", "", "hash key with which the second child begins (default: the middle)")
	c.RunE = func(c *cobra.Command, args []string) error {
		if _, ok := record.ParseHashKey(at); !ok && at != "" {
			return usage(c, "--at is %q; a hash key is a decimal number below 2^128", at)
		}
		if err := r.begin(c, args[0]); err != nil {
			return err
		}
		i, err := 0, error(nil)
		switch {
		case len(args) == 2:
			if i, err = r.find(args[1]); err != nil {
				return err
			}
		case len(r.open) > 1:
			return usage(
				c, "the stream %s has %d open shards; name one of them: %s", r.name, len(r.open), idsOf(r.open),
			)
		}
		parent := r.open[i].ShardId
		in := of(r.name, map[string]any{"ShardToSplit": parent, "NewStartingHashKey": first(at, middle(&r.open[i]))})
		if err := r.cl.kinesis(c.Context(), "SplitShard", in, nil); err != nil {
			return r.explain(err)
		}
		return r.end(c, func(t terminal, open []shard) text { return children(t, open, parent) })
	}
	return c
}

// middle returns the hash key with which the second half of a shard begins.
func middle(s *shard) string {
	keys, _ := s.HashKeyRange.keys() // open shards have some
	n := new(big.Int).Add(keys.Start.Big(), keys.End.Big())
	return n.Add(n, big.NewInt(1)).Rsh(n, 1).String()
}

func newStreamMerge() *cobra.Command {
	c := &cobra.Command{
		Use:   "merge STREAM SHARD [NEIGHBOUR]",
		Short: "Merge two open shards that lie side by side",
		Long: `Merges two open shards with neighbouring hash keys into one, in either order. Each is named by its id or the number in it. Without a second one it is
the next higher neighbour.`,
		Example: "  shardmill stream merge orders shardId-000000000001 shardId-000000000002",
		Args:    between("merge", "a stream and two shards", 2, 3),
	}
	r := newReshard(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := r.begin(c, args[0]); err != nil {
			return err
		}
		low, err := r.find(args[1])
		if err != nil {
			return err
		}
		high := low + 1
		if len(args) == 3 {
			if high, err = r.find(args[2]); err != nil {
				return err
			}
			low, high = min(low, high), max(low, high)
		}
		if high >= len(r.open) {
			return usage(c, "%s has the highest hash keys; name its neighbour", r.open[low].ShardId)
		}
		if high != low+1 {
			return &failure{
				text: fmt.Sprintf("%s and %s are not side by side", r.open[low].ShardId, r.open[high].ShardId),
				hint: "the neighbours of a shard: shardmill stream describe " + shellWord(r.name) + r.conn.flags(r.cl),
			}
		}
		in := of(r.name, map[string]any{
			"ShardToMerge": r.open[low].ShardId, "AdjacentShardToMerge": r.open[high].ShardId,
		})
		if err := r.cl.kinesis(c.Context(), "MergeShards", in, nil); err != nil {
			return r.explain(err)
		}
		return r.end(c, func(t terminal, open []shard) text {
			return children(t, open, r.open[low].ShardId, r.open[high].ShardId)
		})
	}
	return c
}
