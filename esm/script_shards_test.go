package esm_test

import (
	"fmt"
	"strings"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// The verbs of the machine that decides which shards run: shards, owned, lost, desired, finished, abandon-due,
// source-gone, awaits.

func (w *world) mappingStep(ev esm.MappingEvent) {
	if w.mapping == nil {
		w.mapping = &esm.Mapping{}
	}
	for _, c := range w.mapping.Step(ev) {
		switch c := c.(type) {
		case esm.StartShard:
			w.printf("start shard=%d%s", c.Shard, flag(c.Epoch != 1, fmt.Sprintf(" epoch=%d", c.Epoch)))
		case esm.ReleaseShard:
			w.printf("release shard=%d%s", c.Shard, flag(c.Abandon, " abandon"))
		case esm.ForgetShard:
			w.printf("forget shard=%d", c.Shard)
		case esm.Settle:
			w.printf("state %s", c.State)
		case esm.Forget:
			w.printf("forget")
		}
	}
}

// verbOwned grants shards=(ID,…) under epoch=, by default 1; verbLost takes them.
func (w *world) verbOwned(a *args) {
	epoch := uint64(a.int("epoch", 1))
	for _, id := range a.shards() {
		w.mappingStep(esm.Owned{Shard: id, Epoch: epoch})
	}
}

func (w *world) verbLost(a *args) {
	for _, id := range a.shards() {
		w.mappingStep(esm.Lost{Shard: id})
	}
}

func (a *args) shards() (ids []record.ShardID) {
	list, ok := a.find("shards")
	if !ok {
		a.d.Fatalf(a.t, "which shards?")
	}
	for id := range strings.SplitSeq(list, ",") {
		ids = append(ids, record.ShardID(a.number(id)))
	}
	return ids
}

// verbAwaits prints the shards whose end is waited for and cannot come from here.
func (w *world) verbAwaits(*args) {
	if w.mapping != nil {
		w.printf("awaits %v", w.mapping.Awaits())
	}
}

// verbShards lists the shards of the stream, one a line of input: an id, then parents=… and ended. Something is stored
// for those in kept=(…).
func (w *world) verbShards(a *args) {
	var list []esm.ListedShard
	var kept []record.ShardID
	if ids, ok := a.find("kept"); ok {
		for id := range strings.SplitSeq(ids, ",") {
			kept = append(kept, record.ShardID(a.number(id)))
		}
	}
	for line := range strings.Lines(a.d.Input) {
		fields := strings.Fields(line)
		s := esm.ListedShard{ID: record.ShardID(a.number(fields[0]))}
		for _, f := range fields[1:] {
			if parents, ok := strings.CutPrefix(f, "parents="); ok {
				for p := range strings.SplitSeq(parents, ",") {
					s.Parents = append(s.Parents, record.ShardID(a.number(p)))
				}
			} else if f == "ended" {
				s.Ended = true
			} else {
				a.d.Fatalf(a.t, "a shard does not have %q", f)
			}
		}
		list = append(list, s)
	}
	w.mappingStep(esm.ShardsListed{Shards: list, Kept: kept})
}

// verbDesired says what the mapping shall be: enabled, disabled or deleted, and the pending state.
func (w *world) verbDesired(a *args) {
	what := a.word(0)
	pending, _ := a.find("pending")
	w.mappingStep(esm.Desired{
		Enabled: what == "enabled", Deleting: what == "deleted", Pending: esm.State(pending), Guest: a.flag("guest"),
	})
}

func (w *world) verbFinished(a *args) {
	r := map[string]esm.FinishReason{"ended": esm.Ended, "released": esm.Released, "fenced": esm.Fenced}[a.word(0)]
	w.mappingStep(esm.ShardFinished{Shard: record.ShardID(a.int("shard", 0)), Reason: r})
}

// verbAbandonDue ends the wait for shards=(ID,…), by default for all.
func (w *world) verbAbandonDue(a *args) {
	var ev esm.AbandonDue
	if _, ok := a.find("shards"); ok {
		ev.Shards = a.shards()
	}
	w.mappingStep(ev)
}

func (w *world) verbSourceGone(*args) { w.mappingStep(esm.SourceGone{}) }
