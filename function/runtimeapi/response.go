package runtimeapi

import (
	"bufio"
	"errors"
	"fmt"
)

// takeResponse handles POST /runtime/invocation/{id}/response. A body beyond MaxResponse fails the invocation but not
// the environment. A quiet response gets no reply, whatever becomes of it: its runtime has sent its /next in the same
// breath, and the event is all that it waits for. That saves a write here, and there a read and a change of threads.
func (s *Server) takeResponse(c *conn, br *bufio.Reader, r *request, id string) bool {
	if r.responseMode != "" && r.responseMode != "streaming" {
		return s.drop(c, br, r) && confirm(c, r, 400, errorBody(
			"InvalidFunctionResponseMode", "Invalid function response mode: "+r.responseMode,
		))
	}
	body, tooLarge, err := s.body(c, br, r, MaxResponse)
	if err != nil && !errors.Is(err, errTooLong) {
		confirm(c, r, 400, errorBody("TruncatedHTTPRequest", "HTTP request detected as truncated"))
		return false
	}
	if !s.finish(id) {
		return confirm(c, r, 400, errorBody("InvalidRequestID", "Invalid request ID"))
	}
	// A trailer with an error turns a streamed response into a failed one; what was streamed so far is the document.
	s.h.Answered(Answer{
		ID: id, Payload: body, TooLarge: tooLarge, Failed: r.errorType != "" && r.length == -1, Kind: r.errorType,
	})
	if tooLarge {
		return confirm(
			c, r, 413,
			errorBody(
				"RequestEntityTooLarge", fmt.Sprintf("Exceeded maximum allowed payload size (%d bytes).", MaxResponse),
			),
		) &&
			err == nil
	}
	return confirm(c, r, 202, accepted)
}

// confirm replies to a response unless it is quiet.
func confirm(c *conn, r *request, status int, body []byte) bool {
	return r.quiet || reply(c, status, body)
}

// finish ends the invocation id; only the first call returns true.
func (s *Server) finish(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != invoked || s.id != id {
		return false
	}
	s.state, s.id = answered, ""
	return true
}
