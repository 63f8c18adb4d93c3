package engine

import (
	"context"
	"hash/fnv"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/shardmill/shardmill/checkpoint"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
)

// mappingRunner is the goroutine of one mapping: it keeps the list of shards current, starts and releases shard runners as esm.Mapping says, and reports
// transitions complete.
type mappingRunner struct {
	e     *Engine
	log   *slog.Logger
	src   source.Source
	ref   function.Ref
	inbox chan func()
	ended chan struct{}

	ctx    context.Context
	cancel context.CancelFunc

	// Only the runner's goroutine touches what follows.
	m        mapping.Mapping
	machine  esm.Mapping
	shards   map[record.ShardID]*shardRunner
	listed   map[record.ShardID]source.Shard
	role     string // of the function, as the payloads say it
	gone     bool   // the stream does not exist any more
	stopping bool
	abandonT *time.Timer

	abandonOnce sync.Once
	wg          sync.WaitGroup
}

func newMappingRunner(e *Engine, m mapping.Mapping) *mappingRunner {
	ctx, cancel := context.WithCancel(context.Background())
	r := &mappingRunner{
		e: e, m: m, src: e.o.Source(m), inbox: make(chan func(), inboxSize), ended: make(chan struct{}), ctx: ctx, cancel: cancel,
		shards: map[record.ShardID]*shardRunner{}, log: e.o.Log.With("mapping", m.UUID, "function", m.FunctionName),
	}
	r.setFunction(m)
	return r
}

func (r *mappingRunner) setFunction(m mapping.Mapping) {
	parts := strings.SplitN(m.FunctionARN, ":", 7)
	r.ref = function.Ref{Account: m.Account, Region: m.Region, Name: m.FunctionName}
	if len(parts) == 7 {
		r.ref.Region, r.ref.Account = parts[3], parts[4]
	}
	if c, ok := r.e.o.Functions.Lookup(r.ref); ok {
		r.role = c.Role
	}
}

// do runs f on the runner's goroutine, unless it has ended.
func (r *mappingRunner) do(f func()) {
	r.e.active.begin()
	select {
	case r.inbox <- f:
	case <-r.ended:
		r.e.active.end()
	}
}

func (r *mappingRunner) configure(m mapping.Mapping) { go r.do(func() { r.configured(m) }) }
func (r *mappingRunner) stop()                       { r.do(r.stopNow) }
func (r *mappingRunner) abandon() {
	r.abandonOnce.Do(func() { r.do(func() { r.command(r.machine.Step(esm.AbandonDue{})) }) })
}

func (r *mappingRunner) run() {
	defer close(r.ended)
	defer r.wg.Wait()
	defer r.cancel()
	shardsChanged := r.src.ShardsChanged()
	functionChanged := r.e.o.Functions.Changed(r.ref)
	r.list()
	r.desire()
	for !r.over() {
		if r.gone {
			shardsChanged = nil // a stream that is made again under the same name is another one
		}
		select {
		case f := <-r.inbox:
			before := r.ref
			f()
			r.e.active.end()
			if r.ref != before {
				functionChanged = r.e.o.Functions.Changed(r.ref)
			}
		case <-shardsChanged:
			shardsChanged = r.src.ShardsChanged()
			r.list()
		case <-functionChanged:
			functionChanged = r.e.o.Functions.Changed(r.ref)
			r.functionChanged()
		}
	}
	if r.abandonT != nil {
		r.abandonT.Stop()
	}
	for {
		select {
		case <-r.inbox:
			r.e.active.end()
			continue
		default:
		}
		return
	}
}

// over reports that the mapping is forgotten, or that the engine stops and no shard runs any more.
func (r *mappingRunner) over() bool {
	return r.m.UUID == "" || r.stopping && len(r.shards) == 0
}

// list reads which shards there are now.
func (r *mappingRunner) list() {
	shards, err := r.src.Shards(r.ctx)
	if fault.CodeOf(err) == "ResourceNotFoundException" {
		r.e.o.Mappings.SetResult(r.ctx, r.m.UUID, "PROBLEM: Stream not found")
		r.listed, r.gone = nil, true
		r.command(r.machine.Step(esm.SourceGone{}))
		return
	}
	if err != nil {
		r.log.Error("listing the shards of the stream; trying again at the next change", "error", err)
		return
	}
	r.listed = make(map[record.ShardID]source.Shard, len(shards))
	ev := esm.ShardsListed{}
	for _, sh := range shards {
		r.listed[sh.ID] = sh
		l := esm.ListedShard{ID: sh.ID, Parents: sh.Parents}
		if len(shards) > 1 && r.shards[sh.ID] == nil { // only children ask, and a running shard has not ended
			if h, found, err := r.e.o.Checkpoints.Load(r.ctx, r.m.UUID, sh.ID); err == nil && found {
				l.Ended = h.Checkpoint.Ended
			}
		}
		ev.Shards = append(ev.Shards, l)
	}
	r.command(r.machine.Step(ev))
}

// desire tells the machine what the mapping shall be.
func (r *mappingRunner) desire() {
	d := esm.Desired{Enabled: r.m.Enabled, Deleting: r.m.State == mapping.Deleting}
	switch r.m.State {
	case mapping.Enabled, mapping.Disabled:
	default:
		d.Pending = esm.State(r.m.State)
	}
	if r.stopping { // nothing is started any more, and nothing is reported complete
		d = esm.Desired{}
	}
	r.command(r.machine.Step(d))
}

