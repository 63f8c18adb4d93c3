package engine_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/checkpoint"
	"github.com/shardmill/shardmill/companion/queue"
	"github.com/shardmill/shardmill/companion/topic"
	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/destination/destinationtest"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/function/fleet"
	"github.com/shardmill/shardmill/function/functiontest"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/stream"
)

const (
	account = "000000000000"
	region  = "us-east-1"
)

var (
	caller  = mapping.Caller{Account: account, Region: region}
	orders  = stream.Name{Account: account, Region: region, Name: "orders"}
	dead    = queue.Name{Account: account, Region: region, Name: "dead"}
	deadARN = "arn:aws:sqs:us-east-1:000000000000:dead"
)

// invocation is one call of the fake function: what it got, decoded.
type invocation struct {
	at        time.Time
	arrived   time.Time // LastArrival
	requestID string
	qualifier string
	invoked   string // InvokedARN
	version   string // that runs
	code      int    // its version
	shard     string
	keys      []string
	data      []string
	sequences []string
	window    struct{ Start, End time.Time }
	state     json.RawMessage // nil without a tumbling window
	payload   string
	final     bool
}

// fakeFunctions behaves as the function room does, with a Go func as handler. functiontest holds it to that.
type fakeFunctions struct {
	mu       sync.Mutex
	handle   func(invocation) function.Result
	calls    []invocation
	running  int
	peak     int
	limit    int           // reserved concurrency; -1: none
	account  int           // concurrency of the account; 0: no end
	timeout  time.Duration // of the function; 0: none
	spoiled  int           // payloads that were changed while the handler ran
	version  int           // of the code of $LATEST
	stopped  bool
	handlers sync.WaitGroup
	role     string
	roles    map[string]string // of versions that have another one
	missing  bool
	named    functiontest.Qualifiers // versions and aliases
	updating bool                    // an update is in progress: Invoke still runs what was there before
	changed  chan struct{}
	waiters  []*func()
	offered  []*func() // waiters that were called and not heard of since
	duration time.Duration
}

func newFakeFunctions() *fakeFunctions {
	return &fakeFunctions{
		limit: -1, version: 1, role: "arn:aws:iam::000000000000:role/r", changed: make(chan struct{}),
		duration: 10 * time.Millisecond,
	}
}

// takes sets how long invocations take from now on.
func (f *fakeFunctions) takes(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.duration = d
}

func (f *fakeFunctions) Invoke(ctx context.Context, inv function.Invocation) function.Result {
	theFunction(inv.Ref)
	f.mu.Lock()
	version, code, found := f.named.Resolve(inv.Qualifier, f.version)
	if f.missing || !found {
		f.mu.Unlock()
		return function.Result{
			Class: function.ConfigError, Reason: function.ReasonNotFound,
			Detail: "Function not found: " + inv.Ref.ARN() + ":" + function.Latest, StatusCode: 404,
		}
	}
	if f.stopped {
		f.mu.Unlock()
		return function.Result{Class: function.PlatformError, Reason: function.ReasonStopping, StatusCode: 500}
	}
	if reason := f.full(0); reason != "" {
		f.mu.Unlock()
		return function.Result{Class: function.NotAdmitted, Reason: reason, Detail: "Rate Exceeded.", StatusCode: 429}
	}
	f.running++
	f.offered = f.offered[min(1, len(f.offered)):] // which waiter asks cannot be told; the one called first counts
	f.peak = max(f.peak, f.running)
	call := decode(inv)
	call.qualifier, call.invoked, call.version, call.code = inv.Qualifier, inv.InvokedARN, version, code
	f.calls = append(f.calls, call)
	handle, duration, timeout := f.handle, f.duration, f.timeout
	f.mu.Unlock()
	late := timeout > 0 && duration > timeout
	done := make(chan function.Result, 1)
	f.handlers.Go(func() { // for as long as it takes, whether or not its caller waits
		res := ok()
		if late {
			<-time.After(timeout)
			f.free()
			done <- failed("Sandbox.Timedout")
			<-time.After(duration - timeout) // the room may still be writing to a process that has no time left
		} else {
			<-time.After(duration)
		}
		if !late && handle != nil {
			res = handle(call)
		}
		if res.ExecutedVersion != "" {
			res.ExecutedVersion = version
		}
		if string(inv.Payload) != call.payload {
			f.mu.Lock()
			f.spoiled++
			f.mu.Unlock()
		}
		if !late {
			f.free()
			done <- res
		}
	})
	select {
	case res := <-done:
		return res
	case <-ctx.Done():
		return function.Result{
			Class: function.PlatformError, Reason: function.ReasonAbandoned, Detail: context.Cause(ctx).Error(),
			StatusCode: 500,
		}
	}
}

