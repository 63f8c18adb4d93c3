// Package table keeps tables of items as DynamoDB does: put, updated, deleted, and read by key, by query and by scan.
//
// In come items and parsed expressions, by table name; out go items, capacity counts and faults in AWS's words.
// Everything is kept in storage.Local; memory holds a table's definition, read at its first use, and one timer for the
// next item to expire. A write is durable when its call returns, and writes of one item happen one after the other.
// api/dynamodb does the wire, table/expr the expression language. DynamoDB's behaviour is described in its Developer
// Guide and API Reference.
package table

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/shardmill/shardmill/companion/door"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage"
)

// Name identifies a table: account of 12 digits, region, and a name of 3 to 255 letters, digits, underscores, hyphens
// and dots.
type Name struct {
	Account, Region, Table string
}

// ARN returns the table's Amazon resource name.
func (n Name) ARN() string {
	return arn.New("dynamodb", n.Region, n.Account, "table/"+n.Table).String()
}

// Options are what Tables needs. Local is required; a nil Clock is real time, a nil Log is silent.
type Options struct {
	Local storage.Local // the keys under "table/" are ours
	Clock *clock.Clock
	Log   *slog.Logger
}

// Validate returns an error that names what is missing.
func (o Options) Validate() error {
	if o.Local == nil {
		return errors.New("table: Options.Local is nil: tables need a store")
	}
	return nil
}

// ErrStopped is returned by operations before Start and after Stop.
var ErrStopped = errors.New("table: not running")

// Tables holds every table of this node. All methods are safe for concurrent use.
type Tables struct {
	local storage.Local
	clock *clock.Clock
	log   *slog.Logger

	door    door.Door // for operations
	mu      sync.Mutex
	tables  map[Name]*table // tables used since the start
	deletes uint64          // how many tables were deleted since the start
	nextID  uint64          // of the next table; never reused; define guards it
	timer   *clock.Timer    // for the next item to expire
	armed   int64           // the second for which timer is set
	define  sync.Mutex      // held by the create or delete under way
}

// New returns a Tables that does nothing until Start.
func New(o Options) (*Tables, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = clock.New(0)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Tables{local: o.Local, clock: o.Clock, log: o.Log}, nil
}

// Start makes the tables usable. It reads two small values; a table is read at its first use. Twice is harmless.
func (ts *Tables) Start(context.Context) error {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.door.IsOpen() {
		return nil
	}
	next, err := readNextID(ts.local)
	if err != nil {
		return err
	}
	due, ok, err := ts.nextExpiry()
	if err != nil {
		return err
	}
	ts.nextID = next
	ts.tables = make(map[Name]*table)
	ts.door.Open()
	if ok {
		ts.arm(due)
	}
	return nil
}

// Stop waits for operations under way and forgets what is in memory. Twice is harmless.
func (ts *Tables) Stop() {
	wait, ok := ts.door.Shut()
	if !ok {
		return
	}
	ts.mu.Lock()
	if ts.timer != nil {
		ts.timer.Stop()
		ts.timer = nil
	}
	ts.mu.Unlock()
	wait()
}

// enter counts an operation that Stop waits for. The caller calls leave when it has ended.
func (ts *Tables) enter() (leave func(), err error) {
	leave, ok := ts.door.Enter()
	if !ok {
		return nil, ErrStopped
	}
	return leave, nil
}

// stripes is the number of locks that the items of a table share.
const stripes = 64

// table is one table in memory.
type table struct {
	name Name

	// gate is held for reading while an item is written, and for writing while the table itself changes. The fields it
	// guards are written in no other way.
	gate    sync.RWMutex
	meta    *meta
	deleted bool
	tallies map[uint32]*tally // by number of the index, 0 is the table; nil until the first Describe

	// each guards the items whose hash maps to it, from reading to writing; taken inside gate
	items [stripes]sync.Mutex
}

// find finds an existing table; missing returns the fault if there is none.
func (ts *Tables) find(name Name, missing func() error) (*table, error) {
	for {
		ts.mu.Lock()
		t, deletes := ts.tables[name], ts.deletes
		ts.mu.Unlock()
		if t != nil {
			return t, nil
		}
		m, err := ts.readMeta(name)
		if err != nil {
			return nil, err
		}
		if m == nil {
			return nil, missing()
		}
		ts.mu.Lock()
		if ts.deletes != deletes { // maybe this table, after it was read
			ts.mu.Unlock()
			continue
		}
		if t = ts.tables[name]; t == nil {
			t = &table{name: name, meta: m}
			ts.tables[name] = t
		}
		ts.mu.Unlock()
		return t, nil
	}
}

// readMeta returns what is stored about a table itself; nil: there is none.
func (ts *Tables) readMeta(name Name) (*meta, error) {
	value, ok, err := ts.local.Get(metaKey(name))
	if err != nil || !ok {
		if err != nil {
			err = storageFault("read table "+name.ARN(), err)
		}
		return nil, err
	}
	m, err := decodeMeta(value)
	if err != nil {
		return nil, storageFault("read table "+name.ARN(), err)
	}
	return m, nil
}

// use finds a table for an operation on its items and keeps it from changing until release is called.
func (ts *Tables) use(name Name) (t *table, release func(), err error) {
	return ts.look(name, noResource)
}

// look is use with the caller's own fault for a missing table.
func (ts *Tables) look(name Name, missing func() error) (t *table, release func(), err error) {
	if t, err = ts.find(name, missing); err != nil {
		return nil, nil, err
	}
	t.gate.RLock()
	if t.deleted {
		t.gate.RUnlock()
		return nil, nil, missing()
	}
	return t, t.gate.RUnlock, nil
}

// own finds a table for exclusive use, until release is called.
func (ts *Tables) own(name Name, missing func() error) (t *table, release func(), err error) {
	if t, err = ts.find(name, missing); err != nil {
		return nil, nil, err
	}
	t.gate.Lock()
	if t.deleted {
		t.gate.Unlock()
		return nil, nil, missing()
	}
	return t, t.gate.Unlock, nil
}
