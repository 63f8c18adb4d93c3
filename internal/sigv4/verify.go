package sigv4

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Verifier computes signatures again. It keeps the keys that are derived from secrets for a day and a scope, since
// deriving one costs four times what using it does. The zero value is ready. Safe for concurrent use.
type Verifier struct {
	last    atomic.Pointer[derived] // found last: mostly one client sends many requests
	mu      sync.RWMutex
	derived map[derivation]*derived
}

// derivation is what a key is derived from.
type derivation struct{ secret, day, region, service string }

// derived is a key as HMAC uses it: in front of what it is about, mixed with the two paddings. Each is a block of the
// hash, so that a text in memory is hashed in one go. Source: RFC 2104.
type derived struct {
	from         derivation
	inner, outer [sha256.BlockSize]byte
}

// maxDerived bounds the kept keys: a client may name any region.
const maxDerived = 1024

// scratch is what one verification writes into.
type scratch struct {
	text, digest []byte
	sum          [sha256.Size]byte
}

var scratches = sync.Pool{New: func() any { return &scratch{text: make([]byte, 0, 1<<10)} }}

// Matches reports whether the signature is what a secret gives for this request, whose body has the digest that was
// signed. The time that it takes says nothing of how nearly it matches.
func (v *Verifier) Matches(r *http.Request, g *Given, digest, secret string) bool {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.digest = append(s.digest[:0], digest...)
	return v.matches(s, r, g, pathOf(r.URL.EscapedPath(), g.Service == "s3"), secret)
}

// MatchesBody is Matches for a body that is in memory.
func (v *Verifier) MatchesBody(r *http.Request, g *Given, body []byte, secret string) bool {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.sum = sha256.Sum256(body)
	s.digest = hex.AppendEncode(s.digest[:0], s.sum[:])
	return v.matches(s, r, g, pathOf(r.URL.EscapedPath(), g.Service == "s3"), secret)
}

// matches is Matches of a request whose path is signed like this, and whose digest is in s.
func (v *Verifier) matches(s *scratch, r *http.Request, g *Given, path, secret string) bool {
	ok := v.signed(s, r, g, path, secret, true)
	if !ok && g.Presigned && g.Session != "" { // some clients add the token when they have signed
		ok = v.signed(s, r, g, path, secret, false)
	}
	return ok
}

func (v *Verifier) signed(s *scratch, r *http.Request, g *Given, path, secret string, token bool) bool {
	s.text = g.appendCanonical(s.text[:0], r, path, s.digest, token)
	s.sum = sha256.Sum256(s.text)
	key := v.keyed(derivation{secret, g.Day, g.Region, g.Service})
	s.text = append(s.text[:0], key.inner[:]...)
	s.text = append(append(append(s.text, Algorithm...), '\n'), g.Stamp...)
	s.text = g.appendScope(append(s.text, '\n'))
	s.text = hex.AppendEncode(append(s.text, '\n'), s.sum[:])
	return key.made(s, g.Signature)
}

// made reports whether a signature is that of the text in s, which begins with the inner block of the key.
func (k *derived) made(s *scratch, signature string) bool {
	s.sum = sha256.Sum256(s.text)
	s.text = append(append(s.text[:0], k.outer[:]...), s.sum[:]...)
	s.sum = sha256.Sum256(s.text)
	s.text = hex.AppendEncode(s.text[:0], s.sum[:])
	return len(signature) == len(s.text) && subtle.ConstantTimeCompare([]byte(signature), s.text) == 1
}

func (g *Given) appendScope(dst []byte) []byte {
	for _, part := range []string{g.Day, "/", g.Region, "/", g.Service, "/", ending} {
		dst = append(dst, part...)
	}
	return dst
}

// keyed returns the key of a derivation.
func (v *Verifier) keyed(from derivation) *derived {
	if k := v.last.Load(); k != nil && k.from == from {
		return k
	}
	v.mu.RLock()
	k := v.derived[from]
	v.mu.RUnlock()
	if k == nil {
		k = derive(from)
		v.mu.Lock()
		if len(v.derived) >= maxDerived || v.derived == nil {
			v.derived = map[derivation]*derived{}
		}
		v.derived[k.from] = k
		v.mu.Unlock()
	}
	v.last.Store(k)
	return k
}

