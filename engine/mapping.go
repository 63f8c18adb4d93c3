package engine

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/filter"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
)

// mappingRunner is the goroutine of one mapping: it keeps the list of shards current, starts and releases shard runners
// as esm.Mapping says, and reports transitions complete.
type mappingRunner struct {
	e     *Engine
	uuid  string
	log   *slog.Logger
	src   source.Source
	inbox *inbox[func()]
	ended chan struct{} // closed when everything of the mapping has ended
	told  uint64        // the version of the mapping that was handed over last; under Engine.mu

	ctx    context.Context
	cancel context.CancelFunc

	problems problems
	counts   atomic.Pointer[counts] // nil unless MetricsConfig asks for them

	// Only the runner's goroutine touches what follows.
	m       mapping.Mapping
	machine esm.Mapping
	stepped bool                              // since tellShards
	stood   map[record.ShardID]esm.ShardState // as was told
	events  []esm.MappingEvent                // for the machine, while it takes one
	shards  map[record.ShardID]*shardRunner
	listed  map[record.ShardID]source.Shard
	order   []record.ShardID        // of what is listed
	parents map[record.ShardID]bool // of what is listed
	grants  map[record.ShardID]Grant
	awaited map[record.ShardID]context.CancelFunc // ends the watch of a parent that runs elsewhere
	settled map[record.ShardID]bool               // closed shards that are known to be processed to their end
	expired map[record.ShardID]bool               // to be forgotten when the turn is over
	retries map[string]*retry

	filter     *filter.Filter            // nil: every record passes
	unusable   error                     // why there is no filter although the mapping has one
	unfiltered map[record.ShardID]uint64 // shards that wait for one, and their epochs

	meter    *meter // of the shards; nil before the first
	target   function.Name
	changed  <-chan struct{} // closed at the next change of the function
	role     string          // of the function, as the payloads say it
	updating bool            // the function: its new code or configuration is not in effect yet
	gone     bool            // the stream does not exist any more
	guest    bool            // another engine decides the State
	desired  bool            // the machine knows what the mapping shall be
	stopping bool
	pulsing  bool         // counted in by the pulse
	paced    *clock.Timer // of the end of a transition; nil: none is waited for

	ownership <-chan struct{} // closed at its next change
	vanished  bool            // the mapping is not kept any more, and the runner was told; under Engine.mu

	wg sync.WaitGroup
}

func newMappingRunner(e *Engine, m mapping.Mapping) *mappingRunner {
	ctx, cancel := context.WithCancel(context.Background())
	r := &mappingRunner{
		e: e, uuid: m.UUID, m: m, told: m.Version, src: e.o.Source(m), inbox: newInbox[func()](&e.active),
		ended: make(chan struct{}), ctx: ctx, cancel: cancel,
		stood: map[record.ShardID]esm.ShardState{}, unfiltered: map[record.ShardID]uint64{},
		shards: map[record.ShardID]*shardRunner{}, settled: map[record.ShardID]bool{},
		expired: map[record.ShardID]bool{}, retries: map[string]*retry{},
		grants: map[record.ShardID]Grant{}, awaited: map[record.ShardID]context.CancelFunc{},
		log: e.o.Log.With("mapping", m.UUID, "function", m.FunctionARN),
	}
	for id, text := range m.Standing { // from an owner before: overcome when the shard is started
		r.problems.set(id, text)
	}
	return r
}

func (r *mappingRunner) stop() { r.inbox.post(r.stopNow) }

// abandon ends what a stop waits for: attempts in flight, and whatever else takes its time.
func (r *mappingRunner) abandon() {
	r.cancel()
	r.inbox.post(func() { r.step(esm.AbandonDue{}) })
}

