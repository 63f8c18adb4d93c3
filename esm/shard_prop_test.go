package esm_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
	"pgregory.net/rapid"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestShardKeepsItsPromises plays random verbs of the script language against the naive model of judge_test.go, which
// checks every event and every command. Then it lets everything come to an end: every matching record must be settled,
// and the checkpoint must pass them all. A failure prints the script.
func TestShardKeepsItsPromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := &player{t: t, w: &world{now: epoch, manualRead: true, manualSave: true}}
		p.w.cfg = p.config()
		p.w.behind = rapid.SampledFrom([]time.Duration{0, 2 * time.Second}).Draw(t, "sealed behind")
		p.w.judge = newJudge(p.w.cfg)
		p.w.start()
		for range rapid.IntRange(10, 120).Draw(t, "verbs") {
			p.move()
			p.check()
		}
		p.settle()
	})
}

// whole compares structs with their unexported members.
var whole = cmp.Exporter(func(reflect.Type) bool { return true })

// TestSameEventsSameCommands: what a machine does depends only on its seed, its checkpoint and its events.
func TestSameEventsSameCommands(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := &player{t: t, w: &world{now: epoch, manualRead: true, manualSave: true, observe: true}}
		p.w.cfg = p.config()
		p.w.cfg.Jitter = 20
		p.w.judge = newJudge(p.w.cfg)
		twin := esm.NewShard(p.w.cfg, esm.Checkpoint{}, 1)
		p.w.spy = func(now time.Time, ev esm.Event, commands []esm.Command) {
			if d := cmp.Diff(commands, twin.Step(now, ev), cmpopts.EquateEmpty(), whole); d != "" {
				t.Fatalf("%T gives both\n%s", ev, d)
			}
		}
		p.w.start()
		p.noRestart = true
		for range rapid.IntRange(10, 60).Draw(t, "verbs") {
			p.move()
		}
	})
}

// large holds the largest state that a window can have, and one that ends it early.
var large = [2]string{sized(esm.MaxState), sized(esm.MaxState + 1)}

// player draws verbs.
type player struct {
	t         *rapid.T
	w         *world
	noRestart bool
	script    []string
}

func (p *player) log(format string, args ...any) {
	p.script = append(p.script, fmt.Sprintf(format, args...))
}

func (p *player) config() esm.Config {
	c := esm.Config{
		BatchSize:  rapid.SampledFrom([]int{1, 2, 3, 7}).Draw(p.t, "batch size"),
		Factor:     rapid.IntRange(1, 3).Draw(p.t, "factor"),
		MaxRetries: rapid.IntRange(-1, 2).Draw(p.t, "retries"), Bisect: rapid.Bool().Draw(p.t, "bisect"),
		Destination:    rapid.Bool().Draw(p.t, "destination"),
		BatchingWindow: rapid.SampledFrom([]time.Duration{0, 2 * time.Second}).Draw(p.t, "window"),
		MaxAge:         rapid.SampledFrom([]time.Duration{0, 10 * time.Second}).Draw(p.t, "age"),
		BackoffCap:     time.Minute, Envelope: 14, Windowed: 200, Recordless: 213,
		BackoffBase: rapid.SampledFrom([]time.Duration{time.Second, 0}).Draw(p.t, "pause"),
		SaveBeat:    rapid.SampledFrom([]time.Duration{0, 25 * time.Millisecond}).Draw(p.t, "beat"),
		ReadAhead:   rapid.SampledFrom([]int{0, 2, 5}).Draw(p.t, "ahead"),
		Filter:      p.w.cfg.Filter,
	}
	if c.TumblingWindow = rapid.SampledFrom([]time.Duration{
		0, 0, 3 * time.Second, 10 * time.Second,
	}).Draw(p.t, "tumbling"); c.TumblingWindow != 0 {
		c.Factor = 1
	}
	p.log("config %+v", c)
	return c
}

