package engine

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/record"
)

// What is told of a mapping's shards: to whoever observes the engine, and to whoever looks at the mapping.

// observe passes what happened on, and keeps LastProcessingResult.
func (r *mappingRunner) observe(o Observation) {
	switch what := o.What.(type) {
	case *esm.AttemptEnded:
		r.report(resultOf(what.Outcome))
		r.e.advise(&o, what.Outcome.Advice)
	case *esm.RecordsLost: // there is no notice of them: they cannot be read again
		r.log.Warn("retention took records before they were processed",
			"shard", o.Shard.String(), "first", what.First, "last", what.Last)
	case *esm.StateDropped:
		r.log.Warn("the state of a tumbling window is dropped: the function failed to the end of its retries or age",
			"shard", o.Shard.String(), "window", what.Window.Start.Time(), "attempts", what.Attempt)
	default: // whoever observes the engine tells it
	}
	o.What = o.What.Copy()
	r.e.o.Observe(o)
}

// report notes what the last attempt came to, unless there is something that a person must know first. Safe for
// concurrent use.
func (r *mappingRunner) report(result string) {
	first := r.problems.first()
	if first != "" {
		result = first
	}
	if result != "" {
		r.e.o.Mappings.SetResult(r.ctx, r.uuid, result)
	}
	if p := r.problems.first(); p != first && p != "" { // it came up in between
		r.e.o.Mappings.SetResult(r.ctx, r.uuid, p)
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

// problems are the reasons why parts of a mapping stand still. They show in LastProcessingResult for as long as they
// last. Safe for concurrent use.
type problems struct {
	mu     sync.Mutex
	texts  map[record.ShardID]string
	lowest atomic.Pointer[string] // the text of the lowest shard; nil: there is none
}

// streamGone is the place of a problem of the whole mapping, before that of every shard.
const streamGone = ^record.ShardID(0)

func (p *problems) set(id record.ShardID, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.texts == nil {
		p.texts = map[record.ShardID]string{}
	}
	p.texts[id] = text
	p.choose()
}

func (p *problems) clear(id record.ShardID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.texts[id]; ok {
		delete(p.texts, id)
		p.choose()
	}
}

// choose picks the text to show. p.mu is held.
func (p *problems) choose() {
	if len(p.texts) == 0 {
		p.lowest.Store(nil)
		return
	}
	text, ok := p.texts[streamGone]
	if !ok {
		text = p.texts[slices.Min(slices.Collect(maps.Keys(p.texts)))]
	}
	p.lowest.Store(&text)
}

// first returns the text to show, or "".
func (p *problems) first() string {
	if t := p.lowest.Load(); t != nil {
		return *t
	}
	return ""
}
