// Package iam serves AWS Identity and Access Management (query protocol, version 2010-05-08) in front of
// companion/identity.
//
// HTTP requests that wire.Router has routed here come in, AWS's answers go out; companion/identity decides what is
// stored, and within which quotas. Operations that AWS has and this room does not are refused by name. The shapes are
// those of the IAM API Reference; docs/compat/iam.md lists what differs.
package iam

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/identity"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
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

// Codes that only the wire gives.
const (
	codeInvalidInput  = "InvalidInput"
	codeValidation    = "ValidationError"
	codeInvalidAction = "InvalidAction"
)

// statuses are those of codes that are not 400.
var statuses = map[string]int{
	identity.CodeNoSuchEntity: 404, identity.CodeExists: 409, identity.CodeConflict: 409, identity.CodeLimit: 409,
}

// Options are what the handler needs. Identities is required; a nil Log is silent.
type Options struct {
	Identities *identity.Store
	Log        *slog.Logger
}

// Handler carries out the operations of IAM.
type Handler struct{ identities *identity.Store }

// New returns the handler of the service. It finds the caller with wire.CallerOf. Safe for concurrent use.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	faults := wire.Faults{
		Internal: fault.CodeInternal, Unavailable: fault.CodeUnavailable, Statuses: statuses,
		Stopped: []error{identity.ErrUnavailable}, Log: o.Log,
	}
	return &wire.Query[*Handler, *request]{
		Of: &Handler{o.Identities}, Model: &model, Namespace: namespace, Limit: maxRequestBytes, Read: read,
		Fault: faults.Of, Refuse: Refuse,
		Unknown: func(action string) *fault.Error {
			return fault.New(codeInvalidAction, "Could not find operation %s for version %s", clip(action), Version)
		},
	}
}

// request is one request with its caller.
type request struct {
	wire.Form
	account identity.Account
}

func read(_ *http.Request, c wire.Caller, form wire.Form) (*request, error) {
	if len(form.Values) > maxFormFields {
		return nil, fault.New(codeValidation, "The request has more than %d parameters.", maxFormFields)
	}
	return &request{form, identity.Account{ID: c.Account, Partition: arn.PartitionOf(c.Region)}}, nil
}

// Service returns this service's row of the shared port; h is what New made.
func Service(h http.Handler) wire.Service {
	return wire.Service{
		Name: "iam", Needs: wire.Header, Dialect: wire.Forms, Handler: h, Refuse: Refuse,
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

// stamp returns an instant in the form of answers.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// encoded returns a document in the form of answers: percent-encoded according to RFC 3986.
func encoded(document string) string {
	return strings.ReplaceAll(url.QueryEscape(document), "+", "%20")
}
