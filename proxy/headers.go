package proxy

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
)

// ofTheWay are the headers of a connection, of our caller's signature and of browsers; none is passed on. Source: RFC
// 9110, section 7.6.1.
var ofTheWay = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authorization": true,
	"Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Authorization": true, "X-Amz-Date": true, "X-Amz-Security-Token": true, "X-Amz-Content-Sha256": true, "Date": true,
	"Host": true, "Content-Length": true, "Expect": true, "Cookie": true, "Set-Cookie": true, "Forwarded": true,
	"Origin": true, "Referer": true, "Strict-Transport-Security": true, "Alt-Svc": true,
}

// passed returns the headers that are passed on.
func passed(h http.Header) http.Header {
	out := http.Header{}
	named := strings.ToLower(strings.Join(h["Connection"], ","))
	for name, values := range h {
		if ofTheWay[name] || strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "Access-Control-") ||
			strings.HasPrefix(name, "Sec-") || listed(named, strings.ToLower(name)) {
			continue
		}
		out[name] = slices.Clone(values)
	}
	return out
}

// listed reports whether a list with commas holds a name.
func listed(list, name string) bool {
	for part := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(part) == name {
			return true
		}
	}
	return false
}

// setBody gives a request a body that is known.
func setBody(r *http.Request, body []byte) {
	if len(body) == 0 {
		r.Body = http.NoBody
		return
	}
	r.ContentLength = int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, _ = r.GetBody()
}

// unsigned returns a query without the parts of a presigned URL.
func unsigned(query string) string {
	if !strings.Contains(query, "X-Amz-") {
		return query
	}
	var parts []string
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		switch name {
		case "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders",
			"X-Amz-Signature", "X-Amz-Security-Token", "X-Amz-Content-Sha256":
		default:
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "&")
}
