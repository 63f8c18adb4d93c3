package esm

import (
	"time"

	"github.com/shardmill/shardmill/record"
)

// Observe is something that happened in a machine, and why. The set is closed, with one type for each kind. Everything
// that explains a delivery can be rebuilt from these alone: each wait of a lane has a beginning, an end and one reason;
// each attempt has its identity, times and outcome; each batch names the one that it comes from.
//
// What Step returns is in storage that the machine reuses: it is valid until the next Step. Copy keeps it.
//
//sumtype:decl
type Observe interface {
	Command
	observe()
	// Copy returns one that the caller may keep.
	Copy() Observe
}

// told is embedded in observations.
type told struct{}

func (*told) observe() {}

// Batch is the batch that an observation is about, and which of its records are concerned.
type Batch struct {
	// Number is Invoke.Batch; 0 until the batch has its turn. It is kept in the checkpoint, and no other batch gets it.
	// Numbers that were given after the last save before a crash are given again.
	Number      uint64
	ID          BatchID         // outlives every crash; request ids and notice ids are made from it
	Count       int             // records concerned; 0 in the end of a tumbling window
	First, Last record.Position // of the records concerned; of those aggregated in the window, in the end of one
}

func (b *Batch) about() *Batch { return b }

// BatchOf returns the batch that an observation is about, nil if it is about none.
func BatchOf(o Observe) *Batch {
	if a, ok := o.(interface{ about() *Batch }); ok {
		if b := a.about(); b.ID.Last != 0 {
			return b
		}
	}
	return nil
}

// Origin says how a batch came to be.
type Origin uint8

const (
	OriginRecords Origin = iota // cut from records that were read
	OriginLeft                  // the left half of a batch that was split after a failure
	OriginRight                 // the right half
	OriginPartial               // what a partial success left: the lowest reported record and all after it
	OriginExpired               // what was left when records at the front expired; number and identity stay
	OriginFit                   // what did not fit: under a smaller BatchSize, a state that has grown, a full buffer
	OriginWindow                // the end of a tumbling window
)

// Parent says what a batch comes from. It is kept in the checkpoint, so a half that waits for its turn still has it
// after a restart.
type Parent struct {
	Origin Origin
	Number uint64 // of the batch that it was a part of; 0 with OriginRecords and OriginWindow
}

// The machine.
type (
	// Started reports that a machine starts from a checkpoint. It is the first observation of every machine.
	Started struct {
		told
		Low        record.Position // every record at or below it is settled
		Generation uint32
		Batches    uint64 // batches have numbers beyond this one, but for those of the checkpoint
		Config     Config
	}

	// Adopted reports that other settings are in force. Those that rebuild the lanes are in force only after Rebuilt.
	Adopted struct {
		told
		Config Config
	}

	// Nudged reports that the function has changed, and that lanes in back-off try at once.
	Nudged struct {
		told
		Lanes int // so many did
	}

	// Rebuilt reports that the lanes were rebuilt for another factor or tumbling window. Their records come again.
	Rebuilt struct {
		told
		Factor     int
		Generation uint32
		Width      time.Duration   // of the tumbling window; 0: none
		From       record.Position // where reading begins again
	}

	// Refiltered reports that another filter counts for all that is in no batch yet: it is read again. Batches keep
	// their records.
	Refiltered struct {
		told
		Filter  uint64
		From    record.Position // where reading goes on
		Dropped int             // records that were waiting for a batch
	}

	// Stopped reports that the machine has ended. It is its last observation.
	Stopped struct {
		told
		Reason FinishReason
	}

	// Parked reports that a broken invariant has taken the machine out of service. The shell emits it instead of
	// Stopped, and nothing reports the end of waits and attempts that were under way.
	Parked struct {
		told
		Why string
	}

	// Stands reports the state of a mapping's shard when it has changed. The shell emits it, also for shards that no
	// machine runs. It has no order relative to what a machine emits.
	Stands struct {
		told
		ShardState
	}

	// Missed reports that observations of a shard were lost on their way. The code that passes them on puts it in their
	// place.
	Missed struct {
		told
		Count uint64
		Since time.Time // when the first of them happened
	}
)

// Reading.
type (
	// ReadAsked reports that a Read was given.
	ReadAsked struct {
		told
		Seq        uint64
		From       record.Position
		MaxRecords int
		MaxBytes   int  // of payload
		Wait       bool // at the tail, until there is something new
	}

	// ReadDone reports that the Read has a result.
	ReadDone struct {
		told
		Seq          uint64
		From, Next   record.Position
		Records      int           // read, those included that are settled or do not match
		Filtered     int           // of them, taken out by the filter, and so settled
		Taken        int           // of them, put into lanes
		Bytes        int           // of payload, put into lanes
		FirstArrival record.Millis // of the first record; 0: none came
		LastArrival  record.Millis // of the last
		End          EndKind
		Sealed       record.Millis // with Tail: no record with an older arrival can still appear; 0: not known
	}

	// ReadBroke reports that the Read failed.
	ReadBroke struct {
		told
		Seq   uint64
		Again time.Time // when the next one is given
	}

	// ReadVoid reports that the result of the Read is no longer wanted: another one replaces it, or the machine ends.
	ReadVoid struct {
		told
		Seq uint64
	}

	// BufferFilled reports that no more records are read until a quarter of the buffer is free.
	BufferFilled struct {
		told
		Records, Bytes       int // held, and settled beyond the low-water mark
		MaxRecords, MaxBytes int
	}

	// BufferFreed reports that reading resumes.
	BufferFreed struct {
		told
		Records, Bytes int
	}

	// RecordsLost reports that retention took records before they were settled.
	RecordsLost struct {
		told
		Batch      // Count 0: everything from First to Last that was never read, in whichever lane
		Lane   int // of records that were read
		Unread bool
	}
)

