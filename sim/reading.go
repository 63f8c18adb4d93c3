package sim

import (
	"fmt"
	"slices"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// What the judge knows of a machine's reads: when one is due, for how much it may ask, and what it brought.

// shortOfMemory notes that a read was answered with nothing, because there was no memory for more.
func (n *session) shortOfMemory() {
	n.dry, n.tail, n.failed, n.failures = true, false, false, 0
}

// readDue reports whether nothing stands in the way of a read but memory.
func (n *session) readDue() bool {
	return !n.fetch.out && !n.ended && !n.choked && !n.busy() && !n.w.now.Before(n.again.to) && n.wanted() > 0
}

// wanted is how many records the next read may ask for, by what the lanes hold: each is kept supplied with two batches,
// or as many records as the world says, and is supplied again when half of that is left. A batch from a checkpoint is
// read at any rate.
func (n *session) wanted() (records int) {
	most, hungry := max(2*n.cfg.BatchSize, n.cfg.ReadAhead), false
	for _, l := range n.lanes {
		again := func(p *part) bool { return p.restored && n.position <= p.last }
		if slices.ContainsFunc(l.plan, again) {
			return 10_000
		}
		records += max(0, most-len(l.queue))
		hungry = hungry || 2*len(l.queue) <= most
	}
	if !hungry {
		return 0
	}
	return records
}

// judgeHungry checks that a machine that does not read is short of memory, and holds a batch at least.
func (n *session) judgeHungry() {
	n.shortOfMemory()
	records, bytes := n.used()
	records = max(records, n.heldNow())
	least, cost := n.position, 0 // of what it holds
	for _, l := range n.lanes {
		if len(l.queue) > 0 {
			least = min(least, l.queue[0].Pos)
		}
		for _, i := range l.queue { // in batches, and beyond the place from where another filter has it read again
			if i.Pos >= n.position {
				r := &n.s.log[n.s.search(i.Pos)]
				cost += len(r.Key) + len(r.Data) + recordOverhead
			}
		}
	}
	for _, r := range n.s.log[n.s.search(least):n.s.search(n.position)] {
		if !passes(n.filter, r.Pos) && !n.holds(r.Pos) {
			continue
		}
		cost += len(r.Key) + len(r.Data) + recordOverhead
	}
	room := raw(n.maxBytes() - bytes)
	why := ""
	switch {
	case n.node.budget == nil:
		why = "nothing keeps it from that"
	case n.node.budget.Used()+int64(room) <= n.w.memory:
		why = "there is memory"
	case records < n.batchSize && cost < raw(esm.MaxPayload):
		why = fmt.Sprintf("it holds %d records, which is less than a batch", records)
	}
	if at := n.position; why != "" && (!n.unmoved() || n.readDue()) {
		n.complain("it does not read on at %d, and %s", at, why)
	}
}

// holds reports whether a record is in a lane.
func (n *session) holds(p record.Position) bool {
	for _, l := range n.lanes {
		if slices.ContainsFunc(l.queue, func(i item) bool { return i.Pos == p }) {
			return true
		}
	}
	return false
}

func (n *session) readReturned(ev *esm.ReadReturned) {
	if !n.fetch.out || ev.Seq != n.fetch.seq {
		return // an answer to an older read
	}
	n.fetch.out = false
	n.failures, n.again = 0, span{}
	if ev.End == esm.Trimmed {
		n.dry, n.tail, n.failed = false, false, false
		n.horizon(ev.Oldest)
		return
	}
	count := n.give(ev.Next)
	if records, bytes := n.used(); count > 1 && (records > n.maxRecords() || bytes > n.maxBytes()) {
		n.complain("%d records of %d bytes are held, %d of %d may be", records, bytes, n.maxRecords(), n.maxBytes())
	}
	n.position = max(n.position, ev.Next)
	n.tail, n.ended, n.failed = ev.End == esm.Tail, ev.End == esm.ShardEnd, false
	n.dry = n.tail || n.ended
	if n.tail {
		n.sealed = max(n.sealed, ev.Sealed)
	}
}

// give puts every record of the log up to next into its lane, whatever the machine was shown of them.
func (n *session) give(next record.Position) (count int) {
	for _, e := range n.s.book.From(n.position) {
		if e.Pos >= next {
			break
		}
		n.arrival = max(n.arrival, e.Own)
		if !passes(n.filter, e.Pos) {
			if l := n.of(e); e.Pos > l.mark && e.Pos > l.decided {
				e.Out, e.Excused = true, true // a state that it was part of is not saved
			}
			continue
		}
		count++
		l := n.of(e)
		if n.factor > 1 {
			n.given = append(n.given, e)
			n.bytes += e.Size
		}
		if e.Pos <= l.mark || e.Pos <= n.from.Low || e.Pos <= l.decided {
			continue
		}
		// A record after an idle time begins a window of its own, if the last one has run out. A lane that waits for a
		// save is not idle if it has the end of a tumbling window at hand, which may be dropped in silence only then.
		atHand := n.cfg.TumblingWindow != 0 && n.perhapsTooFar(l)
		if l.idle() && !atHand && !n.w.now.Before(l.opened.to.Add(n.cfg.BatchingWindow)) {
			l.opened = span{n.w.now, n.w.now}
		} else if l.idle() && !n.w.now.Before(l.opened.from.Add(n.cfg.BatchingWindow)) {
			l.opened.to = n.w.now // perhaps it has
		}
		l.queue = append(l.queue, item{e, n.arrival})
	}
	return count
}

// horizon notes that the machine knows what retention has taken.
func (n *session) horizon(oldest record.Position) {
	n.oldest = max(n.oldest, oldest)
	if n.position >= oldest {
		return
	}
	for _, e := range n.s.book.From(n.position) {
		if e.Pos < oldest {
			e.Excused = true // with it, a window that had aggregated it
		}
	}
	n.position = oldest
	n.fetch.out = false // what it brings begins at a place that is gone
}

// fetched checks a read.
func (n *session) fetched(f *engine.Fetch) {
	n.settleSilently()
	records, _ := n.used()
	most := func() int { return min(10_000, max(1, n.maxRecords()-records), max(1, n.wanted())) }
	late := n.node.budget != nil // it may have waited for memory
	for n.choked || f.Limit.Records > max(1, n.maxRecords()-records) ||
		!late && (n.wanted() == 0 || f.Limit.Records > most()) { // it tells what else was given up
		held := n.heldNow()
		for _, l := range n.lanes {
			n.drop(l, n.behindBatch(l), false)
		}
		n.turnSilently(false)
		n.measure()
		if records, _ = n.used(); n.heldNow() == held {
			break
		}
	}
	n.skipped(f.From)
	n.refiltered, n.before = false, nil
	switch {
	case f.From != n.position:
		n.complain("a read from %d, and everything up to %d was read", f.From, n.position)
	case n.fetch.out && (f.Wait || !n.fetch.wait):
		n.complain("a read from %d while one is under way", f.From)
	case n.ended:
		n.complain("a read from %d beyond the end of the shard", f.From)
	case (n.choked || n.busy() || n.wanted() == 0) && !late:
		n.complain("a read from %d of a machine that has no room, or is to end", f.From)
	case n.w.now.Before(n.again.from):
		n.complain("a read is repeated %s before it may", n.again.from.Sub(n.w.now))
	case f.Limit.Records < 1 || f.Limit.Bytes < 1 ||
		f.Limit.Records > most() && !late:
		n.complain("a read of %d records and %d bytes with %d held", f.Limit.Records, f.Limit.Bytes, records)
	}
	n.fetch = engineFetch{seq: f.Seq, out: true, wait: f.Wait}
	// A repeat may have been answered with nothing, for lack of memory, before this one: then failures count anew.
	n.anew = late && n.failures > 0 && n.w.now.Before(n.again.to)
	if !f.Wait {
		n.asked = n.w.now
	}
}

// recordOverhead is what a record that is held counts for in memory, beside its key and data.
const recordOverhead = 96

// raw is how much data is certain to fill a payload.
func raw(payload int) int { return payload/4*3 + 1 }
