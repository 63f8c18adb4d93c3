package runtimeapi

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"unicode/utf8"
)

// Bounds of one request. Headers may be large because a runtime sends its X-Ray cause in one (AWS allows 1 MiB); a body
// beyond its limit is read and dropped, up to maxDroppedBytes, so that the connection and with it the execution
// environment survive; beyond that the connection is closed.
const (
	maxHeaderBytes  = 1 << 20
	maxDroppedBytes = 1 << 30
	maxChunkLine    = 1 << 10
)

var (
	errMalformed = errors.New("malformed request")
	errTooLong   = errors.New("request header too long")
	errTruncated = errors.New("truncated body")
)

// request is the part of an HTTP/1.x request head that the Runtime API needs.
type request struct {
	method, path string
	length       int64 // of the body in bytes; -1: chunked
	keepAlive    bool
	expect       bool // the client waits for 100 Continue before it sends the body
	errorType    string
	responseMode string

	extensionName, extensionID, extensionFeature, extensionError string
	hint                                                         string // one of our bootstraps has advice for a person
	quiet                                                        bool   // its sender reads no reply
}

// readRequest reads one request head. It returns io.EOF if the client closed the connection between requests.
func readRequest(br *bufio.Reader) (request, error) {
	budget := maxHeaderBytes
	line, err := readLine(br, &budget)
	for err == nil && len(line) == 0 { // RFC 9112, 2.2: ignore empty lines before the request line
		line, err = readLine(br, &budget)
	}
	if err != nil {
		return request{}, err
	}
	method, rest, ok := bytes.Cut(line, []byte(" "))
	target, proto, ok2 := bytes.Cut(rest, []byte(" "))
	if !ok || !ok2 || len(method) == 0 || len(target) == 0 || target[0] != '/' {
		return request{}, errMalformed
	}
	r := request{method: string(method), path: string(target)}
	switch string(proto) {
	case "HTTP/1.1":
		r.keepAlive = true
	case "HTTP/1.0":
	default:
		return request{}, errMalformed
	}
	for {
		line, err = readLine(br, &budget)
		if errors.Is(err, io.EOF) {
			err = errMalformed
		}
		if err != nil {
			return request{}, err
		}
		if len(line) == 0 {
			return r, nil
		}
		if err := r.header(line); err != nil {
			return request{}, err
		}
	}
}

// header parses one header line.
func (r *request) header(line []byte) error {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t") {
		return errMalformed
	}
	value = bytes.TrimSpace(value)
	switch {
	case equalFold(name, "content-length"):
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || n < 0 || r.length > 0 && r.length != n {
			return errMalformed
		}
		if r.length != -1 { // chunked wins, as RFC 9112, 6.3 says
			r.length = n
		}
	case equalFold(name, "transfer-encoding"):
		if !equalFold(value, "chunked") {
			return errMalformed
		}
		r.length = -1
	case equalFold(name, "connection"):
		switch {
		case equalFold(value, "close"):
			r.keepAlive = false
		case equalFold(value, "keep-alive"):
			r.keepAlive = true
		}
	case equalFold(name, "expect"):
		r.expect = equalFold(value, "100-continue")
	case equalFold(name, "lambda-runtime-function-error-type"):
		r.errorType = string(value)
	case equalFold(name, "shardmill-hint"):
		r.hint = decodeHint(value)
	case equalFold(name, "shardmill-quiet"):
		r.quiet = true
	case equalFold(name, "lambda-runtime-function-response-mode"):
		r.responseMode = string(value)
	case equalFold(name, "lambda-extension-name"):
		r.extensionName = string(value)
	case equalFold(name, "lambda-extension-identifier"):
		r.extensionID = string(value)
	case equalFold(name, "lambda-extension-accept-feature"):
		r.extensionFeature = string(value)
	case equalFold(name, "lambda-extension-function-error-type"):
		r.extensionError = string(value)
	}
	return nil
}

