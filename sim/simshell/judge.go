package simshell

import (
	"context"
	"math/big"
	"slices"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/sim/book"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/stream"
)

// judge is what is known from outside of everything that was put. World.mu guards it.
type judge struct {
	shards  map[record.ShardID]*shard
	sent    map[uint64]*sent // by the number in the data
	configs []esm.Config     // every one that was ever in force
	sieves  []sieve          // the filters of each
	until   []time.Time      // when it is known that another has taken the place of each; zero: it has not
	runs    []running        // what the mapping has called
	lost    map[string]int   // failures that the engine heard of, by request id
	ends    map[string][]record.Position
	notices map[string]*notice
	tries   map[string]*try              // by request id
	called  map[string][]record.Position // of the last invocation, by request id

	firsts    int       // deliveries of records that had never been delivered
	forgiven  time.Time // what was processed until then may be processed again
	disturbed time.Time // until then a retry may come before its time
	spoiled   time.Time // since then the filters cannot be used; zero: they can
	leaving   bool      // the mapping is being deleted
	absent    bool      // there is no mapping
	from      begins    // where it began
}

func newJudge() judge {
	return judge{
		shards: map[record.ShardID]*shard{}, sent: map[uint64]*sent{}, lost: map[string]int{},
		ends:    map[string][]record.Position{},
		notices: map[string]*notice{}, tries: map[string]*try{}, called: map[string][]record.Position{},
	}
}

// sent is one record as it was put.
type sent struct {
	key    byte
	poison bool
	acked  bool
	shard  record.ShardID
	pos    record.Position // 0: not known yet

	arrival   record.Millis // as its put was told, of those that were acknowledged
	encrypted bool          // the same
}

// shard is one shard of the stream as the judge knows it.
type shard struct {
	id       record.ShardID
	book     book.Book
	facts    map[record.Position]*fact
	keys     record.HashKeyRange
	parents  []record.ShardID
	closed   bool
	expired  bool // the stream lists it no more
	trimmed  record.Position
	forgiven time.Time // as that of all, for this shard
	epoch    uint64    // in the durable checkpoint
	flights  []*call

	durable  *esm.Checkpoint
	revision storage.Revision
	late     bool // claimed after the checkpoints of a deleted mapping were forgotten
}

// fact is what the judge knows of a record beyond the book.
type fact struct {
	id       uint64
	first    int       // its place among all first deliveries; 0: never delivered
	answered time.Time // when the engine last heard that it was processed
	by       int       // the node that heard it
	fails    int       // the most failures of one batch with it that the engine heard of
	refusals int       // of one notice with it
	ends     bool      // the end of a window with it in its state has failed
	early    bool      // it lies before the start of the mapping, or may
	never    bool      // it does
}

// call is one invocation under way.
type call struct {
	p       *process
	n       *node
	gen     uint64 // of the mapping
	id      string // of the request
	ev      event
	ps      []record.Position
	done    []record.Position
	state   []record.Position // in the window's state, before
	ok      bool
	failed  bool
	started time.Time
}

// try is what the judge knows of the attempts of a batch.
type try struct {
	node   int
	fails  int // that a process heard of in a row, without anything that lets it try early
	failed time.Time
}

type notice struct {
	shard record.ShardID
	ps    []record.Position
	tries int
}

// forgive lets everything that was processed until then be processed again. w.mu is held.
func (w *world) forgive(until time.Time) {
	if until.After(w.forgiven) {
		w.forgiven = until
	}
	w.unsettle(0)
}

// attempts is how long attempts in flight take to end, with something to spare. A shard that is released waits for
// them, and the next machine of it tries at once.
const attempts = 20 * time.Second

// disturb notes that lanes may try at once now, and for a while.
func (w *world) disturb(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unsettle(d)
}

// unsettle is disturb with w.mu held.
func (w *world) unsettle(d time.Duration) {
	if until := w.now().Add(d); until.After(w.disturbed) {
		w.disturbed = until
	}
}

