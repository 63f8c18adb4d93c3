package runtimeapi

import (
	"bufio"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/ids"
)

// The Extensions API (2020-01-01), for extensions that live inside the runtime's process: they register in the init
// phase and then wait for events. Source: Lambda Developer Guide, "Lambda Extensions API"; error types, texts and state
// names follow AWS's open runtime interface emulator. AWS refuses SHUTDOWN to internal extensions; here every waiting
// one gets it, because it has no other way to learn that the process will get SIGTERM.
const (
	extensionBase = "/2020-01-01/extension"
	maxExtensions = 10
	maxRegister   = 64 << 10 // bytes of a body
	maxExtName    = 128
)

// Function is what extensions and subscribers learn about the function.
type Function struct {
	Account, Name, Version, Handler string
}

// Events that extensions may ask for.
const (
	eventInvoke   = "INVOKE"
	eventShutdown = "SHUTDOWN"
)

// extension is a registered extension. Guarded by Server.mu.
type extension struct {
	id, name string
	events   []string
	state    string
	conn     *conn  // with state Ready: where it waits
	missed   []byte // an event that came while it was not waiting
}

// States of an extension, by AWS's names.
const (
	extRegistered = "Registered"
	extReady      = "Ready"   // it waits for an event
	extRunning    = "Running" // it works on one
	extInitError  = "InitError"
	extExitError  = "ExitError"
)

func (s *Server) refuseExtension(c *conn, kind, format string, args ...any) bool {
	return reply(c, 403, errorBody(kind, fmt.Sprintf(format, args...)))
}

// routeExtension answers requests below extensionBase.
func (s *Server) routeExtension(c *conn, br *bufio.Reader, r *request, path string) bool {
	body, tooLarge, err := s.body(c, br, r, maxRegister)
	if err != nil {
		return false
	}
	call := r.method + " " + path
	if call == "POST /register" {
		if tooLarge {
			return s.refuseExtension(c, "InvalidRequestFormat", "the body is larger than %d bytes", maxRegister)
		}
		return s.register(c, r, body)
	}
	if !slices.Contains([]string{"GET /event/next", "POST /init/error", "POST /exit/error"}, call) {
		return reply(c, 404, errorBody("NotFound", "The Extensions API has no such path."))
	}
	id, ok := s.identified(c, r)
	if !ok {
		return id == ""
	}
	switch call {
	case "GET /event/next":
		return s.extensionNext(c, id)
	case "POST /init/error":
		return s.extensionFailed(c, r, id, extInitError, "Extension.InitError", extRegistered)
	default:
		return s.extensionFailed(c, r, id, extExitError, "Extension.ExitError", extRegistered, extReady, extRunning)
	}
}

// identified returns the identifier in a call. Without a valid one it has refused the call and ok is false; then id is
// "" if the connection can go on.
func (s *Server) identified(c *conn, r *request) (id string, ok bool) {
	var sent bool
	switch {
	case r.extensionID == "":
		sent = s.refuseExtension(
			c, "Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header",
		)
	case !isUUID(r.extensionID):
		sent = s.refuseExtension(c, "Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier")
	default:
		return strings.ToLower(r.extensionID), true
	}
	if !sent {
		return "gone", false
	}
	return "", false
}

// isUUID reports whether s is a UUID in the usual text form.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
		default:
			return false
		}
	}
	return true
}

