package wire

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/shardmill/shardmill/fault"
)

// RPC dispatches requests that name their operation outside of the body, which holds the input alone: AWS's JSON
// protocols, by X-Amz-Target, and RPC v2 CBOR, by the path. Path, Done, Unknown and Broken may be left out.
type RPC[H, In any] struct {
	Of    H
	Model *Model[Operation[H, In]]

	Target string // comes before the dot in X-Amz-Target
	Path   string // comes before the operation in the path; "": operations are named by Target

	// Read returns the input of an operation. refused says why there is no operation, or is nil: a service with its own
	// order of checks may check something else first. See JSONBody. ErrAnswered: Read has answered itself.
	Read func(w http.ResponseWriter, r *http.Request, c Caller, refused *fault.Error) (In, error)

	// Write answers with what an operation returned.
	Write func(w http.ResponseWriter, c Caller, in In, answer any)

	// Done releases an input, once the answer is sent. nil: nothing to do.
	Done func(In)

	// Unknown refuses an operation that no model has, and a method other than POST. nil: CodeUnknownOperation alone.
	Unknown func(r *http.Request, name string) *fault.Error

	Fault  func(ctx context.Context, c Caller, err error) *fault.Error  // the caller's fault; see Faults
	Refuse func(w http.ResponseWriter, r *http.Request, f *fault.Error) // answers f; as Service.Refuse

	// Broken returns the last part of a stream that fails once its first part is out, such as the exception of an event
	// stream. nil: the protocol has none. See Stream.
	Broken func(f *fault.Error) []byte
}

// ErrAnswered says that a request has its answer already.
var ErrAnswered = errors.New("answered")

// ServeHTTP answers one request.
func (d *RPC[H, In]) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	c := CallerOf(ctx)
	op, name, refused := d.find(r)
	in, err := d.Read(w, r, c, refused)
	if errors.Is(err, ErrAnswered) {
		return
	}
	c = CallerOf(ctx) // Read may have found out who it is
	SetIDs(w.Header(), c)
	if err != nil {
		d.Refuse(w, r, d.Fault(ctx, c, err))
		return
	}
	if d.Done != nil {
		defer d.Done(in)
	}
	if err := Permit(r, name); err != nil {
		d.Refuse(w, r, d.Fault(ctx, c, err))
		return
	}
	c = CallerOf(ctx)
	if op.Stream != nil {
		d.stream(op, w, r, c, in)
		return
	}
	answer, err := op.Serve(d.Of, ctx, c, in)
	if err != nil {
		d.Refuse(w, r, d.Fault(ctx, c, err))
		return
	}
	d.Write(w, c, in, answer)
}

// stream lets an operation own the answer.
func (d *RPC[H, In]) stream(op Operation[H, In], w http.ResponseWriter, r *http.Request, c Caller, in In) {
	s := &Stream{Refuse: func(err error) { d.Refuse(w, r, d.Fault(r.Context(), c, err)) }}
	s.Broken = func(err error) []byte {
		f := d.Fault(r.Context(), c, err) // which logs what no caller may know
		if d.Broken == nil {
			return nil
		}
		return d.Broken(f)
	}
	s.Serve(w, r, func(ctx context.Context) error { return op.Stream(d.Of, ctx, c, in, s) })
}

// find returns the operation that a request names, or why it is refused.
func (d *RPC[H, In]) find(r *http.Request) (op Operation[H, In], name string, refused *fault.Error) {
	var ours bool
	if d.Path != "" {
		name, ours = strings.CutPrefix(r.URL.Path, d.Path)
	} else {
		var service string
		service, name, _ = strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		ours = service == d.Target
	}
	if !ours {
		return op, "", d.unknown(r, "")
	}
	op, refused = d.Model.Find(name, func(name string) *fault.Error { return d.unknown(r, name) })
	if refused == nil && r.Method != http.MethodPost {
		refused = d.unknown(r, name)
	}
	return op, name, refused
}

func (d *RPC[H, In]) unknown(r *http.Request, name string) *fault.Error {
	if d.Unknown != nil {
		return d.Unknown(r, name)
	}
	return &fault.Error{Code: fault.CodeUnknownOperation}
}

// JSONBody is RPC.Read for services without their own order of checks: a refused request is not read, a body has at
// most limit bytes, and decode converts it to the input.
func JSONBody[In any](
	limit int64, decode func(body []byte) (In, error),
) func(http.ResponseWriter, *http.Request, Caller, *fault.Error) (In, error) {
	return func(_ http.ResponseWriter, r *http.Request, _ Caller, refused *fault.Error) (in In, err error) {
		if refused != nil {
			return in, refused
		}
		body, err := ReadBody(r, limit)
		if err != nil {
			return in, err
		}
		if err := ChargeTree(r.Context(), body); err != nil {
			return in, err
		}
		return decode(body)
	}
}
