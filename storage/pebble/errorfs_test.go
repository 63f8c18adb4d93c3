package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/pebble"
)

// site is a kind of place at which a store changes its directory, such as the sync of a log.
type site struct {
	kind errorfs.OpKind
	file string // a suffix, or a name
}

func (s site) String() string { return fmt.Sprintf("%s/%s", opNames[s.kind], s.file) }

var opNames = map[errorfs.OpKind]string{
	errorfs.OpCreate: "create", errorfs.OpLink: "link", errorfs.OpRemove: "remove", errorfs.OpRename: "rename",
	errorfs.OpReuseForWrite: "reuse", errorfs.OpMkdirAll: "mkdir", errorfs.OpLock: "lock", errorfs.OpFileWrite: "write",
	errorfs.OpFileWriteAt: "writeAt", errorfs.OpFileSync: "sync", errorfs.OpFileSyncData: "syncData",
	errorfs.OpFileSyncTo: "syncTo", errorfs.OpFilePreallocate: "preallocate", errorfs.OpFileClose: "close",
	errorfs.OpFileFlush: "flush", errorfs.OpRemoveAll: "removeAll",
}

func siteOf(op errorfs.Op) site {
	name := path.Base(op.Path)
	switch {
	case path.Ext(name) == ".dbtmp":
		name = "dbtmp"
	case strings.HasPrefix(name, "marker."):
		name = "marker"
	case strings.HasPrefix(name, "MANIFEST-"), strings.HasPrefix(name, "OPTIONS-"):
		name, _, _ = strings.Cut(name, "-")
	case path.Ext(name) != "":
		name = path.Ext(name)
	}
	if strings.HasPrefix(op.Path, "copies") {
		name = "copies/" + name
	}
	return site{op.Kind, name}
}

// mustStop lists the sites of which nobody may go on: what a failed sync has left is unknown, and a later one may
// falsely succeed.
func (s site) mustStop() bool {
	switch s.kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData:
		return s.file == ".log" || s.file == "MANIFEST" || s.file == "store"
	default:
		return false
	}
}

// writes reports whether bytes are written at a site.
func (s site) writes() bool { return s.kind == errorfs.OpFileWrite || s.kind == errorfs.OpFileWriteAt }

// fault fails one operation, the one at index at of its site, with err. Without err it counts.
type fault struct {
	site  site
	at    int
	err   error
	short bool // a write, which writes half of its bytes first

	mu    sync.Mutex
	count map[site]int
	open  bool // the store was opened for the first time
	hit   bool
	early bool   // the fault came before that
	torn  string // the file whose next write breaks off
}

func (f *fault) String() string { return "one fault" }

func (f *fault) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	s := siteOf(op)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count[s]++
	if f.err == nil || s != f.site || f.count[s]-1 != f.at {
		return nil
	}
	f.hit, f.early = true, !f.open
	if f.short {
		f.torn = op.Path
		return nil
	}
	return f.err
}

// tears reports whether this is the write that breaks off.
func (f *fault) tears(path string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.torn != path {
		return false
	}
	f.torn = ""
	return true
}

// torn is a file system in which a write breaks off. It lies below that of errorfs, which knows the writes.
type torn struct {
	vfs.FS
	f *fault
}

func (t torn) file(name string, file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &tornFile{file, name, t.f}, nil
}

func (t torn) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := t.FS.Create(name, category)
	return t.file(name, file, err)
}

func (t torn) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := t.FS.ReuseForWrite(from, to, category)
	return t.file(to, file, err)
}

func (t torn) OpenReadWrite(
	name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption,
) (vfs.File, error) {
	file, err := t.FS.OpenReadWrite(name, category, opts...)
	return t.file(name, file, err)
}

type tornFile struct {
	vfs.File
	name string
	f    *fault
}

// Close fails as errorfs would have it, which asks nobody there. The file is closed all the same.
func (t *tornFile) Close() error {
	return errors.Join(t.File.Close(), t.f.MaybeError(errorfs.Op{Kind: errorfs.OpFileClose, Path: t.name}))
}

func (t *tornFile) Write(p []byte) (int, error) {
	if !t.f.tears(t.name) {
		return t.File.Write(p)
	}
	n, err := t.File.Write(p[:len(p)/2])
	return n, errors.Join(err, t.f.err)
}

