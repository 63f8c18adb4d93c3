package engine

import (
	"strconv"
	"time"

	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/filter"
	"github.com/shardmill/shardmill/internal/ids"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
)

// Executor is one shard machine together with the bytes of its records: it turns the core's commands into effects that
// anybody can perform, and results into the core's events. It starts no goroutine, reads no clock and does no I/O, so
// the simulator drives the very code that runs live. Not safe for concurrent use.
type Executor struct {
	id      Identity
	shard   *esm.Shard
	format  source.Format
	keys    record.HashKeyRange
	partial bool // FunctionResponseTypes holds ReportBatchItemFailures
	payload bool // notices carry the payload

	lanes      esm.LaneMap
	generation uint32
	factor     int
	reading    esm.Read // the Read that is out
	withheld   bool     // it waits for memory
	batchSize  int

	budget  *Budget
	counted int64 // of the budget, for what is held
	held    heldRecords
	flight  map[uint64]*flight // by batch
	free    []*flight          // to be used again
	recs    []esm.Rec          // scratch of Fetched
	out     []Effect

	sieve sieve

	observe func(Observation)
	trace   Tracer // nil: nothing is traced
}

// Identity names a mapping on a shard; ids of invocations and notices are made from it, but not from its ARNs.
type Identity struct {
	Mapping        string // UUID
	Stream         uint32
	Shard          record.ShardID
	FunctionARN    string
	EventSourceARN string
}

// flight is what an Invoke that is out needs when its answer comes.
type flight struct {
	records  []record.Record
	partial  bool
	windowed bool // in a tumbling window
	purpose  esm.Purpose
	payload  []byte
}

// Observation is something that happened in a shard, and whose shard it is.
type Observation struct {
	Identity
	At     time.Time
	Replay string // the request id of a replay's invocation, which no lane made; "": not of a replay
	What   esm.Observe
}

// RequestID returns the id that the invocations of the batch carry, or "" for an observation that is about no batch. It
// is made when it is asked for: most observations are about nothing that is looked up.
func (o Observation) RequestID() string {
	if o.Replay != "" {
		return o.Replay
	}
	if b := esm.BatchOf(o.What); b != nil {
		return o.requestID(b.ID)
	}
	return ""
}

// NewExecutor makes a machine that goes on from a checkpoint. cfg.Envelope is taken from format. observe may be nil; it
// must not block.
func NewExecutor(
	id Identity, cfg esm.Config, keys record.HashKeyRange, format source.Format, from esm.Checkpoint, seed uint64,
	observe func(Observation),
) *Executor {
	cfg = sized(cfg, format)
	if observe == nil {
		observe = func(Observation) {}
	}
	return &Executor{
		id: id, shard: esm.NewShard(cfg, from, seed), format: format, keys: keys, partial: cfg.PartialResponses,
		batchSize: cfg.BatchSize,
		flight:    map[uint64]*flight{}, observe: observe,
	}
}

// Filter sets which records pass; nil: all. Call it before the first Step, and later before the Step that takes the
// Reconfigured with the filter's identity.
func (x *Executor) Filter(f *filter.Filter) { x.sieve = newSieve(f, x.format) }

// sized tells the core how large payloads of a format are.
func sized(cfg esm.Config, format source.Format) esm.Config {
	cfg.Envelope, cfg.Windowed, cfg.Recordless = format.Envelope(), format.Windowed(), format.Recordless()
	return cfg
}

// Effect is something to perform. The set is closed.
//
//sumtype:decl
type Effect interface{ effect() }

// Fetch asks for records: pass what Limit brings to Fetched. With Wait it is answered only when there is something new;
// a later Fetch replaces it.
type Fetch struct {
	Seq   uint64
	From  record.Position
	Limit storage.Limit
	Least storage.Limit // instead of Limit when memory is short at the moment of the read
	Wait  bool
}

// Call asks for one invocation: pass the answer to Answered. Payload belongs to the executor until then.
type Call struct {
	Batch       uint64
	Lane        int
	Attempt     int
	RequestID   string
	Payload     []byte
	Count       int           // of records; 0: the end of a tumbling window
	LastArrival record.Millis // of the last record, if there is one: iterator age is counted from it
}

