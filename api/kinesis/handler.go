// Package kinesis serves the Kinesis Data Streams API: requests in JSON 1.1 or CBOR 1.1 come in, package stream is
// called, answers and errors go out like AWS's, in the encoding of the request, down to the headers.
//
// A request passes the checks in AWS's order: size, method, empty body, content type, encoding, operation, presence of
// authentication, types of the members, constraints of the members, and only then the operation. Each operation has a
// file of its name; operations lists them. docs/compat/kinesis.md says what is the same, what differs and what is
// absent. Source: Kinesis API Reference; order and texts of the checks as recorded from AWS by kinesalite.
package kinesis

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/stream"
)

// maxBody is the largest request body in bytes; 10 MiB of payload is 13.98 MB in base64.
const maxBody = 20 << 20

// The content types of Kinesis.
const (
	typeJSON  = "application/x-amz-json-1.1"
	typeCBOR  = "application/x-amz-cbor-1.1"
	typePlain = "application/json" // answered, but never served
)

// targetPrefix comes before the operation in X-Amz-Target.
const targetPrefix = "Kinesis_20131202"

// Options of New. Streams is required.
type Options struct {
	Streams *stream.Streams
	Log     *slog.Logger // nil: silent
}

// New returns the handler of the Kinesis API. It takes requests that came through wire.Router.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &handler{streams: o.Streams, log: o.Log}
	return &wire.RPC[*handler, *call]{
		Of: h, Model: &model, Target: targetPrefix, Read: read, Write: write, Done: (*call).release, Fault: h.asFault,
		Refuse: writeFault,
	}
}

type handler struct {
	streams *stream.Streams
	log     *slog.Logger
	events  eventRoom
}

// read applies the checks that come before an operation, in AWS's order. Whether the body is a JSON object or a CBOR
// map is left to the decoder: that is the operation, if all other checks pass.
func read(w http.ResponseWriter, r *http.Request, caller wire.Caller, refused *fault.Error) (*call, error) {
	c := takeCall(caller, encodingOf(r))
	var err error
	if c.body, err = wire.AppendBody(c.body[:0], r, maxBody); err != nil && refusedBody(w, r, err) {
		c.release()
		return nil, wire.ErrAnswered
	}
	w.Header()["X-Amz-Id-2"] = []string{extendedID()}
	err = c.check(w, r, refused)
	if err != nil {
		c.release()
		return nil, err
	}
	return c, nil
}

// check is the part of read after the body has been read.
func (c *call) check(w http.ResponseWriter, r *http.Request, refused *fault.Error) error {
	contentType := mediaType(r)
	service, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	known := refused == nil || refused.Code == fault.CodeNotImplemented

	switch {
	case r.Method != http.MethodPost:
		return c.denied(w)
	case len(c.body) == 0:
		return c.empty(w, contentType, known)
	case contentType == typePlain:
		return c.plain(w)
	case contentType == typeJSON || contentType == typeCBOR:
	case service == "" || name == "":
		return c.denied(w)
	default:
		wire.Explain(w.Header(), fault.CodeUnknownOperation, "Kinesis takes the Content-Type "+typeJSON+" or "+typeCBOR+
			", and not "+strconv.Quote(clip(contentType))+".")
		return c.odd(w, http.StatusNotFound, "", []byte("<UnknownOperationException/>\n"))
	}
	var err error
	if refused != nil {
		err = refused
	} else {
		err = c.authenticate(r)
	}
	if err != nil && !c.in.object(c.body) {
		return &fault.Error{Code: fault.CodeSerialization}
	}
	return err
}

// odd answers as AWS does before it knows the protocol. What an SDK prints of it is in the header.
func (c *call) odd(w http.ResponseWriter, status int, contentType string, answer []byte) error {
	wire.SetIDs(w.Header(), c.caller)
	wire.WriteBytes(w, status, contentType, answer)
	return wire.ErrAnswered
}

const deniedText = "Unable to determine service/operation name to be authorized"

// denied refuses what names no operation, in XML of a kind.
func (c *call) denied(w http.ResponseWriter) error {
	wire.Explain(w.Header(), fault.CodeAccessDenied, deniedText)
	return c.odd(w, http.StatusForbidden, "", []byte(
		"<AccessDeniedException>\n  <Message>"+deniedText+"</Message>\n</AccessDeniedException>\n",
	))
}

// empty refuses an empty body, without a text: in JSON if that was said, else in CBOR.
func (c *call) empty(w http.ResponseWriter, contentType string, known bool) error {
	f, in := &fault.Error{Code: fault.CodeUnknownOperation}, encoding(asCBOR{})
	if known {
		f.Code = fault.CodeSerialization
	}
	if contentType == typeJSON {
		in = asJSON{}
	}
	wire.FaultHeader(w.Header(), f)
	return c.odd(w, http.StatusBadRequest, in.contentType(), appendFault(in, nil, f))
}