func (t *tornFile) WriteAt(p []byte, at int64) (int, error) {
	if !t.f.tears(t.name) {
		return t.File.WriteAt(p, at)
	}
	n, err := t.File.WriteAt(p[:len(p)/2], at)
	return n, errors.Join(err, t.f.err)
}

// faultLife is the life of a store with everything that writes: logs that fill, flushes, compactions, trims, closes,
// deletions, small values, a backup, a second start. It ends at the first error. note records what was acknowledged.
func faultLife(ctx context.Context, o pebble.Options, opened, made func(), note func(func(*ledger))) (err error) {
	var s *pebble.Store
	defer func() {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s, err = pebble.Open(o); err != nil {
		return err
	}
	opened()
	for i := range crashShards {
		if err := s.Log().Create(ctx, crashShard(i), 0); err != nil {
			return err
		}
	}
	made()
	if err := s.Log().Create(ctx, storage.Shard{Stream: 2}, 0); err != nil {
		return err
	}
	pad := strings.Repeat("x", 9_000)
	next := [crashShards]int{}
	put := func(i int, w storage.Writer) error {
		rs := []record.Record{
			{Key: "k", Data: fmt.Appendf(nil, "%d.0.2/%s", next[i], pad)},
			{Key: "k", Data: fmt.Appendf(nil, "%d.1.2/", next[i])},
		}
		if err := s.Log().Append(ctx, []storage.Batch{{Writer: w, Records: rs}})[0]; err != nil {
			return err
		}
		next[i]++
		note(func(l *ledger) {
			for _, r := range rs {
				l.acked[i][r.Pos] = string(r.Data)
			}
		})
		return nil
	}
	writers := func() (ws [crashShards]storage.Writer, err error) {
		for i := range ws {
			if ws[i], _, err = s.Log().Acquire(ctx, crashShard(i)); err != nil {
				return ws, err
			}
		}
		return ws, nil
	}
	ws, err := writers()
	if err != nil {
		return err
	}
	revision := storage.Absent
	for n := range 30 {
		if err := put(n%crashShards, ws[n%crashShards]); err != nil {
			return err
		}
		value := fmt.Append(nil, n)
		op := storage.Op{Key: "count/0", Value: value, Expect: revision}
		if revision, err = s.Coord().Commit(ctx, "count/", op); err != nil {
			return err
		}
		note(func(l *ledger) { l.coord[0] = storage.Entry{Key: "count/0", Value: value, Revision: revision} })
		if err := s.Local().Apply(ctx, storage.Soon, storage.LocalOp{Key: value, Value: value}); err != nil {
			return err
		}
	}
	note(func(l *ledger) { l.trimAsked[0] = 20 })
	if err := s.Log().Trim(ctx, crashShard(0), 20); err != nil {
		return err
	}
	note(func(l *ledger) { l.trimAcked[0] = 20 })
	if err := s.Log().Delete(ctx, 2); err != nil {
		return err
	}
	if err := s.Backup(ctx, "copies/store"); err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	if s, err = pebble.Open(o); err != nil {
		return err
	}
	if ws, err = writers(); err != nil {
		return err
	}
	for n := range 6 {
		if err := put(n%crashShards, ws[n%crashShards]); err != nil {
			return err
		}
	}
	if err := fillTables(s); err != nil {
		return err
	}
	last, err := s.Log().Close(ctx, crashShard(2))
	if err == nil {
		note(func(l *ledger) { l.closed[2], l.last[2] = true, last })
	}
	return err
}

func fillTables(s *pebble.Store) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return pebble.DB(s).Flush()
}

// died is the end of a process: whoever calls it does not go on.
type died struct {
	once sync.Once
	at   chan struct{}
}

func (d *died) fatal(error) {
	d.once.Do(func() { close(d.at) })
	select {}
}

