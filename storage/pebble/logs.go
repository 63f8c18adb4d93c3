package pebble

import (
	"errors"
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
	failed func(error) // called when a log could not be written: nothing can be promised any more
	synced func()      // called when more has become durable

	mu      sync.Mutex
	live    []*syncedFile // in order of their numbers
	current *syncedFile   // the manifest
	spare   int64         // bytes of the spare, 0: none
	takes   int           // how many spares there were, to tell an old timer from the last
	closed  bool
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
	l.mu.Lock()
	defer l.mu.Unlock()
	file, err := l.reuse(name, category)
	if file == nil && err == nil {
		file, err = l.fs.Create(name, category)
	}
	if err != nil {
		l.failed(err)
		return nil, err
	}
	f := &syncedFile{File: file, logs: l, number: number, isLog: true}
	l.live = append(l.live, f)
	return f, nil
}

// reuse opens the spare under the name of a log; nil without one.
func (l *logs) reuse(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if l.spare == 0 {
		return nil, nil
	}
	l.spare = 0
	l.takes++
	return l.fs.ReuseForWrite(l.fs.PathJoin(l.dir, spareFile), name, category)
}

// remove deletes a log, or keeps it as the spare.
func (l *logs) remove(name string, number uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	ours := len(l.live)
	l.live = slices.DeleteFunc(l.live, func(f *syncedFile) bool { return f.number == number })
	if ours == len(l.live) || l.closed {
		return l.fs.Remove(name) // of an earlier process
	}
	info, err := l.fs.Stat(name)
	if err != nil || info.Size() < spareLeast || info.Size() <= l.spare {
		return errors.Join(err, l.fs.Remove(name))
	}
	if err := l.fs.Rename(name, l.fs.PathJoin(l.dir, spareFile)); err != nil {
		return errors.Join(err, l.fs.Remove(name))
	}
	l.spare = info.Size()
	l.takes++
	l.releaseLater(l.takes)
	return nil
}

// releaseLater deletes the spare unless a log takes it in time.
func (l *logs) releaseLater(take int) {
	time.AfterFunc(spareFor, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if take == l.takes && !l.closed {
			_ = l.release() // else the next start does it
		}
	})
}

func (l *logs) release() error {
	if l.spare == 0 {
		return nil
	}
	l.spare = 0
	return l.fs.Remove(l.fs.PathJoin(l.dir, spareFile))
}

func (l *logs) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
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
