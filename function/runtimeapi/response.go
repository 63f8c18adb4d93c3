package runtimeapi

import (
	"bufio"
	"errors"
	"fmt"
)

// takeResponse handles POST /runtime/invocation/{id}/response. A body beyond MaxResponse fails the invocation but not
// the environment.
func (s *Server) takeResponse(c *conn, br *bufio.Reader, r *request, id string) bool {
	if r.responseMode != "" && r.responseMode != "streaming" {
		return s.refuse(c, br, r, 400, "InvalidFunctionResponseMode", "Invalid function response mode: "+r.responseMode)
	}
	body, tooLarge, err := s.body(c, br, r, MaxResponse)
	if err != nil && !errors.Is(err, errTooLong) {
		reply(c, 400, errorBody("TruncatedHTTPRequest", "HTTP request detected as truncated"))
		return false
	}
	if !s.finish(id) {
		return reply(c, 400, errorBody("InvalidRequestID", "Invalid request ID"))
	}
	// A trailer with an error turns a streamed response into a failed one; what was streamed so far is the document.
	s.h.Answered(Answer{
		ID: id, Payload: body, TooLarge: tooLarge, Failed: r.errorType != "" && r.length == -1, Kind: r.errorType,
	})
	if tooLarge {
		return reply(
			c, 413,
			errorBody(
				"RequestEntityTooLarge", fmt.Sprintf("Exceeded maximum allowed payload size (%d bytes).", MaxResponse),
			),
		) &&
			err == nil
	}
	return reply(c, 202, accepted)
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
