// Package sigv4 signs requests with AWS Signature Version 4.
//
// A request that is ready to be sent and a key come in; the headers Authorization, X-Amz-Date, X-Amz-Content-Sha256
// and, for keys of a session, X-Amz-Security-Token are set on it. Nothing is read of the body: its digest is an
// argument.
// Source: IAM User Guide, "Create a signed AWS API request".
package sigv4

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Digests of bodies that are not known in advance, as X-Amz-Content-Sha256 says it.
const (
	Unsigned        = "UNSIGNED-PAYLOAD"
	UnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// Forms of times, and the last part of every scope.
const (
	dayForm   = "20060102"
	stampForm = "20060102T150405Z"
	ending    = "aws4_request"
)

// Key signs requests. Session is "" for a key that does not end.
type Key struct{ ID, Secret, Session string }

// Scope is where a signature counts.
type Scope struct{ Region, Service string }

// Digest returns the digest of a body that is known.
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// Sign signs a request: its method, host, path, query, Content-Type, Content-MD5 and all headers that begin with
// X-Amz-. The query becomes canonical, which does not change its meaning. The path must be written as Escape writes it.
func Sign(r *http.Request, digest string, k Key, s Scope, at time.Time) {
	r.Header.Set("X-Amz-Date", at.UTC().Format(stampForm))
	r.Header.Set("X-Amz-Content-Sha256", digest)
	if k.Session != "" {
		r.Header.Set("X-Amz-Security-Token", k.Session)
	}
	r.URL.RawQuery = canonicalQuery(r.URL.RawQuery)
	names, _ := canonicalHeaders(r)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+k.ID+"/"+s.on(at)+", SignedHeaders="+names+
		", Signature="+signature(r, digest, k, s, at))
}

// on returns the scope with its day, as a signature names it.
func (s Scope) on(at time.Time) string {
	return strings.Join([]string{at.UTC().Format(dayForm), s.Region, s.Service, ending}, "/")
}

// signature returns the signature of a request that has all its headers.
func signature(r *http.Request, digest string, k Key, s Scope, at time.Time) string {
	names, headers := canonicalHeaders(r)
	request := strings.Join([]string{
		r.Method, canonicalPath(r.URL, s.Service), canonicalQuery(r.URL.RawQuery), headers, names, digest,
	}, "\n")
	text := strings.Join(
		[]string{"AWS4-HMAC-SHA256", at.UTC().Format(stampForm), s.on(at), Digest([]byte(request))}, "\n",
	)
	key := []byte("AWS4" + k.Secret)
	for _, part := range []string{at.UTC().Format(dayForm), s.Region, s.Service, ending, text} {
		key = mac(key, part)
	}
	return hex.EncodeToString(key)
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// canonicalPath returns the path as it is signed: S3 signs it as it is sent, all others encode it once more.
func canonicalPath(u *url.URL, service string) string {
	path := cmp.Or(u.EscapedPath(), "/")
	if service == "s3" {
		return path
	}
	return Escape(path)
}

// Escape percent-encodes a path: everything but letters, digits, hyphen, full stop, underscore, tilde and slash.
func Escape(path string) string { return escape(path, "/") }

func escape(s, keep string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0,
			strings.IndexByte(keep, c) >= 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return b.String()
}

// canonicalQuery encodes a query again, sorted by names and values.
func canonicalQuery(raw string) string {
	if raw == "" {
		return ""
	}
	type pair struct{ name, value string }
	var pairs []pair
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		pairs = append(pairs, pair{escape(unescape(name), ""), escape(unescape(value), "")})
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.value, b.value))
	})
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name + "=" + p.value)
	}
	return b.String()
}

// unescape decodes a part of a query; what cannot be decoded stays as it is.
func unescape(s string) string {
	if text, err := url.QueryUnescape(s); err == nil {
		return text
	}
	return s
}

// canonicalHeaders returns the names and the block of the signed headers.
func canonicalHeaders(r *http.Request) (names, block string) {
	signed := map[string]string{"host": cmp.Or(r.Host, r.URL.Host)}
	for name, values := range r.Header {
		name = strings.ToLower(name)
		if name != "content-type" && name != "content-md5" && !strings.HasPrefix(name, "x-amz-") {
			continue
		}
		trimmed := make([]string, len(values))
		for i, v := range values {
			trimmed[i] = strings.Join(strings.Fields(v), " ")
		}
		signed[name] = strings.Join(trimmed, ",")
	}
	sorted := make([]string, 0, len(signed))
	for name := range signed {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	var b strings.Builder
	for _, name := range sorted {
		b.WriteString(name + ":" + signed[name] + "\n")
	}
	return strings.Join(sorted, ";"), b.String()
}
