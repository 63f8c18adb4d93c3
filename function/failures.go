package function

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/shardmill/shardmill/function/runtimeapi"
)

// Class says what an invocation came to, as far as retries are concerned.
type Class uint8

const (
	Success       Class = iota + 1 // the handler answered
	FunctionError                  // the code ran, or could not start, and that is the function's fault
	NotAdmitted                    // refused for lack of concurrency, or not Active yet: nothing ran
	PlatformError                  // our fault: nothing ran, or it is unknown what became of it
	ConfigError                    // no such function, or it cannot run here: trying again does not help
)

// String names the class for logs.
func (c Class) String() string {
	switch c {
	case Success:
		return "success"
	case FunctionError:
		return "function error"
	case NotAdmitted:
		return "not admitted"
	case PlatformError:
		return "platform error"
	case ConfigError:
		return "configuration error"
	}
	return fmt.Sprintf("class %d", uint8(c))
}

// Reasons of a Result that others compare with. Those of a refusal are beside the fleet; a function error has its error
// type, a function that cannot run its StateCode.
const (
	ReasonNotFound  = "ResourceNotFound" // of ConfigError: there is no such function
	ReasonStopping  = "Stopping"         // of PlatformError: this process ends
	ReasonSpawn     = "SpawnFailed"      // of PlatformError: no process could be started
	ReasonAbandoned = "Abandoned"        // of PlatformError: the caller did not wait for the end

	reasonOutOfMemory = "Runtime.OutOfMemory"
)

// failure is a function error that we, not the runtime, found. It becomes the payload once the request id is known.
type failure struct {
	kind    string // errorType
	message string // after "RequestId: … Error: "
	payload []byte // the runtime's own document; overrides the rest
	status  string // in REPORT: timeout or error
	hint    string // advice for a person, or ""
}

// document returns the payload, keys in AWS's order.
func (f failure) document(requestID string) []byte {
	if f.payload != nil {
		return f.payload
	}
	return errorDocument(f.kind, "RequestId: "+requestID+" Error: "+f.message)
}

func errorDocument(kind, message string) []byte {
	b, _ := json.Marshal(struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}{kind, message})
	return b
}

// result returns the failure as the result of an invocation of a version.
func (f failure) result(requestID, version string) Result {
	return Result{
		Class: FunctionError, Payload: f.document(requestID), ErrorKind: Unhandled, Reason: f.kind, Detail: f.message,
		StatusCode: 200, ExecutedVersion: version, Hint: f.hint,
	}
}

// tooLarge is AWS's answer in place of a response beyond the limit.
func tooLarge() failure {
	message := fmt.Sprintf(
		"Response payload size exceeded maximum allowed payload size (%d bytes).", runtimeapi.MaxResponse,
	)
	b, _ := json.Marshal(struct {
		Message string `json:"errorMessage"`
		Type    string `json:"errorType"`
	}{message, "Function.ResponseSizeTooLarge"})
	return failure{kind: "Function.ResponseSizeTooLarge", message: message, payload: b, status: "error"}
}

// timedOut returns the failure of an invocation that used up its time.
func (f *Functions) timedOut(requestID string, timeout time.Duration) failure {
	text := fmt.Sprintf("Task timed out after %.2f seconds", timeout.Seconds())
	out := failure{kind: "Sandbox.Timedout", message: text, status: "timeout"}
	if f.opt.LegacyTimeoutPayload {
		b, _ := json.Marshal(struct {
			Message string `json:"errorMessage"`
		}{f.opt.Clock.Now().UTC().Format(isoMillis) + " " + requestID + " " + text})
		out.payload = b
	}
	return out
}

const isoMillis = "2006-01-02T15:04:05.000Z"

// Back-off of failing init phases: it protects the machine from a crash loop that a mapping drives. Real time.
const (
	initFailuresAllowed = 3
	firstInitPause      = time.Second
	longestInitPause    = 30 * time.Second
)

// initFailed counts a failed init phase.
func (g *generation) initFailed(f failure) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failures++
	g.lastInit = f
	if over := g.failures - initFailuresAllowed; over >= 0 {
		g.retryAt = time.Now().Add(min(firstInitPause<<min(over, 10), longestInitPause))
	}
}

func (g *generation) initWorked() {
	g.mu.Lock()
	g.failures, g.retryAt = 0, time.Time{}
	g.mu.Unlock()
}

// pause returns the last init failure while no new start is allowed.
func (g *generation) pause() (failure, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lastInit, g.failures >= initFailuresAllowed && time.Now().Before(g.retryAt)
}

// maxSaid bounds the advice that is said about one version of a function.
const maxSaid = 32

// advise logs advice for a person, once for each version of a function.
func (g *generation) advise(hint string) {
	g.mu.Lock()
	said := hint == "" || len(g.said) == maxSaid || slices.Contains(g.said, hint)
	if !said {
		g.said = append(g.said, hint)
	}
	g.mu.Unlock()
	if !said {
		g.f.opt.Log.Warn("hint", "function", g.conf.Ref.ARN(), "hint", hint)
	}
}
