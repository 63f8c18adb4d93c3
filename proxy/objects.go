package proxy

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/sigv4"
	"github.com/shardmill/shardmill/proxy/translate"
)

// Codes of S3 for what cannot be forwarded.
const (
	codeIncompleteBody = "IncompleteBody"
	codeInvalidRequest = "InvalidRequest"
	codeInvalidURI     = "InvalidURI"
	codeTooLarge       = "EntityTooLarge"
)

// Bounds of what passes through.
const (
	passBuffer = 64 << 10
	maxXML     = 1 << 20 // bytes of a body that is rewritten: a bucket's configuration
)

// Objects returns the row of S3 on the shared port, forwarding to the target. bucketOf returns the bucket that a Host
// header names by its prefix (see wire.HostPrefix), or "", and operationOf the operation that a request means. Bodies
// pass through, whatever their size; only configurations of buckets, in which other services are named, are held and
// rewritten.
func (t *Target) Objects(
	row wire.Service, bucketOf func(prefix string) string, operationOf func(r *http.Request) string,
) wire.Service {
	row.Handler = &objects{refuser{t, row}, bucketOf, operationOf}
	return row
}

type objects struct {
	refuser
	bucketOf    func(prefix string) string
	operationOf func(r *http.Request) string
}

// errSilent is why a request ends of whose body or answer nothing has come for too long.
var errSilent = errors.New("nothing was sent for " + silentLimit.String())

// object is one request to S3 on its way.
type object struct {
	names   translate.Names
	caller  wire.Caller
	path    string     // with the bucket, as sigv4.Escape writes it
	query   url.Values // without a signature
	alone   bool       // it names a bucket and no key
	service bool       // it names neither
	header  http.Header
	digest  string
	length  int64
	body    io.Reader
}

// ServeHTTP forwards one request.
func (s *objects) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.serve(w, r); err != nil {
		s.refuse(w, r, err)
	}
}

func (s *objects) serve(w http.ResponseWriter, r *http.Request) error {
	if err := wire.Permit(r, s.operationOf(r)); err != nil {
		return err
	}
	o, err := s.read(r)
	if err != nil {
		return err
	}
	if err := o.configure(r); err != nil {
		return err
	}
	if err := wire.Passing(r.Context(), 3*passBuffer); err != nil {
		return err
	}
	ctx, leave, err := s.target.enter(r.Context(), o.header)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(silentLimit, func() { cancel(errSilent) })
	defer silence.Stop()
	out, err := s.target.request(ctx, r.Method, o.path, "", o.header)
	if err != nil {
		return err
	}
	out.URL.RawQuery = unsigned(r.URL.RawQuery)
	out.ContentLength = o.length
	if err := s.target.sign(out, "s3", o.digest); err != nil {
		return err
	}
	got, err := s.exchange(out, o, func() { silence.Reset(silentLimit) })
	if err != nil {
		return err
	}
	defer func() { _ = got.Body.Close() }()
	return s.answer(w, r, o, got, func() { silence.Reset(silentLimit) })
}

// read understands a request as far as it must be changed.
func (s *objects) read(r *http.Request) (*object, error) {
	c := wire.CallerOf(r.Context())
	o := &object{
		names: s.target.namesOf(c), caller: c, header: passed(r.Header), length: r.ContentLength, body: r.Body,
		digest: sigv4.Unsigned,
	}
	plain, err := url.PathUnescape(r.URL.EscapedPath())
	if err != nil {
		return nil, fault.New(codeInvalidURI, "Couldn't parse the specified URI.").WithStatus(http.StatusBadRequest)
	}
	if bucket := s.bucketOf(wire.HostPrefix(r)); bucket != "" {
		plain = "/" + bucket + plain
	}
	o.path = sigv4.Escape(plain)
	bucket, key, _ := strings.Cut(strings.TrimPrefix(plain, "/"), "/")
	o.service, o.alone = bucket == "", bucket != "" && key == ""
	o.query = r.URL.Query()
	for _, name := range []string{"X-Amz-Expected-Bucket-Owner", "X-Amz-Source-Expected-Bucket-Owner"} {
		if owner := o.header.Get(name); owner != "" {
			o.header.Set(name, o.names.Account(owner))
		}
	}
	if o.service || o.alone || r.Method == http.MethodPost { // what comes back may be rewritten
		o.header["Accept-Encoding"] = []string{"identity"}
	}
	o.unwrap(r)
	if o.body == nil || o.length == 0 {
		o.body, o.length = nil, 0
	}
	return o, nil
}