// rebuilding is how long a rebuild of the lanes may take after a change of the mapping: attempts in flight end, and
// windows too.
const rebuilding = 10 * time.Minute

func (w *world) configured(k mapping.Knobs, rebuilt bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := core(k)
	if n := len(w.configs); n == 0 || w.configs[n-1] != c {
		w.configs, w.sieves, w.until = append(w.configs, c), append(w.sieves, w.sieve), append(w.until, time.Time{})
	} else {
		for i := range w.until[:n-1] {
			if w.until[i].IsZero() {
				w.until[i] = w.now()
			}
		}
	}
	w.unsettle(attempts)
	if rebuilt {
		w.forgive(w.now().Add(rebuilding))
	}
}

// learn takes in which shards there are.
func (w *world) learn(p *process) *stream.Info {
	info, err := p.streams.Lookup(context.Background(), orders)
	if err != nil {
		w.say("the stream is gone: %v", err)
		return &stream.Info{}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stream = info.ID
	for i := range info.Shards {
		w.known(&info.Shards[i])
	}
	for id, sh := range w.shards {
		sh.expired = !slices.ContainsFunc(info.Shards, func(s stream.ShardInfo) bool { return s.ID == id })
	}
	return info
}

func (w *world) known(s *stream.ShardInfo) *shard {
	sh := w.shards[s.ID]
	if sh == nil {
		sh = &shard{id: s.ID, facts: map[record.Position]*fact{}, keys: s.Range}
		for _, p := range []*record.ShardID{s.Parent, s.AdjacentParent} {
			if p != nil {
				sh.parents = append(sh.parents, *p)
			}
		}
		w.shards[s.ID] = sh
	}
	sh.keys, sh.closed = s.Range, s.Closed != 0
	return sh
}

// shardOf finds a shard, looking at the stream for one that is new.
func (w *world) shardOf(p *process, id record.ShardID) *shard {
	w.mu.Lock()
	sh := w.shards[id]
	w.mu.Unlock()
	if sh != nil {
		return sh
	}
	w.learn(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shards[id]
}

// entry is the book's and the judge's account of a record, entered when it is met for the first time. nil: it was never
// put. w.mu is held.
func (w *world) entry(sh *shard, id uint64, pos record.Position, arrival record.Millis, size int) (*book.Entry, *fact) {
	s := w.sent[id]
	if s == nil {
		w.complain("shard %d: record %d at %d was never put", sh.id, id, pos)
		return nil, nil
	}
	if s.pos != 0 && (s.pos != pos || s.shard != sh.id) {
		w.complain("record %d is at %d of shard %d and at %d of shard %d", id, s.pos, s.shard, pos, sh.id)
	}
	if h := (record.HashKey{s.key}); h.Compare(sh.keys.Start) < 0 || h.Compare(sh.keys.End) > 0 {
		w.complain("record %d of key %02x is in shard %d", id, s.key, sh.id)
	}
	s.pos, s.shard = pos, sh.id
	e := sh.book.Accept(&record.Record{Pos: pos, Arrival: arrival, Hash: record.HashKey{s.key}}, size, s.poison)
	f := sh.facts[pos]
	if f == nil {
		f = &fact{id: id}
		sh.facts[pos] = f
		w.begun(sh, e, f)
	}
	if f.id != id {
		w.complain("shard %d: records %d and %d are both at %d", sh.id, f.id, id, pos)
	}
	return e, f
}

// acknowledged takes in that a put returned. w.mu is held.
func (w *world) acknowledged(id uint64, r *record.Record, at *stream.Placed) {
	sh := w.shards[at.Shard]
	if sh == nil {
		w.complain("record %d was put to shard %d, which is not listed", id, at.Shard)
		return
	}
	w.rep.Records++
	w.rep.Bytes += len(r.Data)
	w.entry(sh, id, at.Pos, at.Arrival, 0)
	one := w.sent[id]
	one.acked, one.arrival, one.encrypted = true, at.Arrival, at.Encrypted
}

// lane is the lane of a key in a shard: its range in equal parts, counted exactly.
func (sh *shard) lane(key byte, factor int) int {
	if factor <= 1 {
		return 0
	}
	number := func(h record.HashKey) *big.Int { return new(big.Int).SetBytes(h[:]) }
	start := number(sh.keys.Start)
	size := new(big.Int).Sub(number(sh.keys.End), start)
	size.Add(size, big.NewInt(1))
	at := new(big.Int).Sub(number(record.HashKey{key}), start)
	at.Mul(at, big.NewInt(int64(factor)))
	return int(at.Div(at, size).Int64())
}

// marked is how far a checkpoint says that a key is settled.
func (sh *shard) marked(cp *esm.Checkpoint, key byte) record.Position {
	if cp == nil {
		return 0
	}
	if lane := sh.lane(key, max(1, cp.Factor)); lane < len(cp.Lanes) {
		return max(cp.Low, cp.Lanes[lane].Settled)
	}
	return cp.Low
}

// limits are the smallest number of retries and the smallest age that were ever in force, and whether there was always
// a destination. w.mu is held.
func (w *world) limits() (retries int, age time.Duration, always bool) {
	retries, always = -1, true
	for _, c := range w.configs {
		if c.MaxRetries >= 0 && (retries < 0 || c.MaxRetries < retries) {
			retries = c.MaxRetries
		}
		if c.MaxAge > 0 && (age == 0 || c.MaxAge < age) {
			age = c.MaxAge
		}
		always = always && c.Destination
	}
	return retries, age, always
}

// resolved reports whether a record which is not settled may be gone all the same: taken by retention, or given up
// without a notice, as configured. w.mu is held.
func (w *world) resolved(sh *shard, e *book.Entry) bool {
	if e.Settled() {
		return true
	}
	f := sh.facts[e.Pos]
	now := w.now()
	if w.excluded(e, f) {
		e.Out = true
		return true
	}
	if w.gone(sh, e) {
		e.Lost = true
		return true
	}
	retries, age, always := w.limits()
	if given := retries >= 0 && f.fails > retries || age > 0 && e.Age(now) >= age; given && (!always ||
		f.refusals >= 3) {
		e.Dropped = true
	}
	return e.Dropped
}

// gone reports whether retention has taken a record. w.mu is held.
func (w *world) gone(sh *shard, e *book.Entry) bool {
	return e.Pos < sh.trimmed || w.now().Sub(e.Own.Time()) >= w.kept || e.Own.Time().Before(w.horizon)
}

// judgeCall checks an invocation as it begins. w.mu is held.
func (w *world) judgeCall(c *call) {
	sh := w.shards[c.ev.shard]
	now := w.now()
	keys := map[byte]bool{}
	switch {
	case w.absent:
		w.complain("shard %d: an invocation, and there is no mapping", sh.id)
	case !w.spoiled.IsZero() && now.Sub(w.spoiled) > spoiling:
		w.complain("shard %d: an invocation, and the filters cannot be used since %s", sh.id, w.spoiled.Sub(w.began))
	}
	for i, d := range c.ev.records {
		e, f := w.entry(sh, d.id, d.pos, d.arrival, d.size)
		if e == nil {
			return
		}
		c.ps = append(c.ps, d.pos)
		keys[e.Key] = true
		switch {
		case d.key != keyName(e.Key):
			w.complain("shard %d: record %d comes with the key %q", sh.id, d.id, d.key)
		case i > 0 && d.pos <= c.ev.records[i-1].pos:
			w.complain("shard %d: records out of order: %v", sh.id, c.ps)
		case f.never:
			w.complain("shard %d: record %d lies before the start of the mapping", sh.id, d.pos)
		case !w.let(e, f):
			w.complain("shard %d: record %d is delivered, and no filter lets it through", sh.id, d.pos)
		case e.Arrival != d.arrival && e.Own != d.arrival:
			w.complain("shard %d: record %d arrived at %d and comes with %d", sh.id, d.pos, e.Own, d.arrival)
		case !f.answered.IsZero() && f.answered.After(w.forgiven) && f.answered.After(sh.forgiven):
			w.complain("shard %d: record %d is delivered again, and was processed at %s", sh.id, d.pos,
				f.answered.Sub(w.began))
		}
		if f.first == 0 {
			w.firsts++
			f.first = w.firsts
		}
	}
	w.judgeOrder(sh, c, keys)
	w.judgeFlights(sh, c, keys)
	w.judgeLimits(sh, c, keys)
	w.judgeAhead(sh, c, keys, now)
	w.judgePause(c, now)
	sh.flights = append(sh.flights, c)
}

// judgeOrder checks that nothing with a key of the batch is left behind.
func (w *world) judgeOrder(sh *shard, c *call, keys map[byte]bool) {
	if len(c.ps) == 0 {
		return
	}
	open := map[byte]*book.Entry{} // the first of a key that is not settled and not in the batch
	for _, e := range sh.book.Records {
		if e.Pos > c.ps[len(c.ps)-1] {
			break
		}
		if !keys[e.Key] || e.Settled() {
			continue
		}
		if _, in := slices.BinarySearch(c.ps, e.Pos); in {
			if before := open[e.Key]; before != nil && !w.resolved(sh, before) {
				w.complain("shard %d: record %d is delivered before %d, which has the same key", sh.id, e.Pos,
					before.Pos)
				return
			}
		} else if open[e.Key] == nil && !w.resolved(sh, e) {
			open[e.Key] = e
		}
	}
	seen := map[record.ShardID]bool{}
	for older := slices.Clone(sh.parents); len(older) > 0; older = older[1:] {
		parent := w.shards[older[0]]
		if parent == nil || seen[parent.id] {
			continue
		}
		seen[parent.id] = true
		older = append(older, parent.parents...)
		for _, e := range parent.book.Records {
			if keys[e.Key] && !w.resolved(parent, e) {
				w.complain("shard %d: record %d is delivered before %d of its parent %d", sh.id, c.ps[0], e.Pos,
					parent.id)
				return
			}
		}
	}
}

// judgeFlights checks what else is in flight.
func (w *world) judgeFlights(sh *shard, c *call, keys map[byte]bool) {
	n := 1
	for _, f := range sh.flights {
		if f.n != c.n {
			continue
		}
		n++
		for _, p := range f.ps {
			if e := sh.book.At(p); keys[e.Key] {
				w.complain("shard %d: key %02x is in flight twice: %v and %v", sh.id, e.Key, f.ps, c.ps)
				return
			}
		}
	}
	most := 0
	for _, cfg := range w.configs {
		most = max(most, cfg.Factor)
	}
	if n > most {
		w.complain("shard %d: %d invocations at once with a factor of %d", sh.id, n, most)
	}
	waiters, flights := c.p.functions.enrolled()
	if lanes := most * len(w.shards) * len(c.p.nodes); waiters+flights > lanes {
		w.complain("%d lanes stand in the line while %d run, of %d", waiters, flights, lanes)
	}
}

// judgeIdentity checks that a request id stands for the same records as before, as far as both invocations reach. w.mu
// is held.
func (w *world) judgeIdentity(sh *shard, c *call) {
	had, last := w.called[c.id], len(c.ps)-1
	w.called[c.id] = c.ps
	if len(had) == 0 {
		return
	}
	from, to := max(had[0], c.ps[0]), min(had[len(had)-1], c.ps[last])
	within := func(ps []record.Position) (out []record.Position) {
		for _, p := range ps {
			if p >= from && p <= to {
				out = append(out, p)
			}
		}
		return out
	}
	if !slices.Equal(within(had), within(c.ps)) {
		w.complain("shard %d: %v and %v have the request id %s", sh.id, had, c.ps, c.id)
	}
}

// judgeLimits checks a batch against what was ever configured.
func (w *world) judgeLimits(sh *shard, c *call, keys map[byte]bool) {
	size, retries, lanes, aged := 0, 0, false, len(c.ps) > 0
	for _, cfg := range w.configs {
		size = max(size, cfg.BatchSize)
		if cfg.MaxRetries < 0 || retries < 0 {
			retries = -1
		} else {
			retries = max(retries, cfg.MaxRetries)
		}
		one := -1
		same := true
		for k := range keys {
			lane := sh.lane(k, cfg.Factor)
			same = same && (one < 0 || one == lane)
			one = lane
		}
		lanes = lanes || same
		if len(c.ps) > 0 {
			aged = aged && cfg.MaxAge > 0 && sh.book.At(c.ps[0]).Age(w.now()) >= cfg.MaxAge
		}
	}
	switch {
	case len(c.ps) > size:
		w.complain("shard %d: %d records in a batch of %d", sh.id, len(c.ps), size)
	case !lanes:
		w.complain("shard %d: %v are of several lanes", sh.id, c.ps)
	case aged:
		w.complain("shard %d: record %d is delivered at an age of %s", sh.id, c.ps[0], sh.book.At(c.ps[0]).Age(w.now()))
	}
	if t := w.tries[c.id]; t != nil && t.node == c.n.n && retries >= 0 && t.fails > retries {
		w.complain("shard %d: %v is tried again after %d failures", sh.id, c.ps, t.fails)
	}
}

// judgeAhead checks that a crash now would not repeat what was processed long ago.
func (w *world) judgeAhead(sh *shard, c *call, keys map[byte]bool, now time.Time) {
	for _, e := range sh.book.Records {
		f := sh.facts[e.Pos]
		if !keys[e.Key] || f.answered.IsZero() || f.by != c.n.n || !f.answered.After(w.forgiven) ||
			!f.answered.After(sh.forgiven) {
			continue
		}
		if late := now.Sub(f.answered); late > time.Second+50*time.Millisecond && e.Pos > sh.marked(sh.durable, e.Key) {
			w.complain("shard %d: record %d was processed %s ago and is not saved, and its lane goes on", sh.id, e.Pos,
				late)
			return
		}
	}
}

// judgePause checks that a retry does not come before its back-off.
func (w *world) judgePause(c *call, now time.Time) {
	t := w.tries[c.id]
	if t == nil || t.node != c.n.n || t.fails == 0 || !t.failed.After(w.disturbed) {
		return
	}
	least := time.Second << min(t.fails-1, 6)
	least = min(least, time.Minute) * 80 / 100
	if now.Sub(t.failed) < least {
		w.complain("shard %d: %v is tried again %s after failure %d, not after %s", c.ev.shard, c.ps, now.Sub(t.failed),
			t.fails, least)
	}
}

// landed takes an invocation that is over, as far as the engine is concerned, off the flights. w.mu is held.
func (w *world) landed(c *call) {
	if sh := w.shards[c.ev.shard]; sh != nil {
		sh.flights = slices.DeleteFunc(sh.flights, func(f *call) bool { return f == c })
	}
}

// answered takes in what the engine has heard of an invocation. w.mu is held.
func (w *world) answeredTo(c *call) {
	sh, now := w.shards[c.ev.shard], w.now()
	t := w.tries[c.id]
	if t == nil || t.node != c.n.n {
		t = &try{node: c.n.n}
		w.tries[c.id] = t
	}
	switch {
	case c.ok:
		for _, p := range c.done {
			f := sh.facts[p]
			f.answered, f.by = now, c.n.n
		}
		delete(w.tries, c.id)
	case c.failed:
		t.fails++
		t.failed = now
		w.lost[c.id]++
		for _, p := range c.ps {
			f := sh.facts[p]
			f.fails = max(f.fails, w.lost[c.id])
		}
		for _, p := range c.state {
			if len(c.ps) == 0 && sh.facts[p] != nil {
				sh.facts[p].ends = true
			}
		}
	}
}
