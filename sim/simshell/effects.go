package simshell

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// aggregate is the state of a tumbling window: which records it has.
type aggregate struct {
	Records []record.Position `json:"p"`
}

// throttled hears of an attempt that was refused. Its lane may stand in the line until it is tried again.
func (n *node) throttled(inv function.Invocation) {
	p, w := n.p, n.p.w
	w.mu.Lock()
	defer w.mu.Unlock()
	w.logf("node %d: refused %s", n.n, inv.RequestID)
	p.refused[attempt{n.n, inv.RequestID}] = time.Now()
}

// attempt is what a node asks for again and again.
type attempt struct {
	node    int
	request string
}

// refusedFor is how long a refused attempt is not made again at the most: the longest back-off, with its jitter.
const refusedFor = 75 * time.Second

// judgeLine checks that no more lanes stand in the line than were refused and not admitted since. w.mu is held.
func (w *world) judgeLine(p *process) {
	for id, at := range p.refused {
		if time.Since(at) > refusedFor {
			delete(p.refused, id)
		}
	}
	if waiters, _ := p.functions.enrolled(); waiters > len(p.refused) {
		w.complain("%d lanes stand in the line, and %d wait to be admitted", waiters, len(p.refused))
	}
}

// invoked is the code of the function in a process. What becomes of an invocation is drawn by its request.
func (n *node) invoked(inv function.Invocation) code {
	p, w := n.p, n.p.w
	sum := crc32.ChecksumIEEE(inv.Payload)
	ev, err := unpack(inv.Payload)
	c := &call{p: p, n: n, gen: w.generation.Load(), id: inv.RequestID, ev: ev, started: w.now()}
	r := w.dice.roll("call", inv.RequestID)
	sh := w.shardOf(p, ev.shard)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rep.Calls++
	delete(p.refused, attempt{n.n, inv.RequestID})
	if !p.dead.Load() {
		w.judgeLine(p)
	}
	switch {
	case err != nil || sh == nil:
		w.complain("process %d: a payload that cannot be taken apart: %v", p.n, err)
		return code{answer: func() function.Result { return fails("Exception") }}
	case !p.dead.Load():
		if ev.windowed {
			c.state = w.judgeState(sh, ev)
		}
		w.judgeTarget(&inv, ev.role)
		w.judgeCall(c)
		if len(c.ps) > 0 {
			w.judgeIdentity(sh, c)
		}
	}
	w.logf("node %d: shard %d call %s %v final=%t early=%t", n.n, ev.shard, inv.RequestID, c.ps, ev.final, ev.early)
	takes := grid + upTo(r, w.knobs.slow)
	kind := r.IntN(100)
	switch calm := w.calm.Load(); {
	case calm:
		takes, kind = grid+upTo(r, 50*time.Millisecond), 99
	case kind < w.knobs.fails/4: // it runs into its timeout
		takes = 15 * time.Second
	case r.IntN(50) == 0:
		takes = upTo(r, 15*time.Second)
	}
	dies := r.IntN(2) == 0        // with its process
	intact := func(when string) { // the bytes are the caller's to keep until it has got a success
		if crc32.ChecksumIEEE(inv.Payload) != sum {
			w.complain("the payload of %s has changed %s", c.id, when)
		}
	}
	answer := func() function.Result {
		w.mu.Lock()
		defer w.mu.Unlock()
		gone := p.dead.Load()
		if gone && dies {
			return fails("Gone")
		}
		if c.gen != w.generation.Load() { // what its mapping was told is over
			return succeeds(`null`)
		}
		intact("before its answer")
		var res function.Result
		switch {
		case kind < w.knobs.fails/4:
			c.failed, res = true, fails("Sandbox.Timedout")
		case kind < w.knobs.fails/2:
			res = function.Result{Class: function.PlatformError, Reason: function.ReasonSpawn, StatusCode: 500}
		default:
			res = w.work(c, r, kind < w.knobs.fails)
		}
		if res.Class != function.Success { // it may still be read by what was to run
			late := upTo(r, 3*time.Second)
			w.pending.Go(func() {
				pause(late)
				w.mu.Lock()
				defer w.mu.Unlock()
				intact(late.String() + " after a failure")
			})
		}
		return res
	}
	return code{takes: takes, answer: answer, told: func(function.Result) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !p.dead.Load() && c.gen == w.generation.Load() {
			w.answeredTo(c)
		}
	}, left: func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.landed(c)
	}}
}

