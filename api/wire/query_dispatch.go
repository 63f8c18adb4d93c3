package wire

import (
	"context"
	"net/http"

	"github.com/shardmill/shardmill/fault"
)

// CodeMissingAction is the code of a form that names no operation.
const CodeMissingAction = "MissingAction"

// Query dispatches requests in the query protocol: a form that names its operation as Action, answered in XML.
type Query[H, In any] struct {
	Of        H
	Model     *Model[Operation[H, In]]
	Namespace string // of answers
	Limit     int64  // of a body, in bytes

	// Read returns the input of an operation, which is served here.
	Read func(r *http.Request, c Caller, form Form) (In, error)

	// Result returns an answer in the form that WriteQuery takes. nil: answers have that form.
	Result func(answer any) any

	Hint func(in In) string // advice for a person with an answer; nil: there is never any

	Unknown func(action string) *fault.Error                             // refuses an operation that no model has
	Fault   func(ctx context.Context, c Caller, err error) *fault.Error  // the caller's fault; see Faults
	Refuse  func(w http.ResponseWriter, r *http.Request, f *fault.Error) // answers f; as Service.Refuse
}

// ServeHTTP answers one request, by POST with the form as its body or by GET with the form in the URL.
func (d *Query[H, In]) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := CallerOf(r.Context())
	action, hint, answer, err := d.serve(r, c)
	if err != nil {
		d.Refuse(w, r, d.Fault(r.Context(), c, err))
		return
	}
	Hint(w.Header(), hint)
	WriteQuery(w, c, d.Namespace, action, answer)
}

func (d *Query[H, In]) serve(r *http.Request, c Caller) (action, hint string, answer any, err error) {
	form, err := ReadForm(r, d.Limit)
	if err != nil {
		return "", "", nil, err
	}
	action = form.Action()
	if action == "" {
		return "", "", nil, fault.New(CodeMissingAction, "The request must contain the parameter Action.")
	}
	op, refused := d.Model.Find(action, d.Unknown)
	if refused == nil && r.Method != http.MethodPost && r.Method != http.MethodGet {
		refused = d.Unknown(action)
	}
	if refused != nil {
		return "", "", nil, refused
	}
	if err := Permit(r, action); err != nil {
		return "", "", nil, err
	}
	c = CallerOf(r.Context())
	in, err := d.Read(r, c, form)
	if err != nil {
		return "", "", nil, err
	}
	if answer, err = op.Serve(d.Of, r.Context(), c, in); err == nil && d.Result != nil {
		answer = d.Result(answer)
	}
	if d.Hint != nil {
		hint = d.Hint(in)
	}
	return action, hint, answer, err
}
