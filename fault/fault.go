// Package fault is the vocabulary of errors that rooms share with the wire: an AWS error code, the message a user
// reads, whose fault it is.
//
// Rooms return *Error for everything a caller can cause or must be told. Any other error that reaches api/wire becomes
// the service's internal fault with a request id, and its text goes to the log, never to the caller.
package fault

import (
	"errors"
	"fmt"
)

// An Error is what a user of the AWS API sees. Codes are AWS's names, because SDKs decide about retries by them.
type Error struct {
	Code    string // for example ResourceNotFoundException
	Message string // AWS's text where it is known, else in AWS's tone; ends as AWS ends it
	Status  int    // HTTP status; 0: the service's usual status for Code
	// advice for a person: it goes to the x-shardmill-hint header, the log and the terminal, never into Message
	Hint   string
	Reason string // extra member some Lambda errors carry (TooManyRequestsException)
	Err    error  // the cause, for the log
}

// New returns an Error with a formatted message.
func New(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithHint returns a copy of e with a hint.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// WithStatus returns a copy of e with an HTTP status of its own.
func (e *Error) WithStatus(status int) *Error {
	c := *e
	c.Status = status
	return &c
}

// Because returns a copy of e with its cause, which is logged but not shown to the user.
func (e *Error) Because(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Code + ": " + e.Message + ": " + e.Err.Error()
	}
	return e.Code + ": " + e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, &Error{Code: c}) compare codes.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Message == "" && t.Code == e.Code
}

// CodeOf returns the code of the first *Error in err's chain, or "".
func CodeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