// Lanes.
type (
	// WaitBegan reports what a lane waits for. Every lane waits for exactly one thing at any time, a running invocation
	// included; waits that begin and end within one Step are not reported.
	WaitBegan struct {
		told
		Batch    // at hand; Number 0: none is
		Lane     int
		Reason   WaitReason
		Until    time.Time // when it ends if nothing ends it earlier; zero: not known
		Attempt  int       // of the batch: the one that runs, the next, or the last of a batch that is given up
		Attempts int       // how many it has by MaxRetries; 0: no limit
		Refusals int       // WaitSlot, WaitService: in a row
		Tries    int       // WaitDelivery, WaitDestination: of the notice, used up
		Held     int       // records of the lane that are read and not settled
		Ahead    int       // batches settled beyond the last saved checkpoint
	}

	// WaitEnded reports that such a wait has ended.
	WaitEnded struct {
		told
		Batch  uint64 // at hand when it began; 0: none was
		Lane   int
		Reason WaitReason
		Since  time.Time
	}

	// Gathered reports how full a batch is that can still grow, in a lane that waits for its batching window.
	Gathered struct {
		told
		Lane  int
		Count int // records
		Most  int // BatchSize
		Bytes int // of payload
	}

	// SlotFreed reports that a lane whose invocation was refused for lack of concurrency was offered a slot.
	SlotFreed struct {
		told
		Lane  int
		Batch uint64 // that tries again; 0: the lane had no use for it any more
	}
)

// Batches.
type (
	// BatchCut reports that a batch came to hand and has a number. One from a checkpoint keeps its number, and is
	// reported again by every machine that takes it up.
	BatchCut struct {
		told
		Batch
		Parent       Parent
		Flush        FlushReason
		FirstArrival record.Millis // of the first record: the largest up to it, which ages go by
		LastArrival  record.Millis // of the last

		// What a batch from a checkpoint has behind it, as in SegmentMark.
		Failures, Invocations int
	}

	// AttemptStarted reports that an Invoke was given.
	AttemptStarted struct {
		told
		Batch
		Attempt int    // from 1
		Window  Window // the tumbling window that is open
	}

	// AttemptEnded reports the result of an attempt.
	AttemptEnded struct {
		told
		Batch
		Attempt int
		Started time.Time
		Outcome Outcome
		Window  Window
	}

	// AttemptCancelled reports that nothing waits for the result of an attempt any longer.
	AttemptCancelled struct {
		told
		Batch
		Attempt int
		Started time.Time
	}

	// BatchSettled reports that records succeeded: all of a batch, or its first ones.
	BatchSettled struct {
		told
		Batch
	}

	// Bisected reports that a batch was split into two.
	Bisected struct {
		told
		Batch                         // the whole
		Left, Right           BatchID // their numbers come when they come to hand
		LeftCount, RightCount int     // records
	}

	// RestLeft reports that a part of a batch goes on by itself, or without the others. Its Batch is the part.
	RestLeft struct {
		told
		Batch         // the part
		Parent Parent // and what it was a part of
	}

	// Vanished reports that a batch from a checkpoint is no more: its records are lost to retention, or it was cut
	// under another filter and they come again, those that match now, in new batches.
	Vanished struct {
		told
		Batch
		Refiltered bool
	}
)

// Records that are given up.
type (
	// Discarded reports that records were given up.
	Discarded struct {
		told
		Batch
		Attempt   int // invocations that the batch has had
		Condition Condition
	}

	// NoticeSent reports that a Deliver was given.
	NoticeSent struct {
		told
		Batch
		Condition Condition
		Try       int // from 1
	}

	// NoticeDelivered reports that the notice is at the destination.
	NoticeDelivered struct {
		told
		Batch
		Condition Condition
	}

	// NoticeFailed reports that it is not. The lane tries again, or Dropped follows.
	NoticeFailed struct {
		told
		Batch
		Condition Condition
		Try       int
		Result    DeliveryResult
		Reason    string // for people
	}

	// Dropped reports that there is no destination, or that it has refused the notice too often: the records are gone,
	// and counted.
	Dropped struct {
		told
		Batch
		Condition Condition
		Why       DropReason
		Reason    string // for people: the destination's last refusal
	}
)

