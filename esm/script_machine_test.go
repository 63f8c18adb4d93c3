package esm_test

import (
	"strings"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// The verbs that make, change and end machines: mapping, reconfigure, release, restart, manual; and those that look at
// one: lanes, checkpoint, counts.

func (w *world) config(a *args, c esm.Config) esm.Config {
	c.BatchSize = a.int("batch-size", c.BatchSize)
	c.BatchingWindow = a.duration("window", c.BatchingWindow)
	c.Factor = a.int("factor", c.Factor)
	c.TumblingWindow = a.duration("tumbling", c.TumblingWindow)
	c.MaxRetries = a.int("max-retries", c.MaxRetries)
	c.MaxAge = a.duration("max-age", c.MaxAge)
	c.Bisect = a.flag("bisect") || c.Bisect
	c.PartialResponses = a.flag("partial") || c.PartialResponses
	c.Destination = a.flag("destination") || c.Destination
	c.Jitter = a.int("jitter", c.Jitter)
	c.SaveBeat = a.duration("save-beat", c.SaveBeat)
	c.ReadAhead = a.int("read-ahead", c.ReadAhead)
	c.Filter = uint64(a.int("filter", int(c.Filter)))
	if a.flag("no-bisect") {
		c.Bisect = false
	}
	if a.flag("no-destination") {
		c.Destination = false
	}
	return c
}

// verbMapping starts a machine on an empty shard, or on one with the records put before.
func (w *world) verbMapping(a *args) {
	base := esm.Config{
		BatchSize: 100, Factor: 1, MaxRetries: esm.Unlimited, BackoffBase: time.Second, BackoffCap: time.Minute,
		Envelope: 14, Windowed: 200, Recordless: 213,
	}
	w.cfg = w.config(a, base)
	w.sizes = a.flag("sizes")
	if w.now.IsZero() {
		w.now = epoch
	}
	w.judge = newJudge(w.cfg)
	w.judge.records = w.records
	w.judge.relane(w.cfg.Factor)
	w.saved = esm.Checkpoint{}
	switch start, _ := a.find("from"); start {
	case "", "trim-horizon":
	case "latest":
		w.saved.Low = w.last
		w.judge.rewind(w.saved)
	}
	w.start()
}

func (w *world) start() {
	w.shard = esm.NewShard(w.cfg, w.saved, 1)
	w.step(esm.Tick{})
}

// verbReconfigure changes knobs of the running machine.
func (w *world) verbReconfigure(a *args) {
	w.reconfigured(a)
	w.step(esm.Reconfigured{Config: w.cfg})
}

// reconfigured takes other knobs, and what another filter says of all records or of single ones.
func (w *world) reconfigured(a *args) {
	old := w.cfg.Filter
	w.cfg = w.config(a, w.cfg)
	other := a.flag("match-all")
	for _, r := range w.records {
		r.Match = r.Match || other
	}
	for i, list := range []string{"no-match", "match"} {
		text, _ := a.find(list)
		for _, p := range strings.Split(strings.Trim(text, "()"), ",") {
			if p != "" {
				w.judge.at(record.Position(a.number(p))).Match = i == 1
				other = true
			}
		}
	}
	if other && w.cfg.Filter == old {
		w.printf("error: one filter, and other records match")
	}
}

func (w *world) verbRelease(a *args) { w.step(esm.Release{Abandon: a.flag("abandon")}) }

// verbRestart kills the machine and goes on from the last durable checkpoint, with other knobs if given.
func (w *world) verbRestart(a *args) {
	w.reads, w.flight, w.notices, w.saving = nil, nil, nil, nil
	w.reconfigured(a)
	w.judge.restart(w.cfg, w.saved)
	w.start()
}

// verbManual has the script give a kind of answer, or (off) no longer.
func (w *world) verbManual(a *args) {
	on := !a.flag("off")
	if a.flag("read") {
		w.manualRead = on
	}
	if a.flag("save") {
		w.manualSave = on
	}
	if a.flag("observe") {
		w.observe, w.everything = on, on && a.flag("all")
	}
}

func (w *world) verbSaved(a *args) {
	w.finishSave(
		map[string]esm.SaveResult{"": esm.SaveDone, "conflict": esm.SaveConflict, "fault": esm.SaveFault}[a.word(0)],
	)
}

func (w *world) finishSave(r esm.SaveResult) {
	if w.saving == nil {
		w.printf("no save is out")
		return
	}
	if r == esm.SaveDone {
		w.saved = *w.saving
	}
	w.saving = nil
	w.step(esm.Saved{Result: r})
}

func (w *world) verbDelivered(a *args) {
	r := map[string]esm.DeliveryResult{
		"": esm.DeliveryDone, "refused": esm.DeliveryRefused, "fault": esm.DeliveryFault,
	}[a.word(0)]
	if len(w.notices) == 0 {
		w.printf("no notice is out")
		return
	}
	n := w.notices[0]
	w.notices = w.notices[1:]
	w.step(esm.Delivered{Batch: n.Batch, Result: r})
}

// verbAt goes to an instant, counted from the beginning of the script, with a Tick at every instant that the machine
// asks for on the way.
func (w *world) verbAt(a *args) { w.goTo(epoch.Add(a.parseDuration(a.word(0)))) }

// verbAdvance goes forward by a duration.
func (w *world) verbAdvance(a *args) { w.goTo(w.now.Add(a.parseDuration(a.word(0)))) }

func (w *world) goTo(t time.Time) {
	for n := 0; n < 10_000; n++ {
		if w.shard == nil {
			break
		}
		wake := w.shard.Wake()
		if wake.IsZero() || wake.After(t) {
			break
		}
		if wake.After(w.now) {
			w.now = wake
		}
		before := w.out.Len()
		w.step(esm.Tick{})
		if news := w.out.String()[before:]; news != "" && !w.now.Equal(t) {
			rest := w.out.String()[:before]
			w.out.Reset()
			w.out.WriteString(rest)
			w.printf("-- at %s", w.now.Sub(epoch))
			w.out.WriteString(news)
		}
	}
	w.now = t
	if w.shard != nil {
		w.step(esm.Tick{})
	}
}

// verbLanes prints what every lane does, and when the machine wants to be woken.
func (w *world) verbLanes(*args) {
	for i, l := range w.shard.Lanes() {
		until := ""
		if !l.Until.IsZero() {
			until = " until=" + l.Until.Sub(epoch).String()
		}
		w.printf("lane=%d wait=%s%s buffered=%d", i, l.Wait, until, l.Buffered)
	}
	if wake := w.shard.Wake(); !wake.IsZero() {
		w.printf("wake=%s", wake.Sub(epoch))
	}
}

// verbCheckpoint prints the last durable checkpoint.
func (w *world) verbCheckpoint(*args) { w.printf("%s", checkpointText(w.saved)) }

// verbCounts prints how often each record was delivered to the function.
func (w *world) verbCounts(*args) {
	for i := 0; i < len(w.records); {
		k := i
		for k+1 < len(w.records) && w.records[k+1].deliveries == w.records[i].deliveries &&
			w.records[k+1].Pos == w.records[k].Pos+1 {
			k++
		}
		w.printf("records=%s deliveries=%d", span(w.records[i].Pos, w.records[k].Pos), w.records[i].deliveries)
		i = k + 1
	}
}