// free gives a place back and offers it.
func (f *fakeFunctions) free() {
	f.mu.Lock()
	f.running--
	w := f.next()
	f.mu.Unlock()
	if w != nil {
		w()
	}
}

// full returns why an attempt would be refused if there were so many more, or "". f.mu is held.
func (f *fakeFunctions) full(more int) string {
	switch n := f.running + more; {
	case f.limit >= 0 && n >= f.limit:
		return function.ReasonReserved
	case f.limit < 0 && f.account > 0 && n >= f.account:
		return function.ReasonAccount
	}
	return ""
}

// next takes the waiter whose turn it is out of the line, if there is a place that was offered to no other. A place
// that is not taken in time goes on to the next. f.mu is held.
func (f *fakeFunctions) next() func() {
	if len(f.waiters) == 0 || f.full(len(f.offered)) != "" {
		return nil
	}
	w := f.waiters[0]
	f.waiters, f.offered = f.waiters[1:], append(f.offered, w)
	time.AfterFunc(fleet.OfferTime, func() { f.withdraw(w) })
	return *w
}

// withdraw ends a wait; a place that was offered for it goes on.
func (f *fakeFunctions) withdraw(at *func()) {
	f.mu.Lock()
	is := func(w *func()) bool { return w == at }
	n := len(f.offered)
	f.waiters, f.offered = slices.DeleteFunc(f.waiters, is), slices.DeleteFunc(f.offered, is)
	var w func()
	if len(f.offered) < n {
		w = f.next()
	}
	f.mu.Unlock()
	if w != nil {
		w()
	}
}

func decode(inv function.Invocation) invocation {
	var event struct {
		Records []struct {
			EventID string
			Kinesis struct {
				PartitionKey, SequenceNumber string
				Data                         []byte
			}
		}
		Window                 struct{ Start, End time.Time }
		State                  json.RawMessage
		ShardID                string
		IsFinalInvokeForWindow bool
	}
	if err := json.Unmarshal(inv.Payload, &event); err != nil {
		panic(err)
	}
	call := invocation{
		at: time.Now(), arrived: inv.LastArrival, requestID: inv.RequestID, shard: event.ShardID, window: event.Window,
		state: event.State, final: event.IsFinalInvokeForWindow, payload: string(inv.Payload),
	}
	for _, r := range event.Records {
		call.shard, _, _ = strings.Cut(r.EventID, ":")
		call.keys = append(call.keys, r.Kinesis.PartitionKey)
		call.data = append(call.data, string(r.Kinesis.Data))
		call.sequences = append(call.sequences, r.Kinesis.SequenceNumber)
	}
	return call
}

// theFunction fails unless a reference is to a function of the tests: names carry no qualifier.
func theFunction(ref function.Ref) {
	if ref.Account != account || ref.Region != region || strings.Contains(ref.Name, ":") {
		panic(fmt.Sprintf("%+v is no function of these tests", ref))
	}
}

func (f *fakeFunctions) Enrol(ref function.Ref, waiter func()) (cancel func()) {
	theFunction(ref)
	f.mu.Lock()
	at := &waiter
	f.waiters = append(f.waiters, at)
	now := f.next()
	f.mu.Unlock()
	if now != nil {
		now()
	}
	return func() { f.withdraw(at) }
}

