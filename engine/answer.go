package engine

import (
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
)

// AnswerKind is the class of an answer to a Call.
type AnswerKind uint8

const (
	AnswerOK        AnswerKind = iota + 1 // the function ran; Payload is its response
	AnswerError                           // the function ran and failed, or its payload was refused as too large
	AnswerThrottled                       // refused for lack of concurrency: no code ran
	AnswerNotRun                          // no code ran, for another reason
)

// Answer is the answer to a Call.
type Answer struct {
	Kind          AnswerKind
	Payload       []byte
	Reason        string // for people
	Code          string // for machines: the Reason of function.Result
	FunctionError string // "Unhandled" when Kind is AnswerError
	StatusCode    int    // 200 when the function ran
	Version       string
	Duration      time.Duration
}

// Answered returns the event for the answer to a Call. What the function reported is judged here, by the core's own
// rules.
func (x *Executor) Answered(batch uint64, a Answer) esm.Event {
	f := x.flight[batch]
	if f == nil {
		return esm.Tick{} // cancelled: its result no longer matters
	}
	state := ""
	o := outcomeOf(a, len(f.payload), func(payload []byte) (o esm.Outcome) {
		if f.windowed {
			o, state = esm.ParseWindowResponse(payload, f.purpose, f.partial, finder(x.format, f.records))
			return o
		}
		return esm.ParseResponse(payload, f.partial, finder(x.format, f.records))
	})
	delete(x.flight, batch)
	if a.Kind == AnswerOK { // after anything else the payload may still be on its way to a function
		clear(f.records)
		x.free = append(x.free, f)
	}
	return esm.Returned{Batch: batch, Outcome: o, State: state}
}

// outcomeOf returns the outcome of an invocation with a payload of so many bytes; judge says what a response means.
func outcomeOf(a Answer, requestBytes int, judge func(response []byte) esm.Outcome) esm.Outcome {
	o := esm.Outcome{Reason: a.Reason, FunctionError: a.FunctionError, StatusCode: a.StatusCode}
	switch a.Kind {
	case AnswerOK:
		o = judge(a.Payload)
	case AnswerError:
		o.Kind = esm.FunctionError
		if len(a.Payload) > 0 {
			o.Reason = esm.ErrorReason(a.Payload)
		}
	case AnswerThrottled:
		o.Kind = esm.Throttle
	case AnswerNotRun:
		o.Kind = esm.ServiceError
	}
	o.Code, o.Version, o.Duration, o.RequestBytes, o.ResponseBytes = a.Code, a.Version, a.Duration, requestBytes, len(
		a.Payload,
	)
	return o
}

// finder looks identifiers up among the records of a batch.
func finder(format source.Format, records []record.Record) func(string) (record.Position, bool) {
	var places map[string]record.Position
	return func(id string) (record.Position, bool) {
		if places == nil {
			places = make(map[string]record.Position, len(records))
			for i := range records {
				places[format.Identifier(&records[i])] = records[i].Pos
			}
		}
		p, ok := places[id]
		return p, ok
	}
}
