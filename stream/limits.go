package stream

import (
	"strings"
	"sync"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
)

// limits holds what AWS's rates are measured by; a nil one measures and refuses nothing.
type limits struct {
	mu     sync.Mutex
	called map[string][]int64 // by operation and whose it is: instants of the last calls, in nanoseconds
}

// mostCalled is how many series of calls are remembered; beyond it those are forgotten that can refuse nothing.
const mostCalled = 1024

func newLimits(on bool) *limits {
	if !on {
		return nil
	}
	return &limits{called: map[string][]int64{}}
}

// rate is how often an operation may be called in a second, for each stream or for all of an account in a region.
type rate struct {
	calls     int
	perStream bool
}

// rates are AWS's call rates. Source: Kinesis API Reference, each operation's page; those of data are rates of shards.
var rates = map[string]rate{
	"AddTagsToStream": {5, false}, "CreateStream": {5, false}, "DeleteStream": {5, false},
	"DeregisterStreamConsumer": {5, true}, "DescribeAccountSettings": {5, false}, "DescribeLimits": {1, false},
	"DescribeStream": {10, false}, "DescribeStreamConsumer": {20, true}, "DescribeStreamSummary": {20, false},
	"ListShards": {1000, true}, "ListStreamConsumers": {5, true}, "ListStreams": {5, false},
	"ListTagsForResource": {5, false}, "ListTagsForStream": {5, false}, "MergeShards": {5, false},
	"RegisterStreamConsumer": {5, false}, "RemoveTagsFromStream": {5, false}, "SplitShard": {5, false},
	"TagResource": {5, false}, "UntagResource": {5, false}, "UpdateAccountSettings": {5, false},
	"UpdateShardCount": {10, false}, "UpdateStreamWarmThroughput": {5, false},
}

// Admit lets a call through, or refuses one beyond AWS's rate if rates are limited. name is the stream that it is
// about; its Name is "" if it is about the account. Fault: LimitExceededException.
func (s *Streams) Admit(name Name, operation string) error {
	if s.limits == nil {
		return nil
	}
	limit, limited := rates[operation]
	if !limited {
		return nil
	}
	whose := Name{Account: name.Account, Region: name.Region}
	if limit.perStream {
		whose = name
	}
	key := strings.Join([]string{operation, whose.Account, whose.Region, whose.Name}, "/")
	if s.limits.call(key, limit.calls, s.clock.Now()) {
		return nil
	}
	if name.Name == "" {
		return fault.New(codeLimit, "Rate exceeded for account %s.", name.Account)
	}
	return fault.New(codeLimit, "Rate exceeded for stream %s under account %s.", name.Name, name.Account)
}

// call reports whether one more call of a series may be let through, and then counts it.
func (l *limits) call(key string, most int, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, at := l.called[key], now.UnixNano()
	if len(last) < most {
		if len(last) == 0 && len(l.called) >= mostCalled {
			l.forget(at)
		}
		l.called[key] = append(last, at)
		return true
	}
	return calling(last, at)
}

// forget drops the series whose calls are all a second old; l.mu is held. There are never more left than calls that
// were let through in a second.
func (l *limits) forget(at int64) {
	for key, last := range l.called {
		recent := false
		for _, t := range last {
			recent = recent || t <= at && at-t < int64(time.Second)
		}
		if !recent {
			delete(l.called, key)
		}
	}
}

// What is counted for a day. Source: Kinesis API Reference, StartStreamEncryption, UpdateShardCount, UpdateStreamMode.
const (
	changesOfEncryption = "encryption"
	changesOfShards     = "shards"
	changesOfMode       = "mode"
)

var dailyLimits = map[string]struct {
	most int
	what string // in the message
}{
	changesOfEncryption: {25, "StartStreamEncryption and StopStreamEncryption have"},
	changesOfShards:     {10, "UpdateShardCount has"},
	changesOfMode:       {2, "UpdateStreamMode has"},
}

// countChange counts a change of a stream for a day, or refuses one too many if rates are limited. Fault:
// LimitExceededException.
func (s *Streams) countChange(r *streamRecord, kind string) error {
	if s.limits == nil {
		return nil
	}
	now, recent := s.now(), []record.Millis(nil)
	for _, at := range r.Changes[kind] {
		if at > now-dayMillis && at <= now {
			recent = append(recent, at)
		}
	}
	limit := dailyLimits[kind]
	if len(recent) >= limit.most {
		return fault.New(codeLimit,
			"%s succeeded %d times for stream %s under account %s within 24 hours; no more is possible before the first of them is a day old.",
			limit.what, limit.most, r.Name, r.Account)
	}
	if r.Changes == nil {
		r.Changes = map[string][]record.Millis{}
	}
	r.Changes[kind] = append(recent, now)
	return nil
}

const dayMillis = record.Millis(24 * time.Hour / time.Millisecond)

// budgetOf returns what a shard takes and gives; nil: as much as it can.
func (s *Streams) budgetOf(sh *shard) *budget {
	if s.limits == nil {
		return nil
	}
	if b := sh.budget.Load(); b != nil {
		return b
	}
	sh.budget.CompareAndSwap(nil, new(budget))
	return sh.budget.Load()
}

// admit takes the pending records that their shards have no capacity for out of a put, in request order: a smaller one
// behind may still fit.
func (s *Streams) admit(sn *snapshot, p *scratch, recs []record.Record, placed []Placed) {
	if s.limits == nil {
		return
	}
	now, left := s.clock.Now(), p.pending[:0]
	for _, i := range p.pending {
		sh := sn.route(&recs[i])
		if s.budgetOf(sh).write(now, recs[i].Size(), sn.info.RecordBytes) {
			left = append(left, i)
			continue
		}
		placed[i] = Placed{Shard: sh.key.Index, Fault: throttled(sn.info.Name, sh.key.Index)}
	}
	p.pending = left
}

// readThrottled returns the fault of reads beyond a shard's rate, in AWS's words.
func readThrottled(name Name, shard record.ShardID) *fault.Error {
	return fault.New(codeThrottled, "Rate exceeded for Shard - %s/%s/%s", name.Account, name.Name, shard)
}
