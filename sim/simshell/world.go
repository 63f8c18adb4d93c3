package simshell

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// knobs are what kind of world it is.
type knobs struct {
	shards      int
	keys        int
	sizes       [2]int        // of data, in bytes: from, below
	burst       int           // records in one put at most
	backlog     int           // bytes that are put before the mapping begins
	slowDisk    time.Duration // how long a sync of the log takes at most
	dieAtSync   int           // in a thousand syncs
	diskFails   bool
	commitFails int // in a hundred commits of small values
	readFails   int // in a hundred
	lateReads   bool
	partial     bool // the function reports failed items
	windowed    bool
	poison      int // in a hundred records
	fails       int // in a hundred invocations
	slow        time.Duration
	meddling    time.Duration
	owners      int // engines over the one store

	// What a world has beside all that, in any combination.
	filtered  bool // filters, and changes of them
	qualified bool // versions of the function, and an alias that moves between them
	recreated bool // the mapping is deleted and created again
	paced     bool // everything takes as long as on AWS
	adjusted  bool // settings of the stream change, its tags and consumers, and the limits that it starts under
	consumed  bool // consumers come, go and read
}

// rough reports whether syncs fail or take their time. Then nothing is trimmed: Pebble flushes a trim a second later on
// a goroutine of its own, and holds a mutex while it waits for the log, so the time of the bubble would stand still.
func (k *knobs) rough() bool { return k.diskFails || k.slowDisk > 0 }

// world is everything that happens in one run. The root goroutine of the bubble meddles; everything else is started by
// it.
type world struct {
	t        *testing.T
	seed     uint64
	opts     Options
	rng      *rand.Rand // the root goroutine's alone
	more     *rand.Rand // as rng, of what a world has beside
	dice     dice
	began    time.Time
	knobs    knobs
	memory   int64 // buffer memory, in bytes
	recorder recorder
	calm     atomic.Bool // faults have stopped
	red      atomic.Bool
	offset   atomic.Int64   // of the product's clock, in nanoseconds
	pending  sync.WaitGroup // puts, and code that runs longer than its caller waits

	// The root goroutine's alone.
	p         *process
	processes int
	nodes     int // that ever were
	owners    owners
	stream    uint32
	config    mapping.Knobs
	enabled   bool
	slots     int
	sieve     sieve  // the mapping's filters
	stored    string // as they are stored
	quota     int    // of filters
	q         qualified
	settings  settings // of the stream
	consumers consumers

	generation atomic.Uint64           // of the mapping
	current    atomic.Pointer[process] // that records are put to

	mu         sync.Mutex
	complaints []string
	kept       time.Duration // how long the stream keeps records
	horizon    time.Time     // what arrived before is gone, however long records are kept now
	lines      []string
	rep        Report
	judge
}

func newWorld(t *testing.T, seed uint64, o Options) *world {
	r := rand.New(rand.NewPCG(seed, 0x7368656c6c))
	w := &world{
		t: t, seed: seed, opts: o, rng: r, dice: dice{seed: seed, seen: map[string]uint64{}}, began: time.Now(),
		enabled: true, kept: stream.DefaultRetention, settings: newSettings(seed),
		judge: newJudge(),
		rep:   Report{Events: map[string]int{}},
	}
	w.knobs = knobs{
		shards: pick(r, 1, 1, 2, 3), keys: pick(r, 1, 3, 8, 16), burst: pick(r, 3, 10, 40), slowDisk: pick(r, 0, 0,
			20*time.Millisecond, 200*time.Millisecond),
		dieAtSync: pick(r, 0, 0, 5, 20), diskFails: r.IntN(4) == 0, commitFails: pick(r, 0, 0, 5, 20),
		readFails: pick(r, 0, 0, 3, 10),
		lateReads: r.IntN(2) == 0, partial: r.IntN(2) == 0, windowed: r.IntN(5) == 0, poison: pick(r, 0, 2, 4),
		fails: pick(r, 0, 4, 12),
		slow:  pick(r, 50*time.Millisecond, 800*time.Millisecond), meddling: pick(r, 2*time.Second, 5*time.Second,
			9*time.Second),
	}
	w.knobs.sizes = pick(r, [2]int{16, 17}, [2]int{16, 200}, [2]int{16, 3000})
	w.memory = pick(r, int64(1), 200_000, 4<<20, 1<<40, 1<<40)
	if r.IntN(6) == 0 { // reads are cut, and buffers fill
		w.knobs.sizes = pick(r, [2]int{20_000, 40_000}, [2]int{1, 100_000}, [2]int{900, 1100})
		w.knobs.backlog = pick(r, 8<<20, 14<<20)
		w.knobs.shards, w.knobs.slow = 1, 200*time.Millisecond
		if w.knobs.sizes[1] < 2000 {
			w.knobs.backlog = 9 << 20
		}
	}
	w.knobs.owners = pick(r, 1, 1, 2)
	w.slots = pick(r, 1, 2, 4, 12, -1)
	w.more = rand.New(rand.NewPCG(seed, 0x6d6f7265))
	w.quota = mapping.DefaultMaxFilters
	if m := w.more; !o.Plain {
		w.knobs.filtered, w.knobs.qualified = m.IntN(2) == 0, m.IntN(3) == 0
		w.knobs.recreated, w.knobs.paced = m.IntN(3) == 0, m.IntN(5) == 0
	}
	// A paced stream is UPDATING for seconds after each change, and its consumers come and go as slowly.
	w.knobs.adjusted = w.settings.rng.IntN(2) == 0 && !w.knobs.paced && !o.Plain
	if w.knobs.filtered {
		w.quota = pick(w.more, mapping.DefaultMaxFilters, mapping.MaxMaxFilters)
		if w.more.IntN(2) == 0 {
			w.sieve = w.anySieve(2)
		}
	}
	if w.knobs.qualified {
		w.q = qualified{versions: 2, alias: 1, qualifier: live}
	}
	w.config = w.anyKnobs()
	w.runsNow()
	if r := rand.New(rand.NewPCG(seed, 0x636f6e73)); !o.Plain && r.IntN(3) == 0 {
		w.knobs.consumed = true
		w.consumers = consumers{r: r, known: map[string]*registered{}, of: map[uint64]place{}}
	}
	return w
}

