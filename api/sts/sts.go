// Package sts answers whose key a caller uses, as AWS Security Token Service does (query protocol, version 2011-06-15).
//
// In flow HTTP requests that wire.Router has picked; out flow the identity behind an access key: the role that a
// function runs under for keys that were issued to its environments, and the account's root for every other key, since
// users do not exist here. Nothing is issued and nothing is stored: the operations that hand out credentials are
// refused by name. The shapes are those of the AWS STS API Reference; docs/compat/sts.md lists what differs.
package sts

import (
	"context"
	"log/slog"
	"net/http"
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

// codeInvalidAction is the code of an operation that no model has.
const codeInvalidAction = "InvalidAction"

// absent refuses what AWS STS has and this room does not.
const absent = wire.Absent("sts")

// model is what AWS STS has.
var model = wire.Model[operation]{
	Absent: absent,
	Served: map[string]operation{
		"GetCallerIdentity": {Serve: (*Handler).getCallerIdentity},
	},
	Others: `AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity AssumeRoot DecodeAuthorizationMessage
		GetAccessKeyInfo GetDelegatedAccessToken GetFederationToken GetScopedCredentials GetSessionToken
		GetWebIdentityToken`,
}

type operation = wire.Operation[*Handler, wire.Form]

// Session is a role that a function has taken on.
type Session struct {
	RoleARN  string // arn:aws:iam::123456789012:role/path/name
	RoleID   string // AROA and 17 letters and digits
	Function string // its name
}

// Options are what the handler needs. A nil Log is silent.
type Options struct {
	// Session returns the session of an access key that was issued to a function; nil: no keys are issued.
	Session func(ctx context.Context, accessKey string) (Session, bool)
	Log     *slog.Logger
}

// Handler carries out the operations of STS.
type Handler struct {
	session func(ctx context.Context, accessKey string) (Session, bool)
}

// New returns the handler of the service. It finds the caller with wire.CallerOf. Safe for concurrent use.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	faults := wire.Faults{Internal: fault.CodeInternal, Unavailable: fault.CodeUnavailable, Log: o.Log}
	return &wire.Query[*Handler, wire.Form]{
		Of: &Handler{o.Session}, Model: &model, Namespace: namespace, Limit: maxRequestBytes, Fault: faults.Of,
		Refuse: Refuse,
		Read:   func(_ *http.Request, _ wire.Caller, form wire.Form) (wire.Form, error) { return form, nil },
		Unknown: func(action string) *fault.Error {
			return fault.New(codeInvalidAction, "Could not find operation %.100q for version %s", action, Version)
		},
	}
}

// Service returns this service's row of the shared port; h is what New made.
func Service(h http.Handler) wire.Service {
	return wire.Service{
		Name: "sts", Needs: wire.Header, Dialect: wire.Forms, Handler: h, Refuse: Refuse,
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

type callerIdentity struct {
	ARN     string `xml:"Arn"`
	UserID  string `xml:"UserId"`
	Account string `xml:"Account"`
}

// getCallerIdentity answers to whom the access key of the request belongs. Where signatures are not verified, it says
// whose key was named, not who sent the request. Source: AWS STS API Reference, GetCallerIdentity.
func (h *Handler) getCallerIdentity(ctx context.Context, c wire.Caller, _ wire.Form) (any, error) {
	if !c.Signed {
		return nil, fault.New(
			wire.CodeMissingToken, "Request is missing Authentication Token",
		).WithStatus(http.StatusForbidden)
	}
	if h.session != nil {
		if s, ok := h.session(ctx, c.AccessKey); ok {
			if id, ok := s.identity(); ok {
				return id, nil
			}
		}
	}
	if holder := c.Holder(); holder != "" {
		return callerIdentity{holder, c.AccessKey, c.Account}, nil
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