// CancelCall asks to end a Call; its answer is not waited for.
type CancelCall struct{ Batch uint64 }

// Announce asks to deliver a notice: pass the result to the core as esm.Delivered.
type Announce struct {
	Batch uint64
	destination.Sending
}

// Keep asks to save a checkpoint: pass the result to the core as esm.Saved.
type Keep struct{ Checkpoint esm.Checkpoint }

// Done is the last effect.
type Done struct{ Reason esm.FinishReason }

func (Fetch) effect()      {}
func (Call) effect()       {}
func (CancelCall) effect() {}
func (Announce) effect()   {}
func (Keep) effect()       {}
func (Done) effect()       {}

// Step feeds one event to the machine and returns the effects to perform, in order. The slice is valid until the next
// Step.
func (x *Executor) Step(now time.Time, ev esm.Event) []Effect {
	clear(x.out)
	x.out = x.out[:0]
	if r, ok := ev.(esm.Reconfigured); ok {
		r.Config = sized(r.Config, x.format)
		x.partial, x.batchSize = r.Config.PartialResponses, r.Config.BatchSize
		ev = r
	}
	for ev != nil {
		for _, c := range x.decide(now, ev) {
			x.apply(now, c)
		}
		x.held.dropThrough(x.shard.Low())
		x.account()
		ev = x.resume()
	}
	return x.out
}

// Wake returns when the machine wants a Tick; zero: not by itself.
func (x *Executor) Wake() time.Time { return x.shard.Wake() }

// Lanes returns what every lane does.
func (x *Executor) Lanes() []esm.LaneState { return x.shard.Lanes() }

// Status returns what the machine does.
func (x *Executor) Status() esm.ShardStatus { return x.shard.Status() }

// Low returns the checkpoint as it stands.
func (x *Executor) Low() record.Position { return x.shard.Low() }

// apply turns one command into an effect.
func (x *Executor) apply(now time.Time, c esm.Command) {
	switch c := c.(type) {
	case esm.Read:
		x.read(c)
	case esm.Invoke:
		x.invoke(c)
	case esm.Cancel:
		delete(x.flight, c.Batch)
		x.out = append(x.out, CancelCall{c.Batch})
	case esm.Deliver:
		x.deliver(c)
	case esm.Save:
		x.out = append(x.out, Keep{c.Checkpoint})
	case esm.Finished:
		x.withheld = false // nothing comes after the last effect, and a read that waits for memory least of all
		x.out = append(x.out, Done{c.Reason})
	case esm.Observe:
		if _, ok := c.(*esm.Refiltered); ok {
			x.held.retain(x.shard.AppendHeld(nil))
		}
		x.observe(Observation{Identity: x.id, At: now, What: c})
	}
}

func (x *Executor) read(c esm.Read) {
	if x.factor != c.Factor || x.generation != c.Generation {
		x.lanes, x.factor, x.generation = esm.NewLaneMap(x.keys, c.Factor), c.Factor, c.Generation
		x.held.keep(c.From) // what follows is read again under the new lane map
	}
	x.reading, x.withheld = c, true
}

// Fetched returns the event for the records that a Fetch brought, in order, each with whether it passes the filter.
// Those that pass and do not fit what the core has room for are left to the next Read. The slice is changed.
func (x *Executor) Fetched(seq uint64, records []record.Record, next record.Position, end storage.End) esm.Event {
	ev := esm.ReadReturned{Seq: seq, Next: next, Oldest: end.Oldest}
	if !x.shard.Reads(seq) {
		return ev // replaced, or void: the core ignores it, so nothing of it may be held
	}
	switch end.Kind {
	case storage.More:
		ev.End = esm.More
	case storage.Tail:
		ev.End, ev.Sealed = esm.Tail, end.Sealed
	case storage.ShardEnd:
		ev.End = esm.ShardEnd
	case storage.Trimmed:
		ev.End = esm.Trimmed
	}
	x.recs = x.recs[:0]
	room, taken := x.reading.MaxBytes, 0
	for i := range records {
		r := &records[i]
		rec := esm.Rec{Pos: r.Pos, Arrival: r.Arrival}
		if rec.Match = x.sieve.passes(r); rec.Match {
			size := x.format.RecordSize(r)
			if taken > 0 && (size > room || taken >= x.reading.MaxRecords) {
				ev.Next, ev.End = r.Pos, esm.More
				break
			}
			room -= size
			rec.Bytes = int32(size)
			if x.factor > 1 {
				rec.Lane = x.lanes.Of(r.HashKeyOf())
			}
			records[taken] = *r // what does not match is not held
			taken++
		}
		x.recs = append(x.recs, rec)
	}
	x.held.push(records[:taken])
	x.account()
	ev.Records = x.recs
	return ev
}

