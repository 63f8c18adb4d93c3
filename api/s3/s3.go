// Package s3 serves Amazon S3 (REST XML, version 2006-03-01) in front of companion/bucket.
//
// HTTP requests that wire.Router has routed here come in, AWS's answers go out; companion/bucket decides what is
// stored. Bodies pass through and are never held as a whole: aws-chunked encoding is taken off, and digests are checked
// on the way. Operations, headers and values that AWS has and this room does not are refused by name. The shapes are
// those of the S3 API Reference; docs/compat/s3.md lists what differs.
package s3

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/bucket"
	"github.com/shardmill/shardmill/fault"
)

// Codes that only the wire gives.
const (
	codeMalformedAuthorization = "AuthorizationHeaderMalformed"

	codeIncompleteBody     = "IncompleteBody"
	codeInvalidDigest      = "InvalidDigest"
	codeInvalidRange       = "InvalidRange"
	codeInvalidURI         = "InvalidURI"
	codeIllegalLocation    = "IllegalLocationConstraintException"
	codeInvalidLocation    = "InvalidLocationConstraint"
	codeInvalidPartNumber  = "InvalidPartNumber"
	codeMalformedTrailer   = "MalformedTrailerError"
	codeMalformedXML       = "MalformedXML"
	codeMetadataTooLarge   = "MetadataTooLarge"
	codeMethodNotAllowed   = "MethodNotAllowed"
	codeMissingLength      = "MissingContentLength"
	codeNotImplemented     = "NotImplemented"
	codeServiceUnavailable = "ServiceUnavailable"
	codeSHA256Mismatch     = "XAmzContentSHA256Mismatch"
	codeEntityTooLargeXML  = "MaxMessageLengthExceeded"
)

// Bounds of a request.
const (
	maxXML         = 8 << 20   // bytes of a body of XML: a thousand keys in which every byte is escaped
	maxMetadata    = 2 << 10   // bytes of names and values of x-amz-meta-
	bufferBytes    = 128 << 10 // through which bodies pass
	maxKeysPerCall = 1000
)

// Options are what the handler needs. Buckets is required; a nil Log is silent.
type Options struct {
	Buckets *bucket.Buckets
	Log     *slog.Logger
}

// Handler carries out the operations of S3.
type Handler struct {
	buckets *bucket.Buckets
	faults  wire.Faults
}

// New returns the handler of the service. It finds the caller with wire.CallerOf. Safe for concurrent use.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Handler{o.Buckets, wire.Faults{
		Internal: bucket.CodeInternal, Unavailable: codeServiceUnavailable, Stopped: []error{bucket.ErrStopped},
		Log: o.Log,
	}}
}

// Service returns this service's row of the shared port; h is what New made.
func Service(h http.Handler) wire.Service {
	return wire.Service{
		Name: "s3", Needs: wire.Signature, Dialect: wire.Objects, Handler: h, Refuse: Refuse,
		Codes: wire.Codes{
			Internal: bucket.CodeInternal, Unavailable: codeServiceUnavailable, Unsigned: bucket.CodeAccessDenied,
		},
	}
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	q, op, err := h.find(r)
	if err == nil && q.bucket != "" {
		err = h.checkScope(ctx, q)
	}
	if err != nil {
		if q.home != "" {
			w.Header()["x-amz-bucket-region"] = []string{q.home} // where SDKs try again
		}
		h.refuse(w, r, err)
		return
	}
	setIDs(w.Header(), q.caller)
	if op.Stream != nil {
		s := &wire.Stream{Refuse: func(err error) { h.refuse(w, r, q.hide(err)) }}
		s.Broken = func(err error) []byte {
			_ = h.faults.Of(ctx, q.caller, err) // which logs it
			return nil
		}
		s.Serve(w, r, func(ctx context.Context) error { return op.Stream(h, ctx, q.caller, q, s) })
		return
	}
	answer, err := op.Serve(h, ctx, q.caller, q)
	if err != nil {
		h.refuse(w, r, q.hide(err))
		return
	}
	write(w, answer)
}

// refuse answers an error.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	c := wire.CallerOf(r.Context())
	Refuse(w, r, h.faults.Of(r.Context(), c, bodyFault(err)))
}

