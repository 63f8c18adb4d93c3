// Package function holds Lambda functions and runs them: their configuration and code, their concurrency limits, and
// Invoke.
//
// Code runs in processes. An execution environment is one process group that works on one invocation at a time and is
// reached through the Runtime API; idle ones are kept warm and reused newest first. launcher decides what to start,
// sandbox starts and confines it, runtimeapi talks to it; this room decides when and how many, and reports the outcome.
// Results are values (Result); nothing here looks into a response. Metadata is in storage.Coord, code packages are
// files named by their SHA-256. Function timeouts and environment lifetimes go by real time, log times by the steered
// clock. Source: Lambda API Reference; Lambda Developer Guide, "Lambda execution environment lifecycle" and "Lambda
// function scaling".
package function

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/function/launcher"
	"github.com/shardmill/shardmill/function/sandbox"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/storage"
)

// LogEvent is one event of a log stream. It is an alias, so that a LogSink need not import this room.
type LogEvent = struct {
	At      time.Time
	Message string // without the final line break
}

// LogSink takes what functions log; owner is the function whose it is. Write must not keep events after it returns. It
// may block: then the environments' rings fill and drop their oldest lines, but no handler waits.
type LogSink interface {
	Write(owner Ref, group, stream string, events []LogEvent)
}

// Options configure Functions. Store is required.
type Options struct {
	Store storage.Store
	// code packages and directories of environments; "" is a temporary directory that Stop removes
	Dir      string
	Clock    *clock.Clock  // log and modification times; nil: real time
	Log      *slog.Logger  // nil: discarded
	Sink     LogSink       // nil: function logs go nowhere, and metrics embedded in them are not seen
	Metrics  *metric.Store // nil: nothing is measured
	Endpoint func() string // http://127.0.0.1:port for AWS_ENDPOINT_URL; nil or an answer of "" leaves it out
	Python   string        // the Python to use before all others: a path or a name on PATH
	Node     string        // the Node.js to use before all others: a path or a name on PATH
	Work     string        // where ./.venv and ./node_modules are looked for; "": the working directory

	// HostPackages lets functions import what is installed for their interpreter on this machine, in addition to what
	// AWS bundles with their runtime.
	HostPackages bool

	AccountConcurrency int           // per account and region; 0: 1000
	UnreservedMinimum  int           // what reserving must leave of it; 0: 100
	MaxEnvironments    int           // on this machine; 0: half its memory in pieces of 64 MB, from 8 to 1000
	IdleTTL            time.Duration // an environment unused for so long ends; 0: 10 minutes
	// a number from 0 to below 1 for each invocation through an alias with weights; nil: a random one. Safe for
	// concurrent use
	Coin func() float64
	// how long an answer with LogTail waits for its END and REPORT lines; 0: 50 ms
	TailWait time.Duration
	// how long extensions may work on SHUTDOWN before their process gets SIGTERM; 0: 300 ms
	ShutdownGrace time.Duration
	// how long Pending and InProgress are shown at least, by Clock. With it, changes that conflict and invocations of a
	// function that is Pending fail at once, as on AWS; without it they wait for a moment, which is always enough
	Transition  time.Duration
	InitTimeout time.Duration // until init time counts against the function's timeout; 0: 10 s
	Isolation   string        // none or sandbox; "": sandbox where it works
	// "" or host: that of this machine; private: functions reach the Runtime API and Endpoint alone, in level sandbox
	Network string
	Show    []string // files and directories of this machine that every function sees, read-only
	// files and directories of this machine that no function sees in level sandbox, beside Dir
	Hide []string
	// serves like Endpoint until the listener is closed; needed for a private network
	Serve func(net.Listener)
	// "" or off; weight: processors are shared by MemorySize where functions compete for them, on Linux
	CPU                  string
	SteeredClock         bool // functions see Clock instead of real time, as far as their runtimes can show it
	LegacyTimeoutPayload bool // the timeout text that AWS used before November 2025
}

// Validate names the first field whose value makes no sense.
func (o *Options) Validate() error {
	if o.Store == nil {
		return errors.New("function.Options.Store is required")
	}
	for _, f := range []struct {
		name  string
		value int
	}{
		{"AccountConcurrency", o.AccountConcurrency},
		{"UnreservedMinimum", o.UnreservedMinimum},
		{"MaxEnvironments", o.MaxEnvironments},
		{"IdleTTL", int(o.IdleTTL)},
		{"InitTimeout", int(o.InitTimeout)},
		{"TailWait", int(o.TailWait)},
		{"Transition", int(o.Transition)},
		{"ShutdownGrace", int(o.ShutdownGrace)},
	} {
		if f.value < 0 {
			return fmt.Errorf("function.Options.%s is %d; it must not be negative", f.name, f.value)
		}
	}
	if o.Network == NetworkPrivate && (o.Serve == nil || o.Isolation == sandbox.None) {
		return errors.New("function.Options.Network private needs Serve and level sandbox")
	}
	return errors.Join(CheckIsolation(o.Isolation), CheckNetwork(o.Network), CheckCPU(o.CPU))
}

