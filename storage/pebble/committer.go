package pebble

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shardmill/shardmill/storage"
)

const (
	queueBytes = 64 << 20    // records waiting for the committer at most; beyond it appends get storage.ErrBusy
	groupBytes = 16 << 20    // records in one commit at most, so that no caller waits for others' gigabytes
	soonDelay  = time.Second // how long a change with storage.Soon may stay unsynced
)

// change is one operation on its way through the committer. Its methods run on the committer's goroutine, in the order
// of the queue.
type change interface {
	// stage decides what the operation does after everything staged before it, and adds that to the commit.
	stage(c *commit)
	// publish runs once the commit is durable: it shows readers what changed and sets the operation's results.
	publish(s *Store)
}

// request is a change and the caller waiting for it.
type request struct {
	change
	bytes int
	state atomic.Int32 // waiting, then taken or abandoned
	err   error        // why the store could not commit it
	done  chan struct{}
}

const (
	waiting int32 = iota
	taken
	abandoned // the caller's context ended while the request was still queued
)

// queue hands requests to the committer.
type queue struct {
	mu       sync.Mutex
	requests []*request
	bytes    int
	limit    int // of bytes
	closed   bool
	wake     chan struct{} // capacity 1
}

// submit queues ch and waits until it is committed. bytes is the size of its records; 0 is never refused. An error of
// ctx means that nothing happened; once the committer has begun, submit waits for the outcome, because the committer
// reads the caller's records.
func (s *Store) submit(ctx context.Context, ch change, bytes int) error {
	r, _ := s.requests.Get().(*request)
	if r == nil {
		r = &request{done: make(chan struct{}, 1)}
	}
	r.change, r.bytes, r.err = ch, bytes, nil
	r.state.Store(waiting)
	if err := s.queue.put(r); err != nil {
		return err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if r.state.CompareAndSwap(waiting, abandoned) {
			return ctx.Err() // the committer drops r when it gets there
		}
		<-r.done
	}
	err := r.err
	r.change = nil
	s.requests.Put(r)
	return err
}

func (q *queue) put(r *request) error {
	q.mu.Lock()
	switch {
	case q.closed:
		q.mu.Unlock()
		return storage.ErrClosed
	case r.bytes > 0 && q.bytes > 0 && q.bytes+r.bytes > q.limit:
		q.mu.Unlock()
		return storage.ErrBusy
	}
	q.requests = append(q.requests, r)
	q.bytes += r.bytes
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return nil
}

// take moves what is queued, up to groupBytes, into into. closed: nothing will follow.
func (q *queue) take(into []*request) (_ []*request, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, bytes := 0, 0
	for _, r := range q.requests {
		if n > 0 && bytes+r.bytes > groupBytes {
			break
		}
		n++
		bytes += r.bytes
	}
	into = append(into, q.requests[:n]...)
	rest := copy(q.requests, q.requests[n:])
	clear(q.requests[rest:])
	q.requests = q.requests[:rest]
	q.bytes -= bytes
	return into, q.closed
}

// runCommitter is the one goroutine that writes. It takes all that is queued, commits it with one sync, shows it to
// readers, and looks again.
func (s *Store) runCommitter() {
	defer close(s.committed)
	c := commit{s: s, coord: make(map[string]storage.Revision)}
	var group []*request
	unsynced := time.NewTimer(soonDelay)
	unsynced.Stop()
	for {
		var closed bool
		group, closed = s.queue.take(group)
		if len(group) > 0 {
			n := c.run(group)
			left := copy(group, group[n:])
			clear(group[left:])
			group = group[:left]
			if c.dirty && !c.armed {
				unsynced.Reset(soonDelay)
			}
			c.armed = c.dirty
			continue
		}
		if closed {
			if c.dirty {
				s.syncLog()
			}
			return
		}
		select {
		case <-s.queue.wake:
		case <-unsynced.C:
			if c.armed = false; c.dirty {
				s.syncLog()
				c.dirty = false
			}
		}
	}
}

// syncLog makes everything applied so far durable.
func (s *Store) syncLog() {
	if s.failed.Load() == nil {
		b := s.db.NewBatch()
		_ = b.LogData(nil, nil) // never fails
		if err := s.commitBatch(b, crdb.Sync); err != nil {
			s.fail(err)
		}
		_ = b.Close()
	}
}