// judgeState checks the state of a window and returns the records in it. w.mu is held.
func (w *world) judgeState(sh *shard, ev event) []record.Position {
	var a aggregate
	if err := json.Unmarshal([]byte(ev.state), &a); err != nil {
		w.complain("shard %d: a state that no function ever answered: %.100s", sh.id, ev.state)
		return nil
	}
	for _, p := range a.Records {
		if e := sh.book.At(p); e == nil || !e.Done {
			w.complain("shard %d: the state has record %d, which no function has processed", sh.id, p)
			return nil
		}
	}
	if (ev.final || ev.early) != (len(ev.records) == 0) {
		w.complain("shard %d: %d records with final=%t, early=%t", sh.id, len(ev.records), ev.final, ev.early)
	}
	return a.Records
}

// work is what the function does with a batch that reaches it. w.mu is held.
func (w *world) work(c *call, r *rand.Rand, transient bool) function.Result {
	sh := w.shards[c.ev.shard]
	if len(c.ps) == 0 { // the end of a window
		if transient {
			c.failed = true
			return fails("Exception")
		}
		for _, p := range c.state {
			sh.book.At(p).Reported = true
		}
		w.rep.Windows++
		c.ok = true
		return succeeds(`null`)
	}
	bad := slices.IndexFunc(c.ps, func(p record.Position) bool { return sh.book.At(p).Poison })
	if bad < 0 && transient {
		bad = r.IntN(len(c.ps))
	}
	members := []string{}
	processed := func(n int) {
		c.done, c.ok = c.ps[:n], true
		sh.book.Succeeded(c.done, c.ev.windowed)
		if c.ev.windowed {
			text, err := json.Marshal(aggregate{append(slices.Clone(c.state), c.done...)})
			if err != nil {
				panic(err)
			}
			members = append(members, `"state":`+string(text))
		}
	}
	switch {
	case bad < 0:
		if w.knobs.partial && r.IntN(2) == 0 {
			members = append(members, `"batchItemFailures":[]`)
		}
		processed(len(c.ps))
	case !w.knobs.partial || r.IntN(3) == 0:
		c.failed = true
		return fails("Exception")
	default:
		items := []string{`{"itemIdentifier":"` + c.ev.records[bad].sequence + `"}`}
		for _, d := range c.ev.records[bad+1:] {
			if r.IntN(4) == 0 {
				items = slices.Insert(items, 0, `{"itemIdentifier":"`+d.sequence+`"}`)
			}
		}
		members = append(members, `"batchItemFailures":[`+strings.Join(items, ",")+`]`)
		if bad > 0 {
			processed(bad)
		} else {
			c.failed = true
		}
	}
	return succeeds("{" + strings.Join(members, ",") + "}")
}

func succeeds(payload string) function.Result {
	return function.Result{
		Class: function.Success, Payload: []byte(payload), StatusCode: 200, ExecutedVersion: function.Latest,
	}
}

func fails(kind string) function.Result {
	return function.Result{
		Class: function.FunctionError, Payload: fmt.Appendf(nil, `{"errorMessage":"as asked","errorType":%q}`, kind),
		ErrorKind: function.Unhandled, StatusCode: 200, ExecutedVersion: function.Latest,
	}
}