// passes is what a filter says of a record, each time that it is asked: four of five pass, and others under each
// filter.
func passes(id uint64, p record.Position) bool { return (uint64(p)*7+id*3)%10 > 1 }

// move plays one verb that is possible now.
func (p *player) move() {
	w := p.w
	type verb struct {
		name string
		do   func()
	}
	verbs := []verb{
		{"put", func() {
			for range rapid.IntRange(1, 4).Draw(p.t, "records") {
				w.last += record.Position(rapid.IntRange(1, 2).Draw(p.t, "gap"))
				r := &judged{key: rapid.IntRange(0, 5).Draw(p.t, "key")}
				r.Rec = esm.Rec{
					Pos: w.last,
					Arrival: record.MillisOf(
						w.now.Add(-rapid.SampledFrom([]time.Duration{0, w.behind}).Draw(p.t, "late")),
					),
					Bytes: int32(
						rapid.SampledFrom([]int{50, 50, 100, 100, 3_000_000, 6_000_000, 7_000_000}).Draw(p.t, "bytes"),
					),
					Match: passes(w.cfg.Filter, w.last), Lane: uint8(r.key % w.judge.factor()),
				}
				w.records = append(w.records, r)
				p.log("put %d key=%d match=%t", r.Pos, r.key, r.Match)
			}
			w.judge.records = w.records
		}},
		{"advance", func() {
			w.goTo(w.now.Add(
				rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 7 * time.Second}).Draw(p.t, "by"),
			))
		}},
		{"tick", func() { w.step(esm.Tick{}) }},
		{"nudge", func() { w.step(esm.Nudge{}) }},
		{"slot-free", func() { w.step(esm.SlotFree{Lane: rapid.IntRange(0, 3).Draw(p.t, "lane")}) }},
	}
	if w.judge.finished && !p.noRestart || rapid.IntRange(0, 15).Draw(p.t, "restart") == 0 && !p.noRestart {
		verbs = []verb{{"restart", func() {
			w.reads, w.flight, w.notices, w.saving = nil, nil, nil, nil
			if rapid.Bool().Draw(p.t, "other knobs") {
				w.cfg = p.config()
			}
			if rapid.IntRange(0, 3).Draw(p.t, "other filter") == 0 {
				w.cfg.Filter = rapid.Uint64Range(0, 3).Draw(p.t, "filter")
				p.log("restart filter=%d", w.cfg.Filter)
				for _, r := range w.records {
					r.Match = r.Pos <= w.saved.Low || passes(w.cfg.Filter, r.Pos)
				}
			}
			w.judge.restart(w.cfg, w.saved)
			w.start()
		}}}
	} else if w.judge.finished {
		return
	}
	if rapid.IntRange(0, 20).Draw(p.t, "reconfigure") == 0 {
		verbs = append(verbs, verb{"reconfigure", func() {
			w.cfg = p.config()
			w.step(esm.Reconfigured{Config: w.cfg})
		}})
	}
	if rapid.IntRange(0, 20).Draw(p.t, "rare") == 0 {
		verbs = append(verbs, verb{
			"release", func() { w.step(esm.Release{Abandon: rapid.Bool().Draw(p.t, "abandon")}) },
		},
			verb{"close", func() { w.closed = true }},
			verb{"horizon", func() {
				w.oldest = max(w.oldest, record.Position(rapid.Uint64Range(0, uint64(w.last)).Draw(p.t, "oldest")))
				if rapid.Bool().Draw(p.t, "told") {
					w.step(esm.Horizon{Oldest: w.oldest})
				}
			}})
	}
	if w.closed && verbs[0].name == "put" {
		verbs = verbs[1:]
	}
	if w.reads != nil {
		verbs = append(verbs, verb{
			"read", func() { p.read(rapid.IntRange(0, 5).Draw(p.t, "records")) },
		}, verb{"read-failed", func() {
			seq := w.reads.Seq
			w.reads = nil
			w.step(esm.ReadFailed{Seq: seq})
		}})
	}
	if w.saving != nil && rapid.IntRange(0, 40).Draw(p.t, "conflict") == 0 {
		verbs = append(verbs, verb{"saved conflict", func() { w.finishSave(esm.SaveConflict) }})
	}
	if w.saving != nil {
		verbs = append(verbs, verb{"saved", func() { w.finishSave(esm.SaveDone) }}, verb{
			"saved fault", func() { w.finishSave(esm.SaveFault) },
		})
	}
	if len(w.notices) > 0 {
		verbs = append(verbs, verb{"delivered", func() {
			n := w.notices[0]
			w.notices = w.notices[1:]
			w.step(esm.Delivered{Batch: n.Batch, Result: esm.DeliveryResult(rapid.IntRange(1, 3).Draw(p.t, "result"))})
		}})
	}
	if len(w.flight) > 0 {
		returned := verb{"returned", func() {
			i := rapid.IntRange(0, len(w.flight)-1).Draw(p.t, "which")
			o := esm.Outcome{Kind: esm.OutcomeKind(rapid.IntRange(1, 5).Draw(p.t, "outcome")), StatusCode: 200}
			if ps := w.flight[i].Positions; o.Kind == esm.PartialFailure && len(ps) == 0 {
				o.Kind = esm.Success // there is nothing to report
			} else if o.Kind == esm.PartialFailure {
				o.At = rapid.SampledFrom(ps).Draw(p.t, "at")
			}
			p.log("%s of batch %d", o.Kind, w.flight[i].Batch)
			state := ""
			if w.flight[i].Window != nil && w.flight[i].ID.Purpose == esm.ForRecords {
				state = fmt.Sprintf(`{"n":%d}`, len(p.script))
				if rapid.IntRange(0, 9).Draw(p.t, "large") == 0 {
					state = large[rapid.IntRange(0, 1).Draw(p.t, "too large")]
				}
			}
			w.answerWith(i, o, state)
		}}
		verbs = append(verbs, returned, returned, returned)
	}
	v := verbs[rapid.IntRange(0, len(verbs)-1).Draw(p.t, "verb")]
	p.log("%s", v.name)
	v.do()
}

