package wire

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/ids"
	"github.com/shardmill/shardmill/internal/sigv4"
)

// exchange is one request and its answer on their way through Router; the context of the request carries it.
type exchange struct {
	http.ResponseWriter
	caller  Caller
	claims  sigv4.Claims // of the Authorization header; zero: nobody has taken it apart
	hosts   *Hosts       // of the router
	service *Service     // nil: not known yet, or none
	action  string       // of the query protocol, once a form has been looked at
	body    incoming
	wrote   bool // the head of the answer is out

	gate      *Gate   // nil: signatures are not verified
	who       *Holder // of the key, once it is found
	proven    bool    // the signature is right
	permitted bool    // Permit was asked
	mute      bool    // the answer must not leave: see unasked
	chunks    *sigv4.Chunks
}

// Unwrap lets http.ResponseController reach what net/http gave.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// remainderPatience is how long net/http may read the rest of a body that no handler has read, before it answers and in
// order to reuse the connection.
const remainderPatience = time.Second

func (x *exchange) WriteHeader(status int) {
	if !x.wrote {
		x.wrote = true
		x.body.leave(remainderPatience)
		status = x.unasked(status)
	}
	x.ResponseWriter.WriteHeader(status)
}

func (x *exchange) Write(b []byte) (int, error) {
	if !x.wrote {
		x.WriteHeader(http.StatusOK)
	}
	if x.mute {
		return len(b), nil
	}
	return x.ResponseWriter.Write(b)
}

// unasked keeps back the success of an operation of which nobody has asked whether the caller may call it: that is a
// fault of ours, and must not become a hole.
func (x *exchange) unasked(status int) int {
	if x.gate == nil || x.proven && x.permitted || status < http.StatusOK || status >= http.StatusMultipleChoices {
		return status
	}
	x.mute = true
	clear(x.Header())
	x.Header()["Content-Length"] = []string{"0"}
	return http.StatusInternalServerError
}

// end ends an exchange, deferred by ServeHTTP. A panic is our fault: it is logged with the request's id, and the client
// gets that id in its own protocol.
func (rt *Router) end(x *exchange, r *http.Request) {
	panicked := recover()
	defer rt.Intake.end(x)
	if panicked == nil {
		if !x.wrote && x.gate != nil { // net/http would answer 200 by itself
			x.WriteHeader(http.StatusOK)
		} else if !x.wrote {
			x.body.leave(remainderPatience)
		}
		return
	}
	if err, ok := panicked.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler) // by which a handler asks to cut the connection
	}
	rt.crashed(x, r, fmt.Sprint(panicked))
}

// Bounds of a logged panic, in bytes.
const (
	maxPanicText  = 1 << 10
	maxPanicStack = 8 << 10
)

func (rt *Router) crashed(x *exchange, r *http.Request, text string) {
	rt.Intake.panicked()
	if x.caller.RequestID == "" {
		x.caller.RequestID = ids.New()
	}
	name := "none"
	if x.service != nil {
		name = x.service.Name
	}
	if rt.Log != nil {
		rt.Log.Error("a request panicked; please report this", "request_id", x.caller.RequestID, "service", name,
			"operation", x.operation(r),
			"panic", fault.Clip(text, maxPanicText), "stack", fault.Clip(string(debug.Stack()), maxPanicStack))
	}
	if x.wrote {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	x.service.refuse(x, r, x.caller, &fault.Error{
		Code: x.service.codes().Internal, Status: http.StatusInternalServerError,
	})
}

// operation returns the operation of the request, as its protocol names it.
func (x *exchange) operation(r *http.Request) string {
	if _, name, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		return clip(name)
	}
	if x.action != "" {
		return clip(x.action)
	}
	return clip(r.Method + " " + r.URL.Path)
}
