// Package wire holds what all AWS services have in common on the wire: the caller, the service that is meant, what a
// browser may not do, the form of faults.
//
// One port serves every service. Router picks the service (by X-Amz-Target, path, form action or credential scope) and
// hands the request over together with its Caller. A service of JSON or CBOR dispatches with RPC, one of the query
// protocol with Query, both over its Model: the operations that it serves, and the names of those that it refuses. An
// operation that streams owns its answer; see Stream. Protocol details that only one service has live in that service's
// room.
package wire

import (
	"context"
	"net/http"
	"strings"

	"github.com/shardmill/shardmill/internal/ids"
	"github.com/shardmill/shardmill/internal/sigv4"
)

// Defaults for callers that do not say.
const (
	DefaultAccount = "000000000000"
	DefaultRegion  = "us-east-1"
)

// HintHeader carries advice for a person. AWS's own message is never changed to hold it. It is in the spelling of
// http.Header, which makes another one anew for each look.
const HintHeader = "X-Shardmill-Hint"

// Caller identifies the sender of a request, and how the request reached us.
type Caller struct {
	Account   string // 12 digits
	Region    string
	Service   string // of the credential scope; "" without one
	AccessKey string
	Signed    bool   // an AWS4-HMAC-SHA256 Authorization or presigned query was there
	RequestID string // UUID; every answer carries it as x-amzn-RequestId
	Endpoint  string // scheme://host:port as in the request, or what is advertised, for URLs in answers
	Issued    bool   // AccessKey is one that we gave to a function
	Owner     string // who answers for the caller, by the name in the key file; "": signatures are not verified

	who       *Holder // of the key, once it is proven
	operation string  // once it is known
	acts      string  // the ARN as which it acts, by a key that we issued; "": its account
}

// Keys resolves access keys that we issued ourselves (to functions) to an account. The region is the signature's: a
// function may call any.
type Keys interface {
	Resolve(accessKey string) (account string, ok bool)
}

type callerKey struct{} // of an *exchange

// CallerOf returns the Caller of a request that came through Router.
func CallerOf(ctx context.Context) Caller {
	if x, ok := ctx.Value(callerKey{}).(*exchange); ok {
		return x.caller
	}
	return Caller{}
}

// WithCaller is ctx carrying c; Router does it, and tests that call a service directly.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, &exchange{caller: c})
}

const algorithm = sigv4.Algorithm

// ReadCaller determines the caller. Signatures are parsed for account and region, not verified. keys may be nil.
func ReadCaller(r *http.Request, keys Keys) Caller {
	c, _ := readCaller(r, keys)
	return c
}

// readCaller is ReadCaller that also returns the parts of the Authorization header, if that is one of AWS's.
func readCaller(r *http.Request, keys Keys) (c Caller, made sigv4.Claims) {
	c = Caller{Account: DefaultAccount, Region: DefaultRegion, RequestID: ids.New(), Endpoint: "http://" + r.Host}
	if r.TLS != nil {
		c.Endpoint = "https://" + r.Host
	}
	credential := ""
	if signedHeader(r) {
		c.Signed = true
		made = sigv4.Claimed(r.Header["Authorization"][0])
		credential = made.Credential
	} else if strings.Contains(r.URL.RawQuery, "X-Amz-Credential=") {
		q := r.URL.Query()
		credential = q.Get("X-Amz-Credential")
		c.Signed = q.Get("X-Amz-Algorithm") == algorithm && credential != ""
	}
	var rest string
	c.AccessKey, rest, _ = strings.Cut(credential, "/")
	_, rest, _ = strings.Cut(rest, "/") // the date
	if region, rest, ok := strings.Cut(rest, "/"); ok {
		if region != "" {
			c.Region = region
		}
		c.Service, _, _ = strings.Cut(rest, "/")
	}
	if IsAccount(c.AccessKey) {
		c.Account = c.AccessKey
	} else if keys != nil && c.AccessKey != "" {
		if account, ok := keys.Resolve(c.AccessKey); ok {
			c.Account, c.Issued = account, true
		}
	}
	return c, made
}

// IsAccount reports whether s has the form of an account id: twelve digits.
func IsAccount(s string) bool {
	if len(s) != 12 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// ValidRegion takes any text that looks like a region: every region exists here.
func ValidRegion(region string) bool {
	if region == "" || len(region) > 32 {
		return false
	}
	for i := range len(region) {
		c := region[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
