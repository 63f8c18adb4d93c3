package sim

import (
	"container/heap"
	"math/rand/v2"
	"sort"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/filter"
	"github.com/shardmill/shardmill/function/fleet"
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
	nodes    []*node
	shards   []*shard
	disabled bool            // so shall the mapping be
	calm     bool            // faults have stopped
	skew     time.Duration   // how far arrivals may step back, and how far behind the time the tail is sealed
	format   format          // how large records are in a payload
	sizes    []int           // of the data of most records, in bytes
	most     int             // records of a shard
	memory   int64           // of a process for records, in bytes; 0: without a limit
	received map[string]bool // notices at the destination, by id
	filters  map[uint64]*filter.Filter

	complaints []string
	trace      []string
	steps      int
	crashes    int
	calls      int
	windows    int
	notices    int
	events     map[string]int
}

// shard is one shard of the stream: its log, its durable checkpoint, who owns it, and the judge's book about its
// records.
type shard struct {
	id      record.ShardID
	parents []record.ShardID
	lo, hi  byte // the first bytes of its hash keys, from and to
	log     []record.Record
	next    record.Position
	oldest  record.Position
	closed  bool
	expired bool // the stream lists it no more
	saved   durable
	owner   grant
	book    book.Book
	keys    map[byte][]*book.Entry       // of every key those not settled when it was looked at last, in order
	notices map[string][]record.Position // whose they are, by their ids
}

// durable is a checkpoint as storage holds it.
type durable struct {
	checkpoint esm.Checkpoint
	epoch      uint64 // of its owner; 0: there is none
	revision   int
}

// kept reports whether there is a checkpoint.
func (d *durable) kept() bool { return d.epoch != 0 }

// search returns the index of the first record at or beyond a position.
func (s *shard) search(from record.Position) int {
	return sort.Search(len(s.log), func(i int) bool { return s.log[i].Pos >= from })
}

// firstOf is the first record of a key that is not settled; nil when all are.
func (s *shard) firstOf(key byte) *book.Entry {
	for len(s.keys[key]) > 0 {
		if e := s.keys[key][0]; !e.Settled() {
			return e
		}
		s.keys[key] = s.keys[key][1:]
	}
	return nil
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
	w := &world{opts: o, rng: rand.New(rand.NewPCG(seed, 0x73696d)), now: epoch, received: map[string]bool{}}
	w.filters, w.events = map[uint64]*filter.Filter{}, map[string]int{}
	w.skew = pick(w, 0, 0, 1500*time.Millisecond)
	w.drawSizes()
	w.cfg = w.anyConfig()
	if w.rng.IntN(3) == 0 { // none, about a read of one shard, and a few
		w.memory = pick[int64](w, 1, 10_000_000, 13_000_000, 40_000_000)
	}
	for i := range 1 + w.rng.IntN(2) {
		n := &node{id: i}
		w.drawLimits(n)
		if w.memory != 0 {
			n.budget = engine.NewBudget(w.memory)
		}
		w.nodes = append(w.nodes, n)
	}
	if w.rng.IntN(2) == 0 {
		w.addShard(0, 255)
	} else {
		w.addShard(0, 127)
		w.addShard(128, 255)
	}
	return w
}

// drawSizes draws how large records are. In most worlds none of them fills anything; in some a few fill a payload,
// exactly or by a byte more or less, and a few dozen the buffer of a shard.
func (w *world) drawSizes() {
	w.sizes, w.most = []int{0, 1, 5, 9, 13, 19}, 80
	switch n := w.rng.IntN(400); {
	case n < 40:
		size := pick(w, 0, 1, 10, 60)
		w.sizes = []int{size}
		if w.rng.IntN(2) == 0 {
			w.sizes = []int{size, size, size, size + 1, max(0, size-1)}
		}
		w.format.padding = (esm.MaxPayload-len(envelope))/pick(w, 1, 2, 3, 4, 6, 11) - recordHead - size
		w.most = 60
	case n == 40 && w.rng.IntN(4) == 0: // so many that their number fills the buffer
		w.most = 30_000
	}
}

// addShard makes a shard of the keys from lo to hi.
func (w *world) addShard(lo, hi byte, parents ...record.ShardID) *shard {
	s := &shard{
		id: record.ShardID(len(w.shards)), parents: parents, lo: lo, hi: hi, next: 1, oldest: 1,
		keys: map[byte][]*book.Entry{}, notices: map[string][]record.Position{},
		owner: grant{w.rng.IntN(len(w.nodes)), 1},
	}
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
		BatchSize: pick(w, w.batches()...), Factor: pick(w, 1, 1, 2, 3, 5),
		MaxRetries:     pick(w, 0, 1, 2, 3, 5, esm.Unlimited),
		MaxAge:         pick(w, 0, 0, 0, 20*time.Second, 60*time.Second),
		BatchingWindow: pick(w, 0, 0, 0, time.Second, 5*time.Second),
		Bisect:         w.rng.IntN(2) == 0, PartialResponses: w.rng.IntN(2) == 0, Destination: w.rng.IntN(4) != 0,
	}
	if c.TumblingWindow = pick(w, 0, 0, 3*time.Second, 10*time.Second, 25*time.Second); c.TumblingWindow != 0 {
		c.Factor = 1
	}
	c.Filter = w.anyFilter()
	c = c.WithDefaults()
	if c.BatchSize%2 == 1 { // not drawn, so that the seeds of older finds keep their worlds
		c.ReadAhead = 4
	}
	return c
}

// batches are the sizes of a batch that suit the number of records.
func (w *world) batches() []int {
	if w.most > 1000 {
		return []int{700, 2500, 10_000}
	}
	return []int{1, 2, 3, 5, 10, 20}
}

// run plays faults for a while, stops them, and waits for everything to end.
func (w *world) run() {
	for _, n := range w.nodes {
		w.boot(n)
	}
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
		w.judgeForgotten()
		w.judgeFunctions()
	}
}

// stopFaults makes the world kind, so that everything must come to an end.
func (w *world) stopFaults() {
	w.calm = true
	w.tracef("faults stop")
	c := w.cfg
	if c.MaxRetries < 0 {
		c.MaxRetries = 2
	}
	w.reconfigure(c)
	for _, s := range w.shards {
		if s.expired {
			continue
		}
		if len(w.shards) > 2 || w.rng.IntN(2) == 0 { // some worlds end with every shard closed, some with open ones
			w.closeShard(s)
		}
	}
	w.changed()
	if w.disabled {
		w.enableSoon()
	}
	for _, n := range w.nodes {
		w.limit(n, fleet.Limits{Account: 1000, Environments: 1000, IdleTTL: n.fn.limits.IdleTTL}, fleet.Unreserved)
	}
}

// since is a moment as the trace tells it.
func (w *world) since(t time.Time) string {
	if t.IsZero() {
		return "no moment"
	}
	return t.Sub(epoch).String()
}
