package esm_test

import (
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// The verbs of the shard's log: put, close, horizon, and read and read-failed for scripts that answer Reads by hand.

// source is a shard's log as a script sees it.
type source struct {
	records []*judged
	last    record.Position
	oldest  record.Position
	closed  bool
	sizes   bool          // print payload bytes
	behind  time.Duration // the tail is sealed up to so long ago
	blind   bool          // the source cannot tell how far it is
}

// verbPut appends records and, unless the script reads by hand, answers the Read that waits for them.
func (w *world) verbPut(a *args) {
	n := a.number(a.word(0))
	r := judged{key: a.int("key", 0), Rec: esm.Rec{Bytes: int32(a.int("bytes", 100)), Match: !a.flag("no-match")}}
	if w.now.IsZero() {
		w.now = epoch
	}
	r.Arrival = record.MillisOf(w.now.Add(-a.duration("age", 0)))
	gap := a.int("gap", 1)
	for range n {
		w.last += record.Position(gap)
		one := r
		one.Pos = w.last
		if w.cfg.Factor > 0 {
			one.Lane = uint8(one.key % w.cfg.Factor)
		}
		w.records = append(w.records, &one)
	}
	if p, ok := a.find("first-at"); ok { // positions of different digit counts
		for i, rec := range w.records[len(w.records)-n:] {
			rec.Pos = record.Position(a.number(p) + i)
			w.last = rec.Pos
		}
	}
	w.news()
}

// news informs the machine, if it waits, that the log has changed.
func (w *world) news() {
	if w.judge == nil {
		return
	}
	w.judge.records = w.records
	if !w.manualRead && w.reads != nil {
		w.answerRead()
	}
}

// answerRead answers the outstanding Read, unless it waits for news and there are none.
func (w *world) answerRead() {
	if ev, ok := w.answer(w.reads.MaxRecords); ok {
		w.reads = nil
		w.step(ev)
	}
}

// answer returns what a source returns to the outstanding Read when it brings n records at most.
func (w *world) answer(n int) (ev esm.ReadReturned, ok bool) {
	r := w.reads
	ev = esm.ReadReturned{Seq: r.Seq, Next: r.From, End: esm.Tail}
	if r.From < w.oldest {
		ev.End, ev.Oldest = esm.Trimmed, w.oldest
		return ev, true
	}
	bytes := 0
	for _, rec := range w.records {
		if rec.Pos < r.From {
			continue
		}
		if len(ev.Records) == min(n, r.MaxRecords) || len(ev.Records) > 0 && bytes+int(rec.Bytes) > r.MaxBytes {
			ev.End = esm.More
			return ev, true
		}
		one := rec.Rec
		one.Lane = uint8(rec.key % r.Factor)
		ev.Records = append(ev.Records, one)
		ev.Next = rec.Pos + 1
		bytes += int(rec.Bytes)
	}
	if w.closed {
		ev.End = esm.ShardEnd
		return ev, true
	}
	if ev.Sealed = record.MillisOf(w.now.Add(-w.behind)); w.blind {
		ev.Sealed = 0
	}
	return ev, !r.Wait || len(ev.Records) > 0
}

// verbSealed sets how far the source knows its tail to be sealed: up to behind=D ago, or never.
func (w *world) verbSealed(a *args) {
	w.behind, w.blind = a.duration("behind", 0), a.word(0) == "never"
	w.judge.win.blind = w.judge.win.blind || w.blind
}

// verbAnew begins again at 0, with an empty shard.
func (w *world) verbAnew(*args) { *w = world{} }

// verbRead answers the outstanding Read with the records that the log has, or with max=N of them.
func (w *world) verbRead(a *args) {
	if w.reads == nil {
		w.printf("no read is out")
		return
	}
	ev, _ := w.answer(a.int("max", 1<<30))
	w.reads = nil
	w.step(ev)
}

func (w *world) verbReadFailed(*args) {
	seq := w.reads.Seq
	w.reads = nil
	w.step(esm.ReadFailed{Seq: seq})
}

// verbWithheld answers the outstanding Read as a shell does that has no memory for more.
func (w *world) verbWithheld(*args) {
	ev := esm.ReadReturned{Seq: w.reads.Seq, Next: w.reads.From, End: esm.Withheld}
	w.reads = nil
	w.step(ev)
}

// verbClose closes the shard, as a reshard does.
func (w *world) verbClose(*args) {
	w.closed = true
	w.news()
}

// verbHorizon has retention remove every record below a position, and informs the machine unless only reading is to
// reveal it.
func (w *world) verbHorizon(a *args) {
	w.oldest = record.Position(a.number(a.word(0)))
	if !a.flag("untold") {
		w.step(esm.Horizon{Oldest: w.oldest})
	}
}

// function says how run answers invocations: the records that poison a batch, and how it reports them.
type function struct {
	poison  map[record.Position]bool
	report  bool // as batchItemFailures instead of an exception
	fails   int  // so many invocations fail whatever they hold
	ends    int  // and so many of those that end a window
	takes   time.Duration
	answers int
}
