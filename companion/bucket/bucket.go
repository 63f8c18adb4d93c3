// Package bucket keeps objects in buckets as S3 does: put whole or in parts, read, listed, copied and deleted.
//
// In come streams of bytes, by bucket and key; out go objects, lists and faults in AWS's words. What is known of an
// object is kept in storage.Local; its bytes are files that their SHA-256 names, or values of the store where there is
// no data directory. A write is durable when its call returns, and a crash at any point leaves the old object or the
// new one. No file name comes from a key. api/s3 does the wire. S3's behaviour is described in the S3 User Guide and
// API Reference.
package bucket

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"sync"

	"github.com/shardmill/shardmill/companion/door"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage"
)

// Options are what Buckets needs. Local is required; a nil Clock is real time, a nil Log is silent.
type Options struct {
	Local storage.Local // the keys under "bucket/" are ours
	// the directory of objects, which is made when the first object needs it; "": they are values of Local, and so
	// within its limit of memory
	Dir     string
	MinFree int64 // bytes of disk that objects leave free; 0: 1 GiB, or a tenth of a smaller disk; < 0: none
	Clock   *clock.Clock
	Log     *slog.Logger
}

// Validate returns an error that names what is missing.
func (o Options) Validate() error {
	if o.Local == nil {
		return errors.New("bucket: Options.Local is nil: buckets need a store")
	}
	return nil
}

// ErrStopped is returned by operations before Start and after Stop.
var ErrStopped = errors.New("bucket: not running")

// Buckets holds every bucket of this node. All methods are safe for concurrent use.
type Buckets struct {
	local   storage.Local
	clock   *clock.Clock
	log     *slog.Logger
	content content
	uses    uses

	door    door.Door // for operations, and the sweep
	mu      sync.Mutex
	stop    context.CancelFunc // ends the sweep
	buckets map[string]*bucket // buckets used since the start, by name
	deletes uint64             // how many buckets were deleted since the start
	nextID  uint64             // of the next bucket; never reused; define guards it
	define  sync.Mutex         // held by the create or delete under way
	seed    maphash.Seed
}

// New returns a Buckets that does nothing until Start.
func New(o Options) (*Buckets, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = clock.New(0)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	bs := &Buckets{local: o.Local, clock: o.Clock, log: o.Log, seed: maphash.MakeSeed()}
	if o.Dir == "" {
		bs.content = &values{local: o.Local}
	} else {
		bs.content = newFiles(o.Dir, o.MinFree)
	}
	bs.uses = uses{count: map[blob]int{}, doomed: map[blob]bool{}}
	return bs, nil
}

// Start makes the buckets usable. It reads one small value; a bucket is read at its first use. Twice is harmless.
func (bs *Buckets) Start(context.Context) error {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if bs.door.IsOpen() {
		return nil
	}
	next, err := readNextID(bs.local)
	if err != nil {
		return err
	}
	bs.nextID = next
	bs.buckets = make(map[string]*bucket)
	bs.stop = nil
	bs.door.Open()
	return nil
}

// Stop waits for operations under way and forgets what is in memory. An object that is being read stays readable until
// it is closed. Twice is harmless.
func (bs *Buckets) Stop() {
	wait, ok := bs.door.Shut()
	if !ok {
		return
	}
	bs.mu.Lock()
	if bs.stop != nil {
		bs.stop()
	}
	bs.mu.Unlock()
	wait()
}

// enter counts an operation that Stop waits for. The caller calls leave when it has ended.
func (bs *Buckets) enter() (leave func(), err error) {
	leave, ok := bs.door.Enter()
	if !ok {
		return nil, ErrStopped
	}
	return leave, nil
}

// prepare makes the place of contents usable, at its first use after a start, and lets what a crash has left behind be
// removed while it is used. It is part of an operation that Stop waits for.
func (bs *Buckets) prepare() error {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	leave, err := bs.enter() // a Stop ends the sweep of those only who are inside before it
	if err != nil {
		return err
	}
	if bs.stop != nil {
		leave()
		return nil
	}
	if err := bs.content.prepare(); err != nil {
		leave()
		return storageFault("prepare the directory of objects", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	bs.stop = stop
	go func() {
		defer leave()
		bs.sweep(ctx)
	}()
	return nil
}

// stripes is the number of locks that the keys of a bucket share.
const stripes = 64

// bucket is one bucket in memory.
type bucket struct {
	name string

	// gate is held for reading while an object is written, and for writing while the bucket itself changes. The fields
	// it guards are written in no other way.
	gate    sync.RWMutex
	meta    meta
	deleted bool

	// each guards the objects whose hash maps to it, from reading to writing; taken inside gate
	keys [stripes]sync.Mutex
	// as keys, for uploads in parts; taken inside gate and outside of keys
	uploads [stripes]sync.Mutex
}

// find finds an existing bucket.
func (bs *Buckets) find(name string) (*bucket, error) {
	if !validName(name) {
		return nil, noSuchBucket()
	}
	for {
		bs.mu.Lock()
		b, deletes := bs.buckets[name], bs.deletes
		bs.mu.Unlock()
		if b != nil {
			return b, nil
		}
		value, ok, err := bs.local.Get(bucketKey(name))
		if err != nil {
			return nil, storageFault("read bucket "+name, err)
		}
		if !ok {
			return nil, noSuchBucket()
		}
		m, err := decodeMeta(value)
		if err != nil {
			return nil, storageFault("read bucket "+name, err)
		}
		bs.mu.Lock()
		if bs.deletes != deletes { // maybe this bucket, after it was read
			bs.mu.Unlock()
			continue
		}
		if b = bs.buckets[name]; b == nil {
			b = &bucket{name: name, meta: m}
			bs.buckets[name] = b
		}
		bs.mu.Unlock()
		return b, nil
	}
}

// use finds a bucket for an operation on its objects and keeps it from changing until release is called.
func (bs *Buckets) use(name string) (b *bucket, release func(), err error) {
	if b, err = bs.find(name); err != nil {
		return nil, nil, err
	}
	b.gate.RLock()
	if b.deleted {
		b.gate.RUnlock()
		return nil, nil, noSuchBucket()
	}
	return b, b.gate.RUnlock, nil
}

// change lets f change what is known of a bucket, and stores it durably; nobody else uses the bucket meanwhile. f gets
// a copy, which is in effect once it is stored, and returns whether a full store may refuse it. what is for the fault:
// what is done to the bucket.
func (bs *Buckets) change(
	ctx context.Context, name, what string, f func(*bucket, *meta) (refusable bool, err error),
) error {
	b, err := bs.find(name)
	if err != nil {
		return err
	}
	b.gate.Lock()
	defer b.gate.Unlock()
	if b.deleted {
		return noSuchBucket()
	}
	m := b.meta
	refusable, err := f(b, &m)
	if err != nil {
		return err
	}
	op := storage.LocalOp{Key: bucketKey(name), Value: encodeMeta(m), Refusable: refusable}
	if err := bs.local.Apply(context.WithoutCancel(ctx), storage.Sync, op); err != nil {
		return storageFault(what+" bucket "+name, err)
	}
	b.meta = m
	return nil
}

// lock keeps an object from changing until release is called. The bucket is in use.
func (bs *Buckets) lock(b *bucket, key string) (release func()) {
	m := &b.keys[maphash.String(bs.seed, key)%stripes]
	m.Lock()
	return m.Unlock
}