// liveWith runs a life with a fault, or to its end, and returns what is left as after a loss of power, what the
// process was told at its end, and whether it died.
func liveWith(t *testing.T, f *fault, kept int) (c crash, err error, dead bool) {
	t.Helper()
	mem := vfs.NewCrashableMem()
	if err := mem.MkdirAll("copies", 0o755); err != nil {
		t.Fatal(err)
	}
	end := &died{at: make(chan struct{})}
	o := pebble.Options{
		Dir: "store", FS: newSized(errorfs.Wrap(torn{mem, f}, f), 1<<40), Ballast: 1 << 10, MinFree: -1,
		Fatal: end.fatal,
	}.WithMemTable(64 << 10)
	o = o.WithLeastLog(8 << 10)
	var mu sync.Mutex
	l := new(ledger).clone()
	var made, ended atomic.Bool
	done := make(chan error, 1)
	go func() { // waits for ever with a process that dies
		done <- faultLife(context.Background(), o, func() {
			f.mu.Lock()
			f.open = true
			f.mu.Unlock()
		}, func() { made.Store(true) }, func(note func(*ledger)) {
			mu.Lock()
			defer mu.Unlock()
			if !ended.Load() {
				note(l)
			}
		})
	}()
	select {
	case err = <-done:
	case <-end.at:
		dead = true
	}
	mu.Lock()
	defer mu.Unlock()
	ended.Store(true)
	rng := rand.New(rand.NewPCG(uint64(f.at), 7))
	c = crash{mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: kept, RNG: rng}), l.clone()}
	if !made.Load() { // only what a start and three creations have left
		c.l = nil
	}
	return c, err, dead
}

// checkFault returns everything wrong with what a fault has left.
func checkFault(t *testing.T, left crash) (wrong []string) {
	if left.l != nil {
		return checkCrash(t, left)
	}
	if _, err := left.fs.Stat("store"); err == nil {
		for _, f := range findings(t, left.fs) {
			wrong = append(wrong, "before the first record the check found "+f.Where+": "+f.What)
		}
	}
	s, err := openQuietly(t, left.fs)
	if err != nil {
		return append(wrong, fmt.Sprintf("does not open: %v", err))
	}
	if err := s.Log().Create(t.Context(), storage.Shard{Stream: 9}, 0); err != nil {
		wrong = append(wrong, fmt.Sprintf("makes no shard: %v", err))
	}
	return wrong
}

// Each kind of write, sync, creation, linking, renaming and removal of a store's life fails once, with a full disk and
// with a broken one; a write also after half of its bytes. The store refuses or ends, or goes on where nothing depends
// on it; nothing that was acknowledged is missing afterwards, and the next start succeeds. SHARDMILL_SEEDS=n tries n
// moments of each kind.
func TestOneFaultAnywhereLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	sites := &fault{count: map[site]int{}}
	whole, err, dead := liveWith(t, sites, 0)
	if err != nil || dead {
		t.Fatalf("without a fault: %v, died %v", err, dead)
	}
	if wrong := checkCrash(t, whole); len(wrong) > 0 {
		t.Fatalf("without a fault: %q", wrong)
	}
	for _, want := range []string{
		"create/.log", "write/.log", "syncData/.log", "create/.sst", "create/.blob", "write/.sst", "write/.blob",
		"sync/store", "create/MANIFEST", "sync/MANIFEST", "create/SHARDMILL", "sync/SHARDMILL", "rename/dbtmp",
		"writeAt/MARK", "lock/LOCK", "create/BALLAST", "create/copies/MANIFEST", "link/.sst", "remove/.sst",
		"remove/.log", "sync/copies/store", "write/MANIFEST", "write/SHARDMILL", "close/.log", "close/.sst",
		"close/.blob", "close/MANIFEST", "close/SHARDMILL", "close/MARK",
	} {
		all := slices.Collect(maps.Keys(sites.count))
		if !slices.ContainsFunc(all, func(s site) bool { return s.String() == want }) {
			t.Errorf("the life has no %s", want)
		}
	}
	rounds := 1
	if n := seeds(t); n != 12 {
		rounds = int(n)
	}
	for s, count := range sites.count {
		for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO} {
			for _, short := range []bool{false, true} {
				if short && !s.writes() {
					continue
				}
				t.Run(fmt.Sprintf("%s/%v/short=%v", s, errno, short), func(t *testing.T) {
					t.Parallel()
					rng := rand.New(rand.NewPCG(uint64(count), uint64(errno)))
					for range rounds {
						oneFault(t, &fault{
							site: s, at: rng.IntN(count), err: errno, short: short, count: map[site]int{},
						}, 50*rng.IntN(2))
					}
				})
			}
		}
	}
}

// oneFault lives with a fault and looks at what it has left.
func oneFault(t *testing.T, f *fault, kept int) {
	left, err, dead := liveWith(t, f, kept)
	switch {
	case !f.hit: // background work went another way
		return
	case f.site.mustStop() && !f.early && !dead && err == nil:
		t.Errorf("at %d: the store went on after a sync that failed", f.at)
	}
	for _, wrong := range checkFault(t, left) {
		t.Errorf("at %d (died %v, told %v): %s", f.at, dead, err, wrong)
	}
}
