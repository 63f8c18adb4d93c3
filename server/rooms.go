package server

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/api/kinesis"
	"github.com/shardmill/shardmill/api/lambda"
	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/checkpoint"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/storage/pebble"
	"github.com/shardmill/shardmill/stream"
)

// rooms is everything that a reset replaces.
type rooms struct {
	clock      *clock.Clock
	store      storage.Store
	metrics    *metric.Store
	streams    *stream.Streams
	companions []companion // as far as they are open
	functions  *function.Functions
	mappings   *mapping.Mappings
	engine     *engine.Engine
	handler    http.Handler
	ending     atomic.Bool // nothing waits for these rooms to come to rest any more
}

// DataError says why a data directory cannot be used, and what to do.
type DataError struct {
	Dir  string
	Hint string
	Err  error
}

func (e *DataError) Error() string { return fmt.Sprintf("the data directory %s: %s", e.Dir, e.Err) }
func (e *DataError) Unwrap() error { return e.Err }

// build opens the store and makes and starts every room, in the order in which they need each other.
func (s *Server) build(ctx context.Context) (r *rooms, err error) {
	r = &rooms{clock: s.clock}
	defer func() {
		if err != nil {
			r.drain(ctx)
			r.wake()
			_ = r.close()
		}
	}()
	if r.store, err = s.open(); err != nil {
		return r, err
	}
	if err = s.resumeClock(ctx, r); err != nil {
		return r, err
	}
	if err = s.startMetrics(r); err != nil {
		return r, s.dataError(err)
	}
	pace := s.paces()
	r.streams = stream.New(stream.Options{
		Pace: pace.streams, TakeOver: s.cfg.TakeOverAfter,
		Limits: s.cfg.Limits == LimitsAWS, ShardQuota: s.cfg.ShardLimit, IteratorLife: s.cfg.IteratorLife,
		Store: r.store, Clock: s.clock, Log: s.log.With("room", "stream"), Metrics: r.metrics,
		Role: r.acts,
	})
	if err = r.streams.Start(ctx); err != nil {
		return r, s.dataError(err)
	}
	if err = s.openCompanions(ctx, r); err != nil {
		return r, err
	}
	if err = s.startFunctions(ctx, r); err != nil {
		return r, err
	}
	r.mappings = mapping.New(mapping.Options{
		Coord: r.store.Coord(), Clock: s.clock, Sources: sources{r.streams}, Functions: functions{r.functions},
		Lacks: r.lacks, Log: s.log.With("room", "mapping"), AWSPace: s.cfg.Pace == PaceAWS,
		MaxFilters: s.cfg.MaxFilters, MayRead: r.mayRead, MaySend: r.maySend,
	})
	checkpoints := checkpoint.New(r.store.Coord())
	epoch, err := checkpoints.Epoch(ctx)
	if err != nil {
		return r, s.dataError(err)
	}
	r.engine = engine.New(engine.Options{
		Mappings: r.mappings, Functions: r.functions, Checkpoints: checkpoints,
		Destinations: r.destinations(),
		Source: func(m mapping.Mapping) source.Source {
			var s source.Source = source.NewKinesis(r.streams, m.Stream, m.EventSourceARN, m.Region)
			if m.Consumer() {
				s = source.NewConsumer(r.streams, m.Stream, m.EventSourceARN, m.Region, m.UUID)
			}
			return source.Guard(s, r.reader(&m))
		},
		Clock: s.clock, Log: s.log.With("room", "engine"),
		Pace: pace.engine, Ownership: engine.Everything(epoch), Observe: s.cfg.Observe,
		Hinted:  s.hinted,
		Metrics: r.metrics, BufferMemory: s.cfg.BufferMemory,
	})
	if err = r.engine.Start(ctx); err != nil {
		return r, s.dataError(err)
	}
	r.handler = s.route(r)
	return r, nil
}

// paces is Config.Pace in the words of the rooms.
type paces struct {
	streams   stream.Pace
	functions time.Duration // of transitions
	engine    engine.Pace
}

func (s *Server) paces() paces {
	if s.cfg.Pace != PaceAWS {
		return paces{}
	}
	e := engine.AWSPace()
	return paces{stream.AWSPace(), e.Transition, e}
}

