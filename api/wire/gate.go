package wire

import (
	"cmp"
	"crypto/subtle"
	"io"
	"net/http"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/policy"
	"github.com/shardmill/shardmill/internal/sigv4"
)

// Gate lets in requests that are signed with a key that it knows. Router asks it before it hands a request over; a
// service with its own order of checks asks through Authenticate. Safe for concurrent use.
type Gate struct {
	// Find returns who holds an access key; ok is false for a key that nobody has.
	Find func(accessKey string) (who Holder, ok bool)
	Now  func() time.Time // real time

	verifier sigv4.Verifier
}

// Holder is who holds an access key.
type Holder struct {
	Account string
	Secret  string
	Session string           // the security token that belongs to the key; "": none does
	Clock   func() time.Time // a second clock by which requests may be dated; nil: none
	ARN     string           // as AWS shows whoever holds the key
	Owner   string           // the name in the key file of whoever answers for what the holder does; "": nobody
	Rights  Rights           // nil: everything
}

// Rights are what the holder of a key may do.
type Rights interface {
	May(service, operation string) bool // the service has the name that it has in a credential scope
	MayUse(stream string) bool
}

// maxSigned is how many bytes of a body are read to verify a signature, where the service does not say.
const maxSigned = 20 << 20

// mismatch is the refusal of a signature that the secret does not give.
var mismatch = &sigv4.Refusal{
	Why: sigv4.Mismatching,
	Text: "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access " +
		"Key and signing method. Consult the service documentation for details.",
	Object: "The request signature we calculated does not match the signature you provided. Check your key and signing " +
		"method.",
}

// guarded hands an exchange over to its service if the gate lets it in. A service with its own order of checks asks the
// gate itself, and a URL that is its own proof needs no other one.
func (rt *Router) guarded(x *exchange, r *http.Request) {
	s := x.service
	if s.open(r) {
		s.Handler.ServeHTTP(x, r)
		return
	}
	x.gate = rt.Gate
	if s.Needs != OwnOrder {
		if refused := rt.Gate.admit(x, r); refused != nil {
			s.refuse(x, r, x.caller, refused)
			return
		}
	}
	s.Handler.ServeHTTP(x, r)
}

// admit verifies a request to a service. It reads the body of a service other than S3, which is then in memory. It
// returns why the request is refused, or nil.
func (g *Gate) admit(x *exchange, r *http.Request) *fault.Error {
	given, refused := g.look(x, r)
	if refused != nil {
		return refused
	}
	if x.service.Dialect == Objects {
		return g.admitPassing(x, r, &given)
	}
	body, refused := signedBody(x, r)
	if refused != nil {
		return refused
	}
	return g.prove(x, r, &given, g.verifier.MatchesBody(r, &given, body, x.who.Secret))
}

// admitPassing is admit where the body passes later: what was signed is what a header says of it, and the service holds
// the body to that.
func (g *Gate) admitPassing(x *exchange, r *http.Request, given *sigv4.Given) *fault.Error {
	digest := r.Header.Get(digestHeader)
	if digest == "" && given.Presigned {
		if digest = r.URL.Query().Get(digestHeader); digest == "" {
			digest = sigv4.Unsigned
		}
		r.Header.Set(digestHeader, digest)
	}
	if digest == "" {
		return &fault.Error{
			Code: codeInvalidRequest, Status: http.StatusBadRequest,
			Message: "Missing required header for this request: x-amz-content-sha256",
		}
	}
	if refused := g.prove(x, r, given, g.verifier.Matches(r, given, digest, x.who.Secret)); refused != nil {
		return refused
	}
	x.chunks = g.verifier.Chunks(given, digest, x.who.Secret)
	return nil
}

const digestHeader = "X-Amz-Content-Sha256"

// Chunks returns what verifies the signatures of the chunks of a request's body; nil: they are not signed, or this
// server verifies no signatures.
func Chunks(r *http.Request) *sigv4.Chunks {
	if x, _ := r.Context().Value(callerKey{}).(*exchange); x != nil {
		return x.chunks
	}
	return nil
}

// ChunkMismatch returns the fault of a body with a chunk whose signature is wrong.
func ChunkMismatch() error {
	return &fault.Error{Code: codeSignatureMismatch, Status: http.StatusForbidden, Message: mismatch.Object}
}

// signedBody reads a body and puts it back.
func signedBody(x *exchange, r *http.Request) ([]byte, *fault.Error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	limit := x.service.MaxBody
	if limit == 0 {
		limit = maxSigned
	}
	body, err := ReadBody(r, limit)
	if err != nil {
		f := AsFault(err, x.service.codes().Internal, x.caller, nil)
		if f.Status == 0 {
			f = f.WithStatus(http.StatusBadRequest)
		}
		return nil, f
	}
	r.Body = &heldBody{rest: body}
	return body, nil
}

