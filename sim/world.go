package sim

import (
	"container/heap"
	"math/rand/v2"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/sim/book"
)

// epoch is the instant at which every world begins.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// world is everything that happens in one run.
type world struct {
	opts Options
	rng  *rand.Rand
	now  time.Time
	todo agenda
	seq  int

	cfg      esm.Config
	configs  []esm.Config // every one that was ever in force, for limits that may still hold
	shards   []*shard
	failures map[string]int  // of the function, by request id
	tooLarge map[string]bool // so was the payload
	mapping  *esm.Mapping
	process  int           // number of the running process; what an older one started does not come back to it
	calm     bool          // faults have stopped
	slots    int           // invocations that may run at once
	skew     time.Duration // how far arrivals may step back, and how far behind the time the tail is sealed
	running  int
	waiters  []waiter        // lanes that were refused
	received map[string]bool // notices at the destination, by id

	complaints []string
	trace      []string
	steps      int
	crashes    int
	calls      int
	windows    int
	notices    int
}

// shard is one shard of the stream: its log, its durable checkpoint, the machines that run it, and the judge's book
// about its records.
type shard struct {
	id      record.ShardID
	parents []record.ShardID
	log     []record.Record
	next    record.Position
	oldest  record.Position
	closed  bool
	saved   durable
	runner  *runner
	book    book.Book
}

// durable is a checkpoint as storage holds it.
type durable struct {
	checkpoint esm.Checkpoint
	revision   int
}

type waiter struct {
	r    *runner
	lane int
}

// thing is something that will happen.
type thing struct {
	at  time.Time
	seq int
	do  func()
}

type agenda []thing

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	if a[i].at.Equal(a[j].at) {
		return a[i].seq < a[j].seq
	}
	return a[i].at.Before(a[j].at)
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(thing)) }
func (a *agenda) Pop() any {
	old := *a
	t := old[len(old)-1]
	*a = old[:len(old)-1]
	return t
}

func newWorld(seed uint64, o Options) *world {
	w := &world{
		opts: o, rng: rand.New(rand.NewPCG(seed, 0x73696d)), now: epoch, failures: map[string]int{},
		tooLarge: map[string]bool{}, received: map[string]bool{},
	}
	w.slots = 1 + w.rng.IntN(12)
	w.skew = pick(w, 0, 0, 1500*time.Millisecond)
	w.cfg = w.anyConfig()
	w.configs = append(w.configs, w.cfg)
	for range 1 + w.rng.IntN(2) {
		w.addShard(nil)
	}
	return w
}

func (w *world) addShard(parents []record.ShardID) *shard {
	s := &shard{id: record.ShardID(len(w.shards)), parents: parents, next: 1, oldest: 1}
	w.shards = append(w.shards, s)
	return s
}

// clock returns the time since the beginning.
func (w *world) clock() string { return w.now.Sub(epoch).String() }

// in does something after a while.
func (w *world) in(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.todo, thing{w.now.Add(d), w.seq, do})
}

// chance is true in n of 100 cases, and never once faults have stopped.
func (w *world) chance(n int) bool { return w.rng.IntN(100) < n && !w.calm }

// upTo returns a random duration below d.
func (w *world) upTo(d time.Duration) time.Duration { return time.Duration(w.rng.Int64N(int64(d))) }

func pick[T any](w *world, of ...T) T { return of[w.rng.IntN(len(of))] }

// anyConfig draws a mapping's knobs.
func (w *world) anyConfig() esm.Config {
	c := esm.Config{
		BatchSize: pick(w, 1, 2, 3, 5, 10, 20), Factor: pick(w, 1, 1, 2, 3, 5),
		MaxRetries:     pick(w, 0, 1, 2, 3, 5, esm.Unlimited),
		MaxAge:         pick(w, 0, 0, 0, 20*time.Second, 60*time.Second),
		BatchingWindow: pick(w, 0, 0, 0, time.Second, 5*time.Second),
		Bisect:         w.rng.IntN(2) == 0, PartialResponses: w.rng.IntN(2) == 0, Destination: w.rng.IntN(4) != 0,
	}
	if c.TumblingWindow = pick(w, 0, 0, 3*time.Second, 10*time.Second, 25*time.Second); c.TumblingWindow != 0 {
		c.Factor = 1
	}
	return c.DefaultBackoff()
}

// run plays faults for a while, stops them, and waits for everything to end.
func (w *world) run() {
	w.boot()
	busy := 30*time.Second + w.upTo(90*time.Second)
	w.produce()
	w.meddle()
	w.in(busy, w.stopFaults)
	const limit = 200_000
	for len(w.todo) > 0 && len(w.complaints) == 0 {
		t := heap.Pop(&w.todo).(thing)
		if t.at.After(w.now) {
			w.now = t.at
		}
		t.do()
		if w.steps > limit {
			w.complain("it does not end after %d steps", w.steps)
		}
		if w.calm && w.now.Sub(epoch) > 6*time.Hour {
			w.complain("it does not end within hours")
		}
	}
	if len(w.complaints) == 0 {
		w.judgeEnd()
	}
}

// stopFaults makes the world kind, so that everything must come to an end.
func (w *world) stopFaults() {
	w.calm = true
	w.slots = 1000
	w.tracef("faults stop")
	c := w.cfg
	if c.MaxRetries < 0 {
		c.MaxRetries = 2
	}
	w.reconfigure(c)
	for _, s := range w.shards {
		if len(w.shards) > 2 || w.rng.IntN(2) == 0 { // some worlds end with every shard closed, some with open ones
			w.closeShard(s)
		}
	}
	w.list()
	w.freeSlots()
}

// boot starts a process: the machines go on from what is durable.
func (w *world) boot() {
	w.process++
	w.mapping = &esm.Mapping{}
	w.running, w.waiters = 0, nil
	w.mappingStep(esm.Desired{Enabled: true, Pending: esm.Creating})
	w.list()
}

// list tells the mapping machine which shards there are.
func (w *world) list() {
	var l []esm.ListedShard
	for _, s := range w.shards {
		l = append(l, esm.ListedShard{ID: s.id, Parents: s.parents, Ended: s.saved.checkpoint.Ended})
	}
	w.mappingStep(esm.ShardsListed{Shards: l})
	for _, s := range w.shards {
		w.mappingStep(esm.Owned{Shard: s.id, Epoch: 1})
	}
}

func (w *world) mappingStep(ev esm.MappingEvent) {
	for _, c := range append([]esm.MappingCommand(nil), w.mapping.Step(ev)...) {
		switch c := c.(type) {
		case esm.StartShard:
			w.judgeStart(w.shards[c.Shard])
			w.start(w.shards[c.Shard])
		case esm.ReleaseShard:
			w.tracef("shard %d is released, abandon=%t", c.Shard, c.Abandon)
			if r := w.shards[c.Shard].runner; r != nil {
				r.step(esm.Release{Abandon: c.Abandon})
			}
		case esm.Settle:
			w.tracef("mapping is %s", c.State)
			if c.State == esm.Disabled { // and back, after a while
				p := w.process
				w.in(w.upTo(5*time.Second), func() {
					if w.process == p {
						w.mappingStep(esm.Desired{Enabled: true, Pending: esm.Enabling})
					}
				})
			}
		case esm.Forget, esm.ForgetShard:
		}
	}
}
