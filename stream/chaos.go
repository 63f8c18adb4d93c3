package stream

import (
	"cmp"
	"context"
	"math/bits"
	"slices"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
)

// Share says how many of many are meant: each with a chance, or exactly every n-th. The zero value is none.
type Share struct {
	PerMillion int // the chance of each, 0 to 1,000,000
	Every      int // every n-th, counted from when it was set; 0: PerMillion counts
}

// Chaos says which puts to a stream, and on request reads, are refused or held up on purpose, so that producers can be
// tried. The zero value leaves all alone. The n-th record put since it was set meets the same fate each time if the
// seed is the same.
type Chaos struct {
	Throttle Share // refused with ProvisionedThroughputExceededException
	Fail     Share // refused with InternalFailure; of what is throttled already nothing fails
	Latency  time.Duration
	Seed     uint64
	Shard    *record.ShardID // only records that go to it; nil: all
	Calls    bool            // PutRecords is refused as a whole; false: its entries, one by one
	Reads    bool            // GetRecords is refused and held up, too
}

// LongestChaosLatency is how long a call may be held up on purpose, in real time.
const LongestChaosLatency = 5 * time.Minute

// validate refuses what cannot be carried out.
func (c *Chaos) validate() error {
	for _, s := range []struct {
		name string
		Share
	}{{"throttle", c.Throttle}, {"fail", c.Fail}} {
		switch {
		case s.PerMillion < 0 || s.PerMillion > million:
			return fault.New(codeInvalid, "The share of %s is %d in a million.", s.name, s.PerMillion)
		case s.Every < 0:
			return fault.New(codeInvalid, "The share of %s is every %d.", s.name, s.Every)
		}
	}
	switch {
	case c.Throttle.Every == 0 && c.Fail.Every == 0 && c.Throttle.PerMillion+c.Fail.PerMillion > million:
		return fault.New(codeInvalid, "The shares of throttle and fail are more than all together.")
	case c.Latency < 0 || c.Latency > LongestChaosLatency:
		return fault.New(codeInvalid, "The latency is %s; it may be at most %s.", c.Latency, LongestChaosLatency)
	case c.Throttle == Share{} && c.Fail == Share{} && c.Latency == 0:
		return fault.New(codeInvalid, "Nothing is to be throttled, to fail or to be held up.")
	}
	return nil
}

// ChaosCounts says what became of puts and reads since the chaos was set: records of PutRecord and of PutRecords, or
// calls if those are refused as a whole, and calls of GetRecords.
type ChaosCounts struct{ Judged, Throttled, Failed, Delayed int64 }

// ChaosState is the chaos of a stream, and what it has done.
type ChaosState struct {
	Stream Name
	Chaos
	ChaosCounts
}

// SetChaos begins to refuse or hold up calls of a stream, in place of what was set for it before. It is gone with the
// stream, and with the process. Faults: ResourceNotFoundException for an unknown stream or shard,
// InvalidArgumentException for shares, a latency or a combination that cannot be.
func (s *Streams) SetChaos(ctx context.Context, name Name, c Chaos) (ChaosState, error) {
	if err := c.validate(); err != nil {
		return ChaosState{}, err
	}
	st, err := s.find(ctx, name)
	if err != nil {
		return ChaosState{}, err
	}
	if c.Shard != nil {
		if _, ok := st.snap.Load().live(*c.Shard, s.now()); !ok {
			return ChaosState{}, s.shardMissing(name, *c.Shard)
		}
	}
	set := &chaos{Chaos: c, total: &s.chaosTotal}
	s.chaotic.Store(true)
	st.chaos.Store(set)
	s.slog.Warn("calls of a stream are refused or held up on purpose", "stream", name.ARN())
	return set.state(name), nil
}

// StopChaos leaves a stream alone again. was: something was set for it. Fault: ResourceNotFoundException.
func (s *Streams) StopChaos(ctx context.Context, name Name) (was bool, err error) {
	st, err := s.find(ctx, name)
	if err != nil {
		return false, err
	}
	return st.chaos.Swap(nil) != nil, nil
}

// ChaosStates returns what is set, of all accounts and regions, in the order of ARNs.
func (s *Streams) ChaosStates() (all []ChaosState) {
	s.mu.RLock()
	for _, st := range s.byName {
		if set := st.chaos.Load(); set != nil {
			all = append(all, set.state(st.name))
		}
	}
	s.mu.RUnlock()
	slices.SortFunc(all, func(a, b ChaosState) int { return cmp.Compare(a.Stream.ARN(), b.Stream.ARN()) })
	return all
}

// ChaosTotals returns what chaos has done to all streams since the process began.
func (s *Streams) ChaosTotals() ChaosCounts { return s.chaosTotal.counts() }

// chaos is what is set for a stream, and how far it has come.
type chaos struct {
	Chaos
	puts, reads atomic.Uint64 // judged so far
	own         chaosCounters
	total       *chaosCounters // of all streams
}

// chaosCounters count what was done.
type chaosCounters struct{ judged, throttled, failed, delayed atomic.Int64 }

func (c *chaosCounters) counts() ChaosCounts {
	return ChaosCounts{c.judged.Load(), c.throttled.Load(), c.failed.Load(), c.delayed.Load()}
}

