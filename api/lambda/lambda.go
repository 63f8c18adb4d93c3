// Package lambda is the wire of AWS Lambda: REST-JSON of the API version 2015-03-31 and its younger paths. One file per
// operation.
//
// Requests come through wire.Router and carry a Caller. This room parses and renders; package function does the rest.
// Operations and parameters that AWS has and shardmill does not are refused by name, never ignored;
// docs/compat/lambda.md lists them. Source: Lambda API Reference; error shapes as recorded from AWS.
package lambda

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/policy"
	"github.com/shardmill/shardmill/mapping"
)

// Options configure a Handler. Functions is required.
type Options struct {
	Functions *function.Functions
	Mappings  *mapping.Mappings // nil: operations on event source mappings are refused by name
	Log       *slog.Logger      // nil: discarded
}

// Handler serves Lambda. It is safe for concurrent use.
type Handler struct {
	functions *function.Functions
	mappings  *EventSourceMappings
	log       *slog.Logger
	urlKey    [32]byte // signs the URLs of code packages; a new one per process
}

// New returns a Handler.
func New(o Options) *Handler {
	h := &Handler{functions: o.Functions, log: o.Log}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if o.Mappings != nil {
		h.mappings = NewEventSourceMappings(o.Mappings, h.log)
	}
	_, _ = rand.Read(h.urlKey[:]) // never fails, says crypto/rand
	return h
}

// codeUnavailable is the code that makes clients retry.
const codeUnavailable = "ServiceUnavailableException"

// Service is this service's row of the shared port; h is what New made. URLs of code packages carry their own proof.
func Service(h http.Handler) wire.Service {
	return wire.Service{
		Name: "lambda", Paths: Paths(), Needs: wire.Signature, MaxBody: maxBody, Open: packagePath, Handler: h,
		Refuse: Refuse,
		Codes:  wire.Codes{Internal: fault.CodeService, Unavailable: codeUnavailable, Unsigned: fault.CodeMissingToken},
	}
}

// Refuse answers a fault that did not come from an operation.
func Refuse(w http.ResponseWriter, _ *http.Request, f *fault.Error) { writeFault(w, f) }

// call is one request on its way.
type call struct {
	ctx    context.Context
	w      http.ResponseWriter
	r      *http.Request
	op     string
	caller wire.Caller
	params map[string]string // of the path, decoded

	permissions func(ref function.Ref, qualifier string) *policy.Document // of a function; nil: none
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{ctx: r.Context(), w: w, r: r, caller: wire.CallerOf(r.Context())}
	wire.SetIDs(w.Header(), c.caller)
	if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, packagePath) {
		h.answer(c, h.getPackage(c))
		return
	}
	if !c.caller.Signed {
		h.answer(c, fault.New(fault.CodeMissingToken, "Missing Authentication Token"))
		return
	}
	op, params := match(r)
	switch {
	case op == nil:
		h.answer(
			c,
			fault.New(
				fault.CodeUnknownOperation, "Lambda has no operation %s %s.", r.Method, clip(r.URL.EscapedPath()),
			),
		)
	case op.serve == nil:
		h.answer(c, absent.Operation(op.name))
	default:
		c.op, c.params, c.permissions = op.name, params, h.permissionsOf
		err := wire.Permit(r, op.name)
		c.caller = wire.CallerOf(r.Context()) // who knows the operation now
		if err == nil {
			err = op.serve(h, c)
		}
		h.answer(c, err)
	}
}

// eventSourceMapping hands the five operations on mappings over.
func (h *Handler) eventSourceMapping(c *call) error {
	if h.mappings == nil {
		return absent.Operation(c.op)
	}
	h.mappings.ServeHTTP(c.w, c.r)
	return nil
}

// absent refuses what AWS Lambda has and shardmill does not.
const absent = wire.Absent("lambda")

// unsupported refuses a parameter by its name.
func unsupported(parameter string) error {
	return absent.Parameter(fault.CodeInvalidParameter, parameter)
}

// answer writes err, if there is one; otherwise the operation has answered.
func (h *Handler) answer(c *call, err error) {
	if err != nil {
		writeFault(c.w, wire.AsFault(err, "ServiceException", c.caller, h.log))
	}
}

// json answers with a document.
func (c *call) json(status int, body any) error {
	wire.WriteJSON(c.w, status, "application/json", body)
	return nil
}

// empty answers 204.
func (c *call) empty() error {
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// hint puts advice on the answer; an earlier one stays in front.
func (c *call) hint(text string) {
	if text == "" {
		return
	}
	if before := c.w.Header().Get(wire.HintHeader); before != "" {
		text = before + " " + text
	}
	wire.Hint(c.w.Header(), text)
}

func clip(s string) string { return fault.Clip(s, 200) }