func ptr[T any](v T) *T { return &v }

// anyKnobs draws a mapping's knobs.
func (w *world) anyKnobs() mapping.Knobs {
	r := w.rng
	k := mapping.Knobs{
		BatchSize: ptr(pick(r, int64(1), 2, 5, 10, 25, 100)), BatchingWindowSeconds: ptr(pick(r, int64(0), 0, 0, 1, 3)),
		ParallelizationFactor: ptr(pick(r, int64(1), 1, 2, 4, 10)), MaxRetries: ptr(pick(r, int64(-1), 0, 1, 2, 4)),
		MaxAgeSeconds: ptr(pick(r, int64(-1), -1, 60, 120)), Bisect: ptr(r.IntN(2) == 0),
		TumblingWindowSeconds: ptr(int64(0)),
		Destination:           &mapping.DestinationConfig{OnFailure: pick(r, "", deadARN, deadARN, deadARN)},
	}
	if w.knobs.backlog > 0 {
		k.BatchSize = ptr(pick(r, int64(10), 100, 100, 1000))
		k.ParallelizationFactor = ptr(pick(r, int64(1), 1, 2))
	}
	if w.knobs.windowed {
		k.ParallelizationFactor, k.TumblingWindowSeconds = ptr(int64(1)), ptr(pick(r, int64(0), 3, 10, 25))
	}
	if w.knobs.partial {
		k.ResponseTypes = []string{"ReportBatchItemFailures"}
	}
	return k
}

// run plays faults for a while, stops them, waits for everything to end, and looks at what is left.
func (w *world) run() {
	defer w.pending.Wait()
	for what, is := range map[string]bool{
		"worlds with filters": w.knobs.filtered, "worlds with qualifiers": w.knobs.qualified,
		"worlds at AWS's pace": w.knobs.paced, "worlds with settings": w.knobs.adjusted,
		"worlds with consumers": w.knobs.consumed,
	} {
		if is {
			w.count(what)
		}
	}
	if !w.begin() {
		return
	}
	defer func() {
		w.dismiss()
		w.p.bury()
	}()
	w.busy(20*time.Second + upTo(w.rng, 40*time.Second))
	if w.red.Load() {
		w.p.die(0)
		return
	}
	w.settleDown()
	if w.red.Load() {
		w.p.die(0)
		return
	}
	w.probe()
	w.finish()
}

