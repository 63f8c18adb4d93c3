package esm

import (
	"time"

	"github.com/shardmill/shardmill/record"
)

// ShardPhase is the phase of a mapping's shard.
type ShardPhase uint8

const (
	PhaseOff     ShardPhase = iota + 1 // the mapping is disabled or being deleted
	PhaseUnowned                       // this engine has no grant for it
	PhaseFenced                        // it has one, but another owner has had a later one
	PhaseParents                       // its parents are not drained and settled
	PhaseRuns                          // a machine runs it, or is about to be started
	PhaseEnds                          // its machine was asked to end
	PhaseEnded                         // it is closed, and every record of it is settled
)

// ShardState is the state of a mapping's shard.
type ShardState struct {
	Shard   record.ShardID
	Phase   ShardPhase
	Epoch   uint64           // of the grant that this engine has; 0: none
	Parents []record.ShardID // with PhaseParents: those that it waits for
}

// Shards returns the state of every shard that the stream lists, in order, and of those no longer listed that still
// run.
func (m *Mapping) Shards() []ShardState {
	out := make([]ShardState, len(m.shards))
	for i := range m.shards {
		e := &m.shards[i]
		st := ShardState{Shard: e.id}
		g, owned := m.find(e.id)
		if owned {
			st.Epoch = m.grants[g].epoch
		}
		switch e.phase {
		case shardRuns:
			st.Phase = PhaseRuns
		case shardEnds:
			st.Phase = PhaseEnds
		case shardEnded:
			st.Phase = PhaseEnded
		case shardWaits:
			switch {
			case !m.enabled || m.deleting:
				st.Phase = PhaseOff
			case !owned:
				st.Phase = PhaseUnowned
			case m.grants[g].spent:
				st.Phase = PhaseFenced
			default:
				st.Phase = PhaseParents
				for _, p := range e.parents {
					if at := m.index(p); at >= 0 && m.shards[at].phase != shardEnded {
						st.Parents = append(st.Parents, p)
					}
				}
			}
		}
		out[i] = st
	}
	return out
}

// LaneState says what one lane is doing right now, for people.
type LaneState struct {
	Wait     WaitReason
	Until    time.Time // when that ends if nothing ends it earlier; zero: not known
	Since    time.Time // when it began
	Batch    uint64    // number of the batch at hand; 0: none, or its turn has not come
	ID       BatchID   // of that batch
	Count    int       // records of it, or those that gather with WaitWindow
	First    record.Position
	Attempt  int // of the batch: the one that runs, the next, or the last of a batch that is given up
	Attempts int // how many it has by MaxRetries; 0: no limit
	Refusals int // throttles and service errors in a row
	Tries    int // of the notice, used up
	Ahead    int // batches settled beyond the last saved checkpoint
	Buffered int // records held
	// arrival of the first of them, which ages go by; 0: none is held
	FirstArrival record.Millis
}

// ShardStatus says what a machine is doing right now, for people.
type ShardStatus struct {
	Lanes []LaneState

	Low    record.Position // every record at or below it is settled
	Saved  record.Position // and, at or below this one, saved as settled
	Saving bool            // a Save is out
	Again  time.Time       // after a failed save: when it is tried again

	Next      record.Position // where the next Read starts
	Reading   bool            // a Read is out
	Waiting   bool            // at the tail, until there is something new
	LastEnd   EndKind         // of the last read; 0: none was answered
	ReadAgain time.Time       // after a failed read: when it is tried again

	Records, Bytes       int // of the buffer that are taken, what is settled beyond Low included
	MaxRecords, MaxBytes int
	Full                 bool // nothing is read until a quarter of the buffer is free

	Window   Window // the tumbling window that is open
	Ending   bool   // it is being released
	Rebuilds bool   // the lanes are to be rebuilt
	Batches  uint64 // numbers given so far
}

// Lanes returns the state of every lane.
func (s *Shard) Lanes() []LaneState {
	out := make([]LaneState, len(s.lanes))
	for i := range s.lanes {
		l := &s.lanes[i]
		reason, until := s.waitOf(l)
		w := s.waitBegan(l, reason, until)
		st := LaneState{
			Wait: reason, Until: until, Since: l.told.since, Batch: w.Number, ID: w.ID, Count: w.Count,
			Attempt: w.Attempt, Attempts: w.Attempts, Refusals: w.Refusals, Tries: w.Tries, Ahead: w.Ahead,
			Buffered: w.Held,
		}
		if l.queue.len() > 0 {
			st.First, st.FirstArrival = l.queue.at(0).Pos, l.queue.at(0).Arrival
		}
		if reason == WaitWindow {
			st.Count = l.gather.count
		}
		out[i] = st
	}
	return out
}

// Status returns what the machine is doing.
func (s *Shard) Status() ShardStatus {
	st := ShardStatus{
		Lanes: s.Lanes(), Low: s.low(), Saved: s.durable, Saving: s.saving, Again: s.saveAgain,
		Next: s.next, Reading: s.reading, Waiting: s.reading && s.waits, LastEnd: s.lastEnd, ReadAgain: s.readAgain,
		MaxRecords: s.maxRecords(), MaxBytes: s.maxBytes(), Full: s.choked,
		Window: s.window(), Ending: s.release, Rebuilds: s.rebuild != nil, Batches: s.batches,
	}
	st.Records, st.Bytes = s.used()
	return st
}
