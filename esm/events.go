package esm

import "github.com/shardmill/shardmill/record"

// Event is the input of a Shard. The set is closed.
//
//sumtype:decl
type Event interface{ event() }

// Rec is one record as the core sees it, without its bytes.
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

// ReadReturned is the result of the Read with the same Seq. Records is used only during Step.
type ReadReturned struct {
	Seq     uint64
	Records []Rec
	Next    record.Position // where to read next
	End     EndKind
	Oldest  record.Position // with Trimmed
	Sealed  record.Millis   // with Tail: no record with an older arrival can still appear; 0: the source cannot tell
}

// ReadFailed is the result of a Read that failed; the core reads again after a back-off.
type ReadFailed struct{ Seq uint64 }

// Horizon reports that retention has taken every record below Oldest.
type Horizon struct{ Oldest record.Position }

// Returned is the result of the Invoke with the same Batch.
type Returned struct {
	Batch   uint64
	Outcome Outcome
	State   string // of the tumbling window, as ParseWindowResponse establishes it
}

// SlotFree reports that a lane whose invocation was refused for lack of concurrency may try again.
type SlotFree struct{ Lane int }

// DeliveryResult says how a Deliver ended.
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

// SaveResult says how a Save ended.
type SaveResult uint8

const (
	SaveDone     SaveResult = iota + 1
	SaveConflict            // another owner has written the checkpoint: this machine must end
	SaveFault               // not saved; it is tried again
)

// Saved is the result of the outstanding Save.
type Saved struct{ Result SaveResult }

// Reconfigured replaces the settings. Limits of a batch apply from the next batch on; retries, age and destination from
// the next decision on. With a new Factor or TumblingWindow the machine lets attempts in flight end, gives an open
// window its final invocation, saves, and rebuilds the lanes. With another Filter what is read and in no batch is
// dropped and read again; from then on no Read may be answered by the old filter.
type Reconfigured struct{ Config Config }

// Release asks the machine to end after the attempts in flight, with its state saved. With Abandon it cancels them
// instead and waits for nothing.
type Release struct{ Abandon bool }

// Nudge reports that the function has changed: lanes that back off try at once, with their counters as they are.
type Nudge struct{}

// Tick reports that the instant of Wake has come. The first Tick starts the machine.
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