// derive makes a key, which keeps nothing of the request that from is part of.
func derive(from derivation) *derived {
	k := &derived{from: derivation{
		from.secret, strings.Clone(from.day), strings.Clone(from.region), strings.Clone(from.service),
	}}
	key := []byte("AWS4" + from.secret)
	for _, part := range []string{from.day, from.region, from.service, ending} {
		key = mac(key, part)
	}
	copy(k.inner[:], key)
	copy(k.outer[:], key)
	for i := range sha256.BlockSize {
		k.inner[i] ^= 0x36
		k.outer[i] ^= 0x5c
	}
	return k
}

// appendCanonical appends the request as it is signed. Without token the security token of a presigned request is left
// out.
func (g *Given) appendCanonical(dst []byte, r *http.Request, path string, digest []byte, token bool) []byte {
	dst = append(append(dst, r.Method...), '\n')
	dst = append(append(dst, path...), '\n')
	if r.URL.RawQuery != "" {
		dst = append(dst, canonicalQuery(g.signedQuery(r.URL.RawQuery, token))...)
	}
	dst = append(dst, '\n')
	rest := g.Names
	for rest != "" {
		var name string
		name, rest, _ = strings.Cut(rest, ";")
		dst = append(append(dst, name...), ':')
		dst = append(appendHeader(dst, r, name), '\n')
	}
	dst = append(append(dst, '\n'), g.Names...)
	return append(append(dst, '\n'), digest...)
}

// signedQuery returns a query without the signature.
func (g *Given) signedQuery(raw string, token bool) string {
	if !g.Presigned {
		return raw
	}
	var b strings.Builder
	for part := range strings.SplitSeq(raw, "&") {
		name, _, _ := strings.Cut(part, "=")
		name = unescape(name)
		if name == "X-Amz-Signature" || name == "X-Amz-Security-Token" && !token {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(part)
	}
	return b.String()
}

// pathOf returns a path that was sent as it is signed: S3 encodes it once and takes it as it is, all others encode
// what is sent once more, without steps that lead nowhere.
func pathOf(sent string, s3 bool) string {
	switch {
	case sent == "/" || sent == "":
		return "/"
	case s3:
		if plain, err := url.PathUnescape(sent); err == nil {
			sent = plain
		}
		return Escape(sent)
	case strings.Contains(sent, "//") || strings.Contains(sent, "/."):
		slash := strings.HasSuffix(sent, "/") || strings.HasSuffix(sent, "/.") || strings.HasSuffix(sent, "/..")
		if sent = path.Clean(sent); slash && sent != "/" {
			sent += "/"
		}
	}
	return Escape(sent)
}

// appendHeader appends the values of a header, in lower case, as they are signed: with a comma between them, and one
// space for each run of spaces.
func appendHeader(dst []byte, r *http.Request, name string) []byte {
	switch name {
	case "host", ":authority":
		return append(dst, r.Host...)
	case "content-length": // which servers keep in another place
		if r.Header["Content-Length"] == nil && r.ContentLength >= 0 {
			return strconv.AppendInt(dst, r.ContentLength, 10)
		}
	}
	var buf [64]byte
	for i, value := range r.Header[string(appendCanonicalName(buf[:0], name))] {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendTrimmed(dst, value)
	}
	return dst
}

// appendCanonicalName appends a name as http.Header has it.
func appendCanonicalName(dst []byte, name string) []byte {
	upper := true
	for i := range len(name) {
		c := name[i]
		if upper && 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		upper = c == '-'
		dst = append(dst, c)
	}
	return dst
}

// appendTrimmed appends a value without spaces around it, and with one for each run within.
func appendTrimmed(dst []byte, value string) []byte {
	if value != "" && (value[0] <= ' ' || value[len(value)-1] <= ' ') {
		value = strings.Trim(value, " \t")
	}
	if strings.IndexByte(value, ' ') < 0 || !strings.Contains(value, "  ") {
		return append(dst, value...)
	}
	for i := range len(value) {
		if value[i] != ' ' || value[i-1] != ' ' {
			dst = append(dst, value[i])
		}
	}
	return dst
}
