package sim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/filter"
	"github.com/shardmill/shardmill/record"
)

// Here two mappings read the same records of one shard, and differ in one respect that must not show: what the function
// gets through, what is given up, and the order of both for every key have to be the same. Nothing fails but the
// function, and that as each record has it.

// laws are the respects. Each changes one of two equal ways in which a shard is processed.
var laws = []struct {
	name   string
	change func(w *world, t *treatment)
}{
	{"batch size", func(w *world, t *treatment) {
		t.cfg.BatchSize = other(t.cfg.BatchSize, 1, 2+w.rng.IntN(99))
	}},
	{"batching window", func(w *world, t *treatment) {
		t.cfg.BatchingWindow = other(t.cfg.BatchingWindow, 0, 1+w.upTo(20*time.Second))
	}},
	{"tumbling window", func(w *world, t *treatment) {
		t.cfg.TumblingWindow = pick(w, time.Second, 3*time.Second, 25*time.Second, 5*time.Minute)
		t.cfg.Factor = 1
	}},
	{"factor", func(w *world, t *treatment) {
		t.cfg.Factor, t.cfg.TumblingWindow = other(t.cfg.Factor, 1, 2+w.rng.IntN(9)), 0
	}},
	{"filter or by hand", func(_ *world, t *treatment) { t.byHand, t.cfg.Filter = t.cfg.Filter, 0 }},
	{"reports of failed items", func(_ *world, t *treatment) { t.cfg.PartialResponses = !t.cfg.PartialResponses }},
	{"bisection", func(w *world, t *treatment) { t.cfg.Bisect = !t.cfg.Bisect || t.poison }},
	{"failures", func(_ *world, t *treatment) { t.steady = true }},
	{"memory", func(w *world, t *treatment) { t.memory = pick[int64](w, 1, 20_000, 10_000_000) }},
	{"crashes", func(w *world, t *treatment) { t.crashes = 1 + w.rng.IntN(4) }},
	{"an update under way", func(w *world, t *treatment) {
		c := w.anyTreatment(t.poison).cfg
		c.MaxRetries, c.Filter = t.cfg.MaxRetries, t.cfg.Filter
		t.later = &c
	}},
}

// other returns one, or otherwise if that is what there is already.
func other[T comparable](is, one, otherwise T) T {
	if is != one {
		return one
	}
	return otherwise
}

// treatment is how a shard is processed.
type treatment struct {
	cfg     esm.Config
	byHand  uint64 // a filter that is the function's own
	poison  bool   // some records never get through, and no other fails
	steady  bool   // records fail their first attempts no more
	memory  int64  // in bytes; 0: without a limit
	crashes int
	later   *esm.Config // from some moment on
}

func (w *world) anyTreatment(poison bool) treatment {
	c := w.anyConfig()
	c.MaxAge = 0
	if c.MaxRetries = esm.Unlimited; poison { // each is to be given up by itself
		c.MaxRetries, c.Bisect, c.Destination = w.rng.IntN(3), true, true
	}
	return treatment{cfg: c, poison: poison}
}

// arrival is a record and when it comes.
type arrival struct {
	after  time.Duration
	record record.Record
	fails  int // attempts before it gets through; negative: all
}

// anyArrivals draws what is put into the shard.
func (w *world) anyArrivals(poison bool) (all []arrival) {
	after, pos := time.Duration(0), record.Position(0)
	for range w.rng.IntN(80) {
		if w.rng.IntN(3) == 0 {
			after += w.upTo(pick(w, 10*time.Millisecond, time.Second, 8*time.Second))
		}
		pos += 1 + record.Position(w.rng.IntN(3))
		a := arrival{after: after, record: record.Record{
			Pos: pos, Arrival: record.MillisOf(epoch.Add(after)), Key: "k", Explicit: true,
			Hash: record.HashKey{byte(w.rng.IntN(8) * 32)}, Data: dataOf(pos, pick(w, w.sizes...)),
		}}
		if w.rng.IntN(12) == 0 {
			if a.fails = 1 + w.rng.IntN(3); poison {
				a.fails = -1
			}
		}
		all = append(all, a)
	}
	return all
}

// Agree has two treatments of one shard that must agree, as the seed draws them, and returns what they do not agree
// about, and the law that says so.
func Agree(seed uint64) (law string, complaints []string) {
	w := newTwin(seed, 0)
	l := laws[seed%uint64(len(laws))]
	poison := w.rng.IntN(3) == 0
	arrivals, closed := w.anyArrivals(poison), w.rng.IntN(2) == 0
	a := w.anyTreatment(poison)
	b := a
	l.change(w, &b)
	var got [2]outcome
	for i, t := range []treatment{a, b} {
		p := &play{world: newTwin(seed, uint64(i+1)), how: t, closed: closed}
		p.format, p.cfg = w.format, t.cfg
		got[i] = p.run(arrivals)
		for _, c := range p.complaints {
			complaints = append(complaints, fmt.Sprintf("%+v: %s", t, c))
		}
	}
	if len(complaints) > 0 {
		return l.name, complaints
	}
	for key := range 256 {
		if x, y := got[0].through[byte(key)], got[1].through[byte(key)]; !slices.Equal(x, y) {
			complaints = append(complaints, fmt.Sprintf("%+v gets %v of key %d through, %+v %v", a, x, key, b, y))
		}
		if x, y := got[0].given[byte(key)], got[1].given[byte(key)]; !slices.Equal(x, y) {
			complaints = append(complaints, fmt.Sprintf("%+v gives up %v of key %d, %+v %v", a, x, key, b, y))
		}
	}
	return l.name, complaints
}

