// Package logs speaks the JSON protocol of Amazon CloudWatch Logs (X-Amz-Target: Logs_20140328.<operation>) in front of
// companion/logstore.
//
// In flow HTTP requests that wire.Router has picked, out flow AWS's answers; what is kept, for how long and in which
// order, is decided in companion/logstore. Operations and parameters that AWS has and this room does not are refused by
// name. The shapes are those of the CloudWatch Logs API Reference; docs/compat/logs.md lists what differs.
package logs

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

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

// Codes that only the wire gives.
const (
	codeUnknownOperation = "UnknownOperationException"
	codeSerialization    = wire.CodeSerialization
	codeUnavailable      = "ServiceUnavailableException"
	codeInternal         = "InternalFailure"
)

// Options are what the handler needs. Store is required; a nil Clock is real time, a nil Log is silent.
type Options struct {
	Store *logstore.Store
	Clock *clock.Clock
	Log   *slog.Logger
}

// Handler answers requests of CloudWatch Logs.
type Handler struct {
	store *logstore.Store
	clock *clock.Clock
	log   *slog.Logger
}

// New returns the handler of the service. It finds the caller with wire.CallerOf. Safe for concurrent use.
func New(o Options) http.Handler {
	if o.Clock == nil {
		o.Clock = clock.New(0)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Handler{store: o.Store, clock: o.Clock, log: o.Log}
}

// operation answers one request from its body; a nil answer has no body, as on AWS.
type operation func(*Handler, context.Context, wire.Caller, []byte) (any, error)

// handle returns an operation on a typed input. Members that the input does not have are ignored, as AWS does.
func handle[In any](f func(*Handler, context.Context, wire.Caller, *In) (any, error)) operation {
	return func(h *Handler, ctx context.Context, c wire.Caller, body []byte) (any, error) {
		in := new(In)
		if len(body) > 0 {
			if err := json.Unmarshal(body, in); err != nil {
				return nil, fault.New(
					codeSerialization, "The request body does not have the shape that the operation expects.",
				).Because(err)
			}
		}
		return f(h, ctx, c, in)
	}
}

// Service is this service's row of the shared port; h is what New made.
func Service(h http.Handler) wire.Service {
	return wire.Service{
		Name: "logs", Target: Target, Needs: wire.Header, Handler: h, Refuse: Refuse,
		Codes: wire.Codes{Internal: codeInternal, Unavailable: codeUnavailable, Unsigned: fault.CodeMissingToken},
	}
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := wire.CallerOf(r.Context())
	wire.SetIDs(w.Header(), c)
	answer, err := h.answer(r, c)
	switch {
	case err != nil:
		Refuse(w, r, h.faultOf(c, err))
	case answer == nil:
		wire.WriteBytes(w, http.StatusOK, contentType, nil)
	default:
		wire.WriteJSON(w, http.StatusOK, contentType, answer)
	}
}

func (h *Handler) answer(r *http.Request, c wire.Caller) (any, error) {
	service, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	op := operations[name]
	switch {
	case service != Target || r.Method != http.MethodPost:
		return nil, &fault.Error{Code: codeUnknownOperation}
	case op == nil && slices.Contains(strings.Fields(absent), name):
		return nil, wire.NotImplemented("Amazon CloudWatch Logs", name)
	case op == nil:
		return nil, &fault.Error{Code: codeUnknownOperation}
	}
	body, err := wire.ReadBody(r, maxRequestBytes)
	if err != nil {
		return nil, err
	}
	if err := wire.ChargeTree(r.Context(), body); err != nil {
		return nil, err
	}
	if !jsontext.Faithful(body) { // a message must not change on its way
		return nil, fault.New(codeSerialization, "The request body is not valid Unicode.")
	}
	return op(h, r.Context(), c, body)
}

type faultBody struct {
	Type    string `json:"__type"`
	Message string `json:"message,omitempty"`
}

// faultOf returns what an error means to the caller.
func (h *Handler) faultOf(c wire.Caller, err error) *fault.Error {
	if errors.Is(err, logstore.ErrClosed) || errors.Is(err, context.Canceled) ||
		errors.Is(err, context.DeadlineExceeded) {
		// nothing an operator must know; SDKs try again
		err = &fault.Error{Code: codeUnavailable, Status: http.StatusServiceUnavailable}
	}
	return wire.AsFault(err, codeInternal, c, h.log)
}

// Refuse answers with a fault.
func Refuse(w http.ResponseWriter, _ *http.Request, f *fault.Error) {
	status := f.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	wire.Hint(w.Header(), f.Hint)
	wire.WriteJSON(w, status, contentType, faultBody{Type: f.Code, Message: f.Message})
}
