package runtimeapi

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"strings"
)

const base = "/2018-06-01"

// route answers one request. It returns false if the connection cannot be used any more.
func (s *Server) route(c *conn, br *bufio.Reader, r *request) bool {
	if path, ok := strings.CutPrefix(r.path, extensionBase); ok {
		return s.routeExtension(c, br, r, path)
	}
	switch strings.TrimSuffix(r.path, "/") {
	case telemetryPath:
		if r.method == "PUT" {
			return s.subscribe(c, br, r)
		}
	case logsPath:
		return s.refuse(
			c, br, r, 403, "Logs.NotSupported",
			"shardmill does not serve the Logs API, which the Telemetry API has superseded: PUT "+telemetryPath,
		)
	}
	path, ok := strings.CutPrefix(r.path, base)
	if !ok {
		return s.refuse(c, br, r, 404, "NotFound", "The Runtime API has no such path.")
	}
	switch {
	case r.method == "GET" && path == "/runtime/invocation/next":
		return s.takeNext(c, br, r)
	case r.method == "POST" && path == "/runtime/init/error":
		return s.takeInitError(c, br, r)
	case r.method == "GET" && path == "/ping":
		return s.drop(c, br, r) && replyRaw(c, 200, "text/plain", []byte("pong"))
	}
	if rest, ok := strings.CutPrefix(path, "/runtime/invocation/"); ok && r.method == "POST" {
		id, verb, _ := strings.Cut(rest, "/")
		switch verb {
		case "response":
			return s.takeResponse(c, br, r, id)
		case "error":
			return s.takeError(c, br, r, id)
		}
	}
	// SnapStart's restore has no counterpart here; AWS answers 404 when it is switched off.
	return s.refuse(c, br, r, 404, "NotFound", "The Runtime API has no such path.")
}

// drop reads and discards the body of a request that needs none.
func (s *Server) drop(c *conn, br *bufio.Reader, r *request) bool {
	if r.length == 0 {
		return true
	}
	_, _, err := s.body(c, br, r, 0)
	return err == nil
}

func (s *Server) body(c *conn, br *bufio.Reader, r *request, limit int) ([]byte, bool, error) {
	if r.expect {
		if _, err := c.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err != nil {
			return nil, false, err
		}
	}
	return r.readBody(br, limit)
}

func (s *Server) refuse(c *conn, br *bufio.Reader, r *request, status int, kind, message string) bool {
	return s.drop(c, br, r) && reply(c, status, errorBody(kind, message))
}

// badTransition returns AWS's refusal of a call that does not fit the current state.
func badTransition(from state, to string) []byte {
	return errorBody("InvalidStateTransition", fmt.Sprintf(
		"State transition from %s to %s failed for runtime. Error: State transition is not allowed", from, to))
}

func errorBody(kind, message string) []byte {
	b, _ := json.Marshal(struct {
		Message string `json:"errorMessage"`
		Type    string `json:"errorType"`
	}{message, kind})
	return b
}

var accepted = []byte(`{"status":"OK"}` + "\n")

func reply(c net.Conn, status int, body []byte) bool {
	return replyRaw(c, status, "application/json", body)
}

func replyRaw(c net.Conn, status int, contentType string, body []byte) bool {
	return write(c, appendHead(make([]byte, 0, 128+len(body)), status, len(body), contentType), body)
}

// replyWith replies with additional headers, each with its line break.
func replyWith(c net.Conn, status int, headers string, body []byte) bool {
	return write(
		c, append(appendHead(make([]byte, 0, 256+len(body)), status, len(body), "application/json"), headers...), body,
	)
}

func write(c net.Conn, b, body []byte) bool {
	b = append(b, "\r\n"...)
	_, err := c.Write(append(b, body...))
	return err == nil
}
