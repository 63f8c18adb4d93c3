package wire

import (
	"errors"
	"net/http"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/sigv4"
)

// Dialect is how a service speaks of requests that it does not let in.
type Dialect uint8

const (
	// Plain is that of services whose protocol is JSON or CBOR.
	Plain Dialect = iota

	// Forms is that of the query protocol; a service that speaks JSON or CBOR beside it speaks plainly there.
	Forms

	// Objects is S3's. Its bodies pass through: they are not read to verify a signature, but held to the digest that
	// was signed, by the service itself; see Chunks.
	Objects
)

// dialect returns how the service, or nil for none, answers r.
func (s *Service) dialect(r *http.Request) Dialect {
	if s == nil {
		return Plain
	}
	if s.Dialect == Forms && (r.Header.Get("X-Amz-Target") != "" || r.Header.Get("Smithy-Protocol") != "") {
		return Plain
	}
	return s.Dialect
}

// codesOf are the codes for each reason, of JSON and of the query protocol.
var codesOf = [...]struct{ plain, form string }{
	sigv4.Missing:     {fault.CodeMissingToken, CodeMissingToken},
	sigv4.Doubled:     {CodeInvalidSignature, codeSignatureMismatch},
	sigv4.Foreign:     {CodeIncompleteSignature, codeIncompleteForm},
	sigv4.Incomplete:  {CodeIncompleteSignature, codeIncompleteForm},
	sigv4.Misscoped:   {CodeInvalidSignature, codeSignatureMismatch},
	sigv4.Uncovered:   {CodeInvalidSignature, codeSignatureMismatch},
	sigv4.Early:       {CodeInvalidSignature, codeSignatureMismatch},
	sigv4.Late:        {CodeInvalidSignature, codeSignatureMismatch},
	sigv4.Mismatching: {CodeInvalidSignature, codeSignatureMismatch},
}

// Codes of signatures that do not count.
const (
	CodeInvalidSignature    = "InvalidSignatureException"
	CodeIncompleteSignature = "IncompleteSignatureException"
	CodeUnknownClient       = "UnrecognizedClientException"
	codeSignatureMismatch   = "SignatureDoesNotMatch" // also S3's
	codeIncompleteForm      = "IncompleteSignature"
	codeUnknownClientForm   = "InvalidClientTokenId"
	codeDeniedForm          = "AccessDenied" // also S3's

	// of S3 alone
	codeInvalidRequest  = "InvalidRequest"
	codeInvalidArgument = "InvalidArgument"
	codeMalformed       = "AuthorizationHeaderMalformed"
	codeMalformedQuery  = "AuthorizationQueryParametersError"
	codeSkewed          = "RequestTimeTooSkewed"
	codeNoSuchKeyID     = "InvalidAccessKeyId"
	codeInvalidToken    = "InvalidToken"
)

// FormCode returns a code of this file as the query protocol spells it; others stay as they are.
func FormCode(code string) string {
	switch code {
	case fault.CodeMissingToken:
		return CodeMissingToken
	case CodeInvalidSignature:
		return codeSignatureMismatch
	case CodeIncompleteSignature:
		return codeIncompleteForm
	case CodeUnknownClient:
		return codeUnknownClientForm
	case fault.CodeAccessDenied:
		return codeDeniedForm
	}
	return code
}

