package sim

import (
	"slices"
	"strings"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// call runs the function: it may be refused, fail, time out, or report failed items, truthfully or not.
func (r *runner) call(c engine.Call) {
	w := r.w
	w.calls++
	ps, in, ok := w.format.unpack(c.Payload)
	if !ok || len(ps) != c.Count {
		w.complain("shard %d: a payload of %d records that cannot be taken apart", r.s.id, c.Count)
		return
	}
	w.tracef("shard %d > call batch %d lane %d attempt %d: %v %s", r.s.id, c.Batch, c.Lane, c.Attempt, ps, c.RequestID)
	r.seen.judgeCall(&c, ps, in)
	if len(w.complaints) > 0 {
		return
	}
	w.invoke(r.n, &call{
		r: r, life: r.n.life, c: c, ps: ps, window: in, f: *r.seen.lanes[c.Lane].flight, partial: r.seen.partial,
	})
}

// worked is the end of an invocation: the function has done its work, and answers if the machine still waits for it.
func (r *runner) worked(i *call, fate bool) {
	c := i.c
	waited := !r.ended && r.seen.flying(c.Batch) != nil
	if !waited && fate {
		return // the environment died with the process
	}
	if waited {
		r.intact(&c, i.ps)
	}
	var a engine.Answer
	switch {
	case len(c.Payload) > esm.MaxPayload:
		a = engine.Answer{Kind: engine.AnswerError, StatusCode: statusTooLarge}
	case len(i.ps) == 0:
		a, i.f.ok = r.workEnd(i.window)
	default:
		a = r.work(&i.f, i.partial)
		r.s.book.Succeeded(i.f.done, i.window != nil)
	}
	if !waited {
		return
	}
	if l := r.seen.flying(c.Batch); l != nil {
		*l.flight = i.f
	}
	r.answer(c, a)
	if a.Kind != engine.AnswerOK { // after a timeout the payload may still be on its way to the function
		r.soon(5*time.Second, func() { r.intact(&c, i.ps) })
	}
}

// intact checks that a payload is what it was.
func (r *runner) intact(c *engine.Call, ps []record.Position) {
	if now, _, ok := r.w.format.unpack(c.Payload); !ok || !slices.Equal(now, ps) {
		r.w.complain("shard %d: the payload of %v changes while the function may read it, to %v", r.s.id, ps, now)
	}
}

// work returns the function's own code: what it answers; in f, the records that it has processed, and the state that
// they have led to.
func (r *runner) work(f *flight, partial bool) engine.Answer {
	w, ps := r.w, f.ps
	ok := engine.Answer{Kind: engine.AnswerOK, StatusCode: 200, Version: "$LATEST"}
	fail := engine.Answer{Kind: engine.AnswerError, StatusCode: 200, FunctionError: "Unhandled", Version: "$LATEST"}
	bad := -1
	for i, p := range ps {
		if r.s.book.At(p).Poison {
			bad = i
			break
		}
	}
	if bad < 0 && w.chance(6) { // a transient failure at any record
		bad = w.rng.IntN(len(ps))
	}
	members := []string{}
	processed := func(n int) {
		f.done, f.ok = ps[:n], true
		if f.window == nil {
			return
		}
		state, kept := r.answerState(f.window, f.done)
		if members = append(members, state); kept {
			f.state = strings.TrimPrefix(state, `"state":`)
		} else {
			f.done, f.ok = nil, false
		}
	}
	respond := func() engine.Answer {
		ok.Payload = []byte("{" + strings.Join(members, ",") + "}")
		return ok
	}
	switch {
	case bad < 0:
		if w.rng.IntN(2) == 0 {
			members = append(members, `"batchItemFailures":[]`)
		}
		processed(len(ps))
		return respond()
	case !partial || w.rng.IntN(3) == 0:
		return fail
	case w.chance(10):
		members = append(members, `"batchItemFailures":[{"itemIdentifier":"nobody"}]`)
		return respond()
	}
	items := []string{`{"itemIdentifier":"` + identifier(ps[bad]) + `"}`}
	for _, p := range ps[bad+1:] {
		if w.rng.IntN(4) == 0 {
			items = append([]string{`{"itemIdentifier":"` + identifier(p) + `"}`}, items...)
		}
	}
	members = append(members, `"batchItemFailures":[`+strings.Join(items, ",")+`]`)
	if bad > 0 {
		processed(bad)
	}
	return respond()
}

// answer brings the answer of a call to the machine.
func (r *runner) answer(c engine.Call, a engine.Answer) {
	r.soon(time.Millisecond, func() {
		if l := r.seen.flying(c.Batch); l != nil {
			r.seen.answered(r.seen.lanes[c.Lane], &a)
			r.step(r.x.Answered(c.Batch, a))
		}
	})
}

// announce brings a notice to the destination, which drops a repeat by its id, may refuse, and may be slow.
func (r *runner) announce(a engine.Announce) {
	w := r.w
	w.notices++
	ps := r.seen.judgeNotice(&a)
	w.tracef("shard %d > announce batch %d: %v %s", r.s.id, a.Batch, ps, a.ID)
	delay, fate := w.upTo(300*time.Millisecond), w.chance(50)
	refused, fault := w.chance(25), w.chance(15)
	w.in(delay, func() {
		if r.ended && fate {
			return
		}
		result := esm.DeliveryDone
		switch {
		case refused:
			result = esm.DeliveryRefused
		case fault:
			result = esm.DeliveryFault
		default:
			if _, again := w.received[a.ID]; !again {
				w.received[a.ID] = true
				r.s.book.Noticed(ps)
			}
		}
		if !r.ended {
			r.seen.delivered(a.Batch, result)
			r.step(esm.Delivered{Batch: a.Batch, Result: result})
		}
	})
}
