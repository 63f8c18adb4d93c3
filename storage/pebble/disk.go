package pebble

import (
	"errors"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	checkEvery = time.Second // how often the free space is read, at most, while appends come
	checkBytes = 64 << 20    // or after that many appended bytes, or an eighth of the minimum
)

// disk watches the free space. Below the minimum appends are refused before they write anything; reads, trims and small
// values go on. If the disk fills up all the same, because another program writes to it, a ballast file is deleted so
// that the log can go on.
type disk struct {
	dir     string
	fs      vfs.FS // as Pebble uses it: frees the ballast when full
	inner   vfs.FS
	log     *slog.Logger
	said    *troubles
	minFree int64 // ≤ 0: not checked

	unflushed func() int64 // bytes in logs that are not in tables yet

	due   atomic.Int64 // nanoseconds since start: when to look again
	left  atomic.Int64 // bytes until we look again
	tight atomic.Bool
	told  atomic.Bool // the full disk was logged, its recovery not yet
	began time.Time

	size     int64 // of the ballast; ≤ 0: none
	mu       sync.Mutex
	laid     bool
	laying   sync.WaitGroup
	stopping bool
}

const ballastFile = "BALLAST"

func newDisk(o Options, said *troubles) *disk {
	d := &disk{
		dir: o.Dir, inner: o.FS, log: o.Logger, said: said, minFree: o.MinFree, size: o.Ballast, began: time.Now(),
	}
	d.fs = vfs.OnDiskFull(o.FS, d.drop)
	return d
}

// fit returns o with the values that depend on the size of the disk. The directory must exist.
func (o Options) fit() Options {
	total := int64(math.MaxInt64)
	if usage, err := o.FS.GetDiskUsage(o.Dir); err == nil {
		total = int64(min(usage.TotalBytes, math.MaxInt64))
	}
	if o.MinFree == 0 {
		o.MinFree = min(defaultMinFree, max(total/10, 1))
	}
	if o.Ballast == 0 {
		o.Ballast = min(defaultBallast, max(total/50, 1))
	}
	if o.memTable == 0 {
		// a flush needs as much space as its memtable
		o.memTable = int(min(defaultMemTable, max(total/32, leastMemTable)))
	}
	return o
}

// full reports whether appends must be refused. It reads the free space once a second or every 64 MB, whichever comes
// first; one caller reads it, the others go on.
func (d *disk) full() bool {
	if d.minFree <= 0 {
		return false
	}
	now, due := int64(time.Since(d.began)), d.due.Load()
	if (now >= due || d.left.Load() <= 0) && d.due.CompareAndSwap(due, now+int64(checkEvery)) {
		d.left.Store(min(checkBytes, d.minFree/8))
		d.look()
	}
	return d.tight.Load()
}

func (d *disk) wrote(n int) { d.left.Add(-int64(n)) }

func (d *disk) look() {
	usage, err := d.inner.GetDiskUsage(d.dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return // a file system in memory has no size
	}
	if err != nil {
		d.said.say(slog.LevelWarn, "free space", "the free space of the disk is unknown", "err", err)
		return
	}
	// What only the logs hold will be written once more, into tables, before the logs go.
	free := int64(min(usage.AvailBytes, 1<<62)) - d.unflushed()
	tight := free < d.minFree
	d.tight.Store(tight)
	switch {
	case tight:
		if d.said.say(
			slog.LevelError, "tight", "the disk is nearly full: records are refused until there is more space", "free",
			free, "minimum", d.minFree,
		) {
			d.told.Store(true)
		}
	case d.told.Swap(false): // as often as the warning, so that the last of the two lines is true
		d.log.Info("the disk has space again: records are accepted", "dir", d.dir, "free", free)
	}
	if free >= d.minFree+d.size {
		d.start()
	}
}

// start makes the ballast in the background, unless it exists.
func (d *disk) start() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.size <= 0 || d.laid || d.stopping {
		return
	}
	d.laid = true
	d.laying.Go(func() {
		if err := d.lay(); err != nil {
			d.log.Warn(
				"no ballast for a full disk could be set aside", "dir", d.dir, "bytes", d.size, "err", err.Error(),
			)
		}
	})
}

func (d *disk) lay() error {
	if usage, err := d.inner.GetDiskUsage(d.dir); err != nil || int64(min(usage.AvailBytes, 1<<62)) < d.minFree+d.size {
		return d.forget() // no size, or no room yet: it is made once there is
	}
	// Preallocated blocks take disk space at once, though the file looks empty. Where the system cannot preallocate,
	// there is no ballast, and only the minimum protects.
	f, err := d.inner.Create(d.inner.PathJoin(d.dir, ballastFile), vfs.WriteCategoryUnspecified)
	if err != nil {
		return errors.Join(err, d.forget())
	}
	return errors.Join(f.Preallocate(0, d.size), f.Sync(), f.Close())
}

func (d *disk) forget() error {
	d.mu.Lock()
	d.laid = false
	d.mu.Unlock()
	return nil
}

// drop frees the ballast, if there is one. Pebble's writes wait for it, and a write that did not fit is tried once
// more.
func (d *disk) drop() {
	path := d.inner.PathJoin(d.dir, ballastFile)
	if _, err := d.inner.Stat(path); err == nil {
		if err := d.inner.Remove(path); err == nil {
			d.said.say(slog.LevelError, "ballast", "the disk is full: the ballast was deleted to go on")
		} else {
			d.said.say(slog.LevelError, "ballast", "the disk is full, and the ballast could not be deleted", "err", err)
		}
	}
	d.tight.Store(d.minFree > 0)
	d.mu.Lock()
	d.laid = false
	d.mu.Unlock()
}

// stop waits for what start began.
func (d *disk) stop() {
	d.mu.Lock()
	d.stopping = true
	d.mu.Unlock()
	d.laying.Wait()
}
