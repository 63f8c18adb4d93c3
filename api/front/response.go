package front

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/internal/nonblock"
)

// response is the http.ResponseWriter of a request. It frames an answer as net/http does, with these exceptions: what
// an answer has in Transfer-Encoding and Trailer is left out, so is a Content-Length that is no number, and nothing can
// be hijacked.
type response struct {
	x        *exchange
	header   http.Header
	bodiless bool // a HEAD

	status  int    // 0: not stated yet
	length  int64  // of the body, as the handler stated it; -1: it did not
	written int64  // bytes of the body
	early   []byte // of the body, before the framing is decided

	begun   bool // the framing is decided, and out has the head
	chunked bool
	closing bool // the connection ends with the answer
	err     error
	out     []byte // not written yet

	stated     stated
	connection []string // of the header

	deadlines atomic.Bool // the handler has set one
}

// stated says which headers a handler has set itself.
type stated struct{ contentType, encoding, date, length bool }

const (
	maxEarly = 2 << 10 // bytes of a body of unknown length that are kept to find it
	maxOut   = 4 << 10 // bytes that are kept for one write
	// bytes that are copied to be written together over TLS: two records cost more
	maxJoined = 12 << 10
)

// Header returns the header of the answer. Changes after WriteHeader have no effect.
func (w *response) Header() http.Header { return w.header }

// WriteHeader takes status and header of the answer.
func (w *response) WriteHeader(status int) {
	switch {
	case w.status != 0:
		w.x.c.s.logf("front: superfluous WriteHeader(%d) after %d", status, w.status)
		return
	case status < 100 || status > 999:
		panic(fmt.Sprintf("invalid WriteHeader code %v", status))
	case status < 200 && status != http.StatusSwitchingProtocols:
		w.out = appendStatus(w.out, status)
		w.out = w.appendHeader(w.out, status)
		w.out = append(w.out, "\r\n"...)
		_ = w.write(nil)
		return
	}
	w.status = status
	if stated := w.header.Get("Content-Length"); stated != "" {
		n, err := strconv.ParseInt(stated, 10, 64)
		if err == nil && n >= 0 {
			w.length = n
		} else {
			w.x.c.s.logf("front: invalid Content-Length %q", stated)
			w.header.Del("Content-Length")
		}
	}
	w.stated = stated{}
	w.out = appendStatus(w.out, status)
	w.out = w.appendHeader(w.out, status)
	w.connection = slices.Clone(w.header["Connection"])
}

func appendStatus(b []byte, status int) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	if text := http.StatusText(status); text != "" {
		return append(append(b, text...), "\r\n"...)
	}
	return append(strconv.AppendInt(append(b, "status code "...), int64(status), 10), "\r\n"...)
}