// CheckCPU judges a value of Options.CPU on this system.
func CheckCPU(value string) error {
	switch {
	case value == "" || value == sandbox.CPUOff:
		return nil
	case value != sandbox.CPUWeight:
		return fmt.Errorf("cpu %q is neither off nor weight", value)
	case !sandbox.SharesCPU:
		return errors.New("cpu weight needs Linux; on this system only off is possible")
	}
	return nil
}

func (o *Options) setDefaults() {
	if o.Clock == nil {
		o.Clock = clock.New(0)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Coin == nil {
		o.Coin = rand.Float64
	}
	if o.Endpoint == nil {
		o.Endpoint = func() string { return "" }
	}
	orElse(&o.AccountConcurrency, 1000)
	orElse(&o.UnreservedMinimum, 100)
	orElse(&o.MaxEnvironments, defaultEnvironments())
	orElse(&o.IdleTTL, 10*time.Minute)
	orElse(&o.InitTimeout, 10*time.Second)
	orElse(&o.TailWait, 50*time.Millisecond)
	orElse(&o.ShutdownGrace, 300*time.Millisecond)
}

func orElse[T comparable](v *T, fallback T) {
	var zero T
	if *v == zero {
		*v = fallback
	}
}

// defaultEnvironments lets functions use half of the memory, at 64 MB each.
func defaultEnvironments() int {
	return max(8, min(1000, int(machineMemory()/2/(64<<20))))
}

// Functions are all functions of all accounts and regions. Safe for concurrent use.
type Functions struct {
	opt    Options
	coord  storage.Coord
	code   *packages
	launch *launcher.Launcher
	box    *sandbox.Sandbox
	fleet  *fleetShell
	logs   *logPump
	guard  *memoryGuard
	cpu    string // how processors are shared; see CPU
	meter  *meter
	keys   keyring

	change  sync.Mutex // one change of the catalogue at a time; held across the commit
	mu      sync.RWMutex
	entries map[Ref]*entry
	watched map[Ref]chan struct{} // of existing functions; see Changed
	appears chan struct{}         // closed when a function appears; nil: no missing function is watched

	starting  chan struct{} // environments in their init phase: as many as processors
	stopping  chan struct{}
	hard      chan struct{} // closed when the drain is over
	stopOnce  sync.Once
	work      sync.WaitGroup // activations and environments
	preparing atomic.Int64   // activations at work, without those that only wait for the clock
	tempDir   string         // to remove at Stop
	tempLock  *os.File
}

// New checks opt and builds Functions; nothing is read or started before Start.
func New(opt Options) (*Functions, error) {
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	opt.setDefaults()
	hide := slices.Clone(opt.Hide)
	if opt.Dir != "" {
		hide = append(hide, opt.Dir)
	}
	f := &Functions{
		opt: opt, coord: storage.Sure(opt.Store.Coord()),
		box: sandbox.New(sandbox.Options{
			Isolation: opt.Isolation, PrivateNetwork: opt.Network == NetworkPrivate, Hide: hide,
		}),
		entries: map[Ref]*entry{}, watched: map[Ref]chan struct{}{},
		starting: make(chan struct{}, max(1, runtime.NumCPU())),
		stopping: make(chan struct{}), hard: make(chan struct{}),
	}
	f.keys.holders = map[string]holder{}
	f.fleet = newFleet(opt.MaxEnvironments, opt.AccountConcurrency, opt.IdleTTL)
	f.logs = newLogPump(opt.Sink)
	f.guard = &memoryGuard{}
	f.cpu = sandbox.CPUOff
	f.meter = newMeter(opt.Metrics)
	return f, nil
}

// Start loads the stored functions and completes what a crash interrupted. It returns when functions can be invoked.
func (f *Functions) Start(ctx context.Context) error {
	dir := f.opt.Dir
	if dir == "" {
		tmp, lock, err := makeTemporary(os.TempDir())
		if err != nil {
			return fmt.Errorf("make a directory for function code: %w", err)
		}
		dir, f.tempDir, f.tempLock = tmp, tmp, lock
		f.work.Go(func() { sweepTemporary(os.TempDir()) })
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("find the directory for function code: %w", err)
	}
	f.code = openPackages(dir)
	if err := f.code.setAside(); err != nil {
		f.opt.Log.Error("functions/run is in the way", "error", err)
	}
	f.work.Go(f.clear)
	if f.opt.CPU == sandbox.CPUWeight {
		f.cpu = f.box.ShareCPU()
	}
	sandbox.SealDescriptors()
	if err := f.settleIsolation(); err != nil {
		return err
	}
	f.launch = launcher.New(launcher.Options{
		Python: f.opt.Python, Node: f.opt.Node, HostPackages: f.opt.HostPackages,
		Dir: filepath.Join(f.code.scratch, "runtime"), Work: f.opt.Work,
	})
	f.logs.start()
	return f.load(ctx)
}

// clear removes what earlier processes have left, in the background.
func (f *Functions) clear() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	f.work.Go(func() {
		select {
		case <-f.stopping:
			cancel()
		case <-ctx.Done():
		}
	})
	if err := f.code.clear(ctx); err != nil && ctx.Err() == nil {
		f.opt.Log.Error(
			"what an earlier start has left behind cannot be removed; remove it by hand", "dir", f.code.dir, "error",
			err,
		)
	}
}

