package engine

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/mapping"
)

// setFunction looks at the function as it is now; the next change of it comes through r.changed.
func (r *mappingRunner) setFunction() {
	r.target = targetOf(r.m.FunctionARN)
	r.changed = r.e.o.Functions.Changed(r.target.Ref)
	r.updating = false
	if c, ok := r.e.o.Functions.Find(r.target.Ref, r.target.Qualifier); ok {
		r.role = c.Role
		r.updating = c.UpdateStatus == function.InProgress || c.State == function.Pending
	}
}

// targetOf returns what an ARN names: a function, or its version or alias.
func targetOf(functionARN string) (n function.Name) {
	parts := strings.SplitN(functionARN, ":", 8)
	if len(parts) >= 7 {
		n.Ref = function.Ref{Region: parts[3], Account: parts[4], Name: parts[6]}
	}
	if len(parts) == 8 {
		n.Qualifier = parts[7]
	}
	return n
}

// configure hands a version of the mapping over. It does not wait: false means that the runner is too busy, and is to
// be told later. Engine.mu is held.
func (r *mappingRunner) configure(m mapping.Mapping) bool {
	if m.Version <= r.told {
		return true
	}
	select {
	case <-r.ended:
		return true
	default:
	}
	if !r.inbox.offer(func() { r.configured(m) }) {
		return false
	}
	r.told = m.Version
	return true
}

// configured takes a new version of the mapping.
func (r *mappingRunner) configured(m mapping.Mapping) {
	if m.Version <= r.m.Version || r.m.UUID == "" {
		return
	}
	old := r.m
	r.m = m
	r.count() // before a shard is started that would be counted under the old settings
	if m.Core() != old.Core() {
		r.setFilter()
		for _, s := range r.shards {
			r.reconfigure(s)
		}
	}
	if m.FunctionARN != old.FunctionARN || m.Destination != old.Destination {
		r.setFunction()
		r.restart()
	}
	r.desire()
}

// setFilter compiles the mapping's filters.
func (r *mappingRunner) setFilter() {
	if r.filter, r.unusable = r.m.Filter(); r.unusable != nil {
		r.log.Error("the mapping waits: its filters cannot be used; update or remove them", "error", r.unusable)
		return
	}
	for id, epoch := range r.unfiltered {
		delete(r.unfiltered, id)
		r.startShard(id, epoch)
	}
}

// core returns the settings of the mapping as machines take them. Filters that look at the role let other records
// through when it changes, so it is part of their identity then.
func (r *mappingRunner) core() esm.Config {
	c := r.m.Core()
	if r.filter != nil && slices.Contains(r.filter.Names(), "invokeIdentityArn") {
		h := fnv.New64a()
		_, _ = h.Write(binary.BigEndian.AppendUint64([]byte(r.role), c.Filter))
		c.Filter = h.Sum64() | 1 // never 0, which is no filter
	}
	return c
}

// reconfigure hands settings to a shard. It ends instead when the filters cannot be used, and then waits to be started.
func (r *mappingRunner) reconfigure(s *shardRunner) {
	if r.unusable != nil {
		s.postEvent(esm.Release{})
		return
	}
	f, core := r.filter, r.core()
	s.post(func() esm.Event {
		s.x.Filter(f)
		return esm.Reconfigured{Config: core}
	})
}

// functionChanged lets lanes that back off try at once on what is new.
func (r *mappingRunner) functionChanged() {
	role := r.role
	r.setFunction()
	if r.role != role {
		r.restart() // the role is part of every payload, and payload sizes are already counted
		return
	}
	if r.updating {
		return // a retry now would run the old code; the end of the update is a change as well
	}
	for _, s := range r.shards {
		s.postEvent(esm.Nudge{})
	}
}

// restart ends every shard after its attempts in flight; the machine starts them again, from what they saved, with what
// has changed.
func (r *mappingRunner) restart() {
	for _, s := range r.shards {
		s.postEvent(esm.Release{})
	}
}
