package pebble

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	checkEvery = time.Second // how often free space is looked at, at most and while appends come
	checkBytes = 64 << 20    // and after how many appended bytes
)

// disk watches the free space. Below the minimum appends are refused before they write anything, and reads, trims and small values go on. If the disk fills
// up nevertheless, because someone else wrote, a ballast file is deleted so that the log can go on.
type disk struct {
	dir     string
	fs      vfs.FS // as Pebble uses it: frees the ballast when full
	inner   vfs.FS
	log     *slog.Logger
	minFree int64 // ≤ 0: not checked

	due   atomic.Int64 // nanoseconds since start: when to look again
	left  atomic.Int64 // bytes until we look again
	tight atomic.Bool
	began time.Time

	size     int64 // of the ballast; ≤ 0: none
	mu       sync.Mutex
	laid     bool
	laying   sync.WaitGroup
	stopping bool
}

const ballastFile = "BALLAST"

func newDisk(o Options) *disk {
	d := &disk{dir: o.Dir, inner: o.FS, log: o.Logger, minFree: o.MinFree, size: o.Ballast, began: time.Now()}
	d.fs = o.FS
	if d.size > 0 {
		d.fs = vfs.OnDiskFull(o.FS, d.drop)
	}
	return d
}

// full reports whether appends must be refused. It looks at the disk once a second or every 64 MB, whichever comes first; one caller looks, the others go on.
func (d *disk) full() bool {
	if d.minFree <= 0 {
		return false
	}
	now, due := int64(time.Since(d.began)), d.due.Load()
	if (now >= due || d.left.Load() <= 0) && d.due.CompareAndSwap(due, now+int64(checkEvery)) {
		d.left.Store(checkBytes)
		d.look()
	}
	return d.tight.Load()
}

func (d *disk) wrote(n int) { d.left.Add(-int64(n)) }

func (d *disk) look() {
	usage, err := d.inner.GetDiskUsage(d.dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return // a file system in memory: it has no size
	}
	if err != nil {
		d.log.Warn("the free space of the disk is unknown", "dir", d.dir, "err", err)
		return
	}
	free := int64(min(usage.AvailBytes, 1<<62))
	tight := free < d.minFree
	if tight != d.tight.Swap(tight) {
		if tight {
			d.log.Error("the disk is nearly full: records are refused until there is more space", "dir", d.dir, "free", free, "minimum", d.minFree)
		} else {
			d.log.Info("the disk has space again: records are accepted", "dir", d.dir, "free", free)
		}
	}
	if free >= d.minFree+d.size {
		d.start()
	}
}

// start lays the ballast in the background, unless it lies there.
func (d *disk) start() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.size <= 0 || d.laid || d.stopping {
		return
	}
	d.laid = true
	d.laying.Go(func() {
		if err := d.lay(); err != nil {
			d.log.Warn("no ballast for a full disk could be set aside", "dir", d.dir, "bytes", d.size, "err", err)
		}
	})
}

func (d *disk) lay() error {
	if usage, err := d.inner.GetDiskUsage(d.dir); err != nil || int64(min(usage.AvailBytes, 1<<62)) < d.minFree+d.size {
		return d.forget() // no size, or no room: it is laid once there is
	}
	// Preallocated blocks are taken from the disk at once, though the file looks empty. Where the system cannot preallocate, the ballast is nothing,
	// and only the minimum protects.
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

// drop frees the ballast. Pebble's writes wait for it.
func (d *disk) drop() {
	err := d.inner.Remove(d.inner.PathJoin(d.dir, ballastFile))
	d.log.Error("the disk is full: the ballast was deleted to go on", "dir", d.dir, "err", err)
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