// judgeNotice checks what is announced against what is known of the records.
func (w *world) judgeNotice(p *process, id string, body []byte) {
	var doc struct {
		RequestContext struct {
			RequestID   string        `json:"requestId"`
			FunctionARN string        `json:"functionArn"`
			Condition   esm.Condition `json:"condition"`
		} `json:"requestContext"`
		Batch struct {
			ShardID string `json:"shardId"`
			First   string `json:"startSequenceNumber"`
			Last    string `json:"endSequenceNumber"`
			Size    int    `json:"batchSize"`
		} `json:"KinesisBatchInfo"`
	}
	err := json.Unmarshal(body, &doc)
	first, err1 := stream.ParseSequenceNumber(doc.Batch.First)
	last, err2 := stream.ParseSequenceNumber(doc.Batch.Last)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rep.Notices++
	sh := w.shards[first.Shard]
	if err != nil || err1 != nil || err2 != nil || sh == nil {
		w.complain("a notice that is no document: %.300q", body)
		return
	}
	n := w.notices[id]
	if n == nil {
		n = &notice{shard: sh.id}
		w.notices[id] = n
	}
	n.ps = w.meant(sh, doc.RequestContext.RequestID, first.Pos, last.Pos, doc.Batch.Size)
	w.logf("process %d: notice %s %s shard %d %v", p.n, id, doc.RequestContext.Condition, sh.id, n.ps)
	if p.dead.Load() {
		return
	}
	w.judgeSender(doc.RequestContext.FunctionARN)
	if n.ps == nil {
		w.complain("shard %d: a notice about %d records from %d to %d, which no lane has", sh.id, doc.Batch.Size,
			first.Pos, last.Pos)
		return
	}
	retries, age, _ := w.limits()
	for _, pos := range n.ps {
		e, f := sh.book.At(pos), sh.facts[pos]
		switch doc.RequestContext.Condition {
		case esm.RetryAttemptsExhausted:
			if retries < 0 || f.fails <= retries {
				w.complain("shard %d: record %d is given up after %d failures", sh.id, pos, f.fails)
				return
			}
		case esm.RecordAgeExceeded:
			if age == 0 || e.Age(w.now()) < age {
				w.complain("shard %d: record %d is given up at an age of %s", sh.id, pos, e.Age(w.now()))
				return
			}
		default:
			w.complain("a notice about %q", doc.RequestContext.Condition)
		}
	}
}

// meant are the records that a notice means. If the function has had them all in its last invocation for the batch,
// they are known; what it has not had is found by what lanes and filters there were. w.mu is held.
func (w *world) meant(sh *shard, id string, first, last record.Position, count int) []record.Position {
	had := w.called[id]
	if len(had) == 0 || had[0] > first || had[len(had)-1] < last {
		return w.named(sh, first, last, count)
	}
	from, ok := slices.BinarySearch(had, first)
	to, ok2 := slices.BinarySearch(had, last)
	if !ok || !ok2 || to-from+1 != count {
		return nil
	}
	return had[from : to+1]
}

// named are the records that a notice may mean: so many of one lane, the first and the last among them. w.mu is held.
func (w *world) named(sh *shard, first, last record.Position, count int) []record.Position {
	a := sh.book.At(first)
	if a == nil {
		return nil
	}
	var factors []int
	for _, c := range w.configs {
		if !slices.Contains(factors, c.Factor) {
			factors = append(factors, c.Factor)
		}
	}
	for i := len(w.sieves) - 1; i >= 0; i-- {
		if !w.sieves[i].passes(a.Key, sh.facts[first].id) {
			continue
		}
		for _, factor := range factors {
			var ps []record.Position
			for _, e := range sh.book.From(first) {
				if e.Pos > last {
					break
				}
				if w.sieves[i].passes(e.Key, sh.facts[e.Pos].id) && sh.lane(e.Key, factor) == sh.lane(a.Key, factor) {
					ps = append(ps, e.Pos)
				}
			}
			if len(ps) == count && ps[count-1] == last {
				return ps
			}
		}
	}
	return nil
}

// noticed takes in that a notice is at the destination.
func (w *world) noticed(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := w.notices[id]; n != nil { // else the mapping is another
		w.shards[n.shard].book.Noticed(n.ps)
	}
}

// refused takes in that the destination answered no.
func (w *world) refused(p *process, id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.dead.Load() {
		return
	}
	n := w.notices[id]
	if n == nil {
		return
	}
	n.tries++
	for _, pos := range n.ps {
		f := w.shards[n.shard].facts[pos]
		f.refusals = max(f.refusals, n.tries)
	}
}
