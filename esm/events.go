package esm

import "github.com/shardmill/shardmill/record"

// Event is what a Shard is told. The set is closed.
//
//sumtype:decl
type Event interface{ event() }

// Rec is one record as the core sees it: never its bytes.
type Rec struct {
	Pos     record.Position
	Arrival record.Millis
	Bytes   int32 // what it adds to a payload, exactly, separator included
	Lane    uint8 // LaneMap.Of under the Read's generation
	Match   bool  // passed the filter
}

// EndKind says how a read ended.
type EndKind uint8

const (
	More     EndKind = iota + 1 // a limit was reached: more may be there now
	Tail                        // everything there was came; the shard is open
	ShardEnd                    // everything came, and nothing will follow
	Withheld                    // there may be more, but no memory for it: go on with what there is
	Trimmed                     // the place asked for is beyond retention: go on at Oldest
)

// ReadReturned answers the Read with the same Seq. Records is used during Step only.
type ReadReturned struct {
	Seq     uint64
	Records []Rec
	Next    record.Position // where to read next
	End     EndKind
	Oldest  record.Position // with Trimmed
	Sealed  record.Millis   // with Tail: no record with an older arrival can still appear; 0: the source cannot tell
}

// ReadFailed answers a Read that could not be done; the core asks again after a back-off of its own.
type ReadFailed struct{ Seq uint64 }

// Horizon tells that retention has taken every record below Oldest.
type Horizon struct{ Oldest record.Position }

// Returned is the result of the Invoke with the same Batch.
type Returned struct {
	Batch   uint64
	Outcome Outcome
	State   string // of the tumbling window, as ParseWindowResponse establishes it
}

// SlotFree tells that a lane whose invocation was refused for lack of concurrency may try again.
type SlotFree struct{ Lane int }

// DeliveryResult is how a Deliver ended.
type DeliveryResult uint8

const (
	DeliveryDone    DeliveryResult = iota + 1 // the notice is durable at the destination
	DeliveryRefused                           // the destination answered no: a try is used up
	DeliveryFault                             // our own fault (full disk, stopping): no try is used up, the lane waits
)

// Delivered is the result of the Deliver with the same Batch.
type Delivered struct {
	Batch  uint64
	Result DeliveryResult
	Reason string // for people: why it was not delivered
}

// SaveResult is how a Save ended.
type SaveResult uint8

const (
	SaveDone     SaveResult = iota + 1
	SaveConflict            // another owner has written the checkpoint: this machine must end
	SaveFault               // not saved; it is tried again
)

// Saved is the result of the outstanding Save.
type Saved struct{ Result SaveResult }

// Reconfigured replaces the knobs. Limits of a batch hold from the next batch on, retries, age and destination from the
// next decision on; a new Factor or TumblingWindow lets attempts in flight end, gives an open window its final
// invocation, saves, and rebuilds the lanes.
type Reconfigured struct{ Config Config }

// Release asks the machine to end after the attempts in flight, with its state saved. Abandon cancels them instead and
// does not wait for anything.
type Release struct{ Abandon bool }

// Nudge tells that the function has changed: lanes that back off try at once, with their counters as they are.
type Nudge struct{}

// Tick tells that the instant named by Wake has come. The first Tick sets the machine going.
type Tick struct{}

func (ReadReturned) event() {}
func (ReadFailed) event()   {}
func (Horizon) event()      {}
func (Returned) event()     {}
func (SlotFree) event()     {}
func (Delivered) event()    {}
func (Saved) event()        {}
func (Reconfigured) event() {}
func (Release) event()      {}
func (Nudge) event()        {}
func (Tick) event()         {}
