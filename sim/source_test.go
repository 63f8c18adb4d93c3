package sim

import (
	"context"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/source/sourcetest"
	"github.com/shardmill/shardmill/storage"
)

// What the machines of a world read is what a source promises: its logs, their ends and what retention has left, with
// reads that are shorter than they might be. Its payloads are as long as their sizes say; what is in them the judge of
// the world takes apart.
func TestTheLogsOfAWorldKeepTheContractOfASource(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, func(t *testing.T) *sourcetest.Bench {
		w := newWorld(7, Options{})
		w.shards, w.skew = nil, 0
		w.addShard(0, 255)
		l := &logs{w: w, changed: make(chan struct{})}
		return &sourcetest.Bench{
			Source: l, Put: l.put, Split: l.split, Delete: func() { l.change(func() { l.gone = true }) },
			Now: func() record.Millis { return record.MillisOf(l.now()) }, Advance: l.advance, Retention: time.Hour,
		}
	})
}

// logs are the shards of a world as a source. The world tells its machines of news by itself; here a channel does.
type logs struct {
	w       *world
	mu      sync.Mutex
	changed chan struct{}
	gone    bool
}

func (l *logs) Pushed() bool           { return false }
func (l *logs) Release(record.ShardID) {}

func (l *logs) now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.now
}

func (l *logs) change(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	do()
	close(l.changed)
	l.changed = make(chan struct{})
}

// put puts records into the newest shard, at the instant of the world.
func (l *logs) put(records ...record.Record) {
	l.change(func() {
		s := l.w.shards[len(l.w.shards)-1]
		for _, r := range records {
			r.Pos, r.Arrival = s.next+1, record.MillisOf(l.w.now) // positions are not dense
			s.log, s.next = append(s.log, r), r.Pos+1
		}
	})
}

func (l *logs) split(id record.ShardID) {
	l.change(func() {
		l.w.shards[id].closed = true
		l.w.addShard(0, 127, id)
		l.w.addShard(128, 255, id)
	})
}

// advance moves the time of the world, which does not go back, and lets retention take what is an hour old.
func (l *logs) advance(d time.Duration) {
	l.change(func() {
		l.w.now = l.w.now.Add(max(0, d))
		for _, s := range l.w.shards {
			for _, r := range s.log {
				if l.w.now.Sub(r.Arrival.Time()) > time.Hour {
					s.oldest = max(s.oldest, r.Pos+1)
				}
			}
		}
	})
}

func (l *logs) shard(id record.ShardID) (*shard, error) {
	if l.gone || int(id) >= len(l.w.shards) {
		return nil, fault.New(fault.CodeNotFound, "There is no such shard.")
	}
	return l.w.shards[id], nil
}

func (l *logs) Shards(context.Context) (list []source.Shard, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.shard(0); err != nil {
		return nil, err
	}
	for _, s := range l.w.shards {
		list = append(list, source.Shard{ID: s.id, Range: wholeRange, Parents: s.parents})
	}
	return list, nil
}

func (l *logs) Read(
	_ context.Context, id record.ShardID, from record.Position, limit storage.Limit, visit func(record.Record),
) (record.Position, storage.End, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.shard(id)
	if err != nil {
		return from, storage.End{}, err
	}
	for _, n := range []*int{&limit.Records, &limit.Bytes} {
		if *n == 0 {
			*n = math.MaxInt // no machine asks for that
		}
	}
	got, next, end := (&runner{w: l.w, s: s}).scan(max(1, from), limit)
	for _, r := range got {
		visit(r)
	}
	return next, end, nil
}

func (l *logs) Oldest(_ context.Context, id record.ShardID) (record.Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.shard(id)
	if err != nil {
		return 0, err
	}
	return s.oldest, nil
}

func (l *logs) Tip(_ context.Context, id record.ShardID) (record.Position, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.shard(id)
	if err != nil {
		return 0, false, err
	}
	next := max(s.oldest, 1)
	if n := len(s.log); n > 0 {
		next = max(next, s.log[n-1].Pos+1)
	}
	return next, s.closed, nil
}

func (l *logs) Changed(record.ShardID) <-chan struct{} { return l.ShardsChanged() }

func (l *logs) ShardsChanged() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

func (l *logs) Format(record.ShardID, string) source.Format { return l.w.format }