// unwrap takes off what our caller has signed in the body. A digest of the whole body goes on to the target, which
// compares it.
func (o *object) unwrap(r *http.Request) {
	switch claimed := r.Header.Get("X-Amz-Content-Sha256"); {
	case len(claimed) == 64:
		o.digest = claimed
	case claimed == sigv4.UnsignedTrailer:
		o.digest = claimed // there is no signature in it
	case strings.HasPrefix(claimed, "STREAMING-") && strings.HasSuffix(claimed, "-TRAILER"):
		o.digest, o.length, o.body = sigv4.UnsignedTrailer, -1, newChunks(r.Body, true, wire.Chunks(r))
	case strings.HasPrefix(claimed, "STREAMING-"):
		o.length = -1
		if n, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64); err == nil && n >= 0 {
			o.length = n
		}
		o.body = newChunks(r.Body, false, wire.Chunks(r))
		o.header.Del("X-Amz-Decoded-Content-Length")
		o.dechunked()
	}
}

// dechunked takes aws-chunked out of Content-Encoding.
func (o *object) dechunked() {
	var rest []string
	for part := range strings.SplitSeq(o.header.Get("Content-Encoding"), ",") {
		if part = strings.TrimSpace(part); part != "" && part != "aws-chunked" {
			rest = append(rest, part)
		}
	}
	if o.header.Del("Content-Encoding"); rest != nil {
		o.header.Set("Content-Encoding", strings.Join(rest, ","))
	}
}

// configure rewrites the body of a request that says what a bucket is or whom it tells.
func (o *object) configure(r *http.Request) error {
	switch {
	case r.Method != http.MethodPut || !o.alone:
		return nil
	case len(o.query) > 0 && !o.query.Has("notification") && !o.query.Has("policy") && !o.onlyID():
		return nil
	}
	if o.digest == sigv4.UnsignedTrailer {
		o.body = newChunks(o.body, false, nil)
	}
	var body []byte
	if o.body != nil {
		var err error
		if body, err = io.ReadAll(io.LimitReader(o.body, maxXML+1)); err != nil {
			return err
		}
	}
	if len(body) > maxXML {
		return fault.New(codeTooLarge, "Your proposed upload exceeds the maximum allowed size").WithStatus(
			http.StatusBadRequest,
		)
	}
	var changed []byte
	switch {
	case o.query.Has("notification"):
		changed = translate.S3.RequestXML(o.names, body)
	case o.query.Has("policy"):
		changed = []byte(o.names.Text(string(body)))
	default:
		changed = o.place(body)
	}
	o.replace(body, changed)
	return nil
}

// onlyID reports whether the query holds nothing but the name of the operation, which some SDKs add.
func (o *object) onlyID() bool { return len(o.query) == 1 && o.query.Has("x-id") }

// place returns the body of CreateBucket for the region of the target, which is the only one that it takes. A region
// that is not the caller's stays: the target says what it thinks of it.
func (o *object) place(body []byte) []byte {
	var in struct {
		XMLName    xml.Name
		Constraint *string `xml:"LocationConstraint"`
		Rest       []struct {
			XMLName xml.Name
			Inner   string `xml:",innerxml"`
		} `xml:",any"`
	}
	if len(body) > 0 && (xml.Unmarshal(body, &in) != nil || in.Constraint == nil && len(in.Rest) > 0) {
		return body
	}
	where := wire.DefaultRegion // as S3 reads a request without one
	if in.Constraint != nil {
		where = *in.Constraint
	}
	if where != o.names.From.Region || len(in.Rest) > 0 {
		return body
	}
	if o.names.To.Region == wire.DefaultRegion {
		return nil
	}
	return []byte(`<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>` +
		o.names.To.Region + `</LocationConstraint></CreateBucketConfiguration>`)
}

// replace gives a request another body, and digests that fit.
func (o *object) replace(before, body []byte) {
	o.body, o.length, o.digest = bytes.NewReader(body), int64(len(body)), sigv4.Digest(body)
	o.header.Del("X-Amz-Decoded-Content-Length")
	o.header.Del("X-Amz-Trailer")
	o.dechunked()
	if len(body) == 0 {
		o.body = nil
	}
	if bytes.Equal(before, body) {
		return
	}
	for name := range o.header {
		if strings.HasPrefix(name, "X-Amz-Checksum-") || name == "X-Amz-Sdk-Checksum-Algorithm" {
			o.header.Del(name)
		}
	}
	if o.header.Del("Content-Md5"); len(body) > 0 {
		sum := md5.Sum(body) // which some operations of S3 demand
		o.header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
	}
}