// begin makes the store, the stream and the mapping, and starts the first process.
func (w *world) begin() bool {
	p, err := w.open(vfs.NewCrashableMem())
	if err != nil {
		w.say("a new store does not open: %v", err)
		return false
	}
	w.p, w.owners = p, owners{map[record.ShardID]*node{}}
	w.current.Store(p)
	ctx := context.Background()
	if err := p.streams.Create(ctx, orders, stream.CreateInput{Shards: w.knobs.shards}); err != nil {
		w.say("create the stream: %v", err)
		return false
	}
	for w.learn(p).Status != stream.Active && !w.red.Load() {
		pause(time.Second)
	}
	for n := w.knobs.backlog; n > 0; {
		recs, bytes := w.records(w.rng, max(1, min(300, 4<<20/w.knobs.sizes[1])))
		w.put(p, recs)
		n -= bytes
	}
	if w.knobs.consumed && !w.register(p) {
		return false
	}
	in := mapping.CreateInput{
		Knobs: w.config, EventSourceARN: ptr(w.sourceARN()),
		StartingPosition: ptr(mapping.TrimHorizon),
	}
	in.FunctionName = ptr(w.target())
	if w.knobs.filtered {
		in.Filters = w.sieve.patterns()
		w.config.Filters, w.stored = in.Filters, list(in.Filters)
	}
	if _, _, err := p.nodes[0].mappings.Create(ctx, caller, in); err != nil {
		w.say("create the mapping: %v", err)
		return false
	}
	w.configured(w.config, false)
	w.distribute(w.learn(p))
	if err := p.start(); err != nil {
		w.say("start the engine: %v", err)
		return false
	}
	w.subscriber(p)
	return true
}

// busy lets records come and things go wrong for a while.
func (w *world) busy(d time.Duration) {
	end := time.Now().Add(d)
	produced := make(chan struct{})
	go func() {
		defer close(produced)
		r := rand.New(rand.NewPCG(w.seed, 0x70726f64))
		for time.Now().Before(end) && !w.red.Load() {
			if p := w.current.Load(); !p.dead.Load() && p.ready.Load() {
				recs, _ := w.records(r, 1+r.IntN(w.knobs.burst))
				w.pending.Go(func() { w.put(p, recs) })
			}
			pause(upTo(r, 2*time.Second))
		}
	}()
	for time.Now().Before(end) && !w.red.Load() {
		next := time.NewTimer(upTo(w.rng, w.knobs.meddling))
		select {
		case <-w.p.died:
			w.crashed()
		case <-next.C:
			synctest.Wait()
			w.mu.Lock()
			if !w.p.dead.Load() {
				w.judgeLine(w.p)
			}
			w.mu.Unlock()
			if w.knobs.consumed && w.consumers.r.IntN(2) == 0 {
				w.consume()
			}
			if w.knobs.adjusted && w.settings.rng.IntN(2) == 0 {
				w.adjust()
			} else if !w.extra() {
				w.meddle()
			}
		}
		next.Stop()
	}
	<-produced
}

// crashed goes on with a new process after the death of one.
func (w *world) crashed() {
	w.mu.Lock()
	w.rep.Crashes++
	w.forgive(w.now())
	w.mu.Unlock()
	w.dismiss()
	w.p.bury()
	w.mu.Lock()
	w.forgive(w.now())
	w.mu.Unlock()
	w.boot(w.p.after.Load())
}

// boot starts a process on what the last one left.
func (w *world) boot(fs *vfs.MemFS) {
	p, err := w.open(fs)
	if err != nil {
		w.say("what a crash left does not open: %v", err)
		w.p = p
		if p == nil || p.store == nil {
			w.t.Fatalf("seed %d: what a crash left does not open: %v", w.seed, err)
		}
		return
	}
	w.p = p
	w.current.Store(p)
	w.owners = owners{map[record.ShardID]*node{}}
	info := w.learn(p)
	w.judgeReopened(p)
	w.look(p)
	w.judgeEncryption(p)
	w.distribute(info)
	if err := p.start(); err != nil {
		w.say("start the engine: %v", err)
	}
	w.subscriber(p)
}

// restart ends the process as a user does, and starts another one.
func (w *world) restart() {
	w.mu.Lock()
	if w.knobs.filtered {
		w.quota = pick(w.more, mapping.DefaultMaxFilters, mapping.MaxMaxFilters)
	}
	w.rep.Restarts++
	w.logf("restart")
	w.mu.Unlock()
	p := w.p
	p.gentle.Store(true)
	w.dismiss()
	p.stop()
	if p.dead.Load() {
		w.crashed()
		return
	}
	p.retired.Store(true)
	w.boot(p.fs)
}

// now is the time of the product's clock.
func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) }

