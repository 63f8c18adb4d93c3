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

// Mapping decides which shards of a mapping run here, and when a change of its state is complete. A shard runs only
// while it is owned, and under the epoch of its grant. A child shard waits until its parents are drained and settled,
// whichever engine ran them, or order per partition key would break; AWS does the same without documenting it for
// Kinesis. Not safe for concurrent use.
type Mapping struct {
	enabled  bool
	deleting bool
	guest    bool         // another owner decides the State
	pending  State        // a transition that is not reported complete; "" when at rest
	shards   []shardEntry // by id
	grants   []grant      // by shard; of shards that are listed, or will be
	listed   bool

	unlisted bool // the source is gone or lists nothing: what has expired is not known

	gone bool
	out  []MappingCommand
}

type shardEntry struct {
	id      record.ShardID
	parents []record.ShardID
	phase   shardPhase
	epoch   uint64 // of the grant under which it runs
	gone    bool   // the stream no longer lists it
}

type shardPhase uint8

const (
	shardWaits shardPhase = iota // not started, or released
	shardRuns                    // StartShard was given
	shardEnds                    // ReleaseShard was given
	shardEnded                   // closed and settled
)

// grant is the right to run a shard.
type grant struct {
	shard record.ShardID
	epoch uint64
	spent bool // the shard was fenced under it: another owner has a later one, and only another grant helps
}

// MappingEvent is the input of a Mapping. The set is closed.
//
//sumtype:decl
type MappingEvent interface{ mappingEvent() }

// ShardsListed reports which shards the stream has now, and those for which something is stored: a checkpoint, a place
// to start. Shards no longer listed (expired) count as ended for their children, and what is stored for them is
// forgotten. A stream has at least one shard, so an empty list says nothing about what has expired.
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

// Owned reports that a shard is granted under an epoch. The highest grant counts: one that is not above the present one
// changes nothing. A shard that runs under a lower one is released and started again under this one.
type Owned struct {
	Shard record.ShardID
	Epoch uint64
}

// Lost reports that a shard is no longer owned. It is released: attempts in flight may end, and their results are saved
// if no other owner has claimed the shard by then.
type Lost struct{ Shard record.ShardID }

// Desired sets what the mapping shall be, and which transition (Creating, Updating, …) waits to be reported complete;
// "" if none does.
type Desired struct {
	Enabled  bool
	Deleting bool
	Pending  State
	Guest    bool // another owner decides: transitions are not reported complete here, and nothing is forgotten
}

// ShardFinished reports that a shard machine has ended.
type ShardFinished struct {
	Shard  record.ShardID
	Reason FinishReason
}

// AbandonDue reports that the wait for attempts in flight of released shards has been long enough; nil: of all of them.
type AbandonDue struct{ Shards []record.ShardID }

// SourceGone reports that the stream does not exist: every running shard is released, and the mapping stays as it is.
type SourceGone struct{}

func (ShardsListed) mappingEvent()  {}
func (Owned) mappingEvent()         {}
func (Lost) mappingEvent()          {}
func (Desired) mappingEvent()       {}
func (ShardFinished) mappingEvent() {}
func (AbandonDue) mappingEvent()    {}
func (SourceGone) mappingEvent()    {}

// MappingCommand is what the shell is to do for a Mapping. The set is closed.
//
//sumtype:decl
type MappingCommand interface{ mappingCommand() }

// StartShard asks the shell to run a shard from its checkpoint, or from where the mapping starts, under its grant's
// epoch.
type StartShard struct {
	Shard record.ShardID
	Epoch uint64
}

// ReleaseShard asks a running shard to end, with Abandon at once.
type ReleaseShard struct {
	Shard   record.ShardID
	Abandon bool
}

// ForgetShard says that a shard has expired and does not run: its checkpoint and its starting place can be deleted.
type ForgetShard struct{ Shard record.ShardID }

// Settle says that the pending transition is complete and the mapping is now in State.
type Settle struct{ State State }

