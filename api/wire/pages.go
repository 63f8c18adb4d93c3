package wire

import "net/http"

// AnyPage is the Service.Pages that lets the pages of all origins in.
const AnyPage = "*"

// What a preflight and an answer say to a browser. Source: recorded from AWS's Kinesis by kinesalite.
const (
	preflightAge   = "172800" // seconds
	exposedHeaders = "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date"
)

// servePage serves a request that a browser sends on behalf of a page, or answers its preflight, if the service that it
// means lets that page in. Otherwise it reports false, and has done nothing.
func (rt *Router) servePage(x *exchange, r *http.Request) bool {
	origins := r.Header["Origin"]
	if len(origins) != 1 {
		return false
	}
	x.caller, x.claims = readCaller(r, rt.Keys)
	rt.actAs(&x.caller)
	s, unknown := rt.pick(x, r)
	if s == nil {
		s = &rt.Fallback
	}
	if unknown != "" || s.Pages == "" || s.Pages != AnyPage && s.Pages != origins[0] {
		return false
	}
	if r.Method == http.MethodOptions && r.URL.Path != "/" {
		return false // a preflight does not tell for which service it is; the path of another one does
	}
	h := x.Header()
	h.Set("Access-Control-Allow-Origin", s.Pages)
	if s.Pages != AnyPage {
		h.Set("Vary", "Origin") // a cache must not give the answer to another page
	}
	if r.Method != http.MethodOptions {
		h.Set("Access-Control-Expose-Headers", exposedHeaders)
		rt.serve(x, r)
		return true
	}
	SetIDs(h, x.caller)
	for asked, allowed := range map[string]string{
		"Access-Control-Request-Headers": "Access-Control-Allow-Headers",
		"Access-Control-Request-Method":  "Access-Control-Allow-Methods",
	} {
		if value := r.Header.Get(asked); value != "" {
			h.Set(allowed, value)
		}
	}
	h.Set("Access-Control-Max-Age", preflightAge)
	h.Set("Content-Length", "0")
	x.WriteHeader(http.StatusOK)
	return true
}
