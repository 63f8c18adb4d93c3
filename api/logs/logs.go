// Package logs serves the JSON protocol of Amazon CloudWatch Logs (X-Amz-Target: Logs_20140328.<operation>) in front of
// companion/logstore.
//
// HTTP requests that wire.Router has routed here come in, AWS's answers go out; companion/logstore decides what is
// kept, for how long and in which order. Operations and parameters that AWS has and this room does not are refused by
// name. The shapes are those of the CloudWatch Logs API Reference; docs/compat/logs.md lists what differs.
package logs

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/logstore"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/internal/jsontext"
)

// Target is the prefix of X-Amz-Target that means this service, for wire.Service.
const Target = "Logs_20140328"

const contentType = "application/x-amz-json-1.1"

// maxRequestBytes bounds a request before it is read: a batch of 1 MiB in which JSON writes every byte as a \u escape
// of six, and room for 10,000 events.
const maxRequestBytes = 8 << 20

// codeUnavailable is how this service spells it.
const codeUnavailable = "ServiceUnavailableException"

// Options are what the handler needs. Store is required; a nil Clock is real time, a nil Log is silent.
type Options struct {
	Store *logstore.Store
	Clock *clock.Clock
	Log   *slog.Logger
}

// Handler serves CloudWatch Logs.
type Handler struct {
	store *logstore.Store
	clock *clock.Clock
}

// New returns the handler of the service. It finds the caller with wire.CallerOf. Safe for concurrent use.
func New(o Options) http.Handler {
	if o.Clock == nil {
		o.Clock = clock.New(0)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	faults := wire.Faults{
		Internal: fault.CodeInternal, Unavailable: codeUnavailable, Stopped: []error{logstore.ErrClosed}, Log: o.Log,
	}
	return &wire.RPC[*Handler, wire.Input]{
		Of: &Handler{store: o.Store, clock: o.Clock}, Model: &model, Target: Target,
		Read: wire.JSONBody(maxRequestBytes, decode), Write: write, Fault: faults.Of, Refuse: Refuse,
	}
}

// decode returns a body as the input of an operation. Members that the input does not have are ignored, as AWS does.
func decode(body []byte) (wire.Input, error) {
	if !jsontext.Faithful(body) { // a message must not change on its way
		return nil, fault.New(fault.CodeSerialization, "The request body is not valid Unicode.")
	}
	return func(into any) error {
		if len(body) > 0 && json.Unmarshal(body, into) != nil {
			return fault.New(
				fault.CodeSerialization, "The request body does not have the shape that the operation expects.",
			)
		}
		return nil
	}, nil
}

// write answers with an operation's result; without a result there is no body, as on AWS.
func write(w http.ResponseWriter, _ wire.Caller, _ wire.Input, answer any) {
	if answer == nil {
		wire.WriteBytes(w, http.StatusOK, contentType, nil)
		return
	}
	wire.WriteJSON(w, http.StatusOK, contentType, answer)
}

// Service returns this service's row of the shared port; h is what New made.
func Service(h http.Handler) wire.Service {
	return wire.Service{
		Name: "logs", Target: Target, Needs: wire.Header, Handler: h, Refuse: Refuse,
		Codes: wire.Codes{
			Internal: fault.CodeInternal, Unavailable: codeUnavailable, Unsigned: fault.CodeMissingToken,
		},
	}
}

type faultBody struct {
	Type    string `json:"__type"`
	Message string `json:"message,omitempty"`
}

// Refuse answers a fault.
func Refuse(w http.ResponseWriter, _ *http.Request, f *fault.Error) {
	wire.FaultHeader(w.Header(), f)
	wire.WriteJSON(w, f.Status, contentType, faultBody{Type: f.Code, Message: f.Message})
}