// maxHint bounds advice, in bytes as sent.
const maxHint = 8 << 10

// decodeHint decodes percent-encoding, which keeps text beyond ASCII out of headers. Anything invalid is dropped.
func decodeHint(value []byte) string {
	if len(value) > maxHint {
		return ""
	}
	text, err := url.PathUnescape(string(value))
	if err != nil || !utf8.ValidString(text) {
		return ""
	}
	return text
}

// readBody reads the body up to limit bytes. tooLarge means that the rest was dropped. Trailers of a chunked body may
// carry a late error; they override the head.
func (r *request) readBody(br *bufio.Reader, limit int) (body []byte, tooLarge bool, err error) {
	if r.length >= 0 {
		if r.length > int64(limit) {
			if r.length > maxDroppedBytes {
				return nil, true, errTooLong
			}
			_, err = io.CopyN(io.Discard, br, r.length)
			return nil, true, truncated(err)
		}
		body = make([]byte, r.length)
		_, err = io.ReadFull(br, body)
		return body, false, truncated(err)
	}
	dropped := 0
	for {
		n, err := readChunkSize(br)
		if err != nil {
			return nil, tooLarge, err
		}
		if n == 0 {
			return body, tooLarge, r.trailers(br)
		}
		if tooLarge || len(body)+n > limit {
			tooLarge, body = true, nil
			if dropped += n; dropped > maxDroppedBytes {
				return nil, true, errTooLong
			}
			if _, err := io.CopyN(io.Discard, br, int64(n)); err != nil {
				return nil, true, errTruncated
			}
		} else {
			at := len(body)
			body = append(body, make([]byte, n)...)
			if _, err := io.ReadFull(br, body[at:]); err != nil {
				return nil, false, errTruncated
			}
		}
		budget := 2
		if end, err := readLine(br, &budget); err != nil || len(end) != 0 {
			return nil, tooLarge, errTruncated
		}
	}
}

// trailers reads the headers after the last chunk.
func (r *request) trailers(br *bufio.Reader) error {
	budget := maxHeaderBytes
	for {
		line, err := readLine(br, &budget)
		if err != nil {
			return truncated(err)
		}
		if len(line) == 0 {
			return nil
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok &&
			equalFold(name, "lambda-runtime-function-error-type") {
			r.errorType = string(bytes.TrimSpace(value))
		}
	}
}

func readChunkSize(br *bufio.Reader) (int, error) {
	budget := maxChunkLine
	line, err := readLine(br, &budget)
	if err != nil {
		return 0, truncated(err)
	}
	size, _, _ := bytes.Cut(line, []byte(";"))
	n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 31)
	if err != nil {
		return 0, errMalformed
	}
	return int(n), nil
}

// readLine reads a line without its end; budget, in bytes, shrinks by what was read. The result is valid until the next
// read.
func readLine(br *bufio.Reader, budget *int) ([]byte, error) {
	var long []byte
	for {
		part, err := br.ReadSlice('\n')
		if *budget -= len(part); *budget < 0 {
			return nil, errTooLong
		}
		switch {
		case err == nil:
			line := part
			if long != nil {
				line = append(long, part...)
			}
			line = line[:len(line)-1]
			return bytes.TrimSuffix(line, []byte("\r")), nil
		case errors.Is(err, bufio.ErrBufferFull):
			long = append(long, part...)
		case err == io.EOF && len(part) == 0 && long == nil:
			return nil, io.EOF
		default:
			return nil, errMalformed
		}
	}
}

func truncated(err error) error {
	if err != nil {
		return errTruncated
	}
	return nil
}

func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range len(b) {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// appendHead appends the head of a response with a body of n bytes.
func appendHead(b []byte, status, n int, contentType string) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(status)...)
	b = append(b, "\r\nContent-Type: "...)
	b = append(b, contentType...)
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, "\r\n"...)
}
