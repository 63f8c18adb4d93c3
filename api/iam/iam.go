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
	"log/slog"
	"net/http"
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
)

// statuses are those of codes that are not 400.
var statuses = map[string]int{codeNoSuchEntity: 404, codeExists: 409, codeConflict: 409, codeLimit: 409}

// Options are what the handler needs. Coord is required; a nil Clock is real time, a nil Log is silent.
type Options struct {
	Coord storage.Coord // the keys under "iam/" are ours
	Clock *clock.Clock
	Log   *slog.Logger
}

// Handler serves IAM.
type Handler struct {
	http.Handler // of requests

	coord storage.Coord
	clock *clock.Clock

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
	faults := wire.Faults{
		Internal: fault.CodeInternal, Unavailable: fault.CodeUnavailable, Statuses: statuses,
		Stopped: []error{storage.ErrClosed, storage.ErrBusy}, Log: o.Log,
	}
	h := &Handler{coord: storage.Sure(o.Coord), clock: o.Clock}
	h.Handler = &wire.Query[*Handler, *request]{
		Of: h, Model: &model, Namespace: namespace, Limit: maxRequestBytes, Read: read, Fault: faults.Of,
		Refuse: Refuse,
		Unknown: func(action string) *fault.Error {
			return fault.New(codeInvalidAction, "Could not find operation %s for version %s", clip(action), Version)
		},
	}
	return h
}

// request is one request with its caller.
type request struct {
	wire.Form
	account, partition string
}

func read(_ *http.Request, c wire.Caller, form wire.Form) (*request, error) {
	if len(form.Values) > maxFormFields {
		return nil, fault.New(codeValidation, "The request has more than %d parameters.", maxFormFields)
	}
	return &request{form, c.Account, partition(c.Region)}, nil
}

// Service returns this service's row of the shared port; h is what New made.
func Service(h http.Handler) wire.Service {
	return wire.Service{
		Name: "iam", Needs: wire.Header, Handler: h, Refuse: Refuse,
		Codes: wire.Codes{
			Internal: fault.CodeInternal, Unavailable: fault.CodeUnavailable, Unsigned: wire.CodeMissingToken,
		},
	}
}

// Refuse answers a fault.
func Refuse(w http.ResponseWriter, r *http.Request, f *fault.Error) {
	wire.Hint(w.Header(), f.Hint)
	wire.WriteQueryError(w, wire.CallerOf(r.Context()), namespace, f.Code, f)
}

// stamp returns an instant as answers write it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
