package engine

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
)

// What is told of a mapping's shards: to those that observe the engine, and to those that look at the mapping.

// observe passes what happened on, and keeps LastProcessingResult.
func (r *mappingRunner) observe(o Observation, epoch uint64) {
	switch what := o.What.(type) {
	case *esm.AttemptEnded:
		r.report(o.Shard, epoch, resultOf(what.Outcome))
		r.e.advise(&o, what.Outcome.Advice)
	case *esm.RecordsLost: // there is no notice of them: they cannot be read again
		r.log.Warn("retention took records before they were processed",
			"shard", o.Shard.String(), "first", what.First, "last", what.Last)
	case *esm.Dropped:
		r.log.Warn("records are given up without a notice", "shard", o.Shard.String(), "first", what.First, "last",
			what.Last, "records", what.Count, "condition", what.Condition, "why", what.Why.String(), "reason",
			what.Reason)
		if what.Why == esm.DropRefused {
			r.report(o.Shard, epoch, "PROBLEM: The on-failure destination cannot be written: "+what.Reason)
			r.e.advise(&o, esm.AdviceDestination)
		}
	case *esm.StateDropped:
		r.log.Warn("the state of a tumbling window is dropped: the function failed to the end of its retries or age",
			"shard", o.Shard.String(), "window", what.Window.Start.Time(), "attempts", what.Attempt)
	default: // those that observe the engine tell it
	}
	r.e.tap.put(o)
}

// tellShards tells how shards stand, those whose standing has changed since the last time.
func (r *mappingRunner) tellShards() {
	if !r.stepped || !r.e.tap.listens() || r.m.UUID == "" {
		return
	}
	r.stepped = false
	now := r.machine.Shards()
	for _, sh := range now {
		if was, ok := r.stood[sh.Shard]; ok && was.Phase == sh.Phase && was.Epoch == sh.Epoch &&
			slices.Equal(was.Parents, sh.Parents) {
			continue
		}
		r.stood[sh.Shard] = sh
		r.e.tap.put(Observation{
			Identity: r.identity(sh.Shard), At: r.e.o.Clock.Now(), What: &esm.Stands{ShardState: sh},
		})
	}
	if len(r.stood) > len(now) { // the stream lists some no more
		maps.DeleteFunc(r.stood, func(id record.ShardID, _ esm.ShardState) bool {
			return !slices.ContainsFunc(now, func(sh esm.ShardState) bool { return sh.Shard == id })
		})
	}
}

// identity names the mapping on a shard.
func (r *mappingRunner) identity(id record.ShardID) Identity {
	return Identity{
		Mapping: r.uuid, Stream: r.m.Stream, Shard: id, FunctionARN: r.m.FunctionARN,
		EventSourceARN: r.m.EventSourceARN,
	}
}

// report notes what the last attempt in a shard came to, unless there is something about the shard that a person must
// know first. Safe for concurrent use.
func (r *mappingRunner) report(id record.ShardID, epoch uint64, result string) {
	if r.problems.of(id) == "" {
		r.e.o.Mappings.SetResult(r.ctx, r.uuid, mapping.Result{Shard: id, Epoch: epoch, Text: result})
	}
}

// problem notes why a shard, or all of them, stand still. It shows for as long as it lasts. Safe for concurrent use.
func (r *mappingRunner) problem(id record.ShardID, epoch uint64, text string) {
	r.problems.set(id, text)
	r.e.o.Mappings.SetResult(r.ctx, r.uuid, mapping.Result{Shard: id, Epoch: epoch, Text: text, Standing: true})
}

// overcome notes that a problem does not last any more. Its text is what the shard's last result is until the next.
func (r *mappingRunner) overcome(id record.ShardID, epoch uint64) {
	if text := r.problems.clear(id); text != "" {
		r.e.o.Mappings.SetResult(r.ctx, r.uuid, mapping.Result{Shard: id, Epoch: epoch, Text: text})
	}
}

// resultOf is LastProcessingResult after an attempt.
func resultOf(o esm.Outcome) string {
	switch o.Kind {
	case esm.Success:
		return "OK"
	case esm.Throttle:
		return "PROBLEM: Function was throttled"
	case esm.ServiceError:
		if o.Code == function.ReasonNotFound {
			return "PROBLEM: Function does not exist"
		}
		return "PROBLEM: Function call failed"
	case esm.PartialFailure, esm.FunctionError:
	}
	return "PROBLEM: Function call failed"
}

// problems are the reasons why parts of a mapping stand still, by shard. Safe for concurrent use.
type problems struct {
	mu    sync.Mutex
	texts map[record.ShardID]string // nil before the first
	any   atomic.Bool
}

func (p *problems) set(id record.ShardID, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.texts == nil {
		p.texts = map[record.ShardID]string{}
	}
	p.texts[id] = text
	p.any.Store(true)
}

// clear takes the problem of a shard off and returns it, or "".
func (p *problems) clear(id record.ShardID) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := p.texts[id]
	delete(p.texts, id)
	p.any.Store(len(p.texts) > 0)
	return text
}

// of returns the problem of a shard, or "". It is asked after every attempt and there is hardly ever one.
func (p *problems) of(id record.ShardID) string {
	if !p.any.Load() {
		return ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.texts[id]
}
