package esm

import (
	"time"

	"github.com/shardmill/shardmill/record"
)

// OutcomeKind classifies the result of an invocation. Only PartialFailure and FunctionError use up an attempt.
type OutcomeKind uint8

const (
	Success        OutcomeKind = iota + 1
	PartialFailure             // everything before At is fine; At and all after it come again
	FunctionError              // the function ran and the whole batch failed
	Throttle                   // refused for lack of concurrency: no code ran
	ServiceError               // no code ran for another reason: function missing, no environment, engine stopping
)

// Outcome is the result of one invocation, as determined by ParseResponse and the shell.
type Outcome struct {
	Kind          OutcomeKind
	At            record.Position // with PartialFailure: the lowest record reported
	Reason        string          // for people: error type and message, or why the batch counts as failed
	Code          string          // for machines: how the room that runs functions names the reason; "" without any
	FunctionError string          // "Unhandled", or "" for failures that the function reported itself
	StatusCode    int             // of the Invoke answer: 200 when code ran
	Version       string          // the version that ran
	RequestBytes  int             // of the payload sent
	ResponseBytes int
	Duration      time.Duration // how long the function ran
	Advice        Advice        // what a person should know about it
}