// newTwin makes a world of which only the clock, the dice and the agenda are used.
func newTwin(seed, dice uint64) *world {
	w := &world{
		rng: rand.New(rand.NewPCG(seed, 0x6167726565+dice)), now: epoch, filters: map[uint64]*filter.Filter{},
	}
	w.drawSizes()
	w.most = 80
	return w
}

// outcome is what came of the records of every key: those that the function got through, in the order in which it first
// did, and those that were given up, likewise.
type outcome struct{ through, given map[byte][]record.Position }

// play is one treatment of the shard, in virtual time.
type play struct {
	*world
	how      treatment
	x        *engine.Executor
	budget   *engine.Budget
	life     int
	log      []record.Record
	closed   bool // the shard, after its last record
	put      bool // it has come
	fetch    engine.Fetch
	waits    bool
	saved    esm.Checkpoint
	finished bool
	fails    map[record.Position]int
	entries  map[record.Position]byte // the keys
	ended    map[record.Position]bool
	wakes    time.Time
	out      outcome
	windows  map[record.Millis]int // how many records the final state of a tumbling window counts
}

func (p *play) run(arrivals []arrival) outcome {
	p.out = outcome{map[byte][]record.Position{}, map[byte][]record.Position{}}
	p.fails, p.entries, p.ended = map[record.Position]int{}, map[record.Position]byte{}, map[record.Position]bool{}
	p.windows = map[record.Millis]int{}
	end := time.Second
	for i, a := range arrivals {
		p.in(a.after, func() {
			p.log = append(p.log, a.record)
			p.entries[a.record.Pos], p.fails[a.record.Pos] = a.record.Hash[0], a.fails
			if p.how.steady {
				p.fails[a.record.Pos] = min(0, a.fails)
			}
			p.put = i == len(arrivals)-1
			p.news()
		})
		end += a.after - end + time.Second
	}
	if len(arrivals) == 0 {
		p.put = true
	}
	p.boot()
	for range p.how.crashes {
		p.in(p.upTo(end*2), p.boot)
	}
	if p.how.later != nil {
		p.in(p.upTo(end*2), func() {
			p.cfg = *p.how.later
			p.step(esm.Reconfigured{Config: p.cfg})
		})
	}
	for steps := 0; len(p.todo) > 0 && len(p.complaints) == 0; steps++ {
		t := heap.Pop(&p.todo).(thing)
		if t.at.After(p.now) {
			p.now = t.at
		}
		t.do()
		if steps > 50_000 {
			p.complain("it does not end")
		}
	}
	p.judge()
	return p.out
}

// boot starts the machine from what is durable, whatever it was at before.
func (p *play) boot() {
	if p.finished {
		return
	}
	if p.x != nil {
		p.x.Close()
	}
	p.life++
	id := engine.Identity{Mapping: "agree", Stream: 1, FunctionARN: "function"}
	p.x = engine.NewExecutor(id, p.cfg, wholeRange, p.format, p.saved, p.rng.Uint64(), nil)
	if p.how.memory != 0 {
		p.budget = engine.NewBudget(p.how.memory)
		p.x.Share(p.budget)
	}
	p.x.Filter(p.compiled(p.cfg.Filter))
	p.waits, p.wakes = false, time.Time{}
	p.step(esm.Tick{})
}

// soon does something a little later, unless the machine is dead by then.
func (p *play) soon(within time.Duration, do func()) {
	life := p.life
	p.in(p.upTo(within), func() {
		if p.life == life && !p.finished {
			do()
		}
	})
}

func (p *play) step(ev esm.Event) {
	if p.finished {
		return
	}
	for _, e := range append([]engine.Effect(nil), p.x.Step(p.now, ev)...) {
		switch e := e.(type) {
		case engine.Fetch:
			p.fetch, p.waits = e, false
			if n := len(p.log); e.Wait && !(p.put && p.closed) && (n == 0 || e.From > p.log[n-1].Pos) {
				p.waits = true
				continue
			}
			p.read(e)
		case engine.Call:
			partial := p.cfg.PartialResponses // an update may change it before the answer
			p.soon(300*time.Millisecond, func() { p.call(e, partial) })
		case engine.CancelCall:
			p.complain("an invocation is cancelled")
		case engine.Announce:
			p.announce(e)
		case engine.Keep:
			p.soon(50*time.Millisecond, func() {
				p.saved = e.Checkpoint
				p.step(esm.Saved{Result: esm.SaveDone})
			})
		case engine.Done:
			p.finished = true
		}
	}
	if wake := p.x.Wake(); !wake.IsZero() && !wake.Equal(p.wakes) {
		p.wakes = wake
		life := p.life
		p.in(max(0, wake.Sub(p.now)), func() {
			if p.life == life && p.wakes.Equal(wake) {
				p.wakes = time.Time{}
				p.step(esm.Tick{})
			}
		})
	}
}