// read answers the outstanding Read, unless it waits for news and there is none.
func (p *player) read(n int) {
	ev, ok := p.w.answer(n)
	if !ok {
		return
	}
	p.w.reads = nil
	p.w.step(ev)
}

func (p *player) check() {
	if len(p.w.judge.complaints) > 0 {
		for _, line := range p.script {
			p.t.Log(line)
		}
		p.t.Fatalf("%q", p.w.judge.complaints)
	}
}

// settle lets everything succeed until nothing is left to do.
func (p *player) settle() {
	w := p.w
	if w.judge.finished {
		return
	}
	for range 2000 {
		switch {
		case w.judge.finished:
			p.check()
			return
		case w.saving != nil:
			w.finishSave(esm.SaveDone)
		case len(w.notices) > 0:
			n := w.notices[0]
			w.notices = w.notices[1:]
			w.step(esm.Delivered{Batch: n.Batch, Result: esm.DeliveryDone})
		case len(w.flight) > 0:
			w.answerInvoke(0, esm.Outcome{Kind: esm.Success, StatusCode: 200})
		case w.reads != nil && (!w.reads.Wait || w.closed || w.reads.From <= w.last):
			p.read(1 << 20)
		case !w.shard.Wake().IsZero():
			w.now = w.shard.Wake()
			w.step(esm.Tick{})
		default:
			if w.judge.win.end != 0 {
				w.judge.complain("the window up to %d never gets its final invocation", w.judge.win.end)
			}
			for _, r := range w.records {
				if r.Match && !r.settled || r.Pos > w.saved.Low {
					w.judge.complain("record %d never came to an end; saved up to %d", r.Pos, w.saved.Low)
				}
			}
			p.check()
			return
		}
		p.check()
	}
	w.judge.complain("it does not end")
	p.check()
}
