package esm

import (
	"cmp"
	"slices"

	"github.com/shardmill/shardmill/record"
)

// State is the State of a mapping, in AWS's words.
type State string

const (
	Creating  State = "Creating"
	Enabling  State = "Enabling"
	Enabled   State = "Enabled"
	Disabling State = "Disabling"
	Disabled  State = "Disabled"
	Updating  State = "Updating"
	Deleting  State = "Deleting"
)

// Mapping decides which shards of a mapping run, and when a change of its state is complete. A child shard waits until
// its parents are drained and settled, or order per partition key would break; AWS does the same without documenting it
// for Kinesis. Not safe for concurrent use.
type Mapping struct {
	enabled  bool
	deleting bool
	pending  State // a transition that is not reported complete; "" when at rest
	shards   []shardEntry
	listed   bool

	unlisted bool // the source is gone or lists nothing: what has expired is not known

	gone bool
	out  []MappingCommand
}

type shardEntry struct {
	id      record.ShardID
	parents []record.ShardID
	phase   shardPhase
	gone    bool // the stream no longer lists it
}

type shardPhase uint8

const (
	shardWaits  shardPhase = iota // not started, or released
	shardRuns                     // StartShard was given
	shardEnds                     // ReleaseShard was given
	shardEnded                    // closed and settled
	shardFenced                   // another owner runs it
)

// MappingEvent is what a Mapping is told. The set is closed.
//
//sumtype:decl
type MappingEvent interface{ mappingEvent() }

// ShardsListed tells which shards the stream has now, and of which something is kept: a checkpoint, a place to start.
// Shards not listed any more (expired) count as ended for their children, and what is kept of them is forgotten. A
// stream has one shard at least, so an empty list says nothing about what has expired.
type ShardsListed struct {
	Shards []ListedShard
	Kept   []record.ShardID
}

// ListedShard is one shard of a stream.
type ListedShard struct {
	ID      record.ShardID
	Parents []record.ShardID
	Ended   bool // its checkpoint says that every record of it is settled
}

// Desired tells what the mapping shall be, and which transition (Creating, Updating, …) waits to be reported complete;
// "" when none does.
type Desired struct {
	Enabled  bool
	Deleting bool
	Pending  State
}

// ShardFinished tells that a shard machine has ended.
type ShardFinished struct {
	Shard  record.ShardID
	Reason FinishReason
}

// AbandonDue tells that a delete or a disable has waited long enough for attempts in flight.
type AbandonDue struct{}

// SourceGone tells that the stream does not exist: every running shard is released, and the mapping stays as it is.
type SourceGone struct{}

func (ShardsListed) mappingEvent()  {}
func (Desired) mappingEvent()       {}
func (ShardFinished) mappingEvent() {}
func (AbandonDue) mappingEvent()    {}
func (SourceGone) mappingEvent()    {}

// MappingCommand is what a Mapping wants done. The set is closed.
//
//sumtype:decl
type MappingCommand interface{ mappingCommand() }

// StartShard asks to run a shard from its checkpoint, or from where the mapping starts.
type StartShard struct{ Shard record.ShardID }

// ReleaseShard asks a running shard to end; with Abandon at once.
type ReleaseShard struct {
	Shard   record.ShardID
	Abandon bool
}

// ForgetShard tells that a shard has expired and does not run: its checkpoint and where the mapping starts on it can
// go.
type ForgetShard struct{ Shard record.ShardID }

// Settle tells that the pending transition is complete and the mapping is now in State.
type Settle struct{ State State }

// Forget tells that a deleted mapping has come to rest: its checkpoints and the mapping itself can go.
type Forget struct{}

func (StartShard) mappingCommand()   {}
func (ReleaseShard) mappingCommand() {}
func (ForgetShard) mappingCommand()  {}
func (Settle) mappingCommand()       {}
func (Forget) mappingCommand()       {}

