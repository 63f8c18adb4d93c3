// Package queue keeps standard message queues as SQS does: what destinations and handlers send stays until it is
// deleted or expires.
//
// In come sends, receives and deletes, by name; out go messages with receipt handles. Messages are kept in
// storage.Local; memory holds one small entry per message (order, visibility, receive count), read at the first use of
// a queue. Delivery is at least once, in order of sending as long as nothing is received twice. All times go by the
// steerable clock. SQS's behaviour is described in the SQS Developer Guide and API Reference.
package queue

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/shardmill/shardmill/companion/door"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage"
)

// Name identifies a queue: account of 12 digits, region, and a name of 1 to 80 letters, digits, hyphens and
// underscores.
type Name struct {
	Account, Region, Name string
}

// ARN returns the queue's Amazon resource name.
func (n Name) ARN() string { return arn.New("sqs", n.Region, n.Account, n.Name).String() }

// Options are what Queues needs. Local is required; a nil Clock is real time, a nil Log is silent.
type Options struct {
	Local storage.Local // the keys under "queue/" are ours
	Clock *clock.Clock
	Log   *slog.Logger
}

// Validate returns an error that names what is missing.
func (o Options) Validate() error {
	if o.Local == nil {
		return errors.New("queue: Options.Local is nil: queues need a store")
	}
	return nil
}

// ErrStopped is returned by operations before Start and after Stop.
var ErrStopped = errors.New("queue: not running")

// Queues holds every queue of this node. All methods are safe for concurrent use.
type Queues struct {
	local storage.Local
	clock *clock.Clock
	log   *slog.Logger

	inFlightLimit int // MaxInFlight, lower in tests

	door   door.Door // for operations
	mu     sync.Mutex
	stop   chan struct{}   // closed by Stop; another one since each Start
	queues map[Name]*queue // queues used since the start
	nextID uint64          // of the next queue; never reused; create guards it
	create chan struct{}   // capacity 1: held by the create, delete or change of tags under way
}

// New returns a Queues that does nothing until Start.
func New(o Options) (*Queues, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = clock.New(0)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Queues{local: o.Local, clock: o.Clock, log: o.Log, inFlightLimit: MaxInFlight}, nil
}

// Start makes the queues usable. It reads one small value; each queue's entries are read at its first use. Twice is
// harmless.
func (qs *Queues) Start(context.Context) error {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if qs.door.IsOpen() {
		return nil
	}
	next, err := readNextID(qs.local)
	if err != nil {
		return err
	}
	qs.nextID = next
	qs.stop = make(chan struct{})
	qs.queues = make(map[Name]*queue)
	qs.create = make(chan struct{}, 1)
	qs.door.Open()
	return nil
}

// Stop ends every long poll with what it has (nothing), waits for operations under way, and forgets what is in memory.
// Twice is harmless.
func (qs *Queues) Stop() {
	wait, ok := qs.door.Shut()
	if !ok {
		return
	}
	qs.mu.Lock()
	close(qs.stop)
	queues := qs.queues
	qs.mu.Unlock()

	wait()
	for _, q := range queues {
		q.mu.Lock()
		q.deleted = true // so that a timer that has fired but not run yet does nothing, even after another Start
		q.disarm()
		q.mu.Unlock()
	}
}

// enter counts an operation that Stop waits for. The caller calls leave when it has ended; stop is closed when it
// should hurry.
func (qs *Queues) enter() (stop <-chan struct{}, leave func(), err error) {
	leave, ok := qs.door.Enter()
	if !ok {
		return nil, nil, ErrStopped
	}
	qs.mu.Lock()
	defer qs.mu.Unlock()
	return qs.stop, leave, nil
}

// lookup finds an existing queue and makes sure that its entries are in memory.
func (qs *Queues) lookup(name Name) (*queue, error) {
	if !validName(name) {
		return nil, noSuchQueue()
	}
	q, err := qs.find(name)
	if err != nil {
		return nil, err
	}
	return q, q.load()
}

// find finds an existing queue; its entries may not be in memory yet.
func (qs *Queues) find(name Name) (*queue, error) {
	qs.mu.Lock()
	q := qs.queues[name]
	qs.mu.Unlock()
	if q != nil {
		return q, nil
	}
	value, ok, err := qs.local.Get(metaKey(name))
	if err != nil {
		return nil, storageFault("read queue "+name.ARN(), err)
	}
	if !ok {
		return nil, noSuchQueue()
	}
	m, err := decodeMeta(value)
	if err != nil {
		return nil, storageFault("read queue "+name.ARN(), err)
	}
	return qs.adopt(name, m), nil
}

// adopt puts a stored queue into the map, unless another caller was faster.
func (qs *Queues) adopt(name Name, m meta) *queue {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	if q := qs.queues[name]; q != nil {
		return q
	}
	q := newQueue(qs, name, m)
	qs.queues[name] = q
	return q
}

// now returns the steered time in milliseconds.
func (qs *Queues) now() int64 { return qs.clock.Now().UnixMilli() }

// millis returns d in whole milliseconds.
func millis(d time.Duration) int64 { return d.Milliseconds() }