// register handles POST /extension/register, allowed until the first /next of the runtime.
func (s *Server) register(c *conn, r *request, body []byte) bool {
	if r.extensionName == "" {
		return s.refuseExtension(c, "Extension.InvalidExtensionName", "Empty extension name")
	}
	if len(r.extensionName) > maxExtName {
		return s.refuseExtension(
			c, "Extension.InvalidExtensionName", "The extension name is longer than %d bytes", maxExtName,
		)
	}
	var in struct {
		Events            []string `json:"events"`
		ConfigurationKeys []string `json:"configurationKeys"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return s.refuseExtension(c, "InvalidRequestFormat", "%s", err)
	}
	if len(in.ConfigurationKeys) > 0 {
		return s.refuseExtension(
			c, "InvalidRequestFormat", "configurationKeys are deprecated; use environment variables instead",
		)
	}
	for _, e := range in.Events {
		if e != eventInvoke && e != eventShutdown {
			return s.refuseExtension(c, "Extension.InvalidEventType", "%s: ErrorInvalidEventType", fault.Clip(e, 64))
		}
	}
	s.mu.Lock()
	switch {
	case s.state != starting:
		s.mu.Unlock()
		return s.refuseExtension(c, "Extension.RegistrationClosed", "Extension registration closed already")
	case s.named(r.extensionName) != nil:
		s.mu.Unlock()
		return s.refuseExtension(c, "Extension.InvalidExtensionState", "Extension with this name already registered")
	case len(s.extensions) >= maxExtensions:
		s.mu.Unlock()
		return s.refuseExtension(c, "Extension.TooManyExtensions", "Extension limit (%d) reached", maxExtensions)
	}
	e := &extension{id: ids.New(), name: r.extensionName, events: in.Events, state: extRegistered}
	s.extensions = append(s.extensions, e)
	s.mu.Unlock()
	s.h.Registered(e.name, e.events)

	answer := struct {
		Account string `json:"accountId,omitempty"`
		Name    string `json:"functionName"`
		Version string `json:"functionVersion"`
		Handler string `json:"handler"`
	}{Name: s.function.Name, Version: s.function.Version, Handler: s.function.Handler}
	for feature := range strings.SplitSeq(r.extensionFeature, ",") {
		if strings.TrimSpace(feature) == "accountId" {
			answer.Account = s.function.Account
		}
	}
	text, _ := json.Marshal(answer)
	return replyWith(c, 200, "Lambda-Extension-Identifier: "+e.id+"\r\n", text)
}

// named finds an extension by name. s.mu is held.
func (s *Server) named(name string) *extension {
	for _, e := range s.extensions {
		if e.name == name {
			return e
		}
	}
	return nil
}

// extension finds an extension by its identifier. s.mu is held.
func (s *Server) extension(id string) *extension {
	for _, e := range s.extensions {
		if e.id == id {
			return e
		}
	}
	return nil
}

func badExtension(from, to, id string) []byte {
	return errorBody("Extension.InvalidExtensionState", fmt.Sprintf(
		"State transition from %s to %s failed for extension %s. Error: State transition is not allowed", from, to, id))
}

// extensionNext handles GET /extension/event/next: it parks the connection until there is an event.
func (s *Server) extensionNext(c *conn, id string) bool {
	s.mu.Lock()
	e := s.extension(id)
	switch {
	case e == nil:
		s.mu.Unlock()
		return s.refuseExtension(c, "Extension.UnknownExtensionIdentifier", "Unknown extension %s", id)
	case e.state != extRegistered && e.state != extRunning:
		from := e.state
		s.mu.Unlock()
		return reply(c, 403, badExtension(from, extReady, id))
	case c.gone || s.until.Load() != nil:
		s.mu.Unlock()
		return false
	case e.missed != nil:
		event := e.missed
		e.missed, e.state = nil, extRunning
		s.mu.Unlock()
		return deliver(c, event)
	}
	e.state, e.conn, c.waits = extReady, c, true
	if s.shutdown != nil {
		select {
		case s.shutdown <- struct{}{}: // the extension has handled the shutdown
		default:
		}
	}
	s.mu.Unlock()
	return true
}

// extensionFailed handles POST /extension/init/error and /extension/exit/error, which name the error as which the end
// of the process will be reported.
func (s *Server) extensionFailed(c *conn, r *request, id, to, kind string, from ...string) bool {
	if r.extensionError == "" {
		return s.refuseExtension(c, "Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found")
	}
	s.mu.Lock()
	e := s.extension(id)
	if e == nil {
		s.mu.Unlock()
		return s.refuseExtension(c, "Extension.UnknownExtensionIdentifier", "Unknown Lambda-Extension-Identifier")
	}
	was := e.state
	if was != to && !slices.Contains(from, was) {
		s.mu.Unlock()
		if to == extExitError {
			to = "Exited" // AWS's name in this text
		}
		return reply(c, 403, badExtension(was, to, id))
	}
	e.state = to
	s.mu.Unlock()
	s.h.ExtensionFailed(kind)
	return reply(c, 202, accepted)
}

// invoke sends INVOKE to the extensions that registered for it, for an event that went to the runtime.
func (s *Server) invoke(ev *Event) {
	deadline := ev.Deadline
	if ev.Clock.Follows {
		deadline = deadline.Add(ev.Clock.Offset)
	}
	text, _ := json.Marshal(struct {
		Type     string            `json:"eventType"`
		Deadline int64             `json:"deadlineMs"`
		ID       string            `json:"requestId"`
		ARN      string            `json:"invokedFunctionArn"`
		Tracing  map[string]string `json:"tracing"`
	}{
		eventInvoke, deadline.UnixMilli(), ev.ID, ev.ARN,
		map[string]string{"type": "X-Amzn-Trace-Id", "value": ev.TraceID},
	})
	s.tell(text, func(e *extension) bool { return slices.Contains(e.events, eventInvoke) })
}

// Reasons of a shutdown. Source: Lambda Developer Guide, "Lambda Extensions API", shutdown phase.
const (
	Spindown = "spindown"
	Timeout  = "timeout"
	Failure  = "failure"
)

// Shutdown sends the event SHUTDOWN to all extensions, to busy ones as soon as they ask, and returns when each has
// asked for another event after it, or after limit. It reports whether there are any extensions. deadline is the one in
// the event, in the clock that they see.
func (s *Server) Shutdown(reason string, deadline time.Time, limit time.Duration) (registered bool) {
	text := []byte(
		`{"eventType":"SHUTDOWN","deadlineMs":` + strconv.FormatInt(
			deadline.UnixMilli(), 10,
		) + `,"shutdownReason":"` + reason + `"}`,
	)
	s.mu.Lock()
	registered = len(s.extensions) > 0
	back := make(chan struct{}, maxExtensions)
	s.shutdown = back
	s.mu.Unlock()
	if !registered {
		return false
	}
	over := time.NewTimer(limit)
	defer over.Stop()
	for range s.tell(text, func(*extension) bool { return true }) {
		select {
		case <-back:
		case <-s.ending:
			return true
		case <-over.C:
			return true
		}
	}
	return true
}

// tell sends an event to the chosen extensions, and returns how many have it or will get it: a busy one gets it when it
// asks, unless a later one has replaced it.
func (s *Server) tell(event []byte, chosen func(*extension) bool) (told int) {
	var waiting []*conn
	s.mu.Lock()
	for _, e := range s.extensions {
		switch {
		case !chosen(e):
		case e.state == extReady:
			waiting = append(waiting, e.conn)
			e.conn.waits, e.conn, e.state = false, nil, extRunning
		case e.state == extRegistered || e.state == extRunning:
			e.missed = event
			told++
		}
	}
	s.mu.Unlock()
	for _, c := range waiting {
		if deliver(c, event) {
			told++
		}
	}
	return told
}

func deliver(c *conn, event []byte) bool {
	return replyWith(c, 200, "Lambda-Extension-Event-Identifier: "+ids.New()+"\r\n", event)
}