// exchange sends a request. Its body is read by this goroutine alone, which is the only one that may.
func (s *objects) exchange(out *http.Request, o *object, progress func()) (*http.Response, error) {
	if o.body == nil {
		out.Body = http.NoBody
		return s.target.send(out)
	}
	reader, writer := io.Pipe()
	out.Body = reader
	type result struct {
		answer *http.Response
		err    error
	}
	done := make(chan result, 1)
	go func() {
		answer, err := s.target.send(out) //nolint:bodyclose // who gets the answer closes it
		_ = reader.Close()                // an answer may come before the body has been read
		done <- result{answer, err}
	}()
	err := pass(writer, o.body, progress)
	_ = writer.CloseWithError(or(err, io.EOF))
	got := <-done
	var ended *brokenBody
	if errors.As(err, &ended) && got.answer == nil {
		return nil, ended.why()
	}
	return got.answer, got.err
}

// brokenBody is the error of a body that could not be read.
type brokenBody struct{ err error }

func (b *brokenBody) Error() string { return "reading the body: " + b.err.Error() }
func (b *brokenBody) Unwrap() error { return b.err }

// why returns what the caller is told.
func (b *brokenBody) why() error {
	var f *fault.Error
	switch {
	case errors.As(b.err, &f):
		return f
	case errors.Is(b.err, errChunks):
		return fault.New(codeInvalidRequest, "The body is not in aws-chunked encoding.").WithStatus(
			http.StatusBadRequest,
		)
	}
	return fault.New(
		codeIncompleteBody, "You did not provide the number of bytes specified by the Content-Length HTTP header",
	).WithStatus(http.StatusBadRequest)
}

// pass copies a body as it comes.
func pass(to io.Writer, from io.Reader, progress func()) error {
	buffer := make([]byte, passBuffer)
	for {
		n, err := from.Read(buffer)
		progress()
		if n > 0 {
			if _, werr := to.Write(buffer[:n]); werr != nil {
				return werr
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return &brokenBody{err}
		}
	}
}

// answer passes an answer on.
func (s *objects) answer(w http.ResponseWriter, r *http.Request, o *object, got *http.Response, progress func()) error {
	h := w.Header()
	header := passed(got.Header)
	if where := header.Get("X-Amz-Bucket-Region"); where != "" { // by which SDKs choose where they go next
		header.Set("X-Amz-Bucket-Region", o.names.Back().Region(where))
	}
	if o.rewritten(r.Method, got.StatusCode) {
		body, err := s.target.whole(r.Context(), got.Body)
		if err != nil {
			return err
		}
		got.Body, got.ContentLength = io.NopCloser(bytes.NewReader(nil)), 0
		body = o.rename(body)
		copyHeaders(h, header)
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
		w.WriteHeader(got.StatusCode)
		_, _ = w.Write(body) // a client that went away is not our error
		return nil
	}
	copyHeaders(h, header)
	if got.ContentLength >= 0 && got.StatusCode != http.StatusNoContent && got.StatusCode != http.StatusNotModified {
		h["Content-Length"] = []string{strconv.FormatInt(got.ContentLength, 10)}
	}
	w.WriteHeader(got.StatusCode)
	if err := pass(w, got.Body, progress); err != nil {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	return nil
}

func copyHeaders(to, from http.Header) {
	for name, values := range from {
		to[name] = values
	}
}

// rewritten reports whether an answer holds names.
func (o *object) rewritten(method string, status int) bool {
	if status != http.StatusOK {
		return false
	}
	switch method {
	case http.MethodGet:
		return o.service || o.alone && (o.query.Has("location") || o.query.Has("notification") || o.query.Has("policy"))
	case http.MethodPost:
		return o.query.Has("uploadId")
	}
	return false
}

// rename gives an answer our names.
func (o *object) rename(body []byte) []byte {
	back := o.names.Back()
	switch {
	case o.query.Has("policy"):
		return []byte(back.Text(string(body)))
	case o.query.Has("location"):
		return location(back, body)
	}
	return translate.S3.AnswerXML(back, body)
}

// location returns the answer of GetBucketLocation, in which a bucket of us-east-1 has none.
func location(names translate.Names, body []byte) []byte {
	var where string
	if xml.Unmarshal(body, &where) != nil {
		return body
	}
	if where == "" {
		where = wire.DefaultRegion
	}
	if where = names.Region(where); where == wire.DefaultRegion {
		where = ""
	}
	return []byte(xml.Header + `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + where +
		`</LocationConstraint>`)
}