func (s *Store) commitBatch(b *crdb.Batch, o *crdb.WriteOptions) (err error) {
	defer contain(&err)
	return b.Commit(o)
}

// commit is one group of requests: one Pebble batch, one sync. The committer reuses one value.
type commit struct {
	s     *Store
	batch *crdb.Batch

	now     int64                       // milliseconds; read once per commit that writes records
	touched []*shard                    // with batches to write
	written []*shard                    // with blocks to show once durable
	coord   map[string]storage.Revision // revisions of the keys written so far
	sync    bool                        // something here must be durable before it is acknowledged
	cut     bool                        // the commit ends here; what follows in the queue goes to the next
	dirty   bool                        // something was applied that no sync has covered yet
	armed   bool                        // the timer for it runs
}

type written struct {
	shard *shard
	block *block
}

// run commits requests of group, in order, and returns how many.
func (c *commit) run(group []*request) int {
	s := c.s
	if err := s.failure(); err != nil {
		for _, r := range group {
			if r.state.CompareAndSwap(waiting, taken) {
				r.err = err
				r.done <- struct{}{}
			}
		}
		return len(group)
	}
	c.batch = s.db.NewBatch(crdb.WithMaxRetainedSizeBytes(groupBytes / 4))
	c.sync, c.cut, c.now = false, false, 0
	n := 0
	for ; n < len(group) && !c.cut; n++ {
		if group[n].state.CompareAndSwap(waiting, taken) {
			group[n].stage(c)
		} else {
			group[n] = nil
		}
	}
	c.seal()
	err := c.write()
	if err == nil {
		c.show()
	}
	for _, r := range group[:n] {
		if r == nil {
			continue
		}
		if err == nil {
			r.publish(s)
		}
		r.err = err
		r.done <- struct{}{}
	}
	clear(c.coord)
	return n
}

// write commits the batch. After an error nothing of it is acknowledged and nothing is ever written again: it cannot be
// known whether a failed fsync kept the bytes, and a second fsync may falsely succeed.
func (c *commit) write() error {
	s := c.s
	defer func() {
		_ = c.batch.Close() // only gives memory back
		c.batch = nil
	}()
	if c.batch.Empty() {
		return s.failure()
	}
	if len(c.coord) > 0 {
		if err := s.writeRevision(c.batch); err != nil {
			return err
		}
		s.gate.shut(c.coord)
		defer s.gate.open()
	}
	options := crdb.NoSync
	if c.sync {
		options = crdb.Sync
	}
	if err := s.batchError(s.commitBatch(c.batch, options)); err != nil {
		return fmt.Errorf("%w: %w", storage.ErrUnknown, err)
	}
	c.dirty = !c.sync
	return nil
}

// show moves the watermarks over the written blocks, so that readers find them. All blocks of a shard show at one
// moment, because a batch may span several blocks, and because Tail would promise a reader that saw some of them that
// nothing as old can follow.
func (c *commit) show() {
	for _, sh := range c.written {
		sh.show()
	}
	for _, sh := range c.written {
		for _, b := range sh.blocks {
			c.s.tails.add(written{sh, b})
		}
		clear(sh.blocks)
		sh.blocks = sh.blocks[:0]
		sh.changed.Fire()
	}
	clear(c.written)
	c.written = c.written[:0]
	for key := range c.coord {
		c.s.watchers.Fire(key)
	}
}

// batchError turns the result of a Pebble write into that of the store. Pebble reports a failed commit to its logger
// first, and may then return nil.
func (s *Store) batchError(err error) error {
	if err != nil {
		s.fail(err)
	}
	return s.failure()
}

// fail ends the store, and by default the process.
func (s *Store) fail(err error) {
	first := s.failed.CompareAndSwap(nil, &err)
	if first {
		s.fatal(err)
	}
}

// failure returns the error that every call gets after a failed commit.
func (s *Store) failure() error {
	if err := s.failed.Load(); err != nil {
		return fmt.Errorf("%w after a failed write: %w", storage.ErrClosed, *err)
	}
	return nil
}