// run is the loop. Activity of its start was begun by the engine.
func (r *mappingRunner) run() {
	defer close(r.ended)
	shardsChanged := r.src.ShardsChanged()
	r.setFunction()
	r.setFilter()
	r.ownership = r.e.o.Ownership.Changed(r.m.Stream) // own takes it again, unless nothing can be listed
	r.count()                                         // before the first read
	r.list()
	r.desire()
	r.turned()
	r.e.active.end()
	for !r.over() {
		if r.gone {
			shardsChanged = nil // a stream that is made again under the same name is another one
		}
		taken := 1
		select {
		case f := <-r.inbox.ch:
			f()
			taken += r.takeMore()
		case <-shardsChanged:
			r.e.active.begin()
			shardsChanged = r.src.ShardsChanged()
			r.list()
		case <-r.changed:
			r.e.active.begin()
			r.functionChanged()
		case <-r.ownership:
			r.e.active.begin()
			r.own()
		}
		r.turned()
		for range taken {
			r.e.active.end()
		}
	}
	r.uncount()
	r.stopPace()
	r.cancel()
	for what := range r.retries {
		r.done(what)
	}
	r.inbox.close()
	r.wg.Wait()
}

// turned does what follows each turn of the loop, once for all shards that something has happened to.
func (r *mappingRunner) turned() {
	if len(r.expired) > 0 && r.retries[forgetting] == nil {
		r.forgetShards()
	}
	r.await()
	r.tellShards()
	r.count()
}

// takeMore takes what else is in the inbox, so that what follows each turn of the loop, which looks at every shard, is
// done once for many shards that end together. It returns how many entries that were.
func (r *mappingRunner) takeMore() (taken int) {
	for taken < inboxSize && !r.over() {
		select {
		case f := <-r.inbox.ch:
			f()
			taken++
		default:
			return taken
		}
	}
	return taken
}

// count follows MetricsConfig. The pulse counts the mapping in while any shard of it runs here, so not while it is
// disabled.
func (r *mappingRunner) count() {
	c := r.counts.Load()
	if r.m.UUID != "" && r.m.EventCount != (c != nil) {
		r.uncount()
		c = newCounts(r.e.o.Metrics, &r.m)
		r.counts.Store(c)
	}
	switch runs := c != nil && len(r.shards) > 0; {
	case runs && !r.pulsing:
		r.e.pulse.add(c)
	case !runs && r.pulsing:
		r.e.pulse.remove(c)
	}
	r.pulsing = c != nil && len(r.shards) > 0
}

// uncount ends the counting.
func (r *mappingRunner) uncount() {
	c := r.counts.Swap(nil)
	if r.pulsing {
		r.e.pulse.remove(c)
	}
	r.pulsing = false
	c.release()
}

// over reports whether the mapping is forgotten, or that the engine stops and no shard runs any more.
func (r *mappingRunner) over() bool {
	return r.m.UUID == "" || r.stopping && len(r.shards) == 0
}

// step gives the machine an event and carries out what it wants. What comes up on the way is given to it afterwards.
func (r *mappingRunner) step(ev esm.MappingEvent) {
	r.stepped = true
	r.events = append(r.events, ev)
	if len(r.events) > 1 {
		return // the call that is under way takes it
	}
	for len(r.events) > 0 {
		for _, c := range r.machine.Step(r.events[0]) {
			r.command(c)
		}
		r.events = r.events[1:]
	}
}

