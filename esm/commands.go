package esm

import (
	"time"

	"github.com/shardmill/shardmill/record"
)

// Command is what the shell is to do for a Shard, in the order given. The set is closed. Positions are valid until the
// Step that takes the result; a Checkpoint belongs to the receiver.
//
//sumtype:decl
type Command interface{ command() }

// Read asks for records from From on. Only the newest counts: it replaces an older one that has no result yet. A read
// may bring fewer records than asked for without being at the tail.
type Read struct {
	Seq        uint64 // comes back in ReadReturned; an answer to an older one is ignored
	Generation uint32 // lane map under which records are to be marked
	Factor     int
	From       record.Position
	MaxRecords int
	MaxBytes   int  // of payload; at least one record comes however large it is
	Wait       bool // the tail was reached: answer only when there is something new
}

// Invoke asks for one invocation of the function with the records at Positions, in that order.
type Invoke struct {
	Batch     uint64 // comes back in Returned
	ID        BatchID
	Lane      int
	Attempt   int               // from 1
	Positions []record.Position // none in an invocation that ends a tumbling window
	Bytes     int               // of the payload, exactly
	Window    *WindowCall       // nil without a tumbling window
}

// WindowCall is what an invocation in a tumbling window carries beside its records. The batch's ID.Purpose says what
// the invocation is for.
type WindowCall struct {
	Start, End record.Millis // whole seconds; End is not in the window
	State      string        // a JSON object, compact
}

// Cancel asks the shell to end the attempt of a batch; its result no longer matters.
type Cancel struct{ Batch uint64 }

// Condition says why records were given up, in AWS's words.
type Condition string

const (
	RetryAttemptsExhausted Condition = "RetryAttemptsExhausted"
	RecordAgeExceeded      Condition = "RecordAgeExceeded"
)

// Deliver asks the shell to send a notice about discarded records to the destination. The notice's id must be made from
// ID, Condition and the first and last of Positions, so that a receiver recognises repeats, and only repeats: the
// prefix of a batch that expired, and the longer prefix that a restart finds expired, are two notices.
type Deliver struct {
	Batch         uint64 // comes back in Delivered
	ID            BatchID
	Positions     []record.Position // the records given up
	Condition     Condition
	Invocations   int    // as the notice shows it (approximateInvokeCount)
	StatusCode    int    // of the last invocation; 0: the function was not the cause
	FunctionError string // "" with StatusCode ≠ 0: reported by the function itself
	Version       string
	At            time.Time   // when the records were given up: the same for every try
	Window        *WindowCall // as an invocation of the batch has it; nil without a tumbling window
}

// Save asks the shell to make a checkpoint durable. One is outstanding at a time; later commands need not wait for it.
type Save struct{ Checkpoint Checkpoint }

// FinishReason says why a machine ended.
type FinishReason uint8

const (
	Released FinishReason = iota + 1 // as asked; state saved
	Ended                            // the shard is closed and every record is settled
	Fenced                           // another owner runs the shard
)

// Finished is the last command: the machine takes no event after it.
type Finished struct{ Reason FinishReason }

// FlushReason says why a batch was cut.
type FlushReason uint8

const (
	FlushFull    FlushReason = iota + 1 // BatchSize records
	FlushPayload                        // the next record would exceed the payload limit
	FlushNow                            // no batching window: what was there went
	FlushWindow                         // the batching window ended
	FlushBuffer                         // the shard's buffer is full
	FlushEnd                            // the shard is closed: nothing can join
	// the tumbling window is over: the next record is in a later one, or none can come
	FlushTumbling
	// a part of another batch: see its Parent; without one, records that match only now and lie before a batch from a
	// checkpoint
	FlushAgain
	FlushRestored // a batch from a checkpoint, as it was
)

// DropReason says why records went without a notice.
type DropReason uint8

const (
	DropNoDestination DropReason = iota + 1 // the mapping has none
	DropRefused                             // it has refused the notice at every try
)

// WaitReason says why a lane does not invoke right now. Every state in which a machine waits has one.
type WaitReason uint8

const (
	WaitNone        WaitReason = iota // an attempt is due
	WaitRecords                       // nothing to do
	WaitWindow                        // the batching window is open
	WaitOutcome                       // an invocation runs
	WaitRetry                         // back-off after a function error
	WaitSlot                          // throttled; a free slot or the end of the back-off comes first
	WaitService                       // back-off after a service error
	WaitDelivery                      // a notice is on its way
	WaitDestination                   // the destination refused or could not be reached; a pause before the next try
	WaitSave                          // settled too far beyond the last saved checkpoint
	WaitReread                        // records of a batch from a checkpoint are being read again
	WaitEnd                           // the machine is being released or rebuilt
	WaitTumbling                      // nothing to do, and a tumbling window is open
	WaitBuffer                        // other lanes are so far behind that the shard's buffer is full
)

func (Read) command()     {}
func (Invoke) command()   {}
func (Cancel) command()   {}
func (Deliver) command()  {}
func (Save) command()     {}
func (Finished) command() {}
