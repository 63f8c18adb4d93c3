// Package pebble keeps records and values on disk in one Pebble database: one log, one stream of syncs. docs/format
// describes every byte.
//
// One goroutine, the committer, writes. It takes everything that callers have queued, writes it with one sync, moves
// the watermark of each shard, and wakes readers, who never look past the watermark: Pebble shows a write before it is
// durable. At low load a put costs one sync, at high load groups grow by themselves. A commit that fails ends the
// process.
package pebble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/internal/wake"
)

// Options of Open. Only Dir is required.
type Options struct {
	Dir   string       // the store's own directory; made if missing
	FS    vfs.FS       // nil: the operating system's
	Clock *clock.Clock // gives arrival times; nil: real time
	// bytes that must stay free on the disk: with less, appends fail with storage.ErrFull. 0: 1 GiB, or a tenth of a
	// small disk; negative: not checked
	MinFree int64
	// bytes set aside, to be freed if the disk fills up all the same. 0: 64 MiB, or 2 % of a small disk; negative: none
	Ballast int64
	// MustExist refuses a directory without a database: its surroundings show that there was one.
	MustExist bool
	// AcceptLoss opens a store that is known to have lost acknowledged changes, and logs what is lost. Else such a
	// store is refused.
	AcceptLoss bool
	Logger     *slog.Logger // nil: nothing is logged. Pebble's own lines come at Debug
	// Fatal is called when a write failed: nothing can be promised any more, and every call fails with
	// storage.ErrClosed. nil: log and exit with status 1. It may return only in tests.
	Fatal func(error)

	memTable  int           // bytes, for tests that want many; 0: 64 MiB, or a 32nd of a small disk
	markEvery time.Duration // for tests that lose the power often; 0: a second
	leastLog  int64         // bytes of a log that is worth to be reused, for tests with small logs; 0: spareLeast
}

const (
	defaultMinFree  = 1 << 30
	defaultBallast  = 64 << 20
	defaultMemTable = 64 << 20
	leastMemTable   = 1 << 20
)

// Store is the backend. Safe for concurrent use.
type Store struct {
	dir   string
	db    *crdb.DB
	lock  *crdb.Lock
	clock *clock.Clock
	log   *slog.Logger
	fatal func(error)
	disk  *disk

	files    *files
	troubles *troubles
	marker   *marker

	queue queue
	// of *request. One per store, because a channel may not leave the synctest bubble in which it was made
	requests  sync.Pool
	appends   sync.Pool     // of *appending
	committed chan struct{} // closed when the committer has ended
	failed    atomic.Pointer[error]

	revision storage.Revision // of the last commit of small values, 0: not read yet. The committer's alone
	tails    tails            // the committer's alone
	recents  recents
	gate     gate
	watchers wake.Prefixes

	mu     sync.RWMutex
	groups map[groupID]*group
	dying  map[uint32]struct{} // streams whose deletion is being committed

	life life
}

var _ storage.Store = (*Store)(nil)

// Open opens the store in o.Dir, or makes one if the directory is empty. It reads next to nothing: shards are loaded
// when they are first used. It refuses a directory that holds something else, that another process has open, or that a
// newer program wrote.
func Open(o Options) (*Store, error) {
	o = o.withDefaults()
	s := newStore(o)
	if err := s.open(o); err != nil {
		return nil, fmt.Errorf("open store %s: %w", o.Dir, err)
	}
	go s.runCommitter()
	s.disk.start()
	return s, nil
}

func newStore(o Options) *Store {
	s := &Store{
		dir: o.Dir, clock: o.Clock, log: o.Logger, fatal: o.Fatal,
		queue:     queue{limit: queueBytes, wake: make(chan struct{}, 1)},
		committed: make(chan struct{}),
		tails:     tails{budget: tailBytes},
		groups:    make(map[groupID]*group),
		dying:     make(map[uint32]struct{}),
	}
	s.life.idle.L = &s.life.mu
	return s
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Clock == nil {
		o.Clock = clock.New(0)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Fatal == nil {
		log := o.Logger
		o.Fatal = func(err error) {
			log.Error(
				"a write to the store failed; ending, because what is on disk is uncertain", "dir", o.Dir, "err",
				err.Error(),
			)
			os.Exit(1)
		}
	}
	return o
}

// Log returns the records.
func (s *Store) Log() storage.Log { return (*log)(s) }

// Coord returns the small values.
func (s *Store) Coord() storage.Coord { return (*coord)(s) }

// Local returns the node's own bytes.
func (s *Store) Local() storage.Local { return (*local)(s) }

// Close commits what is queued, waits for readers and closes the database. Twice is harmless.
func (s *Store) Close() error {
	return s.life.end(func() error {
		s.queue.mu.Lock()
		s.queue.closed = true
		s.queue.mu.Unlock()
		select {
		case s.queue.wake <- struct{}{}:
		default:
		}
		<-s.committed
		s.wakeAll()
		s.life.wait()
		s.disk.stop()
		err := s.closeDatabase()
		if s.failed.Load() != nil {
			err = nil // already reported
		}
		return errors.Join(err, s.lock.Close())
	})
}

// Retries returns how often something in the background failed and was tried again: a flush, a compaction, the reading
// of a table.
func (s *Store) Retries() int64 { return s.troubles.retries.Load() }

func (s *Store) closeDatabase() (err error) {
	defer contain(&err)
	s.troubles.close()
	if s.files.stuck.Load() {
		return nil // the database would wait for it
	}
	return errors.Join(s.db.Close(), s.marker.close(), s.files.logs.close())
}

func (s *Store) wakeAll() {
	s.mu.RLock()
	var all []*shard
	for _, g := range s.groups {
		g.mu.RLock()
		for _, sh := range g.shards {
			if sh != nil {
				all = append(all, sh)
			}
		}
		g.mu.RUnlock()
	}
	s.mu.RUnlock()
	for _, sh := range all {
		sh.changed.Fire()
	}
	s.watchers.FireAll()
}

// enter begins a call: the database stays open until leave. Every call starts with it.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.failure(); err != nil {
		return err
	}
	return s.life.enter()
}

func (s *Store) leave() { s.life.leave() }

// life counts the calls under way, so that Close can wait for them.
type life struct {
	mu     sync.Mutex
	idle   sync.Cond
	calls  int
	closed bool
	once   sync.Once
	err    error
}

func (l *life) enter() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return storage.ErrClosed
	}
	l.calls++
	return nil
}

func (l *life) leave() {
	l.mu.Lock()
	l.calls--
	if l.closed && l.calls == 0 {
		l.idle.Broadcast()
	}
	l.mu.Unlock()
}

// end refuses further calls and runs f once; every caller gets its error.
func (l *life) end(f func() error) error {
	l.once.Do(func() {
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
		l.err = f()
	})
	return l.err
}

// wait waits until no call is under way.
func (l *life) wait() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.calls > 0 {
		l.idle.Wait()
	}
}
