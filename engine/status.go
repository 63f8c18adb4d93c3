package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/mapping"
)

// statusPatience is how long, in real time, Status waits for a mapping, and then for its shards.
const statusPatience = time.Second

// MappingStatus is what becomes of a mapping in this engine right now.
type MappingStatus struct {
	UUID    string
	State   mapping.State // as the runner knows it
	Problem string        // of the mapping as a whole; ""
	Shards  []ShardStatus // in order
}

// ShardStatus is how one shard stands, and what its machine does.
type ShardStatus struct {
	esm.ShardState
	Problem string // why it stands still, for a person; ""
	Parked  string // the broken invariant that took its machine out of service; ""

	// Machine is what the machine does; nil where none runs, or where it is parked, or where it has not answered in
	// time.
	Machine *esm.ShardStatus
	Held    int64 // bytes of memory that its records take, read and not below the checkpoint
}

// Status asks the machines of a mapping, through their inboxes, what they do. It waits for a second at most, twice; a
// machine that is busy for longer has no answer in it. Its fault has the code CodeNoMapping. Other errors say that the
// runner of the mapping is too busy, or that the engine does not run.
func (e *Engine) Status(ctx context.Context, uuid string) (MappingStatus, error) {
	e.mu.Lock()
	r := e.runners[uuid]
	e.mu.Unlock()
	if r == nil {
		return MappingStatus{}, fault.New(CodeNoMapping, "There is no mapping %s.", uuid)
	}
	st, machines, err := r.status(ctx)
	if err != nil {
		return MappingStatus{}, fmt.Errorf("asking mapping %s what it does: %w", uuid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, statusPatience)
	defer cancel()
	answers := make(chan func(), len(machines)) // each fills one shard in
	asked := 0
	for i, s := range machines {
		if s != nil && s.ask(func(parked string) {
			at := &st.Shards[i]
			if parked != "" { // nothing else is looked at: the executor may be in any state
				answers <- func() { at.Parked = parked }
				return
			}
			machine, held := s.x.Status(), s.x.held.cost
			answers <- func() { at.Machine, at.Held = &machine, held }
		}) {
			asked++
		}
	}
	for ; asked > 0; asked-- {
		select {
		case fill := <-answers:
			fill()
		case <-ctx.Done():
			return st, nil
		}
	}
	return st, nil
}

// Statuses returns the Status of every mapping, in order of UUID, of as many as answer within a second of real time in
// all.
func (e *Engine) Statuses(ctx context.Context) []MappingStatus {
	ctx, cancel := context.WithTimeout(ctx, statusPatience)
	defer cancel()
	e.mu.Lock()
	uuids := slices.Sorted(maps.Keys(e.runners))
	e.mu.Unlock()
	out := make([]MappingStatus, 0, len(uuids))
	for _, uuid := range uuids {
		if ctx.Err() != nil {
			break
		}
		if st, err := e.Status(ctx, uuid); err == nil { // else it is busy or has ended
			out = append(out, st)
		}
	}
	return out
}

// status asks the runner how the shards stand, and which machines run them.
func (r *mappingRunner) status(ctx context.Context) (st MappingStatus, machines []*shardRunner, err error) {
	type answer struct {
		st       MappingStatus
		machines []*shardRunner
	}
	answered := make(chan answer, 1)
	if !r.inbox.offer(func() {
		a := answer{st: MappingStatus{UUID: r.uuid, State: r.m.State, Problem: r.problems.of(mapping.Whole)}}
		for _, sh := range r.machine.Shards() {
			a.st.Shards = append(a.st.Shards, ShardStatus{ShardState: sh, Problem: r.problems.of(sh.Shard)})
			a.machines = append(a.machines, r.shards[sh.Shard])
		}
		answered <- a
	}) {
		return st, nil, errors.New("it is too busy, or has ended")
	}
	late := time.NewTimer(statusPatience)
	defer late.Stop()
	select {
	case a := <-answered:
		return a.st, a.machines, nil
	case <-r.ended:
		return st, nil, errors.New("it has ended")
	case <-late.C:
		return st, nil, errors.New("it is too busy")
	case <-ctx.Done():
		return st, nil, ctx.Err()
	}
}

// ask calls f on the runner's goroutine, with the reason if the machine is parked. It reports false when the runner is
// too busy or has ended; f is not called then, and may not be if the runner ends.
func (r *shardRunner) ask(f func(parked string)) bool { return r.inbox.offer(posted{ask: f}) }