func (f *fakeFunctions) Changed(ref function.Ref) <-chan struct{} {
	theFunction(ref)
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

func (f *fakeFunctions) Find(ref function.Ref, qualifier string) (*function.Configuration, bool) {
	theFunction(ref)
	f.mu.Lock()
	defer f.mu.Unlock()
	version, _, found := f.named.Resolve(qualifier, f.version)
	if f.missing || !found {
		return nil, false
	}
	c := &function.Configuration{Version: version, Role: cmp.Or(f.roles[version], f.role)}
	if f.updating {
		c.UpdateStatus = function.InProgress
	}
	return c, true
}

// change does f under the lock, tells watchers, and offers the room that came of it.
func (f *fakeFunctions) change(do func()) {
	f.mu.Lock()
	do()
	close(f.changed)
	f.changed = make(chan struct{})
	var free []func()
	for w := f.next(); w != nil; w = f.next() {
		free = append(free, w)
	}
	f.mu.Unlock()
	for _, w := range free {
		w()
	}
}

func (f *fakeFunctions) seen() []invocation {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// delivered returns the data of all records in the order of their deliveries.
func (f *fakeFunctions) delivered() []string {
	var out []string
	for _, c := range f.seen() {
		out = append(out, c.data...)
	}
	return out
}

// world is every room around an engine, over one store.
type world struct {
	pace      engine.Pace
	t         *testing.T
	store     storage.Store
	coord     *faultyCoord                      // of mappings and checkpoints
	source    func(source.Source) source.Source // what the engine sees of a source; nil: all of it
	budget    int64
	observe   func(engine.Observation)
	trace     func(engine.Machine) engine.Tracer
	clock     *clock.Clock
	streams   *stream.Streams
	queues    *queue.Queues
	topics    *topic.Topics
	bucket    destinationtest.Objects // that S3 destinations are
	mappings  *mapping.Mappings
	functions *fakeFunctions
	engine    *engine.Engine
	log       *bytes.Buffer
	metrics   *metric.Store

	notice atomic.Pointer[chan struct{}] // sends wait until it is closed; nil: they do not

	hintsMu sync.Mutex
	hints   []string // given so far
}

// hinted returns the advice given so far.
func (w *world) hinted() []string {
	w.hintsMu.Lock()
	defer w.hintsMu.Unlock()
	return slices.Clone(w.hints)
}

func newWorld(t *testing.T, shards int) *world {
	return newWorldOn(t, shards, func(c storage.Coord) storage.Coord { return c })
}

// newWorldOn returns a world whose mappings and checkpoints lie in what over makes of the store's Coord.
func newWorldOn(t *testing.T, shards int, over func(storage.Coord) storage.Coord) *world {
	c := clock.New(0)
	w := &world{
		t: t, store: memory.New(memory.Options{Clock: c}), clock: c, functions: newFakeFunctions(),
		log: &bytes.Buffer{},
	}
	w.streams = stream.New(stream.Options{Store: w.store, Clock: c})
	w.must(w.streams.Start(t.Context()))
	w.must(w.streams.Create(t.Context(), orders, stream.CreateInput{Shards: shards}))
	var err error
	w.queues, err = queue.New(queue.Options{Local: w.store.Local(), Clock: c})
	w.must(err)
	w.must(w.queues.Start(t.Context()))
	w.must(w.queues.Create(t.Context(), dead, queue.Given{}))
	w.topics, err = topic.New(topic.Options{Local: w.store.Local(), Queues: testQueues{w.queues}, Clock: c})
	w.must(err)
	w.coord = &faultyCoord{Coord: over(w.store.Coord())}
	w.metrics, err = metric.New(metric.Options{Local: w.store.Local(), Clock: c})
	w.must(err)
	w.mappings = mapping.New(mapping.Options{
		Coord: w.coord, Clock: c, Sources: testSources{w.streams}, Functions: testFunctions{}, NewUUID: counted(),
	})
	w.start()
	return w
}

// counted gives out UUIDs in order. Jitter is seeded by them, so a test that would fail once in fifty runs fails in all
// of them or in none.
func counted() func() string {
	var n atomic.Int64
	return func() string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n.Add(1)) }
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) start() {
	w.t.Helper()
	w.engine = w.newEngine()
	w.must(w.engine.Start(w.t.Context()))
}

