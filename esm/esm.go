// Package esm is the core: it decides what an event source mapping does with the records of a shard, and when. It
// performs no I/O.
//
// It has two machines. Shard decides for one shard: reading, batching, invoking, retrying, bisecting, discarding,
// checkpointing. Mapping decides which shards run and the mapping's State. Events and the time go in, commands come
// out; the shell (package engine) carries commands out and posts their results as events. The same values run live, in
// scripts (testdata), in property tests and in the simulator.
//
// Nothing here may read a clock, start a goroutine, log, or let the order of a map show. Times are arguments, chance
// comes from a seed. The behaviour is AWS's, as the Lambda Developer Guide describes it for Kinesis; where AWS is
// silent, a comment in the code names the choice.
package esm

import (
	"math"
	"time"

	"github.com/shardmill/shardmill/record"
)

// Limits of AWS or our own, never configurable per mapping.
const (
	// MaxPayload is the largest event a function can get: Lambda's limit for synchronous requests, in bytes of JSON.
	MaxPayload = 6_291_456
	// maxRead is the largest number of records that one Read asks for (GetRecords' own limit).
	maxRead = 10_000
	// maxAhead: a lane that has settled this many batches beyond the last saved checkpoint stops invoking until it is
	// saved …
	maxAhead = 64
	// … or that settled its first unsaved batch this long ago.
	maxAheadTime = time.Second
	// hurryAhead: a lane that has settled this many batches beyond the last saved checkpoint does not wait for the next
	// beat of saving.
	hurryAhead = maxAhead / 4
	// MaxState is the largest state of a tumbling window, in bytes of compact JSON; a larger one ends the window early.
	// AWS says 1 MB.
	MaxState = 1_048_576
	// idleGrace is how long, after its end, an open window waits at an idle tail for proof that no older record can
	// come. AWS waits up to two minutes.
	idleGrace = 120 * time.Second
	// sealAgain is the pause between two requests for that proof.
	sealAgain = time.Second
	// deliveryTries is how often a destination may refuse a notice before the records are dropped and counted. AWS does
	// not say; our own choice.
	deliveryTries = 3
)

// Unlimited is the MaxRetries with which batches are retried until their records expire.
const Unlimited = -1

// Config holds the settings of a mapping that matter to one shard. The zero value is not usable; see Validate of
// package mapping for ranges.
type Config struct {
	BatchSize        int           // records in a batch, 1 to 10,000
	BatchingWindow   time.Duration // how long a batch may gather; 0: send what is there
	Factor           int           // ParallelizationFactor: lanes per shard, 1 to 10
	MaxRetries       int           // retries of one batch after function errors; Unlimited
	MaxAge           time.Duration // records this old are discarded before an invocation; 0: no limit
	Bisect           bool          // split a failed batch in two
	PartialResponses bool          // FunctionResponseTypes holds ReportBatchItemFailures
	Destination      bool          // discards are delivered as notices
	TumblingWindow   time.Duration // whole seconds, at most 900; 0: none. Factor is 1 with one

	// identity of the filter, 0 without one, never FilterUnknown: when it changes, records that are in no batch are
	// read again
	Filter uint64

	Envelope int // payload bytes beside the records
	Windowed int // payload bytes that a tumbling window adds beside the records and its state
	// payload bytes beside the state in an invocation that ends a tumbling window and has no records
	Recordless  int
	BackoffBase time.Duration // delay before the first retry; doubles
	BackoffCap  time.Duration // the longest delay
	Jitter      int           // percent by which a delay may be shorter or longer
	// one Save at most in each interval of this length, all counted from one instant, so that shards save together; 0:
	// as many as there are changes
	SaveBeat time.Duration
	// reading rests while every lane has enough: more than half of twice BatchSize, or of this many records if they are
	// more; 0: it goes on until the buffer is full
	ReadAhead int
}