// bodyFault returns the fault of a body that ended early.
func bodyFault(err error) error {
	var f *fault.Error
	if errors.As(err, &f) || !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return fault.New(codeIncompleteBody,
		"You did not provide the number of bytes specified by the Content-Length HTTP header")
}

// checkScope refuses a bucket whose policy does not let the caller, or that has another owner than the caller expects,
// and one of another region than the request was signed for.
func (h *Handler) checkScope(ctx context.Context, q *request) error {
	operation := q.operation()
	if operation == "CreateBucket" {
		return nil // which says whose the name is
	}
	i, err := h.owned(ctx, q.bucket, q.r.Header.Get("X-Amz-Expected-Bucket-Owner"))
	if err != nil || i == nil {
		return err
	}
	if err := q.authorize(i, operation); err != nil || i.Region == q.caller.Region || anywhere[operation] {
		return err
	}
	q.home = i.Region
	return fault.New(codeMalformedAuthorization,
		"The authorization header is malformed; the region '%s' is wrong; expecting '%s'", q.caller.Region, i.Region)
}

// anywhere are the operations by which clients find out where a bucket is.
var anywhere = map[string]bool{"GetBucketLocation": true, "HeadBucket": true}

// owned returns a bucket whose owner is the one that is expected, or whoever if nobody is; nil if there is no bucket,
// which the operation says.
func (h *Handler) owned(ctx context.Context, name, expected string) (*bucket.Info, error) {
	i, err := h.buckets.Look(ctx, name)
	switch {
	case fault.CodeOf(err) == bucket.CodeNoSuchBucket:
		return nil, nil
	case err != nil:
		return nil, err
	case expected != "" && i.Account != expected:
		return nil, accessDenied()
	}
	return &i, nil
}

func accessDenied() error {
	return fault.New(bucket.CodeAccessDenied, "Access Denied").WithStatus(http.StatusForbidden)
}

// hide returns the error that a caller is told.
func (q *request) hide(err error) error {
	if q.hidden && fault.CodeOf(err) == bucket.CodeNoSuchKey {
		return accessDenied()
	}
	return err
}

// absent refuses by name what S3 has and this room does not.
const absent = wire.Absent("s3")

// lacks refuses a header, or a value of one.
func lacks(what string) *fault.Error {
	return &fault.Error{
		Code: codeNotImplemented, Status: http.StatusNotImplemented,
		Message: absent.Parameter("", what).Message,
	}
}

func invalid(format string, args ...any) *fault.Error {
	return fault.New(bucket.CodeInvalidArgument, format, args...)
}

// knownHeaders are the headers of S3 that mean something here. All others that begin with x-amz- are refused.
const knownHeaders = " date content-sha256 security-token user-agent decoded-content-length trailer " +
	"sdk-checksum-algorithm checksum-mode checksum-algorithm checksum-type checksum-crc32 checksum-crc32c " +
	"checksum-crc64nvme checksum-sha1 checksum-sha256 expected-bucket-owner source-expected-bucket-owner tagging " +
	"tagging-directive metadata-directive copy-source copy-source-range copy-source-if-match copy-source-if-none-match " +
	"copy-source-if-modified-since copy-source-if-unmodified-since mp-object-size object-attributes max-parts " +
	"part-number-marker "

// harmless are values of further headers that say what is so anyway.
var harmless = map[string]string{
	"acl": " private bucket-owner-full-control bucket-owner-read ", "storage-class": " STANDARD ",
	"object-ownership": " BucketOwnerEnforced ", "bucket-object-lock-enabled": " false False ",
}

// checkHeaders refuses headers that would change what happens if they were executed.
func checkHeaders(h http.Header) error {
	for name, values := range h {
		rest, ok := strings.CutPrefix(strings.ToLower(name), "x-amz-")
		if !ok || strings.HasPrefix(rest, "meta-") || strings.Contains(knownHeaders, " "+rest+" ") {
			continue
		}
		if may := harmless[rest]; may != "" && len(values) == 1 && strings.Contains(may, " "+values[0]+" ") {
			continue
		}
		return lacks("the header x-amz-" + fault.Clip(rest, 100))
	}
	return nil
}
