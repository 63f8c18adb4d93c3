package engine

import (
	"context"
	"slices"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/ids"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
)

// Codes of Replay's faults.
const (
	CodeNoMapping = "ResourceNotFoundException"
	CodeBadRange  = "InvalidParameterValueException"
	CodeTrimmed   = "ExpiredRangeException"
)

// ReplayLimit is how many records one Replay hands out.
const ReplayLimit = 10_000

// replayPatience is for how long, in real time, a Replay begins another batch: the client that waits for its answer
// sees how it goes.
const replayPatience = 5 * time.Second

// ReplayRange are the records of one shard from From to To, both included.
type ReplayRange struct {
	Shard    record.ShardID
	From, To record.Position
}

// Replayed is one batch of a replay and what became of it. Nothing is done about a failure.
type Replayed struct {
	First, Last record.Position
	From, To    string // how the source names the two
	Count       int
	RequestID   string
	Outcome     esm.Outcome
	FailedAt    string // the lowest record reported, with PartialFailure
}

// Replay invokes a mapping's function once for every batch of a range, outside every lane, one after the other: at most
// BatchSize records and the payload limit each, of those that pass the mapping's filters. It moves no checkpoint,
// retries nothing, announces nothing, and works whether or not the mapping is enabled; a mapping with a tumbling window
// is refused. What it does is observed with Replay set.
//
// each is called with every batch when its answer is there. After ReplayLimit records or some seconds Replay returns
// with the next record of the range in next; "" is the end. Its faults have the codes CodeNoMapping, CodeBadRange and
// CodeTrimmed and are sentences for people. When ctx ends, the invocation under way goes on and is not waited for.
func (e *Engine) Replay(ctx context.Context, uuid string, r ReplayRange, each func(Replayed)) (next string, err error) {
	e.active.begin()
	defer e.active.end()
	p, err := e.replayer(ctx, uuid, r)
	if err != nil {
		return "", err
	}
	began := time.Now() // not the steered clock, which may stand
	for left := ReplayLimit; left > 0 && time.Since(began) < replayPatience; {
		batch, err := p.read(ctx, min(left, p.m.BatchSize))
		if err != nil || len(batch) == 0 {
			return "", err
		}
		b, err := p.replay(ctx, batch)
		if err != nil {
			return "", err
		}
		each(b)
		p.r.From = b.Last + 1
		left -= len(batch)
	}
	rest, err := p.read(ctx, 1)
	if err != nil || len(rest) == 0 {
		return "", err
	}
	return p.format.Identifier(&rest[0]), nil
}

// replayer is one replay under way; r.From moves.
type replayer struct {
	e      *Engine
	m      mapping.Mapping
	target function.Name
	src    source.Source
	format source.Format
	r      ReplayRange
	sieve  sieve
}

