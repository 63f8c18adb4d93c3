package simshell

import (
	"context"
	"slices"
	"time"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// reshard changes the shards of the stream once or several times in a row, so that shards close which nothing has read
// yet: it splits, merges, and rescales, which opens and closes shards that never hold a record.
func (w *world) reshard() {
	p := w.p
	for n := range pick(w.rng, 1, 1, 2, 3) {
		info, err := p.streams.Lookup(context.Background(), orders)
		if err != nil || len(info.Shards) > 40 {
			return
		}
		change := w.anyReshard(info)
		if change == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		err = change(ctx, p.streams)
		cancel()
		if p.dead.Load() {
			return
		}
		if err == nil {
			w.judgeQuota(p, info.OpenShards())
		}
		if err != nil {
			w.note("reshard: %v", err)
			if w.rng.IntN(2) == 0 { // a start finishes what is half done
				w.restart()
				return
			}
			pause(5 * time.Second) // it is tried again
			if p.dead.Load() {
				return
			}
		}
		if err == nil && n > 0 {
			w.count("reshards in a row")
		} else if err == nil {
			w.count("a reshard")
		}
		w.distribute(w.learn(p))
	}
}

// anyReshard draws a change of the shards; nil: none fits.
func (w *world) anyReshard(info *stream.Info) func(context.Context, *stream.Streams) error {
	r := w.rng
	var open []stream.ShardInfo
	for _, s := range info.Shards {
		if s.Closed == 0 {
			open = append(open, s)
		}
	}
	slices.SortFunc(open, func(a, b stream.ShardInfo) int { return a.Range.Start.Compare(b.Range.Start) })
	i := r.IntN(len(open))
	switch n := r.IntN(10); {
	case n < 4 && len(open) < 7:
		return w.split(&open[i])
	case n < 7 && i+1 < len(open):
		a, b := open[i].ID, open[i+1].ID
		w.note("%s and %s are merged", a, b)
		return func(ctx context.Context, s *stream.Streams) error {
			return s.Merge(ctx, orders, a.String(), b.String())
		}
	case n >= 7:
		least := (len(open) + 1) / 2
		target := min(7, least+r.IntN(2*len(open)-least+1))
		w.note("%d shards become %d", len(open), target)
		return func(ctx context.Context, s *stream.Streams) error {
			_, err := s.UpdateShardCount(ctx, orders, target)
			if err == nil {
				w.count("a rescale")
			}
			return err
		}
	}
	return nil
}

// split divides a shard between two keys, if it has as many; a third of the time somewhere else.
func (w *world) split(sh *stream.ShardInfo) func(context.Context, *stream.Streams) error {
	at := sh.Range.Start
	switch width := int(sh.Range.End[0]) - int(at[0]); {
	case width < 8:
		return nil
	case w.rng.IntN(3) == 0:
		at[0] += byte(1 + w.rng.IntN(width-1))
	default:
		at = record.HashKey{at[0] + byte(width/2) + 1}
	}
	w.note("%s is split at %s", sh.ID, at)
	id := sh.ID.String()
	return func(ctx context.Context, s *stream.Streams) error { return s.Split(ctx, orders, id, at.String()) }
}