// list reads which shards there are now.
func (r *mappingRunner) list() {
	shards, err := r.src.Shards(r.ctx)
	if fault.CodeOf(err) == fault.CodeNotFound {
		r.done("list")
		r.listed, r.order, r.gone = nil, nil, true
		r.problem(mapping.Whole, 0, r.m.Missing())
		r.step(esm.SourceGone{})
		return
	}
	if err != nil {
		r.log.Error("listing the shards of the stream; trying again", "error", err)
		r.again("list", r.list)
		return
	}
	r.done("list")
	r.listed, r.order = make(map[record.ShardID]source.Shard, len(shards)), r.order[:0]
	r.parents = map[record.ShardID]bool{}
	for _, sh := range shards {
		r.listed[sh.ID] = sh
		r.order = append(r.order, sh.ID)
		for _, p := range sh.Parents {
			r.parents[p] = true
		}
	}
	ev := esm.ShardsListed{Kept: r.kept()}
	for _, sh := range shards {
		// only children ask, and a running shard has not ended
		if r.parents[sh.ID] && r.shards[sh.ID] == nil && !r.settled[sh.ID] {
			// An error shows again when the shard is started.
			if h, found, err := r.e.o.Checkpoints.Load(r.ctx, r.m.UUID, sh.ID); err == nil && found &&
				h.Checkpoint.Ended {
				r.settled[sh.ID] = true
			}
		}
		ev.Shards = append(ev.Shards, esm.ListedShard{ID: sh.ID, Parents: sh.Parents, Ended: r.settled[sh.ID]})
	}
	maps.DeleteFunc(r.grants, func(id record.ShardID, _ Grant) bool {
		_, listed := r.listed[id]
		return !listed
	})
	r.step(ev)
	r.own()
}

// desire tells the machine what the mapping shall be.
func (r *mappingRunner) desire() {
	r.desired = true
	d := esm.Desired{Enabled: r.m.Enabled, Deleting: r.m.State == mapping.Deleting, Guest: r.guest}
	switch r.m.State {
	case mapping.Enabled, mapping.Disabled:
	default:
		d.Pending = r.m.State
	}
	if r.stopping { // nothing is started any more, and nothing is reported complete
		d = esm.Desired{}
	}
	r.step(d)
}

func (r *mappingRunner) stopNow() {
	r.stopping = true
	r.desire()
}

// vanish ends the runner of a mapping that another engine has forgotten. It does not wait: false means that the runner
// is to be told later. Engine.mu is held.
func (r *mappingRunner) vanish() bool {
	if !r.vanished {
		r.vanished = r.inbox.offer(func() {
			r.stopNow()
			r.step(esm.AbandonDue{}) // nothing of it can be saved any more
		})
	}
	return r.vanished
}

// command carries out what the machine wants.
func (r *mappingRunner) command(c esm.MappingCommand) {
	switch c := c.(type) {
	case esm.StartShard:
		r.startShard(c.Shard, c.Epoch)
	case esm.ReleaseShard:
		if s := r.shards[c.Shard]; s != nil {
			s.postEvent(esm.Release{Abandon: c.Abandon})
			if !c.Abandon {
				r.abandonLater(c.Shard, s)
			}
			return
		}
		r.done(startOf(c.Shard)) // it waited to be started
		delete(r.unfiltered, c.Shard)
		r.overcome(c.Shard, r.grants[c.Shard].Epoch)
		r.step(esm.ShardFinished{Shard: c.Shard, Reason: esm.Released})
	case esm.ForgetShard:
		r.expired[c.Shard] = true
	case esm.Settle:
		r.settle(c.State)
	case esm.Forget:
		r.forget()
	}
}

// settle reports a transition complete. While that cannot be written the mapping stays in its transition, and it is
// tried again.
func (r *mappingRunner) settle(state esm.State) {
	if r.stopping || r.early(r.desire) {
		return
	}
	if err := r.e.o.Mappings.Settled(r.ctx, r.m.UUID, r.m.Version, state); err != nil {
		r.log.Error("recording the state of the mapping; trying again", "state", state, "error", err)
		r.again("settle", r.desire)
		return
	}
	r.done("settle")
}

// abandonLater gives attempts in flight of a shard some real time to end after its release.
func (r *mappingRunner) abandonLater(id record.ShardID, s *shardRunner) {
	if s.abandon != nil {
		return
	}
	s.abandon = time.AfterFunc(r.e.o.AbandonAfter, func() {
		r.inbox.post(func() {
			if r.shards[id] == s {
				r.step(esm.AbandonDue{Shards: []record.ShardID{id}})
			}
		})
	})
}
