// Package iam keeps roles and policies and gives them back, as AWS Identity and Access Management does (query protocol,
// version 2010-05-08).
//
// In flow HTTP requests that wire.Router has picked; out flow AWS's answers. What is created is stored and returned so
// that tools which create roles work; no policy is ever evaluated, and no other room asks whether a role exists.
// iam:PassRole and other actions are text inside policy documents. Operations that AWS has and this room does not are
// refused by name. The shapes are those of the IAM API Reference; docs/compat/iam.md lists what differs,
// docs/format/iam.md what is stored.
package iam

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage"
)

// Version is the one version of this API.
const Version = "2010-05-08"

const namespace = "https://iam.amazonaws.com/doc/2010-05-08/"

// Bounds of a request: a document of 131,072 bytes in which every byte is written as %XX, and room around it; fields of
// a role with all its tags.
const (
	maxRequestBytes = 3*maxDocument + 256<<10
	maxFormFields   = 1000
)

// Codes that this service gives. Source: IAM API Reference, errors of each operation.
const (
	codeNoSuchEntity  = "NoSuchEntity"
	codeExists        = "EntityAlreadyExists"
	codeConflict      = "DeleteConflict"
	codeMalformed     = "MalformedPolicyDocument"
	codeLimit         = "LimitExceeded"
	codeInvalidInput  = "InvalidInput"
	codeValidation    = "ValidationError"
	codeInvalidAction = "InvalidAction"
	codeMissingAction = "MissingAction"
	codeInternal      = "InternalFailure"
	codeUnavailable   = "ServiceUnavailable"
)

// statuses are those of codes that are not 400.
var statuses = map[string]int{codeNoSuchEntity: 404, codeExists: 409, codeConflict: 409, codeLimit: 409}

// Options are what the handler needs. Coord is required; a nil Clock is real time, a nil Log is silent.
type Options struct {
	Coord storage.Coord // the keys under "iam/" are ours
	Clock *clock.Clock
	Log   *slog.Logger
}

// Handler answers requests of IAM.
type Handler struct {
	coord storage.Coord
	clock *clock.Clock
	log   *slog.Logger

	change sync.Mutex // one change at a time; held across the commit
}

// New returns the handler of the service. It finds the caller with wire.CallerOf. Safe for concurrent use.
func New(o Options) *Handler {
	if o.Clock == nil {
		o.Clock = clock.New(0)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Handler{coord: storage.Sure(o.Coord), clock: o.Clock, log: o.Log}
}

// request is one request with its caller.
type request struct {
	wire.Form
	account, partition string
}

// operation answers one request; a nil result is an answer without one.
type operation func(*Handler, context.Context, *request) (any, error)

// Service is this service's row of the shared port; h is what New made.
func Service(h http.Handler) wire.Service {
	return wire.Service{
		Name: "iam", Needs: wire.Header, Handler: h, Refuse: Refuse,
		Codes: wire.Codes{Internal: codeInternal, Unavailable: codeUnavailable, Unsigned: wire.CodeMissingToken},
	}
}

// Refuse answers a fault that no operation gave.
func Refuse(w http.ResponseWriter, r *http.Request, f *fault.Error) {
	wire.Hint(w.Header(), f.Hint)
	wire.WriteQueryError(w, wire.CallerOf(r.Context()), namespace, f.Code, f)
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := wire.CallerOf(r.Context())
	action, result, err := h.answer(r, c)
	if err != nil {
		Refuse(w, r, h.faultOf(c, err))
		return
	}
	wire.WriteQuery(w, c, namespace, action, result)
}

func (h *Handler) answer(r *http.Request, c wire.Caller) (action string, result any, err error) {
	form, err := wire.ReadForm(r, maxRequestBytes)
	if err != nil {
		return "", nil, err
	}
	action = form.Action()
	op := operations[action]
	switch {
	case action == "":
		return "", nil, fault.New(codeMissingAction, "The request must contain the parameter Action.")
	case op == nil && slices.Contains(strings.Fields(absent), action):
		return "", nil, wire.NotImplemented("AWS IAM", action)
	case op == nil:
		return "", nil, fault.New(
			codeInvalidAction, "Could not find operation %s for version %s", clip(action), Version,
		)
	case len(form.Values) > maxFormFields:
		return "", nil, fault.New(codeValidation, "The request has more than %d parameters.", maxFormFields)
	}
	result, err = op(h, r.Context(), &request{form, c.Account, partition(c.Region)})
	return action, result, err
}

// faultOf returns what an error means to the caller, with the status to answer.
func (h *Handler) faultOf(c wire.Caller, err error) *fault.Error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, storage.ErrClosed) || errors.Is(err, storage.ErrBusy) {
		// nothing an operator must know; SDKs try again
		err = &fault.Error{Code: codeUnavailable, Status: http.StatusServiceUnavailable}
	}
	f := wire.AsFault(err, codeInternal, c, h.log)
	if f.Status == 0 {
		status := statuses[f.Code]
		if status == 0 {
			status = http.StatusBadRequest
		}
		f = f.WithStatus(status)
	}
	return f
}

// stamp returns an instant as answers write it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
