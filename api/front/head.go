package front

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// Bounds of a plain request. What exceeds them is served by net/http.
const (
	maxHead   = 16 << 10 // bytes, with the empty line
	maxFields = 32       // header lines
	// bytes of a body: net/http reads as much of one that a handler has left, and then keeps the connection
	maxBody = 256<<10 - 1
)

// head is a request's head while it is read. Offsets count from its first byte.
type head struct {
	lines  int // read so far; the first is the request line
	at     int // where the next line begins
	method int // where the method ends
	target int // where the target ends
	fields [maxFields]field
	count  int // of fields

	host       int // index of Host in fields, from 1; 0: none yet
	length     int64
	lengths    int // how many Content-Length there are
	connection int // how many Connection
}

// field is a header line: its name is [name, colon), its value [from, to).
type field struct{ name, colon, from, to uint16 }

// verdict says what became of the bytes of a head.
type verdict uint8

const (
	more    verdict = iota // they may be plain; the head is not complete
	plain                  // it is complete
	odd                    // net/http judges them
	resting                // there are none: the connection waits in the lot
)

// reset prepares for the next head. Only the fields up to count have a meaning.
func (h *head) reset() {
	h.lines, h.at, h.count, h.host, h.length, h.lengths, h.connection = 0, 0, 0, 0, 0, 0, 0
}

// read reads the lines of b, which begins with the head, that have not been read before. After plain, h.at is where the
// body begins.
func (h *head) read(b []byte) verdict {
	for {
		n := bytes.IndexByte(b[h.at:], '\n')
		if n < 0 {
			if len(b) >= maxHead {
				return odd
			}
			return more
		}
		from, end := h.at, h.at+n
		if end+1 > maxHead || end == from || b[end-1] != '\r' {
			return odd
		}
		h.at = end + 1
		h.lines++
		switch line := b[from : end-1]; {
		case h.lines == 1:
			if !h.requestLine(line) {
				return odd
			}
		case len(line) == 0:
			if h.host == 0 || h.lengths > 1 || h.connection > 1 {
				return odd
			}
			return plain
		case !h.field(line, from):
			return odd
		}
	}
}

var version = []byte(" HTTP/1.1")

// requestLine reads METHOD SP target SP HTTP/1.1, with a target that is a path.
func (h *head) requestLine(line []byte) bool {
	h.method = bytes.IndexByte(line, ' ')
	if h.method < 0 || methodOf(line[:h.method]) == "" {
		return false
	}
	rest, ok := bytes.CutSuffix(line[h.method+1:], version)
	if !ok || len(rest) == 0 || rest[0] != '/' {
		return false
	}
	for _, c := range rest {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return false
		}
	}
	h.target = h.method + 1 + len(rest)
	return true
}

// methodOf returns the method that is served here, or "".
func methodOf(b []byte) string {
	switch string(b) {
	case "POST":
		return "POST"
	case "GET":
		return "GET"
	case "PUT":
		return "PUT"
	case "DELETE":
		return "DELETE"
	case "HEAD":
		return "HEAD"
	}
	return ""
}

// field reads name ":" OWS value OWS, without continuation lines, and judges the names that say how a request is read.
func (h *head) field(line []byte, at int) bool {
	if h.count == maxFields {
		return false
	}
	colon := 0
	for colon < len(line) && isToken[line[colon]] {
		colon++
	}
	if colon == 0 || colon == len(line) || line[colon] != ':' {
		return false
	}
	from, to := colon+1, len(line)
	for from < to && (line[from] == ' ' || line[from] == '\t') {
		from++
	}
	for to > from && (line[to-1] == ' ' || line[to-1] == '\t') {
		to--
	}
	for _, c := range line[from:to] {
		if (c < ' ' && c != '\t') || c >= 0x7f {
			return false
		}
	}
	h.fields[h.count] = field{uint16(at), uint16(at + colon), uint16(at + from), uint16(at + to)}
	h.count++
	return h.judge(line[:colon], line[from:to])
}

// judge returns false for a field with which a request is not plain.
func (h *head) judge(name, value []byte) bool {
	switch len(name) {
	case len("host"):
		if !fold(name, "host") {
			return true
		}
		if h.host != 0 || !isHost(value) {
			return false
		}
		h.host = h.count
	case len("content-length"):
		if !fold(name, "content-length") {
			return !fold(name, "http2-settings")
		}
		h.lengths++
		return h.setLength(value)
	case len("connection"):
		if !fold(name, "connection") {
			return true
		}
		h.connection++
		return fold(value, "keep-alive")
	case len("transfer-encoding"):
		return !fold(name, "transfer-encoding")
	case len("upgrade"):
		return !fold(name, "upgrade") && !fold(name, "trailer")
	case len("expect"):
		return !fold(name, "expect") && !fold(name, "pragma")
	}
	return true
}

// setLength takes a Content-Length in its usual spelling.
func (h *head) setLength(value []byte) bool {
	if len(value) == 0 || len(value) > len("262143") || value[0] == '0' && len(value) > 1 {
		return false
	}
	h.length = 0
	for _, c := range value {
		if c < '0' || c > '9' {
			return false
		}
		h.length = 10*h.length + int64(c-'0')
	}
	return h.length <= maxBody
}

func isHost(value []byte) bool {
	for _, c := range value {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', 'A' <= c && c <= 'Z':
		case c == '.', c == ':', c == '-', c == '[', c == ']', c == '_':
		default:
			return false
		}
	}
	return len(value) > 0
}

// isToken is the characters of names. Source: RFC 9110, 5.6.2.
var isToken = func() (t [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
		t[c] = true
	}
	return t
}()

// fold reports whether b is lower, in whatever case. lower has no capitals.
func fold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// request fills r from a head that is plain. It returns false when net/http has to judge the target.
func (h *head) request(b []byte, r *http.Request, values []string) bool {
	text := string(b[:h.at])
	target := text[h.method+1 : h.target]
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return false
	}
	r.Method, r.RequestURI, r.URL = methodOf(b[:h.method]), target, u
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	r.ContentLength = h.length
	r.Header = make(http.Header, h.count)
	for i, f := range h.fields[:h.count] {
		value := text[f.from:f.to]
		if i == h.host-1 {
			r.Host = value
			continue
		}
		key := canonical(text[f.name:f.colon])
		if before := r.Header[key]; before != nil {
			r.Header[key] = append(before, value)
			continue
		}
		values[i] = value
		r.Header[key] = values[i : i+1 : i+1]
	}
	return true
}

// canonical returns the spelling of a name that net/http uses. Names of AWS clients cost nothing.
func canonical(name string) string {
	if known := names[name]; known != "" {
		return known
	}
	return textproto.CanonicalMIMEHeaderKey(name)
}

var names = func() map[string]string {
	m := map[string]string{}
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request", "Authorization", "Connection",
		"Content-Length", "Content-Type", "Smithy-Protocol", "User-Agent", "X-Amz-Client-Context", "X-Amz-Content-Sha256",
		"X-Amz-Date", "X-Amz-Invocation-Type", "X-Amz-Log-Type", "X-Amz-Security-Token", "X-Amz-Target", "X-Amz-User-Agent",
		"X-Amzn-Trace-Id",
	} {
		m[name], m[strings.ToLower(name)] = name, name
	}
	return m
}()