// under returns a place in the data directory; "" in memory.
func (s *Server) under(name string) string {
	if s.cfg.Data == "" {
		return ""
	}
	return filepath.Join(s.cfg.Data, name)
}

func (s *Server) open() (storage.Store, error) {
	if s.cfg.Data == "" {
		return memory.New(memory.Options{Limit: s.cfg.MemoryLimit, Clock: s.clock}), nil
	}
	if err := os.MkdirAll(s.cfg.Data, 0o700); err != nil {
		return nil, &DataError{s.cfg.Data, "choose a directory that this user can write: --data DIR", err}
	}
	if name := foreign(s.cfg.Data); name != "" {
		return nil, &DataError{
			s.cfg.Data, "name an empty directory or a new one: --data DIR",
			fmt.Errorf("it holds other files and is no data directory of shardmill (%s)", name),
		}
	}
	if err := s.finishReset(); err != nil {
		return nil, s.dataError(err)
	}
	store, err := pebble.Open(pebble.Options{
		Dir: s.under("store"), Clock: s.clock, MinFree: s.cfg.MinFree, Logger: s.log.With("room", "storage"),
		Fatal:     s.storeFailed,
		MustExist: s.wasUsed(), AcceptLoss: s.cfg.AcceptLoss,
	})
	if err != nil {
		return nil, s.dataError(cmp.Or(errors.Unwrap(err), err)) // below what names the directory, as dataError does
	}
	return store, nil
}

// storeFailed ends the process: what is on disk is uncertain, and the next start reads what is there. A start under way
// fails instead, because every later call of the store fails, and says what is at fault.
func (s *Server) storeFailed(err error) {
	s.broken.CompareAndSwap(nil, &err)
	if s.starting.Load() {
		return
	}
	s.log.Error(
		"a write to the store failed; ending, because what is on disk is uncertain", "dir", s.cfg.Data, "err",
		err.Error(),
	)
	os.Exit(1)
}

// whole returns an error if the store failed while the server started.
func (s *Server) whole() error {
	if err := s.broken.Load(); err != nil {
		return s.dataError(*err)
	}
	return nil
}

// foreign names a file in dir that is not ours, unless dir has a store already: we do not settle among other people's
// files.
func foreign(dir string) (name string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "" // opening the store says it better
	}
	for _, e := range entries {
		switch e.Name() {
		case "store":
			return ""
		case "logs", "functions", "objects", "token", "tls", "lost+found", resetStore:
		default:
			name = e.Name()
		}
	}
	return name
}

// beside lists what is beside the store and never exists before it.
var beside = []string{"logs", "functions", "objects"}

// wasUsed reports whether there must be a store: rooms that are started after it have left something.
func (s *Server) wasUsed() bool {
	for _, name := range beside {
		if _, err := os.Stat(s.under(name)); err == nil {
			return true
		}
	}
	return false
}

// resetStore is the name that a reset gives to the store before it deletes anything, so that a crash in the middle of
// it can be told from a lost store.
const resetStore = "store.reset"

// finishReset deletes what a reset has begun to delete; without one it does nothing.
func (s *Server) finishReset() error {
	if _, err := os.Stat(s.under(resetStore)); err != nil {
		return nil
	}
	for _, name := range append(slices.Clone(beside), resetStore) {
		if err := os.RemoveAll(s.under(name)); err != nil {
			return err
		}
	}
	return nil
}

// dataError says that the data directory is at fault, with the advice that the store gives.
func (s *Server) dataError(err error) error {
	if s.cfg.Data == "" {
		return err
	}
	hint := ""
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		hint = h.Hint()
	}
	if hint == "" && errors.Is(err, storage.ErrCorrupt) {
		hint = "run the shardmill that wrote it if that is a newer one; else check the disk and restore " + s.cfg.Data +
			" from a backup"
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		hint = "make space on the disk that " + s.cfg.Data + " lies on, or move the directory to a larger one"
	}
	return &DataError{s.cfg.Data, hint, err}
}

const clockKey = "server/clock"

