package runtimeapi

import (
	"bufio"
	"errors"
	"time"
)

// takeError handles POST /runtime/invocation/{id}/error. The document reaches the caller as it is.
func (s *Server) takeError(c *conn, br *bufio.Reader, r *request, id string) bool {
	body, tooLarge, err := s.body(c, br, r, MaxError)
	if err != nil && !errors.Is(err, errTooLong) {
		reply(c, 400, errorBody("TruncatedHTTPRequest", "HTTP request detected as truncated"))
		return false
	}
	if !s.finish(id) {
		return reply(c, 400, errorBody("InvalidRequestID", "Invalid request ID"))
	}
	s.h.Answered(Answer{ID: id, Payload: body, Failed: true, TooLarge: tooLarge, Kind: r.errorType, Hint: r.hint})
	return reply(c, 202, accepted) && err == nil
}

// ends waits for the end of the process and reports whether it came. An invocation's id proves the origin of a
// response; for an init error of unknown origin the end of the process does.
func (s *Server) ends() bool {
	select {
	case <-s.ending:
		return s.until.Load() != nil
	case <-time.After(lastLimit):
		return false
	}
}

// takeInitError handles POST /runtime/init/error, allowed until the first /next.
func (s *Server) takeInitError(c *conn, br *bufio.Reader, r *request) bool {
	body, _, err := s.body(c, br, r, MaxError)
	if err != nil {
		return false
	}
	if c.gone && !s.ends() {
		return false
	}
	s.mu.Lock()
	from := s.state
	s.mu.Unlock()
	if from != starting {
		return reply(c, 403, badTransition(from, "InitError"))
	}
	// before the response, because the process may exit at once upon it, and that must not be noticed first
	s.h.InitFailed(r.errorType, r.hint, body)
	return reply(c, 202, accepted)
}
