// Package kinesis speaks the Kinesis Data Streams API: JSON 1.1 requests in, calls on package stream, answers and
// errors as AWS's own, to the header.
//
// A request passes the checks in AWS's order: size, method, empty body, content type, JSON, operation, presence of
// authentication, types of the members, constraints of the members, and only then the operation. Each operation has a
// file of its name; operations lists them. What is the same, what differs and what is absent is told in
// docs/compat/kinesis.md. Source: Kinesis API Reference; order and texts of the checks as recorded from AWS by
// kinesalite.
package kinesis

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/jsontext"
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

// New returns the handler of the Kinesis API. It takes requests that came through wire.Router; others are read as if
// they had.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &handler{streams: o.Streams, log: o.Log, operations: map[string]operation{}}
	for _, op := range operations {
		h.operations[op.name] = op
	}
	return h
}

type handler struct {
	streams    *stream.Streams
	log        *slog.Logger
	operations map[string]operation
}

// operation is one row of the table of operations. serve appends its answer to c.out; an answer of no bytes is AWS's
// empty success.
type operation struct {
	name  string
	serve func(h *handler, ctx context.Context, c *call) error
	// for well-formed common requests; done false: serve must
	fast func(h *handler, ctx context.Context, c *call) (done bool, err error)
}

// call is one request on its way through an operation.
type call struct {
	caller wire.Caller
	body   []byte // as sent; gone once the call has returned
	out    []byte // the answer's body
	hint   string
}

// ServeHTTP applies the checks that come before an operation, in AWS's order.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := takeBuffers()
	defer p.release()
	var err error
	if p.body, err = wire.AppendBody(p.body[:0], r, maxBody); err != nil && refusedBody(w, r, err) {
		return
	}
	caller := wire.CallerOf(r.Context())
	if caller.RequestID == "" {
		caller = wire.ReadCaller(r, nil)
	}
	wire.SetIDs(w.Header(), caller)
	w.Header()["X-Amz-Id-2"] = []string{extendedID()}

	if r.Method != http.MethodPost {
		wire.WriteBytes(w, http.StatusForbidden, "", []byte(pseudoXMLDenied))
		return
	}
	contentType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	contentType = strings.TrimSpace(contentType)
	service, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	known := service == targetPrefix && (h.operations[name].serve != nil || notServed[name])

	switch {
	case len(p.body) == 0:
		h.refuseEmpty(w, contentType, known)
	case contentType == typeCBOR:
		writeFault(w,
			notImplemented("shardmill does not speak CBOR with Kinesis clients yet; switch it off there: AWS_CBOR_DISABLE=true (Java SDK v1), "+
				"-Daws.cborEnabled=false or CBOR_ENABLED=false (Java SDK v2). See docs/compat/kinesis.md."))
	case contentType == typePlain:
		refusePlain(w, p.body)
	case contentType != typeJSON && (service == "" || name == ""):
		wire.WriteBytes(w, http.StatusForbidden, "", []byte(pseudoXMLDenied))
	case contentType != typeJSON:
		wire.WriteBytes(w, http.StatusNotFound, "", []byte("<UnknownOperationException/>\n"))
	default:
		c := &call{caller: caller, body: p.body, out: p.out[:0]}
		err := h.dispatch(r, known, name, c)
		p.out = c.out
		if err != nil {
			writeFault(w, h.asFault(r.Context(), err, caller, c.hint))
			return
		}
		wire.Hint(w.Header(), c.hint)
		wire.WriteBytes(w, http.StatusOK, typeJSON, c.out)
	}
}

// dispatch checks JSON, operation and authentication, and runs the operation. A body that the operation's fast decoder
// takes whole needs no other check.
func (h *handler) dispatch(r *http.Request, known bool, name string, c *call) error {
	denied := checkAuthentication(r, c.caller)
	op := h.operations[name]
	if known && denied == nil && op.fast != nil {
		if done, err := op.fast(h, r.Context(), c); done {
			return err
		}
		c.out = c.out[:0]
	}
	if !isObject(c.body) {
		return &fault.Error{Code: codeSerialization}
	}
	if !known {
		return &fault.Error{Code: codeUnknownOperation}
	}
	if op.serve == nil {
		return notImplemented("shardmill does not implement kinesis " + name + " yet; see docs/compat/kinesis.md.")
	}
	if denied != nil {
		return denied
	}
	return op.serve(h, r.Context(), c)
}

// Service is this service's row of the shared port; h is what New made.
func Service(h http.Handler) wire.Service {
	return wire.Service{
		Name: "kinesis", Target: targetPrefix, Needs: wire.OwnOrder, Handler: h, Refuse: Refuse,
		Codes: wire.Codes{Internal: codeInternal, Unavailable: fault.CodeUnavailable, Unsigned: fault.CodeMissingToken},
	}
}