func (c *chaos) state(name Name) ChaosState { return ChaosState{name, c.Chaos, c.own.counts()} }

const million = 1_000_000

// verdict is what becomes of a record or a call.
type verdict uint8

const (
	spared verdict = iota
	throttledByChaos
	failedByChaos
)

// verdict judges the n-th of something, from 1. The same seed gives the same verdicts.
func (c *Chaos) verdict(n, salt uint64) verdict {
	chance := draw(c.Seed, salt, n)
	if e := c.Throttle.Every; e > 0 && n%uint64(e) == 0 || e == 0 && chance < c.Throttle.PerMillion {
		return throttledByChaos
	}
	if c.Throttle.Every == 0 {
		chance -= c.Throttle.PerMillion // the two shares do not overlap
	}
	if e := c.Fail.Every; e > 0 && n%uint64(e) == 0 || e == 0 && chance < c.Fail.PerMillion {
		return failedByChaos
	}
	return spared
}

// What is judged: each has chances of its own.
const (
	saltPuts = iota
	saltReads
)

// draw returns a number from 0 to 999,999 that depends on all three and looks like chance. It is SplitMix64.
// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
func draw(seed, salt, n uint64) int {
	z := seed + (2*n+salt)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	high, _ := bits.Mul64(z^z>>31, million)
	return int(high)
}

// judgePuts judges records before they are appended: those that are refused get their fault and their shard. It waits
// for the latency first, in real time; the error is that of ctx.
func (c *chaos) judgePuts(ctx context.Context, sn *snapshot, recs []record.Record, placed []Placed) error {
	if err := c.hold(ctx); err != nil {
		return err
	}
	var judged []int
	for i := range recs {
		placed[i].Shard = sn.route(&recs[i]).key.Index
		if c.Shard == nil || *c.Shard == placed[i].Shard {
			judged = append(judged, i)
		}
	}
	switch {
	case len(judged) == 0:
	case c.Calls:
		f := c.refusal(sn.info.Name, placed[judged[0]].Shard, c.judge(c.puts.Add(1), saltPuts))
		for i := range placed {
			placed[i].Fault, placed[i].whole = f, f != nil
		}
	default:
		n := c.puts.Add(uint64(len(judged))) - uint64(len(judged))
		for j, i := range judged {
			placed[i].Fault = c.refusal(sn.info.Name, placed[i].Shard, c.judge(n+uint64(j)+1, saltPuts))
		}
	}
	return nil
}

// judgeRead judges a call of GetRecords, after the latency.
func (c *chaos) judgeRead(ctx context.Context, name Name, shard record.ShardID) error {
	if !c.Reads || c.Shard != nil && *c.Shard != shard {
		return nil
	}
	if err := c.hold(ctx); err != nil {
		return err
	}
	v := c.judge(c.reads.Add(1), saltReads)
	if v == throttledByChaos {
		return readThrottled(name, shard).WithHint("%s", onPurpose(name))
	}
	if f := c.refusal(name, shard, v); f != nil {
		return ofCall(f)
	}
	return nil
}

// judge is verdict, and counts.
func (c *chaos) judge(n, salt uint64) verdict {
	v := c.verdict(n, salt)
	for _, count := range []*chaosCounters{&c.own, c.total} {
		count.judged.Add(1)
		switch v {
		case throttledByChaos:
			count.throttled.Add(1)
		case failedByChaos:
			count.failed.Add(1)
		case spared:
		}
	}
	return v
}

// refusal returns the fault of a verdict, nil if there is none.
func (c *chaos) refusal(name Name, shard record.ShardID, v verdict) *fault.Error {
	switch v {
	case throttledByChaos:
		return throttled(name, shard).WithHint("%s", onPurpose(name))
	case failedByChaos:
		return internal(onPurpose(name))
	case spared:
	}
	return nil
}

// onPurpose is the hint with every refusal. It names account and region unless they are those of the command.
func onPurpose(name Name) string {
	text := "refused on purpose; it ends with: shardmill chaos off " + name.Name
	if name.Account != "000000000000" || name.Region != "us-east-1" {
		text += " --account " + name.Account + " --region " + name.Region
	}
	return text
}

// hold waits for the latency.
func (c *chaos) hold(ctx context.Context) error {
	if c.Latency == 0 {
		return nil
	}
	c.own.delayed.Add(1)
	c.total.delayed.Add(1)
	wait := time.NewTimer(c.Latency)
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// chaosOfRead judges a call of GetRecords, and counts it as read if it is refused.
func (s *Streams) chaosOfRead(ctx context.Context, sn *snapshot, shard record.ShardID) error {
	if !s.chaotic.Load() {
		return nil
	}
	s.mu.RLock()
	st := s.byID[sn.info.ID]
	s.mu.RUnlock()
	if st == nil {
		return nil
	}
	c := st.chaos.Load()
	if c == nil {
		return nil
	}
	err := c.judgeRead(ctx, sn.info.Name, shard)
	if err != nil && ctx.Err() == nil {
		s.measureRead(sn, shard, &reading{began: time.Now()}, err)
	}
	return err
}