func (w *world) newEngine() *engine.Engine {
	return engine.New(engine.Options{
		Trace: w.trace, Mappings: w.mappings, Functions: w.functions, Checkpoints: checkpoint.New(w.coord),
		BufferMemory: w.budget,
		Clock:        w.clock, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Metrics: w.metrics, Pace: w.pace,
		Hinted: func(of function.Ref, hint string) {
			if of.Account != account || of.Region != region || of.Name != "f" {
				w.t.Errorf("a hint about %s", of)
			}
			w.hintsMu.Lock()
			defer w.hintsMu.Unlock()
			w.hints = append(w.hints, hint)
		},
		Destinations: destination.Table{
			destination.SQS(heldQueues{testQueues{w.queues}, w}), destination.SNS(testTopics{w.topics}),
			destination.S3(&w.bucket),
		},
		Ownership: w.everything(),
		Observe: func(o engine.Observation) {
			if w.observe != nil {
				w.observe(o)
			}
		},
		Source: func(m mapping.Mapping) source.Source {
			s := source.Source(source.NewKinesis(w.streams, m.Stream, m.EventSourceARN, m.Region))
			if m.Consumer() {
				s = source.NewConsumer(w.streams, m.Stream, m.EventSourceARN, m.Region, m.UUID)
			}
			if w.source != nil {
				return w.source(s)
			}
			return s
		},
	})
}

// everything is the ownership of an engine that has the store for itself.
func (w *world) everything() engine.Ownership {
	epoch, err := checkpoint.New(w.store.Coord()).Epoch(w.t.Context())
	w.must(err)
	return engine.Everything(epoch)
}

// close ends everything, so that the bubble can end.
func (w *world) close() {
	w.engine.Stop(w.t.Context())
	w.functions.handlers.Wait()
	if n := len(w.functions.waiters); n > 0 {
		w.t.Errorf("%d lanes stand in line for a function, and nothing runs any more", n)
	}
	if n := w.functions.spoiled; n > 0 {
		w.t.Errorf("%d payloads were changed while handlers ran", n)
	}
	w.must(w.mappings.Close(w.t.Context()))
	w.queues.Stop()
	w.metrics.Stop()
	w.streams.Stop()
	w.must(w.store.Close())
}

func p[T any](v T) *T { return &v }

// create makes a mapping with the given knobs, of f unless they say otherwise, and waits until it is at rest.
func (w *world) create(k mapping.Knobs) string {
	w.t.Helper()
	return createMapping(w.t, w.mappings, k)
}

func createMapping(t *testing.T, at *mapping.Mappings, k mapping.Knobs) string {
	t.Helper()
	if k.FunctionName == nil {
		k.FunctionName = p("f")
	}
	m, _, err := at.Create(t.Context(), caller, mapping.CreateInput{
		Knobs: k, EventSourceARN: p(orders.ARN()), StartingPosition: p("TRIM_HORIZON"),
	})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return m.UUID
}

func (w *world) put(key string, data ...string) {
	w.t.Helper()
	putRecords(w.t, w.streams, key, data)
}

func putRecords(t *testing.T, to *stream.Streams, key string, data []string) {
	t.Helper()
	recs := make([]record.Record, len(data))
	for i, d := range data {
		recs[i] = record.Record{Key: key, Data: []byte(d)}
	}
	if _, err := to.PutRecords(t.Context(), orders, recs); err != nil {
		t.Fatal(err)
	}
}

// pass lets time pass in the bubble.
func (w *world) pass(d time.Duration) { pass(d) }

func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (w *world) update(uuid string, k mapping.Knobs) {
	w.t.Helper()
	_, _, err := w.mappings.Update(w.t.Context(), caller, uuid, mapping.UpdateInput{Knobs: k})
	w.must(err)
}

// advance moves the clock on, as a user who waits for what is due.
func (w *world) advance(d time.Duration) {
	w.t.Helper()
	_, err := w.clock.Advance(w.t.Context(), d, func(context.Context) error {
		synctest.Wait()
		for !w.engine.Idle() {
			w.pass(time.Millisecond)
		}
		return nil
	})
	w.must(err)
}

func (w *world) state(uuid string) mapping.Mapping {
	w.t.Helper()
	m, err := w.mappings.Get(w.t.Context(), caller, uuid)
	w.must(err)
	return *m
}

// notices are the bodies in the dead-letter queue.
func (w *world) notices() (bodies []string) {
	w.t.Helper()
	return w.messages(dead)
}