// plain refuses application/json, which AWS reads but never serves.
func (c *call) plain(w http.ResponseWriter) error {
	code, status := fault.CodeUnknownOperation, http.StatusNotFound
	if !(asJSON{}).object(c.body) {
		code, status = fault.CodeSerialization, http.StatusBadRequest
	}
	wire.Explain(w.Header(), code, "Kinesis takes the Content-Type "+typeJSON+", and not "+typePlain+".")
	return c.odd(w, status, typePlain, []byte(
		`{"Output":{"__type":"com.amazon.coral.service#`+code+`"},"Version":"1.0"}`,
	))
}

func write(w http.ResponseWriter, _ wire.Caller, c *call, _ any) {
	wire.Hint(w.Header(), c.hint)
	wire.WriteBytes(w, http.StatusOK, c.in.contentType(), c.out)
}

// mediaType returns the content type of a request without its parameters.
func mediaType(r *http.Request) string {
	said := r.Header["Content-Type"]
	if len(said) == 0 {
		return ""
	}
	if said[0] == typeJSON || said[0] == typeCBOR { // what nearly every client sends
		return said[0]
	}
	contentType, _, _ := strings.Cut(said[0], ";")
	return strings.TrimSpace(contentType)
}

// Service is this service's row of the shared port; h is what New made.
func Service(h http.Handler) wire.Service {
	return wire.Service{
		Name: "kinesis", Target: targetPrefix, CBOR: typeCBOR, Needs: wire.OwnOrder, Handler: h, Refuse: Refuse,
		Codes: wire.Codes{
			Internal: fault.CodeInternal, Unavailable: fault.CodeUnavailable, Unsigned: fault.CodeMissingToken,
		},
	}
}

// Refuse answers a fault of a request that was not read.
func Refuse(w http.ResponseWriter, r *http.Request, f *fault.Error) {
	w.Header()["X-Amz-Id-2"] = []string{extendedID()}
	writeFault(w, r, f)
}

// Codes of the faults that belong to the wire.
const (
	codeInvalid          = "InvalidArgumentException"
	codeInvalidSignature = "InvalidSignatureException"
)

// asFault returns the caller's fault for err. For a caller that has left there is none, and nothing an operator must
// know.
func (h *handler) asFault(ctx context.Context, caller wire.Caller, err error) *fault.Error {
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		h.log.Debug("the client has left", "request_id", caller.RequestID)
		return &fault.Error{Code: fault.CodeInternal, Status: http.StatusInternalServerError}
	}
	f := wire.AsFault(err, fault.CodeInternal, caller, h.log)
	if hinted := (*hintedError)(nil); errors.As(err, &hinted) && f.Hint == "" {
		f = f.WithHint("%s", hinted.hint)
	}
	if f.Status >= http.StatusInternalServerError && f.Err != nil {
		h.log.Debug("request refused", "request_id", caller.RequestID, "code", f.Code, "error", f.Err)
	}
	return f
}

// writeFault answers with a fault in the encoding of the request: 400 unless it says otherwise.
func writeFault(w http.ResponseWriter, r *http.Request, f *fault.Error) {
	status := f.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	in := encodingOf(r)
	wire.FaultHeader(w.Header(), f)
	wire.WriteBytes(w, status, in.contentType(), appendFault(in, nil, f))
}

// appendFault appends the map {__type, message}; the member of a SerializationException is Message.
func appendFault(w encoding, to []byte, f *fault.Error) []byte {
	to = w.string(w.name(w.beginMap(to), "__type"), f.Code)
	switch {
	case f.Message == "":
	case f.Code == fault.CodeSerialization:
		to = w.string(w.name(to, "Message"), f.Message)
	default:
		to = w.string(w.name(to, "message"), f.Message)
	}
	return w.endMap(to)
}

// extendedID is x-amz-id-2: base64 of 72 bytes that mean nothing.
func extendedID() string {
	var b [72]byte
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], rand.Uint64())
	}
	var text [96]byte
	base64.StdEncoding.Encode(text[:], b[:])
	return string(text[:])
}

// refusedBody answers for a body that is too long, or that the server has no memory or time for. Otherwise the client
// has left, and no answer to its incomplete body would be read.
func refusedBody(w http.ResponseWriter, r *http.Request, err error) bool {
	var long *http.MaxBytesError
	var refused *fault.Error
	switch {
	case errors.As(err, &long):
		if r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close")
		}
		wire.Explain(w.Header(), fault.CodeTooLarge, "A request to Kinesis has a body of at most "+
			strconv.Itoa(maxBody)+" bytes.")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return true
	case errors.As(err, &refused):
		wire.SetIDs(w.Header(), wire.CallerOf(r.Context()))
		Refuse(w, r, refused)
		return true
	}
	return false
}
