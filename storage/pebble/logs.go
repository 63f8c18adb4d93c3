package pebble

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// a log that is no longer needed, kept for reuse: overwriting syncs faster than growing a file
	spareFile  = "SPARE"
	spareLeast = 4 << 20 // bytes; a smaller one is not worth the space
	// how long it is kept for the next log. Where logs fill more slowly, a growing file is fast enough
	spareFor = 10 * time.Second
)

// logs knows the logs that this process writes: how much of each is durable, and which file may be reused. A log takes
// only the disk space that it fills, not what Pebble would preallocate.
type logs struct {
	fs     vfs.FS
	dir    string
	least  int64       // bytes of a log that is worth to be reused; 0: spareLeast
	failed func(error) // called when a log could not be written: nothing can be promised any more
	synced func()      // called when more has become durable

	// Appends ask for bytes once a second, so no file is touched while mu is held: to remove a full log may take as
	// long as a disk stands still.
	mu      sync.Mutex
	live    []*syncedFile // in order of their numbers
	current *syncedFile   // the manifest

	keep   sync.Mutex // held while a log is made and while the spare is: taken before mu
	spare  bool       // there is one
	takes  int        // how many spares there were, to tell an old timer from the last
	closed bool
}

// syncedFile is a file whose durable length is known.
type syncedFile struct {
	vfs.File
	logs    *logs
	number  uint64
	isLog   bool
	written atomic.Int64
	durable atomic.Int64
}

func (f *syncedFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.written.Add(int64(n))
	return n, f.check(err)
}

func (f *syncedFile) Sync() error {
	at := f.written.Load()
	return f.reached(at, f.File.Sync())
}

func (f *syncedFile) SyncData() error {
	at := f.written.Load()
	return f.reached(at, f.File.SyncData())
}

func (f *syncedFile) SyncTo(length int64) (bool, error) {
	at := f.written.Load()
	full, err := f.File.SyncTo(length)
	if full {
		return full, f.reached(at, err)
	}
	return full, f.check(err)
}

// Close ends the store if it fails: Pebble closes a log while it changes to the next one, and could only panic.
func (f *syncedFile) Close() error { return f.check(f.File.Close()) }

// Preallocate does nothing: Pebble would take 70 MB for each log at once.
func (f *syncedFile) Preallocate(int64, int64) error { return nil }

func (f *syncedFile) reached(at int64, err error) error {
	if err != nil {
		return f.check(err)
	}
	for old := f.durable.Load(); at > old; old = f.durable.Load() {
		if f.durable.CompareAndSwap(old, at) {
			f.logs.synced()
			break
		}
	}
	return nil
}

// check reports an error before Pebble does: in its background work on logs, Pebble could only panic.
func (f *syncedFile) check(err error) error {
	if err != nil && f.isLog {
		f.logs.failed(err)
	}
	return err
}

func (l *logs) create(name string, number uint64, category vfs.DiskWriteCategory) (vfs.File, error) {
	l.keep.Lock()
	defer l.keep.Unlock()
	file, err := l.reuse(name, category)
	if file == nil && err == nil {
		file, err = l.fs.Create(name, category)
	}
	if err != nil {
		l.failed(err)
		return nil, err
	}
	f := &syncedFile{File: file, logs: l, number: number, isLog: true}
	l.mu.Lock()
	l.live = append(l.live, f)
	l.mu.Unlock()
	return f, nil
}

// reuse opens the spare under the name of a log; nil without one.
func (l *logs) reuse(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if !l.spare {
		return nil, nil
	}
	l.spare = false
	l.takes++
	return l.fs.ReuseForWrite(l.fs.PathJoin(l.dir, spareFile), name, category)
}

// remove deletes a log, or keeps it as the spare.
func (l *logs) remove(name string, number uint64) error {
	l.mu.Lock()
	ours := len(l.live)
	l.live = slices.DeleteFunc(l.live, func(f *syncedFile) bool { return f.number == number })
	ours -= len(l.live)
	l.mu.Unlock()
	if ours > 0 { // else of an earlier process
		if info, err := l.fs.Stat(name); err == nil && info.Size() >= cmp.Or(l.least, spareLeast) && l.spareFrom(name) {
			return nil
		}
	}
	return l.fs.Remove(name)
}

// spareFrom makes a log the spare, unless there is one.
func (l *logs) spareFrom(name string) bool {
	l.keep.Lock()
	defer l.keep.Unlock()
	if l.spare || l.closed || l.fs.Rename(name, l.fs.PathJoin(l.dir, spareFile)) != nil {
		return false
	}
	l.spare = true
	l.takes++
	l.releaseLater(l.takes)
	return true
}

// releaseLater deletes the spare unless a log takes it in time.
func (l *logs) releaseLater(take int) {
	time.AfterFunc(spareFor, func() {
		l.keep.Lock()
		defer l.keep.Unlock()
		if take == l.takes && !l.closed {
			_ = l.release() // else the next start does it
		}
	})
}

func (l *logs) release() error {
	if !l.spare {
		return nil
	}
	l.spare = false
	return l.fs.Remove(l.fs.PathJoin(l.dir, spareFile))
}

func (l *logs) close() error {
	l.keep.Lock()
	defer l.keep.Unlock()
	l.closed = true
	return l.release()
}

func (l *logs) manifest(file vfs.File, number uint64) vfs.File {
	f := &syncedFile{File: file, logs: l, number: number}
	l.mu.Lock()
	l.current = f
	l.mu.Unlock()
	return f
}

// bytes returns how many bytes lie in logs that are still needed.
func (l *logs) bytes() (sum int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.live {
		sum += f.written.Load()
	}
	return sum
}

// durable returns how much of the manifest and of each needed log is known to be on disk.
func (l *logs) durable() (manifest extent, logs []extent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current != nil {
		manifest = extent{l.current.number, l.current.durable.Load()}
	}
	for _, f := range l.live {
		if n := f.durable.Load(); n > 0 {
			logs = append(logs, extent{f.number, n})
		}
	}
	return manifest, logs
}