// Forget says that nothing of a deleted mapping runs any more: its checkpoints and the mapping itself can be deleted.
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
	case Owned:
		m.owned(ev)
		m.runOne(ev.Shard)
		return m.out
	case Lost:
		if i, found := m.find(ev.Shard); found {
			m.grants = slices.Delete(m.grants, i, i+1)
		}
		m.runOne(ev.Shard)
		return m.out
	case Desired:
		m.enabled, m.deleting, m.pending, m.guest = ev.Enabled, ev.Deleting, ev.Pending, ev.Guest
	case ShardFinished:
		m.shardFinished(ev)
		m.runOne(ev.Shard) // nothing but it and its children can have changed, and thousands may end at once
		m.runChildren(ev.Shard)
		m.settle()
		return m.out
	case AbandonDue:
		for i := range m.shards {
			e := &m.shards[i]
			if e.phase == shardEnds && (ev.Shards == nil || slices.Contains(ev.Shards, e.id)) {
				m.emit(ReleaseShard{Shard: e.id, Abandon: true})
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

// owned notes a grant.
func (m *Mapping) owned(ev Owned) {
	i, found := m.find(ev.Shard)
	switch {
	case !found:
		m.grants = slices.Insert(m.grants, i, grant{shard: ev.Shard, epoch: ev.Epoch})
	case ev.Epoch > m.grants[i].epoch:
		m.grants[i] = grant{shard: ev.Shard, epoch: ev.Epoch}
	}
}

// find returns the place of a shard's grant.
func (m *Mapping) find(id record.ShardID) (i int, found bool) {
	return slices.BinarySearchFunc(m.grants, id, func(g grant, id record.ShardID) int {
		return cmp.Compare(g.shard, id)
	})
}

// usable returns the epoch under which a shard may run here; ok is false if it may not.
func (m *Mapping) usable(id record.ShardID) (epoch uint64, ok bool) {
	i, found := m.find(id)
	if !found || m.grants[i].spent {
		return 0, false
	}
	return m.grants[i].epoch, true
}

func (m *Mapping) list(shards []ListedShard) {
	m.listed = true
	keep := m.shards[:0:0]
	for _, sh := range shards {
		e := shardEntry{id: sh.ID, parents: sh.Parents}
		if i := m.index(sh.ID); i >= 0 {
			e.phase, e.epoch = m.shards[i].phase, m.shards[i].epoch
		}
		if e.phase == shardWaits && sh.Ended {
			e.phase = shardEnded
		}
		keep = append(keep, e)
	}
	byID := func(a, b shardEntry) int { return cmp.Compare(a.id, b.id) }
	slices.SortFunc(keep, byID)
	now := keep
	for _, old := range m.shards { // gone from the stream: let it end, then forget it
		if _, kept := slices.BinarySearchFunc(now, old, byID); !kept &&
			(old.phase == shardRuns || old.phase == shardEnds) {
			if old.phase == shardRuns {
				old.phase = shardEnds
				m.emit(ReleaseShard{Shard: old.id})
			}
			old.parents, old.gone = nil, true
			keep = append(keep, old)
		}
	}
	if len(keep) > len(now) {
		slices.SortFunc(keep, byID)
	}
	m.shards = keep
}

// forgetExpired forgets the shards that the stream no longer lists. One that still runs is forgotten when it has ended.
// A stream always has an open shard, and the children of a shard have higher numbers: so a shard above all those listed
// has not expired, but was made after the list.
func (m *Mapping) forgetExpired(ev ShardsListed) {
	if len(ev.Shards) == 0 {
		return
	}
	newest := record.ShardID(0)
	for _, sh := range ev.Shards {
		newest = max(newest, sh.ID)
	}
	m.grants = slices.DeleteFunc(m.grants, func(g grant) bool { return g.shard < newest && m.index(g.shard) < 0 })
	if m.guest {
		return
	}
	for _, id := range ev.Kept {
		if id < newest && m.index(id) < 0 {
			m.emit(ForgetShard{Shard: id})
		}
	}
}

func (m *Mapping) index(id record.ShardID) int {
	i, found := slices.BinarySearchFunc(m.shards, id, func(e shardEntry, id record.ShardID) int {
		return cmp.Compare(e.id, id)
	})
	if !found {
		return -1
	}
	return i
}

func (m *Mapping) shardFinished(ev ShardFinished) {
	i := m.index(ev.Shard)
	if i < 0 {
		return
	}
	if m.shards[i].gone {
		m.shards = slices.Delete(m.shards, i, i+1)
		if !m.unlisted && !m.deleting && !m.guest {
			m.emit(ForgetShard{Shard: ev.Shard})
		}
		return
	}
	switch ev.Reason {
	case Ended:
		m.shards[i].phase = shardEnded
	case Fenced:
		if g, found := m.find(ev.Shard); found && m.grants[g].epoch <= m.shards[i].epoch {
			m.grants[g].spent = m.enabled && !m.deleting // as run says
		}
		m.shards[i].phase = shardWaits
	case Released:
		m.shards[i].phase = shardWaits
	}
}

// run starts and releases shards so that exactly those run that should.
func (m *Mapping) run() {
	if !m.enabled || m.deleting {
		for i := range m.grants {
			m.grants[i].spent = false // enabled again, it is tried again: the claim says whether it is still fenced
		}
	}
	for i := range m.shards {
		m.runEntry(&m.shards[i])
	}
}

// runOne does what run does, but for one shard: no other depends on whether that one is owned.
func (m *Mapping) runOne(id record.ShardID) {
	if i := m.index(id); i >= 0 {
		m.runEntry(&m.shards[i])
	}
}

// runChildren does what run does, but for the children of one shard.
func (m *Mapping) runChildren(id record.ShardID) {
	for i := range m.shards {
		if slices.Contains(m.shards[i].parents, id) {
			m.runEntry(&m.shards[i])
		}
	}
}

func (m *Mapping) runEntry(e *shardEntry) {
	want := m.enabled && !m.deleting
	epoch, owned := m.usable(e.id)
	switch {
	case want && owned && e.phase == shardWaits && m.parentsEnded(e):
		e.phase, e.epoch = shardRuns, epoch
		m.emit(StartShard{Shard: e.id, Epoch: epoch})
	case e.phase == shardRuns && (!want || !owned || epoch != e.epoch):
		e.phase = shardEnds
		m.emit(ReleaseShard{Shard: e.id})
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

// Awaits returns the shards, in order, that do not run here and for whose end alone shards owned here wait. Their
// checkpoints show when they have ended, and ShardsListed passes that on.
func (m *Mapping) Awaits() (parents []record.ShardID) {
	if !m.enabled || m.deleting {
		return nil
	}
	for i := range m.shards {
		e := &m.shards[i]
		if e.phase != shardWaits || len(e.parents) == 0 {
			continue
		}
		if _, owned := m.usable(e.id); !owned {
			continue
		}
		for _, p := range e.parents {
			_, ours := m.usable(p)
			if at := m.index(p); at >= 0 && m.shards[at].phase == shardWaits && !ours {
				parents = append(parents, p)
			}
		}
	}
	slices.Sort(parents)
	return slices.Compact(parents)
}

// settle reports a transition complete once exactly those shards run that should: none if the mapping is disabled or
// deleted.
func (m *Mapping) settle() {
	busy := func() bool {
		return slices.ContainsFunc(m.shards, func(e shardEntry) bool {
			return e.phase == shardRuns || e.phase == shardEnds
		})
	}
	switch {
	case m.guest:
	case m.deleting:
		if !busy() {
			m.gone = true
			m.emit(Forget{})
		}
	case m.pending == "":
	case m.enabled && m.listed:
		m.pending = ""
		m.emit(Settle{State: Enabled})
	case !m.enabled && !busy():
		m.pending = ""
		m.emit(Settle{State: Disabled})
	}
}