// configured takes a new version of the mapping.
func (r *mappingRunner) configured(m mapping.Mapping) {
	if m.Version <= r.m.Version || r.m.UUID == "" {
		return
	}
	old := r.m
	r.m = m
	if m.Settings != old.Settings {
		for _, s := range r.shards {
			s.postEvent(esm.Reconfigured{Config: m.Core()})
		}
	}
	if m.FunctionARN != old.FunctionARN || m.Destination != old.Destination {
		r.setFunction(m)
		r.restart()
	}
	r.desire()
}

// functionChanged lets lanes that back off try at once on what is new.
func (r *mappingRunner) functionChanged() {
	role := r.role
	r.setFunction(r.m)
	if r.role != role {
		r.restart() // the role is part of every payload, and payload sizes are already counted
		return
	}
	for _, s := range r.shards {
		s.postEvent(esm.Nudge{})
	}
}

// restart ends every shard after its attempts in flight; the machine starts them again, from what they saved, with what has changed.
func (r *mappingRunner) restart() {
	for _, s := range r.shards {
		s.postEvent(esm.Release{})
	}
}

func (r *mappingRunner) stopNow() {
	r.stopping = true
	r.desire()
}

// command carries out what the machine wants.
func (r *mappingRunner) command(cmds []esm.MappingCommand) {
	for _, c := range cmds {
		switch c := c.(type) {
		case esm.StartShard:
			r.startShard(c.Shard)
		case esm.ReleaseShard:
			if s := r.shards[c.Shard]; s != nil {
				s.postEvent(esm.Release{Abandon: c.Abandon})
				r.abandonLater()
			}
		case esm.Settle:
			if r.stopping {
				continue
			}
			if err := r.e.o.Mappings.Settled(r.ctx, r.m.UUID, r.m.Version, mapping.State(c.State)); err != nil {
				r.log.Error("recording the state of the mapping", "state", c.State, "error", err)
			}
		case esm.Forget:
			r.forget()
		}
	}
}

// abandonLater gives attempts in flight some real time to end after a release.
func (r *mappingRunner) abandonLater() {
	if r.abandonT == nil {
		r.abandonT = time.AfterFunc(r.e.o.AbandonAfter, func() {
			r.do(func() {
				r.abandonT = nil
				r.command(r.machine.Step(esm.AbandonDue{}))
			})
		})
	}
}

func (r *mappingRunner) forget() {
	if r.stopping {
		return // it is deleted at the next start
	}
	if err := r.e.o.Checkpoints.Forget(r.ctx, r.m.UUID); err != nil {
		r.log.Error("deleting the checkpoints of a deleted mapping", "error", err)
	}
	if err := r.e.o.Mappings.Removed(r.ctx, r.m.UUID); err != nil {
		r.log.Error("forgetting a deleted mapping", "error", err)
	}
	r.m = mapping.Mapping{}
}

// startShard makes the runner of a shard from its checkpoint, or from where the mapping starts.
func (r *mappingRunner) startShard(id record.ShardID) {
	sh := r.listed[id]
	held, found, err := r.e.o.Checkpoints.Load(r.ctx, r.m.UUID, id)
	if err != nil {
		r.log.Error("the shard is not processed: its checkpoint cannot be read", "shard", id, "error", err)
		return
	}
	if !found {
		held = checkpoint.Held{}
		if start, ok := r.m.Starts[id]; ok && start > 0 {
			held.Checkpoint.Low = start - 1
		}
	}
	who := Identity{Mapping: r.m.UUID, Stream: r.m.Stream, Shard: id, FunctionARN: r.m.FunctionARN}
	seed := fnv.New64a()
	_, _ = seed.Write([]byte(r.m.UUID + id.String()))
	s := &shardRunner{
		e: r.e, id: who, ref: r.ref, src: r.src, log: r.log.With("shard", id.String()),
		x:     NewExecutor(who, r.m.Core(), sh.Range, r.src.Format(id, r.role), held.Checkpoint, seed.Sum64(), r.observe),
		inbox: make(chan func() esm.Event, inboxSize), ended: make(chan struct{}), revision: held.Revision,
		calls: map[uint64]context.CancelFunc{}, waiters: map[int]func(){},
	}
	s.ctx, s.cancel = context.WithCancel(r.ctx)
	if r.m.Destination != "" {
		if s.send, err = r.e.o.Destinations.Open(r.m.Destination); err != nil {
			r.log.Error("opening the destination; notices wait", "error", err)
		}
	}
	s.finish = func(reason esm.FinishReason, parked string) {
		r.do(func() {
			delete(r.shards, id)
			r.command(r.machine.Step(esm.ShardFinished{Shard: id, Reason: reason}))
			if reason == esm.Ended {
				r.list() // children may start, and the list may have changed
			}
		})
	}
	r.shards[id] = s
	r.wg.Go(s.run)
}

// observe passes what happened on, and keeps LastProcessingResult.
func (r *mappingRunner) observe(o Observation) {
	if o.Kind == esm.AttemptEnded {
		r.e.o.Mappings.SetResult(r.ctx, o.Mapping, resultOf(o.Outcome))
	}
	r.e.o.Observe(o)
}

// resultOf is LastProcessingResult after an attempt.
func resultOf(o esm.Outcome) string {
	switch o.Kind {
	case esm.Success:
		return "OK"
	case esm.Throttle:
		return "PROBLEM: Function was throttled"
	case esm.ServiceError:
		if strings.Contains(o.Reason, "ResourceNotFoundException") {
			return "PROBLEM: Function does not exist"
		}
		return "PROBLEM: Function call failed"
	case esm.PartialFailure, esm.FunctionError:
	}
	return "PROBLEM: Function call failed"
}
