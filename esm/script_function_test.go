package esm_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// The verbs of the function: returned, answered, slot-free, nudge; and function with run, which answer by themselves.

// verbReturned answers the oldest invocation that is out, or that of batch=N.
func (w *world) verbReturned(a *args) {
	i := 0
	if b := a.int("batch", 0); b != 0 {
		i = slices.IndexFunc(w.flight, func(v esm.Invoke) bool { return v.Batch == uint64(b) })
	}
	o := esm.Outcome{StatusCode: 200, Version: "$LATEST"}
	switch kind := a.word(0); kind {
	case "success":
		o.Kind = esm.Success
	case "function-error":
		o.Kind, o.FunctionError = esm.FunctionError, "Unhandled"
	case "too-large":
		o.Kind, o.StatusCode = esm.FunctionError, 413
	case "partial":
		o.Kind, o.At = esm.PartialFailure, record.Position(a.int("at", 0))
	case "throttle":
		o.Kind, o.StatusCode = esm.Throttle, 429
	case "service-error":
		o.Kind, o.StatusCode = esm.ServiceError, 500
	default:
		a.d.Fatalf(a.t, "unknown outcome %q", kind)
	}
	state := ""
	if n, ok := a.find("state"); ok {
		state = `{"n":` + n + `}`
	}
	if n := a.int("state-bytes", 0); n > 0 {
		state = sized(n)
	}
	w.answerWith(i, o, state)
}

// sized returns a state of n bytes.
func sized(n int) string { return `{"s":"` + strings.Repeat("x", n-len(`{"s":""}`)) + `"}` }

// answerInvoke answers an invocation; in a tumbling window, with the state that it carried.
func (w *world) answerInvoke(i int, o esm.Outcome) { w.answerWith(i, o, "") }

func (w *world) answerWith(i int, o esm.Outcome, state string) {
	if i < 0 || i >= len(w.flight) {
		w.printf("no such invocation is out")
		return
	}
	inv := w.flight[i]
	if inv.Window != nil && state == "" && inv.ID.Purpose == esm.ForRecords {
		state = inv.Window.State
	}
	w.flight = slices.Delete(w.flight, i, i+1)
	w.step(esm.Returned{Batch: inv.Batch, Outcome: o, State: state})
}

// verbAnswered answers the oldest invocation with a body, which is the verb's input. An itemIdentifier is a position in
// decimal.
func (w *world) verbAnswered(a *args) {
	if len(w.flight) == 0 {
		w.printf("no invocation is out")
		return
	}
	o, state := w.parse(a.d.Input, w.flight[0])
	w.printf("%s%s", o.Kind, flag(o.Reason != "", ": "+o.Reason))
	o.Version = "$LATEST"
	w.answerWith(0, o, state)
}

func (w *world) parse(body string, inv esm.Invoke) (o esm.Outcome, state string) {
	find := func(id string) (record.Position, bool) {
		n, err := strconv.ParseUint(id, 10, 64)
		return record.Position(n), err == nil && slices.Contains(inv.Positions, record.Position(n))
	}
	if inv.Window != nil {
		return esm.ParseWindowResponse([]byte(body), inv.ID.Purpose, w.cfg.PartialResponses, find)
	}
	return esm.ParseResponse([]byte(body), w.cfg.PartialResponses, find), ""
}

func (w *world) verbSlotFree(a *args) { w.step(esm.SlotFree{Lane: a.int("lane", 0)}) }

func (w *world) verbNudge(*args) { w.step(esm.Nudge{}) }

// verbFunction says how run answers.
func (w *world) verbFunction(a *args) {
	w.function = function{
		poison: map[record.Position]bool{}, report: a.flag("report"), fails: a.int("fails", 0),
		ends: a.int("fails-to-end", 0), takes: a.duration("takes", 0),
	}
	if list, ok := a.find("poison"); ok {
		for p := range strings.SplitSeq(list, ",") {
			w.function.poison[record.Position(a.number(p))] = true
		}
	}
}

// call runs the function. In a tumbling window it counts records.
func (w *world) call(inv esm.Invoke) (o esm.Outcome, state string) {
	f := &w.function
	f.answers++
	failed := esm.Outcome{Kind: esm.FunctionError, StatusCode: 200, FunctionError: "Unhandled", Version: "$LATEST"}
	if inv.ID.Purpose != esm.ForRecords {
		if f.ends--; f.ends >= 0 {
			return failed, ""
		}
		return esm.Outcome{Kind: esm.Success, StatusCode: 200, Version: "$LATEST"}, ""
	}
	bad := slices.DeleteFunc(slices.Clone(inv.Positions), func(p record.Position) bool { return !f.poison[p] })
	switch {
	case f.answers <= f.fails, len(bad) > 0 && !f.report:
		return failed, ""
	case len(bad) > 0:
		var items []string
		for _, p := range bad {
			items = append(items, fmt.Sprintf(`{"itemIdentifier":"%d"}`, p))
		}
		return w.parse(
			`{"batchItemFailures":[`+strings.Join(items, ",")+`],"state":`+counted(
				inv, slices.Index(inv.Positions, bad[0]),
			)+`}`,
			inv,
		)
	}
	return esm.Outcome{Kind: esm.Success, StatusCode: 200, Version: "$LATEST"}, counted(inv, len(inv.Positions))
}

// counted returns the state that an invocation carried, plus n.
func counted(inv esm.Invoke, n int) string {
	var state struct {
		N int `json:"n"`
	}
	if inv.Window != nil {
		if err := json.Unmarshal([]byte(inv.Window.State), &state); err != nil {
			panic(err)
		}
	}
	return fmt.Sprintf(`{"n":%d}`, state.N+n)
}

// verbRun lets the function answer everything, the destination accept everything and time pass, until nothing is left
// to wait for, or for=DURATION has passed.
func (w *world) verbRun(a *args) {
	end := w.now.Add(a.duration("for", 24*365*3600e9))
	start := w.function.answers
	for range 10_000 {
		switch {
		case len(w.flight) > 0:
			inv := w.flight[0]
			if done := w.now.Add(w.function.takes); w.function.takes > 0 {
				if done.After(end) {
					w.goTo(end)
					return
				}
				w.goTo(done)
			}
			o, state := w.call(inv)
			w.answerWith(0, o, state)
		case len(w.notices) > 0:
			b := w.notices[0].Batch
			w.notices = w.notices[1:]
			w.step(esm.Delivered{Batch: b, Result: esm.DeliveryDone})
		default:
			wake := w.shard.Wake()
			if wake.IsZero() || wake.After(end) {
				if a.flag("for") {
					w.goTo(end)
				}
				w.printf("invocations=%d", w.function.answers-start)
				return
			}
			w.printf("-- at %s", wake.Sub(epoch))
			w.now = wake
			w.step(esm.Tick{})
		}
	}
	w.printf("it does not end")
}