// unproven returns the fault of a signature that does not count. err is a *sigv4.Refusal.
func (s *Service) unproven(r *http.Request, g *sigv4.Given, err error) *fault.Error {
	var why *sigv4.Refusal
	if !errors.As(err, &why) {
		return &fault.Error{Code: s.codes().Internal, Status: http.StatusInternalServerError}
	}
	d := s.dialect(r)
	switch {
	case d == Objects && why.Why == sigv4.Missing && r.URL.Query().Has("AWSAccessKeyId"):
		return &fault.Error{
			Code: codeInvalidRequest, Status: http.StatusBadRequest,
			Message: "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
			Hint: "boto3 and the AWS CLI sign URLs of us-east-1 in version 2 unless told otherwise: " +
				"Config(signature_version='s3v4'), aws configure set default.s3.signature_version s3v4",
		}
	case d == Objects:
		return objectsRefusal(g, why)
	}
	f := &fault.Error{Code: codesOf[why.Why].plain, Status: http.StatusForbidden, Message: why.Text}
	if d == Forms {
		f.Code = codesOf[why.Why].form
		if why.Why == sigv4.Missing {
			f.Message = "Request is missing Authentication Token"
		}
	}
	return f
}

// objectsRefusal is unproven in the words of S3.
func objectsRefusal(g *sigv4.Given, why *sigv4.Refusal) *fault.Error {
	f := &fault.Error{Code: codeDeniedForm, Status: http.StatusForbidden, Message: why.Object}
	switch why.Why {
	case sigv4.Missing, sigv4.Uncovered:
	case sigv4.Doubled:
		f.Code, f.Status = codeInvalidArgument, http.StatusBadRequest
	case sigv4.Foreign:
		f.Code, f.Status = codeInvalidRequest, http.StatusBadRequest
	case sigv4.Incomplete, sigv4.Misscoped:
		f.Code, f.Status = codeMalformed, http.StatusBadRequest
		if g.Presigned {
			f.Code = codeMalformedQuery
		}
	case sigv4.Early, sigv4.Late:
		switch {
		case !g.Presigned:
			f.Code = codeSkewed
			f.Message = "The difference between the request time and the current time is too large."
		case why.Why == sigv4.Early:
			f.Message = "Request is not valid yet"
		default:
			f.Message = "Request has expired"
		}
	case sigv4.Mismatching:
		f.Code = codeSignatureMismatch
	}
	return f
}

const badTokenText = "The security token included in the request is invalid."

// stranger returns the fault of a key that nobody has.
func (s *Service) stranger(r *http.Request) *fault.Error {
	f := &fault.Error{
		Code: CodeUnknownClient, Status: http.StatusForbidden, Message: badTokenText,
		Hint: "this server verifies signatures, and its key file has no key with this access key id; shardmill auth new adds one",
	}
	switch s.dialect(r) {
	case Plain:
	case Forms:
		f.Code = codeUnknownClientForm
	case Objects:
		f.Code, f.Message = codeNoSuchKeyID, "The AWS Access Key Id you provided does not exist in our records."
	}
	return f
}

// badToken returns the fault of a security token that does not belong to the key.
func (s *Service) badToken(r *http.Request) *fault.Error {
	f := &fault.Error{Code: CodeUnknownClient, Status: http.StatusForbidden, Message: badTokenText}
	switch s.dialect(r) {
	case Plain:
	case Forms:
		f.Code = codeUnknownClientForm
	case Objects:
		f.Code, f.Status = codeInvalidToken, http.StatusBadRequest
		f.Message = "The provided token is malformed or otherwise invalid."
	}
	return f
}

// denied returns the fault of what the caller may not do, to a resource with this ARN or, without one, to any.
func (c *Caller) denied(d Dialect, arn string) *fault.Error {
	action := actions[c.Service]
	if action == "" {
		action = c.Service
	}
	action += ":" + c.operation
	text := "User: " + c.Holder() + " is not authorized to perform: " + action
	if arn != "" {
		text += " on resource: " + arn
	}
	f := &fault.Error{
		Code:    fault.CodeAccessDenied,
		Message: text + " because no identity-based policy allows the " + action + " action",
		Hint: "the key file of this server gives the key a role, or patterns of streams, that do not include this; see " +
			"docs/auth.md",
	}
	if d != Plain {
		f.Code = codeDeniedForm
	}
	return f
}

// actions are the names of services in policies, where they differ from those in credential scopes.
var actions = map[string]string{"monitoring": "cloudwatch"}