// resumeClock continues with the stored offset. A server on real time refuses data from a clock that was moved: it
// would hand out times that are in the past.
func (s *Server) resumeClock(ctx context.Context, r *rooms) error {
	e, err := r.store.Coord().Get(ctx, clockKey)
	if err != nil {
		return s.dataError(err)
	}
	offset := time.Duration(0)
	if len(e.Value) == 8 {
		offset = time.Duration(binary.BigEndian.Uint64(e.Value))
	}
	if offset != 0 && !s.cfg.Dev {
		return &DataError{
			s.cfg.Data, "open it with: shardmill dev --data " + s.cfg.Data,
			fmt.Errorf("its clock was moved forward by %s, and serve runs on real time", offset),
		}
	}
	s.clock.SetOffset(offset)
	return nil
}

func (r *rooms) saveOffset(ctx context.Context, d time.Duration) error {
	_, err := storage.Sure(r.store.Coord()).Commit(ctx, clockKey, storage.Op{
		Key: clockKey, Value: binary.BigEndian.AppendUint64(nil, uint64(d)), Expect: storage.Any,
	})
	return err
}

func (s *Server) startFunctions(ctx context.Context, r *rooms) (err error) {
	r.functions, err = function.New(function.Options{
		Store: r.store, Dir: s.under("functions"), Clock: s.clock, Log: s.log.With("room", "function"),
		Sink:     logTee{r.logs().lines, s.cfg.LogLines},
		Endpoint: s.Inside, Python: s.cfg.Python, Node: s.cfg.Node, HostPackages: s.cfg.HostPackages, CPU: s.cfg.CPU,
		Metrics:   r.metrics,
		Isolation: s.cfg.Isolation, Network: s.cfg.Network, Hide: s.secrets(), Show: s.cfg.Show, Serve: s.serveInside,
		Transition:   s.paces().functions,
		SteeredClock: s.cfg.Dev && s.cfg.FunctionClock != ClockReal,
	})
	if err == nil {
		err = r.functions.Start(ctx)
	}
	var impossible *function.Impossible
	if errors.As(err, &impossible) {
		return err
	}
	if err != nil {
		return s.dataError(err)
	}
	return nil
}

// secrets returns what functions must not see, wherever it is: the data, and the tokens of this user's servers.
func (s *Server) secrets() []string {
	var paths []string
	if s.cfg.Data != "" {
		paths = append(paths, s.cfg.Data)
	}
	if token, err := TokenFile(s.inner); err == nil {
		paths = append(paths, filepath.Dir(token))
	}
	if s.cfg.ReadyFile != "" {
		paths = append(paths, s.cfg.ReadyFile)
	}
	for _, path := range []string{s.cfg.TLSKey, s.cfg.TLSSelfSigned} {
		if abs, err := filepath.Abs(path); err == nil && path != "" {
			paths = append(paths, abs)
		}
	}
	if keys, err := filepath.Abs(s.cfg.ProxyCredentials); err == nil && s.cfg.ProxyCredentials != "" {
		paths = append(paths, keys)
	}
	if s.cfg.Auth != nil {
		if keys, err := filepath.Abs(s.cfg.Auth.Path()); err == nil {
			paths = append(paths, keys)
		}
	}
	return paths
}

// route puts every API behind the one port.
func (s *Server) route(r *rooms) http.Handler {
	services, gate := s.services(r), s.gate(r)
	return &wire.Router{
		Hosts: s.hosts, Open: s.cfg.open(),
		Services: services, Fallback: services[0], Control: s.control(r, gate), Keys: r.functions, Acts: r.acts,
		Gate:    gate,
		Unknown: wire.NotHere(names(services)...), Hinted: s.cfg.Hinted,
		Intake: s.intake, Log: s.log.With("room", "api"),
	}
}

// services is the table of the shared port. Each row says what a request must carry to reach the service. Kinesis is
// first: it gets the requests that no rule claims.
func (s *Server) services(r *rooms) []wire.Service {
	streams := kinesis.Service(kinesis.New(kinesis.Options{Streams: r.streams, Log: s.log.With("room", "api/kinesis")}))
	streams.Pages = s.cfg.KinesisCORS
	return append([]wire.Service{
		streams,
		lambda.Service(lambda.New(lambda.Options{
			Functions: r.functions, Mappings: r.mappings, Log: s.log.With("room", "api/lambda"),
		})),
		s.cloudWatch(r),
	}, r.services()...)
}

