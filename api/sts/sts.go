// Package sts answers who calls, as AWS Security Token Service does (query protocol, version 2011-06-15).
//
// In flow HTTP requests that wire.Router has picked; out flow the identity behind an access key: the role that a
// function runs under for keys that were issued to its environments, and the account's root for every other key, since
// users do not exist here. Nothing is issued and nothing is stored: the operations that hand out credentials are
// refused by name. The shapes are those of the AWS STS API Reference; docs/compat/sts.md lists what differs.
package sts

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
)

// Version is the one version of this API.
const Version = "2011-06-15"

const namespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// maxRequestBytes bounds a request before it is read.
const maxRequestBytes = 64 << 10

// Codes that this service gives.
const (
	codeInvalidAction = "InvalidAction"
	codeMissingAction = "MissingAction"
	codeInternal      = "InternalFailure"
)

// Session is a role that a function has taken on.
type Session struct {
	RoleARN  string // arn:aws:iam::123456789012:role/path/name
	RoleID   string // AROA and 17 letters and digits
	Function string // its name
}

// Options are what the handler needs. A nil Log is silent.
type Options struct {
	// Session answers what an access key that was issued to a function stands for; nil: no key was.
	Session func(r *http.Request, accessKey string) (Session, bool)
	Log     *slog.Logger
}

// Handler answers requests of STS.
type Handler struct {
	opt Options
}

// New returns the handler of the service. It finds the caller with wire.CallerOf. Safe for concurrent use.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Handler{o}
}

// absent are the operations of the service's model that are not here.
var absent = []string{
	"AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "AssumeRoot", "DecodeAuthorizationMessage",
	"GetAccessKeyInfo", "GetDelegatedAccessToken",
	"GetFederationToken", "GetSessionToken", "GetWebIdentityToken",
}

// Service is this service's row of the shared port; h is what New made.
func Service(h http.Handler) wire.Service {
	return wire.Service{
		Name: "sts", Needs: wire.Header, Handler: h, Refuse: Refuse,
		Codes: wire.Codes{Internal: codeInternal, Unavailable: fault.CodeUnavailable, Unsigned: wire.CodeMissingToken},
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
		f := wire.AsFault(err, codeInternal, c, h.opt.Log)
		if f.Status == 0 {
			f = f.WithStatus(http.StatusBadRequest)
		}
		Refuse(w, r, f)
		return
	}
	wire.WriteQuery(w, c, namespace, action, result)
}

func (h *Handler) answer(r *http.Request, c wire.Caller) (action string, result any, err error) {
	form, err := wire.ReadForm(r, maxRequestBytes)
	if err != nil {
		return "", nil, err
	}
	switch action = form.Action(); {
	case action == "GetCallerIdentity":
		result, err = h.getCallerIdentity(r, c)
		return action, result, err
	case action == "":
		return "", nil, fault.New(codeMissingAction, "The request must contain the parameter Action.")
	case slices.Contains(absent, action):
		return "", nil, wire.NotImplemented("AWS STS", action)
	}
	return "", nil, fault.New(codeInvalidAction, "Could not find operation %.100q for version %s", action, Version)
}

type callerIdentity struct {
	ARN     string `xml:"Arn"`
	UserID  string `xml:"UserId"`
	Account string `xml:"Account"`
}

// getCallerIdentity answers who the access key of the request belongs to. Signatures are not verified, so it says whose
// key was named, not who holds it. Source: AWS STS API Reference, GetCallerIdentity.
func (h *Handler) getCallerIdentity(r *http.Request, c wire.Caller) (any, error) {
	if !c.Signed {
		return nil, fault.New(
			wire.CodeMissingToken, "Request is missing Authentication Token",
		).WithStatus(http.StatusForbidden)
	}
	if h.opt.Session != nil {
		if s, ok := h.opt.Session(r, c.AccessKey); ok {
			if id, ok := s.identity(); ok {
				return id, nil
			}
		}
	}
	return callerIdentity{
		"arn:" + arn.PartitionOf(c.Region) + ":iam::" + c.Account + ":root", c.Account, c.Account,
	}, nil
}

// identity returns the assumed role. Its session is the function's name, which Lambda makes longer where it is shorter
// than a session name may be. The path of a role is not part of the answer.
func (s Session) identity() (callerIdentity, bool) {
	role, ok := arn.Parse(s.RoleARN)
	path, isRole := strings.CutPrefix(role.Resource, "role/")
	if !ok || !isRole {
		return callerIdentity{}, false
	}
	name := path[strings.LastIndexByte(path, '/')+1:]
	session := s.Function
	if len(session) < 2 {
		session += "@lambda_function"
	}
	assumed := arn.ARN{
		Partition: role.Partition, Service: "sts", Account: role.Account,
		Resource: "assumed-role/" + name + "/" + session,
	}
	return callerIdentity{assumed.String(), s.RoleID + ":" + session, role.Account}, true
}
