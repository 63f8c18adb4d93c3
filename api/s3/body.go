package s3

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/bucket"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/sigv4"
)

// upload is a body that passes, and what it must turn out to be.
type upload struct {
	body      io.Reader
	buffer    []byte
	algorithm bucket.Algorithm // of the checksum to compute; "": none
	check     func(bucket.Sums) error
}

// openUpload returns the body of a request.
func openUpload(q *request) (*upload, error) {
	h := q.r.Header
	claims, err := readClaims(h)
	if err != nil {
		return nil, err
	}
	most := int64(bucket.MaxPut)
	if claims.chunked {
		most += most / 8 // chunks take a little room, too
	}
	if q.r.ContentLength > most {
		return nil, fault.New(bucket.CodeEntityTooLarge, "Your proposed upload exceeds the maximum allowed size")
	}
	u := &upload{body: q.r.Body, buffer: make([]byte, bufferBytes), algorithm: claims.algorithm}
	var chunks *chunked
	if claims.chunked {
		size, err := strconv.ParseInt(h.Get("X-Amz-Decoded-Content-Length"), 10, 64)
		if err != nil || size < 0 {
			return nil, fault.New(codeMissingLength, "You must provide the Content-Length HTTP header.").
				WithStatus(http.StatusLengthRequired)
		}
		if size > bucket.MaxPut {
			return nil, fault.New(bucket.CodeEntityTooLarge, "Your proposed upload exceeds the maximum allowed size")
		}
		chunks = newChunked(q.r.Body, size)
		chunks.signed = wire.Chunks(q.r)
		u.body = chunks
	}
	u.check = func(s bucket.Sums) error {
		if chunks != nil {
			if err := claims.readTrailer(chunks.trailer); err != nil {
				return err
			}
		}
		return claims.check(s)
	}
	if q.r.Body != nil {
		if err := wire.Passing(q.r.Context(), bufferBytes); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// claims are what a request says about its body.
type claims struct {
	chunked   bool
	md5       []byte           // nil: not said
	sha256    []byte           // nil: not said
	algorithm bucket.Algorithm // "": no checksum
	checksum  []byte           // nil: it comes behind the body
	trailer   string           // the name under which it comes there; ""
}

// payloads are the values of x-amz-content-sha256 that stand for no digest, and whether they say that the body comes in
// chunks.
var payloads = map[string]bool{
	"": false, "UNSIGNED-PAYLOAD": false, "STREAMING-UNSIGNED-PAYLOAD-TRAILER": true,
	"STREAMING-AWS4-HMAC-SHA256-PAYLOAD": true, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": true,
}

const checksumPrefix = "x-amz-checksum-"

func readClaims(h http.Header) (*claims, error) {
	c := &claims{}
	var err error
	if v := h.Get("Content-Md5"); v != "" || h["Content-Md5"] != nil {
		if c.md5, err = base64.StdEncoding.DecodeString(v); err != nil || len(c.md5) != 16 {
			return nil, fault.New(codeInvalidDigest, "The Content-MD5 you specified was invalid.")
		}
	}
	payload := h.Get("X-Amz-Content-Sha256")
	chunked, known := payloads[payload]
	if !known {
		if strings.HasPrefix(payload, "STREAMING-") {
			return nil, lacks("the payload " + fault.Clip(payload, 100))
		}
		if c.sha256, err = hex.DecodeString(payload); err != nil || len(c.sha256) != 32 {
			return nil, invalid("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, " +
				"STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.")
		}
	}
	c.chunked = chunked || slices.Contains(encodings(h), awsChunked)
	if err := c.readChecksum(h); err != nil {
		return nil, err
	}
	return c, c.readAnnouncement(h)
}

// readChecksum reads the checksum that is said before the body.
func (c *claims) readChecksum(h http.Header) error {
	for _, a := range bucket.Algorithms {
		name := checksumName(a)
		values, ok := h[http.CanonicalHeaderKey(name)]
		if !ok {
			continue
		}
		if c.checksum != nil || len(values) != 1 {
			return fault.New(bucket.CodeInvalidRequest,
				"Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		var err error
		if c.checksum, err = parseChecksum(a, values[0]); err != nil {
			return err
		}
		c.algorithm = a
	}
	return nil
}

// readAnnouncement reads what is said about a checksum behind the body, and whether an algorithm that is named comes
// with a checksum.
func (c *claims) readAnnouncement(h http.Header) error {
	if v := h.Get("X-Amz-Trailer"); v != "" {
		name := strings.ToLower(strings.TrimSpace(v))
		a, ok := checksumOf(name)
		switch {
		case !ok || !c.chunked:
			return fault.New(bucket.CodeInvalidRequest, "The value specified in the x-amz-trailer header is not supported")
		case c.checksum != nil:
			return fault.New(bucket.CodeInvalidRequest,
				"Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		c.algorithm, c.trailer = a, name
	}
	named := h.Get("X-Amz-Sdk-Checksum-Algorithm")
	switch {
	case named == "":
	case c.algorithm == "":
		return fault.New(bucket.CodeInvalidRequest, "x-amz-sdk-checksum-algorithm specified, but no corresponding "+
			"x-amz-checksum-* or x-amz-trailer headers were found.")
	case !strings.EqualFold(named, string(c.algorithm)):
		return fault.New(bucket.CodeInvalidRequest, "Value for x-amz-sdk-checksum-algorithm header is invalid.")
	}
	return nil
}

func checksumName(a bucket.Algorithm) string { return checksumPrefix + strings.ToLower(string(a)) }

// checksumOf returns the algorithm of a header's name in lower case.
func checksumOf(name string) (bucket.Algorithm, bool) {
	rest, ok := strings.CutPrefix(name, checksumPrefix)
	a := bucket.Algorithm(strings.ToUpper(rest))
	return a, ok && slices.Contains(bucket.Algorithms, a)
}

func parseChecksum(a bucket.Algorithm, value string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(b) != a.Size() {
		return nil, fault.New(bucket.CodeInvalidRequest, "Value for %s header is invalid.", checksumName(a))
	}
	return b, nil
}

// readTrailer reads the checksum that came behind the body.
func (c *claims) readTrailer(trailer map[string]string) (err error) {
	if c.trailer == "" {
		return nil
	}
	value, ok := trailer[c.trailer]
	if !ok {
		return malformedTrailer()
	}
	c.checksum, err = parseChecksum(c.algorithm, value)
	return err
}

func malformedTrailer() error {
	return fault.New(codeMalformedTrailer, "The request contained trailing data that was not well-formed or did not "+
		"conform to our published schema.")
}

// check compares what a body turned out to be with what was said.
func (c *claims) check(s bucket.Sums) error {
	switch {
	case c.md5 != nil && !bytes.Equal(c.md5, s.MD5[:]):
		return fault.New(bucket.CodeBadDigest, "The Content-MD5 you specified did not match what we received.")
	case c.sha256 != nil && !bytes.Equal(c.sha256, s.SHA256[:]):
		return fault.New(codeSHA256Mismatch,
			"The provided 'x-amz-content-sha256' header does not match what was computed.")
	case c.checksum != nil && !bytes.Equal(c.checksum, s.Checksum):
		return bucket.BadDigest(c.algorithm)
	}
	return nil
}

const awsChunked = "aws-chunked"

// encodings are the members of Content-Encoding, in order.
func encodings(h http.Header) []string {
	var out []string
	for _, line := range h["Content-Encoding"] {
		for e := range strings.SplitSeq(line, ",") {
			if e = strings.TrimSpace(e); e != "" {
				out = append(out, e)
			}
		}
	}
	return out
}

// readXML fills a value from the body of a request.
func readXML(q *request, into any) error {
	body, err := readDocument(q, maxXML)
	if err != nil {
		return err
	}
	if err := wire.ChargeValues(q.r.Context(), bytes.Count(body, []byte{'<'})); err != nil {
		return err
	}
	return parseXML(body, into)
}

// readDocument returns the body of a request, after what is said about it is found to be true.
func readDocument(q *request, most int64) ([]byte, error) {
	c, err := readClaims(q.r.Header)
	if err != nil {
		return nil, err
	}
	if c.chunked {
		return nil, lacks("a document in aws-chunked encoding")
	}
	body, err := wire.ReadBody(q.r, most)
	if err != nil {
		return nil, err
	}
	return body, c.check(bucket.SumsOf(body, c.algorithm))
}

// parseXML fills a value from a document that has its element and nothing behind it.
func parseXML(body []byte, into any) error {
	d := xml.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(into); err != nil {
		return malformedXML()
	}
	for {
		switch t, err := d.Token(); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return malformedXML()
		default:
			if chars, ok := t.(xml.CharData); ok && len(bytes.TrimSpace(chars)) > 0 {
				return malformedXML()
			} else if _, ok := t.(xml.StartElement); ok {
				return malformedXML()
			}
		}
	}
}

func malformedXML() error {
	return fault.New(codeMalformedXML,
		"The XML you provided was not well-formed or did not validate against our published schema")
}

// Bounds of what is around the chunks of a body.
const (
	maxChunkLine    = 1 << 10 // bytes
	maxTrailerLines = 16
)

// chunked takes aws-chunked encoding off a body: chunks with their size and perhaps a signature, an empty chunk, and
// perhaps trailers.
type chunked struct {
	signed  *sigv4.Chunks // verifies signatures; nil: there are none, or nobody asks for them
	from    *bufio.Reader
	left    int64 // of the chunk
	rest    int64 // of the body, as was said
	ended   error // io.EOF, or why there is nothing more
	begun   bool
	trailer map[string]string // names in lower case; complete once Read has returned io.EOF
}

func newChunked(from io.Reader, size int64) *chunked {
	return &chunked{from: bufio.NewReaderSize(from, 4<<10), rest: size, trailer: map[string]string{}}
}

// Read returns what is in the chunks.
func (c *chunked) Read(p []byte) (int, error) {
	if c.ended != nil {
		return 0, c.ended
	}
	if c.left == 0 {
		if c.ended = c.next(); c.ended != nil {
			return 0, c.ended
		}
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.from.Read(p)
	c.left, c.rest = c.left-int64(n), c.rest-int64(n)
	if c.signed != nil {
		c.signed.Write(p[:n])
		if c.left == 0 && !c.signed.End() {
			c.ended = wire.ChunkMismatch()
			return 0, c.ended
		}
	}
	if err != nil {
		c.ended = ended(err)
		return n, c.ended
	}
	return n, nil
}

// ended turns the end of a body into one that comes too early.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// next reads the head of a chunk. It returns io.EOF behind the last one.
func (c *chunked) next() error {
	if c.begun {
		if line, err := c.line(); err != nil || line != "" {
			return cmpErr(err, badChunk())
		}
	}
	c.begun = true
	line, err := c.line()
	if err != nil {
		return ended(err)
	}
	digits, extensions, _ := strings.Cut(line, ";")
	size, err := strconv.ParseInt(digits, 16, 64)
	switch {
	case err != nil || size < 0 || digits[0] == '+' || digits[0] == '-':
		return badChunk()
	case size > c.rest:
		return fault.New(codeIncompleteBody,
			"The request body has more bytes than the x-amz-decoded-content-length HTTP header says")
	case size == 0 && c.rest > 0:
		return io.ErrUnexpectedEOF
	}
	if c.signed != nil {
		c.signed.Begin(extensions)
	}
	if size > 0 {
		c.left = size
		return nil
	}
	if c.signed != nil && !c.signed.End() {
		return wire.ChunkMismatch()
	}
	return c.readTrailers()
}

func cmpErr(err, other error) error {
	if err != nil {
		return ended(err)
	}
	return other
}

func badChunk() error {
	return fault.New(bucket.CodeInvalidRequest, "The request body is not in the aws-chunked encoding.")
}

// trailerSignature is the name of the line that signs the others behind the last chunk.
const trailerSignature = "x-amz-trailer-signature"

// readTrailers reads up to an empty line or the end.
func (c *chunked) readTrailers() error {
	var lines strings.Builder // as they are signed
	for range maxTrailerLines {
		line, err := c.line()
		if errors.Is(err, io.EOF) || err == nil && line == "" {
			if c.signed != nil && c.signed.Trailed && !c.signed.Trailer(lines.String(), c.trailer[trailerSignature]) {
				return wire.ChunkMismatch()
			}
			return io.EOF
		}
		if err != nil {
			return err
		}
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if _, twice := c.trailer[name]; !ok || twice {
			return malformedTrailer()
		}
		c.trailer[name] = value
		if name != trailerSignature {
			lines.WriteString(name + ":" + value + "\n")
		}
	}
	return malformedTrailer()
}

// line returns a line without its end. io.EOF: there is none.
func (c *chunked) line() (string, error) {
	line, err := c.from.ReadSlice('\n')
	switch {
	case len(line) > maxChunkLine || errors.Is(err, bufio.ErrBufferFull):
		return "", badChunk()
	case errors.Is(err, io.EOF) && len(line) > 0:
		return "", io.ErrUnexpectedEOF
	case err != nil:
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
}