// messages empties a queue.
func (w *world) messages(of queue.Name) (bodies []string) {
	w.t.Helper()
	for {
		got, err := w.queues.Receive(w.t.Context(), of, queue.ReceiveInput{Max: 10})
		w.must(err)
		if len(got) == 0 {
			return bodies
		}
		for _, m := range got {
			bodies = append(bodies, m.Body)
		}
	}
}

func numbered(from, to int) (out []string) {
	for i := from; i <= to; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

func failure() function.Result { return failed("Exception") }

// failed returns a failure with an error type.
func failed(kind string) function.Result {
	return function.Result{
		Class: function.FunctionError, Payload: fmt.Appendf(nil, `{"errorMessage":"as asked","errorType":%q}`, kind),
		ErrorKind:  function.Unhandled,
		StatusCode: 200, ExecutedVersion: function.Latest,
	}
}

func ok() function.Result {
	return function.Result{
		Class: function.Success, Payload: []byte("null"), StatusCode: 200, ExecutedVersion: function.Latest,
	}
}

// poisoned fails every batch that holds data.
func poisoned(data string) func(invocation) function.Result {
	return func(i invocation) function.Result {
		if slices.Contains(i.data, data) {
			return failure()
		}
		return ok()
	}
}

type testSources struct{ streams *stream.Streams }

func (s testSources) Lookup(ctx context.Context, arn, account, region string) (mapping.Source, error) {
	if id, _, err := stream.ParseConsumerARN(arn, account); err == nil {
		if _, err := s.streams.Consumer(ctx, id); err != nil {
			return mapping.Source{}, fault.New(fault.CodeInvalidParameter, "Stream consumer not found: %s", arn)
		}
		found, err := s.Lookup(ctx, id.Stream.ARN(), account, region)
		found.ARN = arn
		return found, err
	}
	info, err := s.streams.LookupARN(ctx, arn, account, region)
	if fault.CodeOf(err) == fault.CodeNotFound {
		return mapping.Source{}, fault.New(fault.CodeInvalidParameter, "Stream not found: %s", arn)
	}
	if err != nil {
		return mapping.Source{}, err
	}
	return mapping.Source{ID: info.ID, ARN: info.ARN}, nil
}

func (s testSources) Starts(ctx context.Context, id uint32, position string, at record.Millis) (
	map[record.ShardID]record.Position, error,
) {
	info, ok, err := s.streams.LookupID(ctx, id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fault.New(
			fault.CodeInvalidParameter, "Stream not found: it was deleted while the mapping was created.",
		)
	}
	out := map[record.ShardID]record.Position{}
	for _, sh := range info.Shards {
		kind := stream.TrimHorizon
		switch position {
		case mapping.Latest:
			kind = stream.Latest
		case mapping.AtTimestamp:
			kind = stream.AtTimestamp
		}
		if out[sh.ID], err = s.streams.Resolve(ctx, id, sh.ID, stream.Start{Kind: kind, At: at}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// testFunctions is a Functions in which every name but absent exists, with version 1 and alias live.
type testFunctions struct{}

func (testFunctions) Lookup(_ context.Context, name, account, region string) (
	arn, short, hint string, ok bool, err error,
) {
	n, err := function.ParseName(name, function.Caller{Account: account, Region: region})
	known := slices.Contains([]string{"", function.Latest, "1", "live"}, n.Qualifier)
	return n.ARN(), n.Ref.Name, "", n.Ref.Name != "absent" && known, err
}

// heldQueues are queues that take their time if the world says so.
type heldQueues struct {
	testQueues
	w *world
}

func (q heldQueues) SendNotice(ctx context.Context, account, region, name, id string, body []byte) error {
	if held := q.w.notice.Load(); held != nil {
		select {
		case <-*held:
		case <-ctx.Done():
			return fault.New("Abandoned", "The sender has left, and takes that for a no.")
		}
	}
	return q.testQueues.SendNotice(ctx, account, region, name, id, body)
}

type testQueues struct{ queues *queue.Queues }

func (q testQueues) SendNotice(ctx context.Context, account, region, name, id string, body []byte) error {
	_, err := q.queues.Send(ctx, queue.Name{Account: account, Region: region, Name: name}, queue.Message{
		Body: string(body), DedupID: id,
	})
	return err
}