// Tumbling windows.
type (
	// WindowEnded reports that a tumbling window is over, and that the function has had its final invocation.
	WindowEnded struct {
		told
		Batch
		Attempt int
		Window  Window
	}

	// StateReset reports that the state of a window outgrew its limit. The function got the state, and the window goes
	// on without it.
	StateReset struct {
		told
		Batch
		Attempt int
		Window  Window
	}

	// StateDropped reports that an invocation that ends a window, or its state, never succeeded: the state is gone, and
	// counted.
	StateDropped struct {
		told
		Batch
		Attempt int
		Window  Window
	}
)

// Saving.
type (
	// SaveAsked reports that a Save was given.
	SaveAsked struct {
		told
		Low record.Position
	}

	// SaveEnded reports its result.
	SaveEnded struct {
		told
		Low    record.Position
		Result SaveResult
		Asked  time.Time
		Again  time.Time // with SaveFault: when the next one is given
	}
)

// Window is a tumbling window; Start is inclusive, End exclusive.
type Window struct{ Start, End record.Millis }

func (o *Started) Copy() Observe          { c := *o; return &c }
func (o *Adopted) Copy() Observe          { c := *o; return &c }
func (o *Nudged) Copy() Observe           { c := *o; return &c }
func (o *Rebuilt) Copy() Observe          { c := *o; return &c }
func (o *Refiltered) Copy() Observe       { c := *o; return &c }
func (o *Stopped) Copy() Observe          { c := *o; return &c }
func (o *Parked) Copy() Observe           { c := *o; return &c }
func (o *Stands) Copy() Observe           { c := *o; return &c }
func (o *Missed) Copy() Observe           { c := *o; return &c }
func (o *ReadAsked) Copy() Observe        { c := *o; return &c }
func (o *ReadDone) Copy() Observe         { c := *o; return &c }
func (o *ReadBroke) Copy() Observe        { c := *o; return &c }
func (o *ReadVoid) Copy() Observe         { c := *o; return &c }
func (o *BufferFilled) Copy() Observe     { c := *o; return &c }
func (o *BufferFreed) Copy() Observe      { c := *o; return &c }
func (o *RecordsLost) Copy() Observe      { c := *o; return &c }
func (o *WaitBegan) Copy() Observe        { c := *o; return &c }
func (o *WaitEnded) Copy() Observe        { c := *o; return &c }
func (o *Gathered) Copy() Observe         { c := *o; return &c }
func (o *SlotFreed) Copy() Observe        { c := *o; return &c }
func (o *BatchCut) Copy() Observe         { c := *o; return &c }
func (o *AttemptStarted) Copy() Observe   { c := *o; return &c }
func (o *AttemptEnded) Copy() Observe     { c := *o; return &c }
func (o *AttemptCancelled) Copy() Observe { c := *o; return &c }
func (o *BatchSettled) Copy() Observe     { c := *o; return &c }
func (o *Bisected) Copy() Observe         { c := *o; return &c }
func (o *RestLeft) Copy() Observe         { c := *o; return &c }
func (o *Vanished) Copy() Observe         { c := *o; return &c }
func (o *Discarded) Copy() Observe        { c := *o; return &c }
func (o *NoticeSent) Copy() Observe       { c := *o; return &c }
func (o *NoticeDelivered) Copy() Observe  { c := *o; return &c }
func (o *NoticeFailed) Copy() Observe     { c := *o; return &c }
func (o *Dropped) Copy() Observe          { c := *o; return &c }
func (o *WindowEnded) Copy() Observe      { c := *o; return &c }
func (o *StateReset) Copy() Observe       { c := *o; return &c }
func (o *StateDropped) Copy() Observe     { c := *o; return &c }
func (o *SaveAsked) Copy() Observe        { c := *o; return &c }
func (o *SaveEnded) Copy() Observe        { c := *o; return &c }

func (*Started) command()          {}
func (*Adopted) command()          {}
func (*Nudged) command()           {}
func (*Rebuilt) command()          {}
func (*Refiltered) command()       {}
func (*Stopped) command()          {}
func (*Parked) command()           {}
func (*Stands) command()           {}
func (*Missed) command()           {}
func (*ReadAsked) command()        {}
func (*ReadDone) command()         {}
func (*ReadBroke) command()        {}
func (*ReadVoid) command()         {}
func (*BufferFilled) command()     {}
func (*BufferFreed) command()      {}
func (*RecordsLost) command()      {}
func (*WaitBegan) command()        {}
func (*WaitEnded) command()        {}
func (*Gathered) command()         {}
func (*SlotFreed) command()        {}
func (*BatchCut) command()         {}
func (*AttemptStarted) command()   {}
func (*AttemptEnded) command()     {}
func (*AttemptCancelled) command() {}
func (*BatchSettled) command()     {}
func (*Bisected) command()         {}
func (*RestLeft) command()         {}
func (*Vanished) command()         {}
func (*Discarded) command()        {}
func (*NoticeSent) command()       {}
func (*NoticeDelivered) command()  {}
func (*NoticeFailed) command()     {}
func (*Dropped) command()          {}
func (*WindowEnded) command()      {}
func (*StateReset) command()       {}
func (*StateDropped) command()     {}
func (*SaveAsked) command()        {}
func (*SaveEnded) command()        {}
