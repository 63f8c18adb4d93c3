package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/stream"
)

func newStreamScale() *cobra.Command {
	c := &cobra.Command{
		Use:   "scale STREAM COUNT",
		Short: "Give a stream another number of shards of equal size",
		Long: `Splits and merges the shards of a stream until it has COUNT open ones of equal size. One call of UpdateShardCount can at most double them or halve
them; this makes as many calls as it takes, and waits for each.`,
		Example: "  shardmill stream scale orders 8",
		Args:    exactly("scale", "a stream and a number of shards", 2),
	}
	r := newReshard(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		target, err := strconv.Atoi(args[1])
		if err != nil || target < 1 || target > stream.MostShards {
			return usage(c, "%q is not a number of shards from 1 to %d", args[1], stream.MostShards)
		}
		if err := r.begin(c, args[0]); err != nil {
			return err
		}
		steps := scaleSteps(len(r.open), target)
		if len(steps) > 1 && !r.wait {
			return usage(
				c, "from %d to %d shards takes %d calls, each of which waits for the one before; leave --wait=false away",
				len(r.open), target, len(steps),
			)
		}
		bar := newBar(newTerminal(c.ErrOrStderr()))
		for i, n := range steps {
			if i > 0 {
				bar.show(fmt.Sprintf("%d shards, on the way to %d", steps[i-1], target), time.Now())
			}
			in := of(r.name, map[string]any{"TargetShardCount": n, "ScalingType": "UNIFORM_SCALING"})
			if err := r.cl.kinesis(c.Context(), "UpdateShardCount", in, nil); err != nil {
				bar.end()
				return r.partly(err, steps[:i])
			}
			if _, err := r.settled(c); err != nil {
				bar.end()
				return err
			}
		}
		bar.end()
		return r.end(c, func(t terminal, open []shard) text {
			if len(steps) == 0 {
				return t.text("%s has %s already", r.name, counted(len(open), "open shard"))
			}
			return t.text("%s: %d → %s", r.name, len(r.open), t.bold(counted(len(open), "open shard")))
		})
	}
	return c
}

// scaleSteps returns the numbers of shards that lead from one to another: each at most double, and at least half, of
// the one before.
func scaleSteps(from, to int) (steps []int) {
	for n := from; n != to; steps = append(steps, n) {
		n = max(min(to, 2*n), (n+1)/2)
	}
	return steps
}

// partly explains an error after some steps.
func (r *reshard) partly(err error, done []int) error {
	err = r.explain(err)
	if f, ok := err.(*failure); ok && len(done) > 0 && f.hint == "" {
		f.hint = fmt.Sprintf("the stream has %d open shards now", done[len(done)-1])
	}
	return err
}