// WithDefaults sets the members that no AWS parameter sets: back-off of 1 s doubling to 60 s, ±20 %, a beat of 25 ms
// for saving, and reading ahead by 3,000 records. AWS documents that it backs off but not how.
func (c Config) WithDefaults() Config {
	c.BackoffBase, c.BackoffCap, c.Jitter = time.Second, time.Minute, 20
	c.SaveBeat, c.ReadAhead = 25*time.Millisecond, 3000
	return c
}

// Checkpoint is the durable progress of a mapping on a shard: all that a Shard needs to continue where another stopped.
// A crash repeats work, but never skips any.
type Checkpoint struct {
	Low        record.Position // every record at or below it is settled
	Generation uint32          // of the lane map; grows when the factor or the tumbling window changes
	Batches    uint64          // the largest number that a batch has had
	Ended      bool            // the shard is closed and every record of it is settled
	Factor     int             // lanes of that lane map
	MaxArrival record.Millis   // the largest arrival up to Low, and of the record after it if that was read
	Lanes      []LaneMark      // one per lane; nil when Low says it all
	Window     *WindowMark     // nil without a tumbling window; never changed once it is part of a checkpoint
}

// Reach returns the highest position of a record that c speaks of; 0: of none.
func (c *Checkpoint) Reach() record.Position {
	last := c.Low
	for _, lane := range c.Lanes {
		last = max(last, lane.Settled)
		for _, batch := range lane.Plan {
			last = max(last, batch.Last)
		}
	}
	if c.Window != nil {
		last = max(last, c.Window.Last)
	}
	return last
}

// WindowMark is the progress of a tumbling window. The checkpoint's batches were cut under Width.
type WindowMark struct {
	Width      time.Duration
	Start, End record.Millis // of the open window; both 0: none is open
	Closed     record.Millis // windows that end at or before it do not open again
	First      record.Position
	Last       record.Position // of the records aggregated in the open window; 0: none, and no final invocation is owed
	Early      bool            // the next invocation tells the function that its state is taken away
	Closing    bool            // the next invocation is the final one
	State      string          // a JSON object, compact; "": {}

	// Of the early or final invocation that is due.
	Batch                 uint64 // 0: it has no number yet
	Failures, Invocations int
}

// LaneMark is how far one lane is beyond Checkpoint.Low, and what its next batches are.
type LaneMark struct {
	Settled record.Position // every record of the lane at or below it is settled
	Plan    []SegmentMark   // batches already cut, in order: what a retry or a bisect left to do
}

// SegmentMark is one batch that was cut and is not settled. It is rebuilt by reading First … Last of its lane again
// under the filter that cut it. Under another one it is not the same batch any more, and its records come in new ones.
type SegmentMark struct {
	ID          BatchID
	First, Last record.Position
	Batch       uint64 // its number; 0: its turn has not come
	Parent      Parent
	Failures    int // attempts that count against MaxRetries
	Invocations int // times the function has run for this identity

	// The last invocation, for the notice of a batch whose retries are used up.
	Status        int
	FunctionError string
	Version       string
}

// BatchID is the identity that owns a retry counter. It outlives a crash, so request ids and notice ids are made from
// it. A new one comes with a fresh batch, each half of a bisect, and the rest after a partial success; a prefix that
// expired leaves it as it is. It says which records there can be: those from First to Last of the lane that pass the
// filter.
type BatchID struct {
	Generation  uint32
	Factor      int     // how many lanes there are
	Purpose     Purpose // First and Last are those of the window's records when it is not ForRecords
	Lane        int
	First, Last record.Position // as they were when the identity began
	Filter      uint64          // identity of the filter that cut it; 0: there was none
}

// FilterUnknown is the filter of a batch from a checkpoint that does not name it.
const FilterUnknown = math.MaxUint64

// part returns the identity of a part of a batch.
func (id BatchID) part(first, last record.Position) BatchID {
	id.First, id.Last = first, last
	return id
}

// Purpose is what an invocation is for.
type Purpose uint8

const (
	ForRecords Purpose = iota // to process records
	// to tell that a window's state has outgrown its limit: the window goes on with an empty one
	ForEarlyEnd
	ForFinal // to tell that a window is over
)
