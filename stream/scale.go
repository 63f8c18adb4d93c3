package stream

import (
	"cmp"
	"errors"
	"slices"
	"sync"

	"github.com/shardmill/shardmill/record"
)

// How on-demand streams grow. A shard takes 1 MiB or 1,000 records a second; one that takes three quarters of either on
// average, through two whole minutes of the steered clock one after the other, is split in the middle. In 15 minutes a
// stream at most doubles, and never has more than 200 shards for that reason: AWS's default limit of 200 MB a second.
// It never shrinks. Source: Kinesis Developer Guide, "Choose the right mode", "Quotas and limits".
const (
	minuteMillis   = 60_000
	nearRecords    = 60 * 1000 * 3 / 4      // in a minute
	nearBytes      = 60 * (1 << 20) * 3 / 4 // in a minute
	hotMinutes     = 2
	doublingMillis = 15 * minuteMillis
	onDemandMost   = 200
)

// gauge measures what a shard takes, by minutes of the steered clock. It works only while records arrive, so that idle
// streams cost nothing. The zero value is ready.
type gauge struct {
	mu sync.Mutex
	load
}

// load is what a gauge shows.
type load struct {
	minute         int64 // since 1970
	records, bytes int64 // in that minute
	hot            int   // whole minutes before it, without a gap, in which the shard was near its capacity
}

// add counts records that arrived at a time. It reports whether a minute has ended with which the shard has been near
// its capacity for long enough.
func (g *gauge) add(at record.Millis, records, bytes int) (overloaded bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := g.load.at(int64(at) / minuteMillis); now.minute != g.minute {
		g.load = now
		overloaded = now.hot >= hotMinutes
	}
	g.records += int64(records)
	g.bytes += int64(bytes)
	return overloaded
}

// at returns how the load is seen in a minute; in an earlier one than the last it stays as it is.
func (l load) at(minute int64) load {
	if minute <= l.minute {
		return l
	}
	hot := 0
	if near := l.records >= nearRecords || l.bytes >= nearBytes; near && minute == l.minute+1 {
		hot = l.hot + 1
	}
	return load{minute: minute, hot: hot}
}

// grow returns the steps that give an on-demand stream more shards at now: the overloaded ones, most important first,
// are split in the middle as far as the stream may grow.
func grow(info *Info, overloaded []record.ShardID, now record.Millis) []step {
	since := max(now-doublingMillis, record.MillisOf(info.Created))
	open, before := 0, 0
	for i := range info.Shards {
		s := &info.Shards[i]
		if s.Closed == 0 {
			open++
		}
		if s.Began() <= since && (s.Closed == 0 || s.Closed > since) {
			before++
		}
	}
	room := min(2*before, onDemandMost) - open
	var steps []step
	for _, id := range overloaded {
		keys := info.Shards[id].Range
		at, ok := middle(keys)
		if len(steps) >= room {
			break
		}
		if info.Shards[id].Closed != 0 || !ok {
			continue
		}
		left, right := cut(keys, at)
		steps = append(steps, split(id, left, right))
	}
	return steps
}

// overloaded returns the open shards that have been near their capacity for long enough, seen in a minute: those that
// have been so for longest come first.
func (sn *snapshot) overloaded(minute int64) []record.ShardID {
	hot := map[record.ShardID]int{}
	var ids []record.ShardID
	for _, sh := range sn.open {
		sh.gauge.mu.Lock()
		l := sh.gauge.load.at(minute)
		sh.gauge.mu.Unlock()
		if l.minute == minute && l.hot >= hotMinutes {
			hot[sh.key.Index] = l.hot
			ids = append(ids, sh.key.Index)
		}
	}
	slices.SortFunc(ids, func(a, b record.ShardID) int {
		return cmp.Or(cmp.Compare(hot[b], hot[a]), cmp.Compare(a, b))
	})
	return ids
}

// measureLoad counts records that a shard of an on-demand stream has taken, all of which arrived at once, and has the
// stream grow when that is due.
func (s *Streams) measureLoad(st *stream, sh *shard, recs []record.Record) {
	bytes := 0
	for i := range recs {
		bytes += recs[i].Size()
	}
	at := recs[0].Arrival
	if !sh.gauge.add(at, len(recs), bytes) || !st.scaling.CompareAndSwap(false, true) {
		return
	}
	ctx, ok := s.transit.begin()
	if !ok {
		st.scaling.Store(false)
		return
	}
	go func() {
		defer s.transit.running.Done()
		defer st.scaling.Store(false)
		id, before, after := st.id.Load(), 0, 0
		err := s.reshape(ctx, st.name, func(info *Info) ([]step, error) {
			if info.ID != id || info.Mode != OnDemand || info.Status != Active {
				return nil, errUnchanged
			}
			steps := grow(info, st.snap.Load().overloaded(int64(at)/minuteMillis), s.now())
			if len(steps) == 0 {
				return nil, errUnchanged
			}
			before = info.OpenShards()
			after = before + len(steps)
			return steps, nil
		})
		switch {
		case err == nil:
			s.slog.Info("an on-demand stream gets more shards for its traffic",
				"stream", st.name.ARN(), "open_shards_before", before, "open_shards", after)
		case !errors.Is(err, errUnchanged) && ctx.Err() == nil: // the next minute tries again
			s.slog.Error("an on-demand stream cannot grow with its traffic", "stream", st.name.ARN(), "error", err)
		}
	}()
}
