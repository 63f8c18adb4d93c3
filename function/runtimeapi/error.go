package runtimeapi

import (
	"bufio"
	"net"
)

// takeError is POST /runtime/invocation/{id}/error. The document reaches the caller as it is.
func (s *Server) takeError(c net.Conn, br *bufio.Reader, r *request, id string) bool {
	body, tooLarge, err := s.body(c, br, r, MaxError)
	if err != nil {
		reply(c, 400, errorBody("TruncatedHTTPRequest", "HTTP request detected as truncated"))
		return false
	}
	if !s.finish(id) {
		return reply(c, 400, errorBody("InvalidRequestID", "Invalid request ID"))
	}
	s.h.Answered(Answer{ID: id, Payload: body, Failed: true, TooLarge: tooLarge, Kind: r.errorType, Hint: r.hint})
	return reply(c, 202, accepted)
}

// takeInitError is POST /runtime/init/error, allowed until the first /next.
func (s *Server) takeInitError(c net.Conn, br *bufio.Reader, r *request) bool {
	body, _, err := s.body(c, br, r, MaxError)
	if err != nil {
		return false
	}
	s.mu.Lock()
	from := s.state
	s.mu.Unlock()
	if from != starting {
		return reply(c, 403, badTransition(from, "InitError"))
	}
	s.h.InitFailed(r.errorType, r.hint, body) // before the answer, upon which the process may exit at once: that must not be heard first
	return reply(c, 202, accepted)
}
