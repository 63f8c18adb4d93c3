package engine

import (
	"slices"
	"sync/atomic"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Budget is the memory that the records held by all shards of an engine share. While there is room, each shard reads as
// far ahead as the core allows it; beyond it a shard holds one batch, so that many backlogs together cannot take all
// memory, and every shard still moves. Safe for concurrent use; nil is a budget without an end.
type Budget struct {
	limit int64 // bytes
	used  atomic.Int64
}

// NewBudget returns a budget of limit bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// Used returns how many bytes are taken, those reserved for reads under way included.
func (b *Budget) Used() int64 {
	if b == nil {
		return 0
	}
	return b.used.Load()
}

// fits reports whether n bytes more are within the budget.
func (b *Budget) fits(n int) bool { return b == nil || b.used.Load()+int64(n) <= b.limit }

func (b *Budget) add(n int64) {
	if b != nil {
		b.used.Add(n)
	}
}

// Reserve picks the limit of a read that is about to happen and takes its bytes, to be given back with Return once it
// is known what the read brought: want while it fits, else least. What was reserved is its second result.
func (b *Budget) Reserve(want, least storage.Limit) (storage.Limit, int64) {
	if b == nil {
		return want, 0
	}
	if n := int64(want.Bytes); b.used.Add(n) <= b.limit {
		return want, n
	}
	b.used.Add(int64(least.Bytes) - int64(want.Bytes))
	return least, int64(least.Bytes)
}

// Return gives back bytes that Reserve has taken.
func (b *Budget) Return(n int64) { b.add(-n) }

// recordOverhead is what a held record costs beside its key and data, in bytes.
const recordOverhead = 96

func costOf(r *record.Record) int64 { return int64(len(r.Key)+len(r.Data)) + recordOverhead }

// Share makes the executor keep to a budget. Call it before the first Step.
func (x *Executor) Share(b *Budget) { x.budget = b }

// Close gives back what the executor has taken of its budget. It must not be used afterwards.
func (x *Executor) Close() {
	x.budget.add(-x.counted)
	x.counted = 0
}

// account tells the budget what is held now.
func (x *Executor) account() {
	x.budget.add(x.held.cost - x.counted)
	x.counted = x.held.cost
}

// resume gives the Read at hand out as a Fetch once there is memory for it: always while the shard holds less than one
// batch, else while the budget has room. A Read that must wait tells the core that nothing more can be had now, so that
// a batch that could still grow goes out; the core then asks again with Wait.
func (x *Executor) resume() esm.Event {
	if x.withheld = x.withheld && x.shard.Reads(x.reading.Seq); !x.withheld {
		return nil
	}
	c := x.reading
	want := storage.Limit{Records: c.MaxRecords, Bytes: rawBytes(c.MaxBytes)}
	least := x.least(want)
	if !x.budget.fits(want.Bytes) && (least.Records <= 0 || least.Bytes <= 0) && x.held.len() > x.shard.Held() {
		// What is settled beyond the low-water mark is not needed any more. It must not keep the very read from
		// happening that moves the mark, as it would once another filter has begun behind it.
		x.held.retain(x.shard.AppendHeld(nil))
		x.account()
		least = x.least(want)
	}
	if x.budget.fits(want.Bytes) || least.Records > 0 && least.Bytes > 0 || x.rereads() {
		x.withheld = false
		least.Records, least.Bytes = max(1, least.Records), max(1, least.Bytes)
		x.out = append(x.out, Fetch{Seq: c.Seq, From: c.From, Wait: c.Wait, Limit: want, Least: least})
		return nil
	}
	if c.Wait {
		return nil
	}
	x.withheld = false
	return esm.ReadReturned{Seq: c.Seq, Next: c.From, End: esm.Withheld}
}

// least returns how much may be read while memory is short: what is missing of one batch.
func (x *Executor) least(want storage.Limit) storage.Limit {
	return storage.Limit{
		Records: min(want.Records, x.batchSize-x.held.len()),
		Bytes:   min(want.Bytes, rawBytes(esm.MaxPayload)-int(x.held.cost)),
	}
}

// rereads reports whether a batch from a checkpoint waits for its records, which may lie behind more of other lanes
// than one batch: nothing else would move the shard.
func (x *Executor) rereads() bool {
	return slices.ContainsFunc(x.shard.Lanes(), func(l esm.LaneState) bool { return l.Wait == esm.WaitReread })
}

// rawBytes returns how much data certainly fills payload bytes: encoding adds a third and the members around it.
func rawBytes(payload int) int { return payload/4*3 + 1 }