// settleDown stops the faults and waits until every promise is kept.
func (w *world) settleDown() {
	w.note("faults stop")
	w.calm.Store(true)
	w.slots = -1
	if w.p.dead.Load() {
		<-w.p.died
		w.crashed()
	}
	w.disturb(0)
	w.p.functions.change(func() { w.p.functions.limit, w.p.functions.missing = -1, false })
	k := w.config
	if *k.MaxRetries < 0 {
		k.MaxRetries = ptr(int64(2))
	}
	w.update(k)
	if !w.enabled {
		w.enable(true)
	}
	for w.learn(w.p).Status != stream.Active && !w.red.Load() { // a reshard takes its time
		w.linger(time.Second)
	}
	w.look(w.p)
	w.distribute(w.learn(w.p))
	if w.knobs.owners > 1 {
		// an owner begins when its own attempts under an older grant have ended, and may wait for a zombie's
		pause(zombies)
	}
	for n := 0; ; n++ {
		open := w.open1()
		if open == "" || w.red.Load() {
			return
		}
		if n > 3600 {
			w.say("it does not end within an hour: %s", open)
			return
		}
		pause(time.Second)
	}
}

// probe puts a few records into the calm: nothing holds them up.
func (w *world) probe() {
	window := time.Duration(*w.config.BatchingWindowSeconds) * time.Second
	if w.knobs.paced {
		window += 2 * engine.AWSPace().Poll
	}
	if w.memory < 1<<30 {
		// a shard that holds one batch for its window reads the next record after that, and so do its lanes
		window *= 10
	}
	for range 6 {
		var all sync.WaitGroup
		for range 1 + w.rng.IntN(3) {
			recs, _ := w.records(w.rng, 1+w.rng.IntN(3))
			w.mu.Lock()
			for i := range recs {
				w.sent[w.idAt(&recs[i])].poison = false
			}
			w.mu.Unlock()
			all.Go(func() { w.put(w.p, recs) })
			pause(upTo(w.rng, 30*time.Millisecond))
		}
		all.Wait()
		pause(window + probeSlack)
		w.judgeProbe(window + probeSlack)
		if w.red.Load() {
			return
		}
	}
	for n := 0; w.open1() != "" && !w.red.Load(); n++ { // a tumbling window ends
		if n > 600 {
			w.say("the windows do not end within minutes: %s", w.open1())
		}
		pause(time.Second)
	}
}

// probeSlack is how much later than its batching window a record may come to a function that is free, for slow reads
// and the pauses between two of them.
const probeSlack = 2 * time.Second

// finish stops the last process and judges what it leaves on the disk.
func (w *world) finish() {
	p := w.p
	w.mu.Lock()
	w.judgeIdle(p)
	w.judgeComplete()
	w.mu.Unlock()
	w.dismiss()
	p.stop()
	if w.red.Load() {
		return
	}
	after := p.fs.CrashClone(vfs.CrashCloneCfg{})
	last, err := w.open(after)
	if err != nil {
		w.say("what a clean stop left does not open: %v", err)
		return
	}
	w.p = last
	w.learn(last)
	w.judgeReopened(last)
	w.look(last)
	w.judgeEncryption(last)
	w.judgeEnd(last)
}

// records makes records that were never put before, and tells how many bytes they are.
func (w *world) records(r *rand.Rand, n int) (recs []record.Record, bytes int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range n {
		if bytes > 8<<20 {
			break
		}
		id := uint64(len(w.sent)) + 1
		size := w.knobs.sizes[0] + r.IntN(max(1, w.knobs.sizes[1]-w.knobs.sizes[0]))
		if w.knobs.backlog == 0 && r.IntN(600) == 0 {
			size = 900_000
		}
		key := w.keyAt(r.IntN(w.knobs.keys))
		rec := record.Record{Key: keyName(key), Hash: record.HashKey{key}, Explicit: true, Data: w.dataOf(id, size)}
		w.sent[id] = &sent{key: key, poison: w.knobs.backlog == 0 && r.IntN(100) < w.knobs.poison}
		recs = append(recs, rec)
		bytes += len(rec.Data)
	}
	return recs, bytes
}

// keyAt is the n-th key of a world.
func (w *world) keyAt(n int) byte { return byte(n * 256 / w.knobs.keys) }

func keyName(key byte) string { return fmt.Sprintf("key-%02x", key) }

func (w *world) idAt(r *record.Record) uint64 {
	id, err := idOf(r.Data)
	if err != nil {
		panic(err)
	}
	return id
}

// put puts records and enters those that are acknowledged.
func (w *world) put(p *process, recs []record.Record) {
	placed, err := p.streams.PutRecords(context.Background(), orders, recs)
	for i := range placed { // a reshard that has just ended may be known here first
		if placed[i].Fault == nil {
			w.shardOf(p, placed[i].Shard)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.logf("put: %v", err)
		return
	}
	if p.dead.Load() {
		return // its client never heard of it
	}
	for i := range placed {
		if placed[i].Fault != nil {
			w.logf("put: %v", placed[i].Fault)
			continue
		}
		w.acknowledged(w.idAt(&recs[i]), &recs[i], &placed[i])
	}
}