// Stop refuses new invocations, lets running ones finish until ctx ends or 30 s have passed, and then ends every
// process. Invocations cut off return PlatformError: their work may or may not be done. Twice is harmless.
func (f *Functions) Stop(ctx context.Context) {
	f.stopOnce.Do(func() {
		close(f.stopping)
		f.fleet.close()
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		f.fleet.awaitDrained(ctx)
		close(f.hard)
		f.fleet.cut()
		f.work.Wait()
		f.box.Close()
		f.logs.stop()
		clean := f.code == nil || f.code.close()
		if f.tempDir != "" {
			if clean { // else the lock file stays, by which the next start knows whose it was
				_ = removeAll(f.tempDir)
			}
			_ = f.tempLock.Close()
		}
	})
}

// Busy returns how many invocations run now.
func (f *Functions) Busy() int { return f.fleet.running() }

// Preparing returns how many versions are being made ready to run. One that only waits for its transition to be over by
// the clock is not among them.
func (f *Functions) Preparing() int { return int(f.preparing.Load()) }

// BusyWith names the functions that run now.
func (f *Functions) BusyWith() []Ref { return f.fleet.busy() }

// FlushLogs returns once every line that functions have printed so far has reached the sink and the meter. Lines get
// there within milliseconds anyway; before the clock is moved they must have.
func (f *Functions) FlushLogs() { f.logs.flush() }

// CPU says how processors are shared among functions, for status output: "off", "weight by cgroup" or "weight by nice
// (no writable cgroup)". It is known from Start on.
func (f *Functions) CPU() string { return f.cpu }

// MemoryWatch says how MemorySize is held, for status output: watchdog, or off where the system gives no reading.
func MemoryWatch() string { return sandbox.MemoryWatch }

// Resolve returns the account of the function that the access key was issued to.
func (f *Functions) Resolve(accessKey string) (account string, ok bool) {
	h, ok := f.keys.lookup(accessKey)
	return h.ref.Account, ok
}

// Holding is what is known of an access key that was issued to a function.
type Holding struct {
	Ref           Ref
	Secret, Token string
	Role          string // the ARN of the role that the version has now
	Owner         string // of the version; see Configuration.Owner
}

// Holding returns what is known of an access key; ok is false for one that was not issued, or whose function is gone.
func (f *Functions) Holding(accessKey string) (out Holding, ok bool) {
	h, ok := f.keys.lookup(accessKey)
	if !ok {
		return out, false
	}
	conf, ok := f.Find(h.ref, h.version)
	if !ok {
		return out, false // deleted while it runs
	}
	return Holding{h.ref, h.cred.secret, h.cred.token, conf.Role, conf.Owner}, true
}

// Holder returns the function that the access key was issued to, and the ARN of the role that its version has now.
func (f *Functions) Holder(accessKey string) (ref Ref, role string, ok bool) {
	h, ok := f.keys.lookup(accessKey)
	if !ok {
		return Ref{}, "", false
	}
	conf, ok := f.Find(h.ref, h.version)
	if !ok {
		return Ref{}, "", false // deleted while it runs
	}
	return h.ref, conf.Role, true
}