// Step takes one event and returns what to do, in order. The slice is valid until the next Step.
func (m *Mapping) Step(ev MappingEvent) []MappingCommand {
	m.out = m.out[:0]
	if m.gone {
		return nil
	}
	switch ev := ev.(type) {
	case ShardsListed:
		m.unlisted = len(ev.Shards) == 0
		m.list(ev.Shards)
		m.forgetExpired(ev)
	case Desired:
		m.enabled, m.deleting, m.pending = ev.Enabled, ev.Deleting, ev.Pending
	case ShardFinished:
		m.shardFinished(ev)
	case AbandonDue:
		for i := range m.shards {
			if m.shards[i].phase == shardEnds {
				m.emit(ReleaseShard{Shard: m.shards[i].id, Abandon: true})
			}
		}
	case SourceGone:
		m.unlisted = true
		m.list(nil)
		m.listed = true
	}
	m.run()
	m.settle()
	return m.out
}

func (m *Mapping) emit(c MappingCommand) { m.out = append(m.out, c) }

func (m *Mapping) list(shards []ListedShard) {
	m.listed = true
	keep := m.shards[:0:0]
	for _, sh := range shards {
		e := shardEntry{id: sh.ID, parents: sh.Parents}
		if i := m.index(sh.ID); i >= 0 {
			e.phase = m.shards[i].phase
		}
		if e.phase == shardWaits && sh.Ended {
			e.phase = shardEnded
		}
		keep = append(keep, e)
	}
	for _, old := range m.shards { // gone from the stream: let it end, then forget it
		if !slices.ContainsFunc(keep, func(e shardEntry) bool { return e.id == old.id }) &&
			(old.phase == shardRuns || old.phase == shardEnds) {
			if old.phase == shardRuns {
				old.phase = shardEnds
				m.emit(ReleaseShard{Shard: old.id})
			}
			old.parents, old.gone = nil, true
			keep = append(keep, old)
		}
	}
	slices.SortFunc(keep, func(a, b shardEntry) int { return cmp.Compare(a.id, b.id) })
	m.shards = keep
}

// forgetExpired lets go of what is kept of shards that the stream does not list any more. One that still runs is let go
// of when it has ended.
func (m *Mapping) forgetExpired(ev ShardsListed) {
	if len(ev.Shards) == 0 {
		return
	}
	for _, id := range ev.Kept {
		if m.index(id) < 0 {
			m.emit(ForgetShard{Shard: id})
		}
	}
}

func (m *Mapping) index(id record.ShardID) int {
	return slices.IndexFunc(m.shards, func(e shardEntry) bool { return e.id == id })
}

func (m *Mapping) shardFinished(ev ShardFinished) {
	i := m.index(ev.Shard)
	if i < 0 {
		return
	}
	if m.shards[i].gone {
		m.shards = slices.Delete(m.shards, i, i+1)
		if !m.unlisted && !m.deleting {
			m.emit(ForgetShard{Shard: ev.Shard})
		}
		return
	}
	switch ev.Reason {
	case Ended:
		m.shards[i].phase = shardEnded
	case Fenced:
		m.shards[i].phase = shardFenced
	case Released:
		m.shards[i].phase = shardWaits
	}
}

// run starts and releases shards so that what runs is what should run.
func (m *Mapping) run() {
	want := m.enabled && !m.deleting
	for i := range m.shards {
		e := &m.shards[i]
		switch {
		case want && e.phase == shardWaits && m.parentsEnded(e):
			e.phase = shardRuns
			m.emit(StartShard{Shard: e.id})
		case !want && e.phase == shardRuns:
			e.phase = shardEnds
			m.emit(ReleaseShard{Shard: e.id})
		case !want && e.phase == shardFenced:
			e.phase = shardWaits // enabled again, it is tried again: who ran it may have gone
		}
	}
}

func (m *Mapping) parentsEnded(e *shardEntry) bool {
	for _, p := range e.parents {
		if i := m.index(p); i >= 0 && m.shards[i].phase != shardEnded {
			return false
		}
	}
	return true
}

// settle reports a transition complete once what runs is what should run: nothing runs any more when the mapping is
// disabled or deleted.
func (m *Mapping) settle() {
	busy := slices.ContainsFunc(m.shards, func(e shardEntry) bool {
		return e.phase == shardRuns || e.phase == shardEnds
	})
	switch {
	case m.deleting:
		if !busy {
			m.gone = true
			m.emit(Forget{})
		}
	case m.pending == "":
	case m.enabled && m.listed:
		m.pending = ""
		m.emit(Settle{State: Enabled})
	case !m.enabled && !busy:
		m.pending = ""
		m.emit(Settle{State: Disabled})
	}
}
