package simshell

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/storage/pebble"
	"github.com/shardmill/shardmill/storage/storagetest"
	"github.com/shardmill/shardmill/stream"
)

const (
	account = "000000000000"
	region  = "us-east-1"
	dir     = "store"
)

var (
	caller = mapping.Caller{Account: account, Region: region}
	orders = stream.Name{Account: account, Region: region, Name: "orders"}
)

const deadARN = "arn:aws:sqs:us-east-1:000000000000:dead"

// process is one process of the product: every room around an engine, over one store. A dead one may still run for a
// moment, as goroutines cannot be killed; nothing that it does then counts, and nothing of it reaches what comes after.
type process struct {
	w       *world
	n       int
	fs      *vfs.MemFS
	dead    atomic.Bool
	ready   atomic.Bool // it has started: its disk may fail from here on
	gentle  atomic.Bool // it is being stopped as a user does, and nothing goes wrong meanwhile
	retired atomic.Bool
	died    chan struct{}
	once    sync.Once
	after   atomic.Pointer[vfs.MemFS] // what the disk holds after its death

	clock     *clock.Clock
	store     *pebble.Store
	coord     *coord
	streams   *stream.Streams
	quota     int // of shards; 0: the usual one
	functions *functions
	refused   map[attempt]time.Time // attempts that were not admitted, and when; under world.mu
	nodes     []*node
}

// open starts a process on a file system. An error is one of opening the store.
func (w *world) open(fs *vfs.MemFS) (*process, error) {
	w.processes++
	p := &process{
		w: w, n: w.processes, fs: fs, died: make(chan struct{}), refused: map[attempt]time.Time{},
		clock: clock.New(time.Duration(w.offset.Load())),
	}
	log := slog.New(&handler{w: w, p: p})
	o := pebble.Options{
		Dir: dir, FS: errorfs.Wrap(fs, errorfs.InjectorFunc(p.disk)), Clock: p.clock, Logger: log, MinFree: -1,
		Ballast: -1,
		Fatal: func(err error) {
			w.note("process %d ends: %v", p.n, err)
			p.die(0)
		},
	}
	var err error
	if p.store, err = pebble.Open(o); err != nil {
		return nil, err
	}
	p.coord = &coord{Coord: p.store.Coord(), p: p}
	faulty := &storagetest.Faulty{Coord: p.coord}
	faulty.Fail(p.commitFault)
	store := storagetest.With(p.store, faulty)
	ctx := context.Background()
	limits, quota := w.startsUnder()
	p.quota = quota
	p.streams = stream.New(stream.Options{
		Store: store, Clock: p.clock, Log: log, Pace: w.streamPace(), Limits: limits, ShardQuota: quota,
	})
	if err := p.streams.Start(ctx); err != nil {
		return p, err
	}
	p.functions = newFunctions(nil, &w.pending)
	p.functions.limit = w.slots
	w.point(p.functions)
	for range w.knobs.owners {
		if _, err := p.newNode(store, log); err != nil {
			return p, err
		}
	}
	return p, nil
}

// start lets the engines run.
func (p *process) start() error {
	p.ready.Store(true)
	for _, n := range p.nodes {
		err := n.engine.Start(context.Background())
		for err != nil && !p.dead.Load() { // the disk, or a commit
			pause(100 * time.Millisecond)
			err = n.engine.Start(context.Background())
		}
	}
	return nil
}

// die ends the process as a kill and a loss of power at this moment do: of what was not synced kept percent is there
// afterwards.
func (p *process) die(kept int) {
	p.once.Do(func() {
		p.w.mu.Lock()
		p.dead.Store(true)
		p.w.logf("process %d dies, %d %% of what was not synced is kept", p.n, kept)
		p.w.mu.Unlock()
		p.after.Store(p.fs.CrashClone(vfs.CrashCloneCfg{
			UnsyncedDataPercent: kept, RNG: p.w.dice.roll("what a crash keeps", ""),
		}))
		close(p.died)
	})
}

// bury ends what a dead process left running. Its store lies on a file system that nothing looks at any more, and goes
// first: after a failed write Pebble does not expect to live on.
func (p *process) bury() {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	_ = p.store.Close()
	var all sync.WaitGroup
	for _, n := range p.nodes {
		all.Go(func() {
			n.engine.Stop(now)
			_ = n.mappings.Close(now)
			n.streams.Stop()
		})
	}
	all.Wait()
	if len(p.nodes) > 0 {
		p.w.judgeStopped(p)
	}
	if p.streams != nil {
		p.streams.Stop()
	}
}

// stop ends the process as a user does. Attempts in flight are awaited.
func (p *process) stop() {
	w := p.w
	var err error
	for _, n := range p.nodes {
		n.engine.Stop(context.Background())
	}
	if !p.dead.Load() {
		w.judgeStopped(p)
	}
	for _, n := range p.nodes {
		err = errors.Join(err, n.mappings.Close(context.Background()))
		n.streams.Stop()
	}
	p.streams.Stop()
	err = errors.Join(err, p.store.Close())
	if err != nil && !p.dead.Load() {
		w.say("process %d stops with %v", p.n, err)
	}
}

// disk decides about one operation of the file system: it takes its time, fails, or is the last one of the process.
func (p *process) disk(op errorfs.Op) error {
	if !p.ready.Load() || p.dead.Load() {
		return nil
	}
	if op.Kind != errorfs.OpFileSync && op.Kind != errorfs.OpFileSyncData || !strings.HasSuffix(op.Path, ".log") ||
		rotating() {
		return nil
	}
	r := p.w.dice.roll("disk", op.Path)
	if p.w.knobs.slowDisk > 0 {
		if d := upTo(r, p.w.knobs.slowDisk); d > time.Millisecond { // readers come by, and callers pile up
			pause(d)
		}
	}
	if p.w.calm.Load() || p.gentle.Load() {
		return nil
	}
	if r.IntN(1000) < p.w.knobs.dieAtSync {
		p.die(pick(r, 0, 0, 50, 100))
		return nil
	}
	if p.w.knobs.diskFails && r.IntN(100) == 0 {
		return errDisk
	}
	return nil
}

// rotating reports whether the caller changes from one log to the next. There Pebble holds a mutex, on which waiting
// stops the time of a bubble, and it panics on its own goroutine when the disk fails, which ends the product, and would
// end the simulator.
func rotating() bool {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, ".Close") || strings.HasSuffix(f.Function, ".rotateWAL") {
			return true
		}
		if !more {
			return false
		}
	}
}

var errDisk = errors.New("the disk is on fire")

// handler listens to what the rooms log: what only a bug brings about is a complaint.
type handler struct {
	w *world
	p *process
}

func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo && (level >= slog.LevelError || h.w.opts.Log)
}

func (h *handler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h *handler) WithGroup(string) slog.Handler      { return h }

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	var broken *esm.Broken
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok {
			_ = errors.As(err, &broken)
		}
		if a.Key != "stack" || h.w.opts.Log {
			text += " " + a.String()
		}
		return true
	})
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	h.w.logf("process %d logs: %s", h.p.n, text)
	if broken != nil {
		h.w.complain("%s", text)
	}
	return nil
}