// Refuse answers a fault that no operation gave.
func Refuse(w http.ResponseWriter, _ *http.Request, f *fault.Error) {
	w.Header()["X-Amz-Id-2"] = []string{extendedID()}
	writeFault(w, f)
}

const pseudoXMLDenied = "<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be authorized</Message>\n</AccessDeniedException>\n"

// Codes of the faults that belong to the wire.
const (
	codeSerialization    = "SerializationException"
	codeUnknownOperation = "UnknownOperationException"
	codeInternal         = "InternalFailure"
	codeInvalid          = "InvalidArgumentException"
	codeInvalidSignature = "InvalidSignatureException"
)

// refuseEmpty answers an empty body: without a text, and in CBOR for everybody who did not say JSON 1.1.
func (h *handler) refuseEmpty(w http.ResponseWriter, contentType string, known bool) {
	code := codeUnknownOperation
	if known {
		code = codeSerialization
	}
	if contentType == typeJSON {
		wire.WriteBytes(w, http.StatusBadRequest, typeJSON, []byte(`{"__type":"`+code+`"}`))
		return
	}
	wire.WriteBytes(w, http.StatusBadRequest, typeCBOR, cborType(code))
}

// cborType returns the CBOR map {__type: code}, of indefinite length as AWS writes them. code has 1 to 255 bytes.
func cborType(code string) []byte {
	b := []byte{0xbf, 0x66}
	b = append(b, "__type"...)
	if len(code) < 24 {
		b = append(b, 0x60|byte(len(code)))
	} else {
		b = append(b, 0x78, byte(len(code)))
	}
	b = append(b, code...)
	return append(b, 0xff)
}

// refusePlain answers application/json, which AWS reads but never serves.
func refusePlain(w http.ResponseWriter, body []byte) {
	code, status := codeUnknownOperation, http.StatusNotFound
	if !isObject(body) {
		code, status = codeSerialization, http.StatusBadRequest
	}
	wire.WriteBytes(
		w, status, typePlain, []byte(`{"Output":{"__type":"com.amazon.coral.service#`+code+`"},"Version":"1.0"}`),
	)
}

func notImplemented(text string) *fault.Error {
	return &fault.Error{Code: fault.CodeNotImplemented, Message: text, Status: http.StatusNotImplemented}
}

// asFault returns what the caller is told about err. A caller that went away is told nothing, and no operator needs to
// know.
func (h *handler) asFault(ctx context.Context, err error, caller wire.Caller, hint string) *fault.Error {
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		h.log.Debug("the client has left", "request_id", caller.RequestID)
		return &fault.Error{Code: codeInternal, Status: http.StatusInternalServerError}
	}
	f := wire.AsFault(err, codeInternal, caller, h.log)
	if f.Hint == "" && hint != "" {
		f = f.WithHint("%s", hint)
	}
	if f.Status >= http.StatusInternalServerError && f.Err != nil {
		h.log.Debug("request refused", "request_id", caller.RequestID, "code", f.Code, "error", f.Err)
	}
	return f
}

// writeFault answers with a fault: 400 unless it says otherwise, {"__type":…,"message":…}; the member of a
// SerializationException is Message.
func writeFault(w http.ResponseWriter, f *fault.Error) {
	status := f.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	b := append([]byte(`{"__type":`), appendString(nil, f.Code)...)
	switch {
	case f.Message == "":
	case f.Code == codeSerialization:
		b = appendString(append(b, `,"Message":`...), f.Message)
	default:
		b = appendString(append(b, `,"message":`...), f.Message)
	}
	wire.Hint(w.Header(), f.Hint)
	wire.WriteBytes(w, status, typeJSON, append(b, '}'))
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
// went away, and nobody reads the answer to what came of its body.
func refusedBody(w http.ResponseWriter, r *http.Request, err error) bool {
	var long *http.MaxBytesError
	var refused *fault.Error
	switch {
	case errors.As(err, &long):
		if r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close")
		}
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return true
	case errors.As(err, &refused):
		wire.SetIDs(w.Header(), wire.CallerOf(r.Context()))
		Refuse(w, r, refused)
		return true
	}
	return false
}

// isObject reports that body is one valid JSON object whose texts are read as they were sent: two partition keys never
// become one.
func isObject(body []byte) bool {
	i := skipSpace(body, 0)
	return i < len(body) && body[i] == '{' && json.Valid(body) && jsontext.Faithful(body)
}