// names returns the names of services, in order.
func names(services []wire.Service) []string {
	var out []string
	for _, s := range services {
		out = append(out, s.Name)
	}
	slices.Sort(out)
	return out
}

// use makes the rooms' handler the current one.
func (s *Server) use(r *rooms) { s.handler.Store(&r.handler) }

// idle waits until nothing is under way, for at most patience of real time.
func (r *rooms) idle(ctx context.Context, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	calm := 0
	for calm < 3 { // a reader that an append has just woken needs a moment to be seen
		if r.ending.Load() {
			return &control.Problem{
				Status: http.StatusConflict, Text: "the clock stays where it is: the server stops or is reset",
			}
		}
		if r.engine.Idle() && r.still() {
			calm++
		} else {
			calm = 0
		}
		if time.Now().After(deadline) {
			return &control.Problem{Status: http.StatusConflict, Text: r.stillBusy(patience)}
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.functions.FlushLogs() // their metrics belong to this moment
	return nil
}

// still reports whether no function runs, or is made ready to run.
func (r *rooms) still() bool { return r.functions.Busy() == 0 && r.functions.Preparing() == 0 }

// stillBusy says what keeps the clock from moving on.
func (r *rooms) stillBusy(patience time.Duration) string {
	what := "event source mappings at work"
	if refs := r.functions.BusyWith(); len(refs) > 0 {
		what = "function " + refsText(refs)
	} else if n := r.functions.Preparing(); n > 0 {
		what = fmt.Sprintf("the preparation of functions (%d)", n)
	}
	return fmt.Sprintf("the clock stays where it is: after %s of real time there is still running: %s", patience, what)
}

// refsText lists functions for people.
func refsText(refs []function.Ref) string {
	texts := make([]string, len(refs))
	for i, r := range refs {
		texts[i] = r.Title()
	}
	return strings.Join(texts, ", ")
}

// drain ends invocations and saves what they came to. The APIs still answer, because functions may call them.
func (r *rooms) drain(ctx context.Context) {
	r.ending.Store(true)
	if r.engine != nil {
		r.engine.Stop(ctx)
	}
	if r.functions != nil {
		r.functions.Stop(ctx)
	}
}

// wake ends requests that wait for something.
func (r *rooms) wake() {
	if r.streams != nil {
		r.streams.EndSubscriptions()
	}
	for _, c := range r.companions {
		if c.wake != nil {
			c.wake()
		}
	}
}

func (r *rooms) close() error {
	if r.mappings != nil {
		_ = r.mappings.Close(context.Background()) // last results are a courtesy
	}
	if r.streams != nil {
		r.streams.Stop()
	}
	for _, c := range r.companions {
		if c.close != nil {
			c.close()
		}
	}
	if r.metrics != nil {
		r.metrics.Stop()
	}
	if r.store == nil {
		return nil
	}
	return r.store.Close()
}

// Reset deletes everything and starts over, with the clock on real time. Once begun it is completed, even if ctx ends.
// A reset that fails ends the server: see Failed.
func (s *Server) Reset(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rooms == nil {
		return errors.New("the server is stopped")
	}
	s.ready.Store(false)
	ctx = context.WithoutCancel(ctx)
	if err := s.replace(ctx); err != nil {
		s.fail(fmt.Errorf("reset: %w", err))
		return err
	}
	s.ready.Store(true)
	return nil
}

// replace puts fresh rooms in the place of those that run.
func (s *Server) replace(ctx context.Context) error {
	now, cancel := context.WithCancel(ctx)
	cancel() // nothing is worth waiting for
	s.rooms.drain(now)
	s.rooms.wake()
	if err := s.rooms.close(); err != nil {
		return err
	}
	if s.cfg.Data != "" {
		if err := os.Rename(s.under("store"), s.under(resetStore)); err != nil {
			return err
		}
		if err := s.finishReset(); err != nil {
			return err
		}
	}
	s.clock.SetOffset(0)
	r, err := s.build(ctx)
	if err != nil {
		return err
	}
	s.rooms = r
	s.use(r)
	return s.prepare(ctx)
}