// replayer checks a range against the mapping's stream as it is now.
func (e *Engine) replayer(ctx context.Context, uuid string, r ReplayRange) (*replayer, error) {
	all, err := e.o.Mappings.All(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(m mapping.Mapping) bool { return m.UUID == uuid })
	if i < 0 {
		return nil, fault.New(CodeNoMapping, "There is no mapping %s.", uuid)
	}
	if all[i].TumblingWindow > 0 {
		return nil, fault.New(
			CodeBadRange,
			"The mapping has a tumbling window, and what its function answers belongs to the state of one. Replay is for mappings without.",
		)
	}
	p := &replayer{e: e, m: all[i], target: targetOf(all[i].FunctionARN), r: r}
	p.src = source.Again(e.o.Source(p.m))
	shards, err := p.src.Shards(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(shards, func(s source.Shard) bool { return s.ID == r.Shard }) {
		return nil, fault.New(CodeBadRange, "The stream of the mapping has no %s that can be read.", r.Shard)
	}
	if r.From > r.To {
		return nil, fault.New(CodeBadRange, "The range ends before it begins: exchange its two ends.")
	}
	var role string
	if c, ok := e.o.Functions.Find(p.target.Ref, p.target.Qualifier); ok {
		role = c.Role
	}
	p.format = p.src.Format(r.Shard, role)
	f, err := p.m.Filter()
	if err != nil {
		return nil, fault.New(CodeBadRange, "The filter criteria of the mapping cannot be used: %s.", err)
	}
	p.sieve = newSieve(f, p.format)
	oldest, err := p.src.Oldest(ctx, r.Shard)
	if err != nil {
		return nil, err
	}
	if r.From < oldest {
		return nil, p.trimmed(ctx, oldest)
	}
	return p, nil
}

// trimmed says from where on the range could be replayed.
func (p *replayer) trimmed(ctx context.Context, oldest record.Position) error {
	p.r.From, p.r.To = oldest, record.MaxPosition
	p.sieve = newSieve(nil, p.format)
	if first, err := p.read(ctx, 1); err == nil && len(first) > 0 {
		return fault.New(
			CodeTrimmed, "Retention has taken the beginning of the range. The oldest record of %s is %s.", p.r.Shard,
			p.format.Identifier(&first[0]),
		)
	}
	return fault.New(
		CodeTrimmed, "Retention has taken the beginning of the range, and %s holds no record any more.", p.r.Shard,
	)
}

// read returns the next batch: at most so many records of the range that pass the mapping's filters, and one at least,
// whose payload keeps the limit.
func (p *replayer) read(ctx context.Context, most int) (batch []record.Record, err error) {
	for {
		from := p.r.From
		batch, next, err := p.readFrom(ctx, from, most)
		if err != nil || len(batch) > 0 || next <= from || next > p.r.To {
			return batch, err
		}
		p.r.From = next // nothing up to there passes
	}
}

// readFrom reads once, and tells where the next read would start; no further than from when nothing was there.
func (p *replayer) readFrom(ctx context.Context, from record.Position, most int) (
	batch []record.Record, next record.Position, err error,
) {
	room := esm.MaxPayload - p.format.Envelope()
	full := false
	limit := storage.Limit{Records: most, Bytes: rawBytes(esm.MaxPayload)}
	next, end, err := p.src.Read(ctx, p.r.Shard, from, limit, func(rec record.Record) {
		if full || !p.sieve.passes(&rec) {
			return
		}
		size := p.format.RecordSize(&rec)
		if full = full || rec.Pos > p.r.To || len(batch) == most || len(batch) > 0 && size > room; !full {
			room -= size
			batch = append(batch, rec)
		}
	})
	if err == nil && end.Kind == storage.Trimmed && len(batch) == 0 {
		return nil, from, p.trimmed(ctx, end.Oldest)
	}
	return batch, next, err
}

// replay invokes the function with one batch and judges its answer by the core's own rules. It fails when ctx ends
// only.
func (p *replayer) replay(ctx context.Context, batch []record.Record) (Replayed, error) {
	first, last := &batch[0], &batch[len(batch)-1]
	b := Replayed{
		First: first.Pos, Last: last.Pos, From: p.format.Identifier(first), To: p.format.Identifier(last),
		Count: len(batch), RequestID: ids.New(),
	}
	payload := p.format.AppendPayload(nil, batch, nil)
	about := esm.Batch{
		ID: esm.BatchID{First: b.First, Last: b.Last}, Count: b.Count, First: b.First, Last: b.Last,
	}
	p.observe(&b, &esm.AttemptStarted{Batch: about, Attempt: 1})
	started := p.e.o.Clock.Now()
	a := p.e.invoke(ctx, function.Invocation{
		Ref: p.target.Ref, Qualifier: p.target.Qualifier, RequestID: b.RequestID, Payload: payload,
		InvokedARN: p.m.FunctionARN, Wait: true,
	})
	if ctx.Err() != nil {
		return b, ctx.Err()
	}
	b.Outcome = outcomeOf(a, len(payload), func(response []byte) esm.Outcome {
		return esm.ParseResponse(response, p.m.PartialResponses, finder(p.format, batch))
	})
	if b.Outcome.Kind == esm.PartialFailure {
		i := slices.IndexFunc(batch, func(rec record.Record) bool { return rec.Pos == b.Outcome.At })
		b.FailedAt = p.format.Identifier(&batch[i])
	}
	p.observe(&b, &esm.AttemptEnded{Batch: about, Attempt: 1, Started: started, Outcome: b.Outcome})
	return b, nil
}

func (p *replayer) observe(b *Replayed, what esm.Observe) {
	o := Observation{
		Identity: Identity{
			Mapping: p.m.UUID, Stream: p.m.Stream, Shard: p.r.Shard, FunctionARN: p.m.FunctionARN,
			EventSourceARN: p.m.EventSourceARN,
		},
		At: p.e.o.Clock.Now(), Replay: b.RequestID, What: what,
	}
	p.e.advise(&o, b.Outcome.Advice)
	p.e.tap.put(o)
}
