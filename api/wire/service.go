package wire

import (
	"net/http"
	"strings"

	"github.com/shardmill/shardmill/fault"
)

// Service is a row of the table behind the shared port: how requests name a service, what they must carry, and how it
// refuses in its own words.
type Service struct {
	Name   string   // as in a credential scope, for example kinesis
	Target string   // prefix of X-Amz-Target before the dot; "" when the service has none
	Paths  []string // path prefixes that belong to it alone, for example /2015-03-31/
	Needs  Mark
	// path prefix of URLs that prove by themselves that they may be fetched, by GET alone; "" when there is none
	Open    string
	Codes   Codes        // of refusals that no operation gives
	CBOR    string       // Content-Type of CBOR with it; "": it does not speak CBOR
	Dialect Dialect      // of refusals of signatures
	Pages   string       // origin of web pages that may call it, AnyPage for all; "": none may
	MaxBody int64        // bytes of a body that are read to verify a signature; 0: 20 MiB
	Handler http.Handler // never sees a request that Router refused

	// Refuse answers f in the protocol of r. The answer already has its ids. nil: as JSON.
	Refuse func(w http.ResponseWriter, r *http.Request, f *fault.Error)
}

// Codes are a service's codes for refusals before its operations.
type Codes struct {
	Internal    string // 500: our own fault
	Unavailable string // 503: SDKs try again
	Unsigned    string // 403: nothing on the request says that an AWS client sent it
}

// Mark is what a request must carry to be served. All are headers that a page in a browser can send only after a
// preflight, and none is granted but for Pages. Without them an image, a link or a form of any page could call a
// service: such requests have no Origin, and not every browser sends Sec-Fetch-Site.
type Mark uint8

const (
	Signature Mark = iota // an Authorization with a signature, verified or not
	// that, or another header of AWS's clients; by other methods than POST the query protocol needs a signature all the
	// same
	Header
	OwnOrder // the service does nothing without X-Amz-Target, and checks signatures in its own order
)

// admits reports whether r may reach the service.
func (s *Service) admits(r *http.Request) bool {
	switch {
	case s.Needs == OwnOrder || signedHeader(r) || s.open(r):
		return true
	case s.Needs == Signature:
		return false
	case r.Header.Get("X-Amz-Target") != "" || r.Header.Get("Smithy-Protocol") != "":
		return true
	}
	// as SDKs send it with signing switched off
	return r.Method == http.MethodPost && r.Header.Get("Amz-Sdk-Invocation-Id") != ""
}

// open reports whether the URL of r proves by itself that it may be fetched.
func (s *Service) open(r *http.Request) bool {
	return s.Open != "" && r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, s.Open)
}

// signedHeader reports whether r carries a signature where a page cannot put it. A presigned URL can be put into any
// page.
func signedHeader(r *http.Request) bool {
	given := r.Header["Authorization"]
	if len(given) == 0 {
		return false
	}
	h := given[0]
	return h == algorithm || strings.HasPrefix(h, algorithm+" ")
}

// FromPage reports whether a browser sends r on behalf of a page. Only an address that a person types, or follows from
// outside the browser, is "none".
func FromPage(r *http.Request) bool {
	if _, ok := r.Header["Origin"]; ok {
		return true
	}
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "none" {
			return true
		}
	}
	return false
}

// fromBrowser reports whether r has a header that only browsers send.
func fromBrowser(r *http.Request) bool {
	if _, ok := r.Header["Origin"]; ok {
		return true
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "Sec-Fetch-") {
			return true
		}
	}
	return false
}

// refuse answers f in the service's words.
func (s *Service) refuse(w http.ResponseWriter, r *http.Request, c Caller, f *fault.Error) {
	SetIDs(w.Header(), c)
	if s != nil && s.Refuse != nil {
		s.Refuse(w, r, f)
		return
	}
	RefuseUnrouted(w, r, f)
}

// misscoped is the fault of a signature whose scope names no region.
func (s *Service) misscoped(r *http.Request) *fault.Error {
	f := &fault.Error{
		Code: CodeInvalidSignature, Status: http.StatusForbidden,
		Message: "Credential should be scoped to a valid region.",
	}
	switch s.dialect(r) {
	case Plain:
	case Forms:
		f.Code = codeSignatureMismatch
	case Objects:
		f.Code, f.Status = codeMalformed, http.StatusBadRequest
	}
	return f
}

// speaks reports whether the service speaks the CBOR of r, or r none. Every service speaks its own other protocols.
func (s *Service) speaks(r *http.Request) bool {
	contentType := cborOf(r)
	return contentType == "" || contentType == s.CBOR || contentType == typeAWSCBOR && s.Target == ""
}

// refuseEncoding refuses a protocol by name, in that protocol.
func (s *Service) refuseEncoding(w http.ResponseWriter, r *http.Request) {
	RefuseUnrouted(w, r, Absent(s.Name).Operation("in "+cborOf(r)))
}

// codes are those of the service; common ones where there is none.
func (s *Service) codes() Codes {
	if s != nil && s.Codes != (Codes{}) {
		return s.Codes
	}
	return Codes{Internal: fault.CodeInternal, Unavailable: fault.CodeUnavailable, Unsigned: CodeMissingToken}
}