// news answers a read that waits.
func (p *play) news() {
	if p.waits {
		p.waits = false
		p.read(p.fetch)
	}
}

func (p *play) read(f engine.Fetch) {
	limit, reserved := f.Limit, int64(0)
	budget := p.budget
	if budget != nil {
		limit, reserved = budget.Reserve(f.Limit, f.Least)
	}
	scan := &runner{w: p.world, s: &shard{log: p.log, closed: p.put && p.closed}}
	got, next, end := scan.scan(f.From, limit)
	p.soon(50*time.Millisecond, func() {
		ev := p.x.Fetched(f.Seq, got, next, end)
		if budget != nil {
			budget.Return(reserved)
		}
		p.step(ev)
	})
}

// call is the function: it fails at the first record that has failures left, and says so as it may. With a tumbling
// window it counts.
func (p *play) call(c engine.Call, partial bool) {
	ps, in, ok := p.format.unpack(c.Payload)
	if !ok || len(ps) != c.Count {
		p.complain("a payload of %d records that cannot be taken apart", c.Count)
		return
	}
	mine := func(pos record.Position) bool { return passes(p.how.byHand, pos) }
	a := engine.Answer{Kind: engine.AnswerOK, StatusCode: 200}
	bad := slices.IndexFunc(ps, func(pos record.Position) bool { return mine(pos) && p.fails[pos] != 0 })
	var members []string
	if bad >= 0 {
		p.fails[ps[bad]] = max(-1, p.fails[ps[bad]]-1)
		if !partial {
			a = engine.Answer{Kind: engine.AnswerError, StatusCode: 200, FunctionError: "Unhandled"}
			ps = nil
		} else {
			members = append(members, `"batchItemFailures":[{"itemIdentifier":"`+identifier(ps[bad])+`"}]`)
			ps = ps[:bad]
		}
	}
	for _, pos := range ps {
		if !passes(p.cfg.Filter, pos) {
			p.complain("record %d is delivered against the filter", pos)
		}
		if mine(pos) && !p.ended[pos] {
			p.ended[pos] = true
			p.out.through[p.entries[pos]] = append(p.out.through[p.entries[pos]], pos)
		}
	}
	if in != nil && a.Kind == engine.AnswerOK {
		n := 0
		if in.State != "{}" {
			_, _ = fmt.Sscanf(in.State, `{"n":%d}`, &n)
		}
		for _, pos := range ps {
			if mine(pos) {
				n++
			}
		}
		if members = append(members, fmt.Sprintf(`"state":{"n":%d}`, n)); in.Final {
			p.windows[in.Start] = n
		}
	}
	a.Payload = []byte("{" + strings.Join(members, ",") + "}")
	p.step(p.x.Answered(c.Batch, a))
}

// announce takes a notice, of which there is one for each record that never gets through.
func (p *play) announce(a engine.Announce) {
	var first, last, count record.Position
	i := strings.Index(string(a.Body), `"batch":[`)
	_, err := fmt.Sscanf(string(a.Body[i:]), `"batch":[%d,%d,%d]`, &first, &last, &count)
	if err != nil || first != last {
		p.complain("a notice of more than one record: %s", a.Body)
		return
	}
	if !p.ended[first] {
		p.ended[first] = true
		p.out.given[p.entries[first]] = append(p.out.given[p.entries[first]], first)
	}
	p.soon(100*time.Millisecond, func() { p.step(esm.Delivered{Batch: a.Batch, Result: esm.DeliveryDone}) })
}

// judge complains of what is left when nothing happens any more.
func (p *play) judge() {
	if len(p.complaints) > 0 {
		return
	}
	if p.closed != p.finished || p.closed && !p.saved.Ended {
		p.complain("the shard is closed: %t; the machine has finished: %t", p.closed, p.finished)
	}
	through := 0
	for _, ps := range p.out.through {
		through += len(ps)
	}
	for _, r := range p.log {
		if passes(p.cfg.Filter, r.Pos) && passes(p.how.byHand, r.Pos) != p.ended[r.Pos] {
			p.complain("record %d has not come to its end", r.Pos)
		}
		if r.Pos > p.x.Low() {
			p.complain("the checkpoint stays at %d, in front of %d", p.x.Low(), r.Pos)
		}
	}
	if p.cfg.TumblingWindow == 0 || p.how.later != nil {
		return
	}
	counted := 0
	for _, n := range p.windows {
		counted += n
	}
	if counted != through {
		p.complain("the windows count %d of %d records", counted, through)
	}
}