func (x *Executor) invoke(c esm.Invoke) {
	f := &flight{}
	if n := len(x.free); n > 0 {
		f, x.free = x.free[n-1], x.free[:n-1]
	}
	x.flight[c.Batch] = f
	f.records = x.held.find(f.records[:0], c.Positions)
	f.partial, f.windowed, f.purpose = x.partial, c.Window != nil, c.ID.Purpose
	if cap(f.payload) < c.Bytes {
		f.payload = make([]byte, 0, c.Bytes)
	}
	f.payload = x.format.AppendPayload(f.payload[:0], f.records, windowOf(c.Window, c.ID.Purpose))
	if len(f.payload) != c.Bytes {
		panic(&esm.Broken{
			What: "a payload has " + strconv.Itoa(len(f.payload)) + " bytes, the core counted " + strconv.Itoa(c.Bytes),
		})
	}
	call := Call{
		Batch: c.Batch, Lane: c.Lane, Attempt: c.Attempt, RequestID: x.id.requestID(c.ID), Payload: f.payload,
		Count: len(f.records),
	}
	if call.Count > 0 {
		call.LastArrival = f.records[call.Count-1].Arrival
	}
	x.out = append(x.out, call)
}

// windowOf returns what a payload says about a tumbling window; nil without one.
func windowOf(w *esm.WindowCall, p esm.Purpose) *source.Window {
	if w == nil {
		return nil
	}
	return &source.Window{
		Start: w.Start, End: w.End, State: w.State, Final: p == esm.ForFinal, Early: p == esm.ForEarlyEnd,
	}
}

// CarryPayload makes notices carry the payload, as the destination wants it. It is called before the first Step.
func (x *Executor) CarryPayload() { x.payload = true }

func (x *Executor) deliver(c esm.Deliver) {
	records := x.held.find(nil, c.Positions)
	info := x.format.Batch(&records[0], &records[len(records)-1], len(records))
	n := destination.Notice{
		RequestID: x.id.requestID(c.ID), FunctionARN: x.id.FunctionARN, Condition: c.Condition,
		InvokeCount: c.Invocations,
		StatusCode:  c.StatusCode, FunctionError: c.FunctionError, Version: c.Version, At: c.At,
		BatchMember: info.Member, Batch: info.JSON,
	}
	if n.StatusCode != 0 && n.Version == "" {
		n.Version = "$LATEST"
	}
	if x.payload {
		n.Payload = x.format.AppendPayload(nil, records, windowOf(c.Window, c.ID.Purpose))
	}
	// A crash may have the same records given up for another reason: that is a repeat as well.
	id := x.id.named(
		"notice", c.ID, strconv.FormatUint(uint64(records[0].Pos), 10),
		strconv.FormatUint(uint64(records[len(records)-1].Pos), 10),
	)
	x.out = append(x.out, Announce{c.Batch, destination.Sending{
		ID: id, Mapping: x.id.Mapping, Function: x.id.FunctionARN,
		Shard: x.id.Shard.String(), At: c.At, Body: n.Document(),
	}})
}

func (i Identity) requestID(id esm.BatchID) string { return i.named("invocation", id) }

// named returns an id that the same batch has in every process and after every crash.
func (i Identity) named(kind string, id esm.BatchID, more ...string) string {
	u := func(v uint64) string { return strconv.FormatUint(v, 10) }
	parts := []string{
		i.Mapping, u(uint64(i.Stream)), i.Shard.String(), u(uint64(id.Generation)), u(uint64(id.Factor)),
		u(uint64(id.Lane)), u(uint64(id.First)), u(uint64(id.Last)), u(id.Filter),
	}
	if id.Purpose != esm.ForRecords {
		parts = append(parts, id.Purpose.String())
	}
	return ids.Named(kind, append(parts, more...)...)
}