// appendHeader appends the headers in order, without those that belong to the framing.
func (w *response) appendHeader(b []byte, status int) []byte {
	var room [16]string
	keys := room[:0]
	for key := range w.header {
		switch key {
		case "Connection", "Transfer-Encoding", "Trailer":
			continue
		case "Content-Length":
			if !bodyAllowed(status) {
				continue
			}
			w.stated.length = true
		case "Content-Type":
			if status == http.StatusNotModified {
				continue
			}
			w.stated.contentType = true
		case "Content-Encoding":
			w.stated.encoding = w.header.Get(key) != ""
		case "Date":
			w.stated.date = true
		default:
			if strings.HasPrefix(key, http.TrailerPrefix) || !isName(key) {
				continue
			}
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		for _, value := range w.header[key] {
			b = appendField(b, key, value)
		}
	}
	return b
}

// appendField appends one header line. A line break in a value would begin a line of its own, so it becomes a blank.
func appendField(b []byte, key, value string) []byte {
	b = append(append(b, key...), ": "...)
	if strings.ContainsAny(value, "\r\n") {
		value = strings.NewReplacer("\r", " ", "\n", " ").Replace(value)
	}
	return append(append(b, strings.Trim(value, " \t\r\n")...), "\r\n"...)
}

func isName(s string) bool {
	for i := range len(s) {
		if !isToken[s[i]] {
			return false
		}
	}
	return s != ""
}

// bodyAllowed reports whether an answer with this status may have a body. Source: RFC 9110, 6.4.1.
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// begin decides how the answer is framed, and completes its head. body is the beginning of the body, or with last all
// of it. It first reads what is left of the request: a client may read nothing before it has sent everything.
func (w *response) begin(body []byte, last bool) {
	w.begun = true
	c := w.x.c
	allowed := bodyAllowed(w.status)
	if len(w.connection) > 0 && w.connection[0] == "close" || c.s.closing.Load() {
		w.closing = true
	}
	if !w.closing && w.x.body.Close() != nil {
		w.closing = true
	}
	if !w.stated.date {
		w.out = appendDate(w.out, time.Now())
	}
	if last && allowed && !w.stated.length && (!w.bodiless || len(body) > 0) {
		w.length = int64(len(body))
		w.out = strconv.AppendInt(append(w.out, "Content-Length: "...), w.length, 10)
		w.out = append(w.out, "\r\n"...)
	}
	if allowed && !w.stated.contentType && !w.stated.encoding && len(body) > 0 {
		w.out = appendField(w.out, "Content-Type", http.DetectContentType(body))
	}
	if !w.bodiless && allowed && w.length < 0 {
		w.chunked = true
		w.out = append(w.out, "Transfer-Encoding: chunked\r\n"...)
	}
	switch {
	case w.closing && (len(w.connection) == 0 || !strings.EqualFold(w.connection[0], "close")):
		w.out = append(w.out, "Connection: close\r\n"...)
	default:
		for _, value := range w.connection {
			w.out = appendField(w.out, "Connection", value)
		}
	}
	w.out = append(w.out, "\r\n"...)
}

// date is a second and its header line.
type date struct {
	second int64
	line   string
}

var lastDate atomic.Pointer[date]

// appendDate appends the Date header, which is made once a second.
func appendDate(b []byte, now time.Time) []byte {
	d := lastDate.Load()
	if d == nil || d.second != now.Unix() {
		d = &date{now.Unix(), "Date: " + now.UTC().Format(http.TimeFormat) + "\r\n"}
		lastDate.Store(d)
	}
	return append(b, d.line...)
}

// Write sends a part of the body; small ones may wait for more.
func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if !bodyAllowed(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	w.written += int64(len(p))
	if w.length >= 0 && w.written > w.length {
		return 0, http.ErrContentLength
	}
	if !w.begun {
		if w.length < 0 && len(w.early)+len(p) <= maxEarly {
			w.early = append(w.early, p...)
			return len(p), nil
		}
		w.beginWith(p)
	}
	if err := w.part(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteString is Write for a string.
func (w *response) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// sniffed is how many bytes http.DetectContentType looks at.
const sniffed = 512

// beginWith begins the answer with what came early, and p is next.
func (w *response) beginWith(p []byte) {
	first := w.early
	if len(first) < sniffed {
		first = append(first[:len(first):len(first)], p[:min(len(p), sniffed)]...)
	}
	w.begin(first, false)
	early := w.early
	w.early = nil
	_ = w.part(early) // an error stays
}

// part frames a part of the body.
func (w *response) part(p []byte) error {
	if len(p) == 0 || w.bodiless {
		return w.err
	}
	if !w.chunked {
		return w.push(p)
	}
	w.out = append(strconv.AppendInt(w.out, int64(len(p)), 16), "\r\n"...)
	err := w.push(p)
	w.out = append(w.out, "\r\n"...)
	return err
}

// push appends to out, or writes both if they are large.
func (w *response) push(p []byte) error {
	if len(w.out)+len(p) <= maxOut {
		w.out = append(w.out, p...)
		return w.err
	}
	return w.write(p)
}

// write writes out and p in one call.
func (w *response) write(p []byte) error {
	if w.err == nil {
		if w.x.c.secured && len(p) <= maxJoined { // one record instead of two
			w.out, p = append(w.out, p...), nil
		}
		if len(p) == 0 {
			_, w.err = w.x.c.io.Write(w.out)
		} else {
			first := p[:min(len(p), writePiece)]
			_, w.err = nonblock.WriteBoth(w.x.c.io, w.out, first)
			for p = p[len(first):]; w.err == nil && len(p) > 0; p = p[len(first):] {
				first = p[:min(len(p), writePiece)]
				_, w.err = w.x.c.io.Write(first)
			}
		}
		if w.err != nil {
			w.x.c.cut()
		}
	}
	w.out = w.out[:0]
	return w.err
}

// Flush is FlushError without its error.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError sends what has been written so far.
func (w *response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.begun {
		w.beginWith(nil)
	}
	return w.write(nil)
}

// SetReadDeadline bounds the time of reads of the body; it ends with the request.
func (w *response) SetReadDeadline(t time.Time) error {
	w.deadlines.Store(true)
	return w.x.c.nc.SetReadDeadline(t)
}

// SetWriteDeadline bounds the time of writes; it ends with the request.
func (w *response) SetWriteDeadline(t time.Time) error {
	w.deadlines.Store(true)
	w.x.c.slow.own.Store(true)
	return w.x.c.nc.SetWriteDeadline(t)
}

// finish ends the answer and what is left of the request. It returns false when the connection cannot be used any more.
func (w *response) finish() bool {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.begun {
		w.begin(w.early, true)
		_ = w.part(w.early)
	}
	if w.chunked {
		w.out = append(w.out, "0\r\n\r\n"...)
	}
	if len(w.out) > 0 {
		_ = w.write(nil)
	}
	c := w.x.c
	_ = w.x.body.Close()
	if w.deadlines.Load() || c.slow.bound.Load() {
		_ = c.nc.SetDeadline(time.Time{})
		c.slow.own.Store(false)
		c.slow.bound.Store(false)
	}
	if cap(w.out) <= 2*maxOut {
		c.out = w.out[:0]
	}
	short := w.length >= 0 && w.written != w.length && !w.bodiless && bodyAllowed(w.status)
	return !w.closing && w.err == nil && !short && w.x.body.whole()
}