// look does what needs no body: it finds the key and judges what the request says of its signature.
func (g *Gate) look(x *exchange, r *http.Request) (sigv4.Given, *fault.Error) {
	given, err := sigv4.Read(r, x.claims, x.service.Dialect == Objects)
	if err != nil {
		return given, x.service.unproven(r, &given, err)
	}
	who, ok := g.Find(given.KeyID)
	if !ok {
		return given, x.service.stranger(r)
	}
	err = given.Check(r, x.service.Name, g.Now())
	if err != nil && who.Clock != nil {
		err = given.Check(r, x.service.Name, who.Clock())
	}
	if err != nil {
		return given, x.service.unproven(r, &given, err)
	}
	if subtle.ConstantTimeCompare([]byte(given.Session), []byte(who.Session)) != 1 {
		return given, x.service.badToken(r)
	}
	x.who = &who
	return given, nil
}

// prove makes the holder of the key the caller, if the signature matches.
func (g *Gate) prove(x *exchange, r *http.Request, given *sigv4.Given, matches bool) *fault.Error {
	if !matches {
		return x.service.unproven(r, given, mismatch)
	}
	x.proven = true
	c := &x.caller
	c.Account, c.AccessKey, c.Service, c.Signed = x.who.Account, given.KeyID, given.Service, true
	c.Region = given.Region
	c.Owner, c.who = x.who.Owner, x.who
	return nil
}

// Authenticate checks the signature of a request whose body has been read: that it is there with all its parts and, if
// this server verifies signatures, that it is right. It returns the caller, and a *fault.Error without a status. A
// service with its own order of checks calls it; Router does so for all others.
func Authenticate(r *http.Request, body []byte) (Caller, error) {
	x, _ := r.Context().Value(callerKey{}).(*exchange)
	if x == nil {
		x = &exchange{}
	}
	if x.gate == nil {
		if err := sigv4.Present(r, x.claims); err != nil {
			return x.caller, x.service.unproven(r, &sigv4.Given{}, err).WithStatus(0)
		}
		return x.caller, nil
	}
	given, refused := x.gate.look(x, r)
	if refused == nil {
		refused = x.gate.prove(x, r, &given, x.gate.verifier.MatchesBody(r, &given, body, x.who.Secret))
	}
	if refused != nil {
		return x.caller, refused.WithStatus(0)
	}
	x.caller.operation = x.operation(r)
	return x.caller, nil
}

// Permit judges whether the caller may call an operation of its service. Whoever dispatches operations asks before it
// calls one; an answer of an operation that nobody has asked for does not leave the server.
func Permit(r *http.Request, operation string) error {
	x, _ := r.Context().Value(callerKey{}).(*exchange)
	if x == nil {
		return nil
	}
	if x.caller.operation = operation; x.gate == nil {
		return nil
	}
	x.permitted = true
	switch {
	case !x.proven: // a service with its own order of checks has not asked
		return x.service.unproven(r, &sigv4.Given{}, &sigv4.Refusal{Why: sigv4.Missing})
	case x.who.Rights == nil || x.who.Rights.May(x.service.Name, operation):
		return nil
	}
	f := x.caller.denied(x.service.dialect(r), "")
	if x.service.Needs != OwnOrder {
		f.Status = http.StatusForbidden
	}
	return f
}

// PermitStream judges whether the caller may use a stream, for a service whose protocol is JSON or CBOR. A caller of
// whom nothing is known, because signatures are not verified, may use all.
func (c *Caller) PermitStream(name, arn string) error {
	if c.who == nil || c.who.Rights == nil || c.who.Rights.MayUse(name) {
		return nil
	}
	return c.denied(Plain, arn)
}

// ControlAPI is the name of our own API in credential scopes.
const ControlAPI = "shardmill"

var controlRow = Service{Name: ControlAPI}

// AdmitControl judges a request to our own API that is signed: whether the signature is right, and whether the holder
// of the key may call the operation. Faults: those of services whose protocol is JSON.
func (g *Gate) AdmitControl(r *http.Request, operation string) error {
	x, ok := r.Context().Value(callerKey{}).(*exchange)
	if !ok {
		return mismatch // it did not come through Router
	}
	x.caller, x.claims = readCaller(r, nil)
	x.service, x.gate = &controlRow, g
	if refused := g.admit(x, r); refused != nil {
		return refused
	}
	return Permit(r, operation)
}

// Operation returns the name of the operation that is carried out; "" before Permit was asked for it.
func (c *Caller) Operation() string { return c.operation }

// Principal returns whom policies of resources mean by the caller.
func (c *Caller) Principal() policy.Caller {
	return policy.Caller{Account: c.Account, Role: cmp.Or(c.Holder(), c.acts)}
}

// Rights returns what the caller may do; nil: everything, or nothing is known of the caller.
func (c *Caller) Rights() Rights {
	if c.who == nil {
		return nil
	}
	return c.who.Rights
}

// Holder returns the ARN of whoever holds the key of a verified request, as AWS shows it; "" for any other.
func (c *Caller) Holder() string {
	if c.who == nil {
		return ""
	}
	return c.who.ARN
}

// heldBody is a body that is in memory as a whole.
type heldBody struct{ rest []byte }

// Read returns what has not been read.
func (b *heldBody) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Close does nothing: the body has been read to its end.
func (b *heldBody) Close() error { return nil }

// take hands over what has not been read. A caller that has room of its own needs none.
func (b *heldBody) take(limit int64) ([]byte, error) {
	if int64(len(b.rest)) > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	body := b.rest
	b.rest = nil
	return body, nil
}
