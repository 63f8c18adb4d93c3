// Package runtimeapi speaks AWS's Lambda Runtime API (2018-06-01) to the runtime inside one execution environment.
//
// Every language is "a process that polls /next": a provided.al2023 binary, an official runtime client and our own
// bootstraps look the same here. A Server belongs to one environment, listens on an ephemeral loopback port and holds
// one invocation at a time. What the runtime does comes out through Handler; its work goes in through Send. HTTP is
// read and written by hand because this path decides the speed of an environment: a parked /next costs one reading
// goroutine, and Send writes the event from the caller's goroutine without waking another. Source: Lambda Developer
// Guide, "Using the Lambda runtime API for custom runtimes"; state names follow AWS's open runtime interface emulator.
package runtimeapi

import (
	"bufio"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/internal/nonblock"
)

// MaxResponse is the largest response in bytes that is passed on; AWS allows 100 bytes above its documented 6 MiB.
const MaxResponse = 6<<20 + 100

// MaxError bounds an error document in bytes.
const MaxError = MaxResponse

// Answer is the runtime's response to one invocation.
type Answer struct {
	ID       string
	Payload  []byte // owned by the receiver
	Failed   bool   // it came as /error: Payload is the error document
	TooLarge bool   // it was larger than MaxResponse and was dropped
	Kind     string // Lambda-Runtime-Function-Error-Type, as sent
	Hint     string // advice for a person, from one of our bootstraps; "" for none
}

// Handler is called for what the runtime does. Calls come one at a time per connection, from the goroutine of that
// connection, and must not block for long.
type Handler interface {
	// Ready: the runtime asked for work. The first call ends the init phase; later ones end an invocation for good.
	// Send may be called at once.
	Ready()
	// Answered: the runtime answered the invocation under way. It is not ready again before Ready.
	Answered(Answer)
	// InitFailed: the runtime reported that it cannot start; body is its error document, hint its advice for a person,
	// or "".
	InitFailed(kind, hint string, body []byte)
	// Registered: an extension inside the process has registered, in the init phase. events are what it asked for.
	Registered(name string, events []string)
	// Subscribed: an extension wants telemetry delivered; this replaces its earlier subscription.
	Subscribed(Subscription)
	// ExtensionFailed: an extension reported an error of this type; its process is expected to end.
	ExtensionFailed(kind string)
}

// Clock says which time the runtime sees. The zero value is real time, without an offset in events.
type Clock struct {
	Offset time.Duration // how far the server's clock is ahead of real time
	Told   bool          // Offset is sent with each event
	// the runtime shows the server's clock to its code, so Lambda-Runtime-Deadline-Ms uses it too
	Follows bool
}

// Event is one invocation on its way to the runtime. Payload is not modified.
type Event struct {
	ID            string
	ARN           string    // as addressed by the caller
	Deadline      time.Time // in real time
	Clock         Clock
	TraceID       string // "" omits the header
	ClientContext string // JSON; "" omits the header
	Payload       []byte
}

// ErrNotReady is returned by Send while no /next is waiting.
var ErrNotReady = errors.New("runtimeapi: the runtime is not waiting for work")

// state is the runtime's state.
type state uint8

const (
	starting state = iota // it has not asked for work yet
	parked                // a /next waits for an event
	invoked               // it works on the invocation Server.id
	answered              // it has answered and not asked again, or its /next was dropped
)

// String returns the name that AWS's error texts use.
func (s state) String() string {
	return [...]string{"Starting", "Ready", "Running", "ResponseSent"}[s]
}

// Server is the Runtime API of one environment. Safe for concurrent use.
type Server struct {
	h        Handler
	function Function
	addr     string
	user     int // whose connections are served; -1: only the runtime can connect

	mu     sync.Mutex
	state  state
	next   *conn        // with parked: the connection to write the event to
	id     string       // with invoked: the request id
	sentOn *conn        // with invoked: the connection that the event went to
	sentAt int64        // bytes that sentOn had read by then
	ln     net.Listener // nil: none yet
	conns  map[*conn]struct{}
	closed bool

	accepted   chan struct{} // closed when nothing is accepted any more
	extensions []*extension
	shutdown   chan struct{} // with Shutdown under way: gets a value from each extension that has asked again

	last string        // Finish waits for the connection from this address,
	seen chan struct{} // whose acceptance closes this

	until   atomic.Pointer[time.Time] // set by Finish: no connection lasts longer
	ending  chan struct{}             // closed by Finish, or Close
	end     sync.Once                 // for ending
	running sync.WaitGroup
}

// Listen opens the API for f on a free port of 127.0.0.1, never another interface, for processes of user.
func Listen(h Handler, f Function, user int) (*Server, error) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := New(h, f, ln.Addr().String())
	s.user = user
	s.Serve(ln)
	return s, nil
}

// New returns an API for f that will be at addr, in a network where only the runtime can reach it. It answers nothing
// before Serve.
func New(h Handler, f Function, addr string) *Server {
	return &Server{
		h: h, function: f, addr: addr, user: -1, conns: map[*conn]struct{}{}, ending: make(chan struct{}),
		accepted: make(chan struct{}),
	}
}

// Serve serves ln, which Close closes. It returns at once.
func (s *Server) Serve(ln net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = ln.Close()
		return
	}
	s.ln = ln
	s.running.Go(func() {
		defer close(s.accepted)
		s.accept(ln)
	})
}

// Addr returns host:port, the value of AWS_LAMBDA_RUNTIME_API.
func (s *Server) Addr() string { return s.addr }

// Close ends the API and its connections and waits for their goroutines. It must not be called from a Handler method.
// Twice is harmless.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	ln := s.ln
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.end.Do(func() { close(s.ending) })
	if ln != nil {
		_ = ln.Close()
	}
	s.running.Wait()
}

// Send writes ev to the runtime and returns when it is written. ErrNotReady: nothing was sent. Any other error: the
// runtime has not received a whole event and never will.
func (s *Server) Send(ev *Event) error {
	s.mu.Lock()
	if s.state != parked || s.until.Load() != nil {
		s.mu.Unlock()
		return ErrNotReady
	}
	c := s.next
	s.next, s.state, s.id = nil, invoked, ev.ID
	s.sentOn, s.sentAt = c, c.got.Load()
	c.waits = false
	extended := len(s.extensions) > 0
	s.mu.Unlock()

	if err := writeEvent(c.Conn, ev); err != nil {
		_ = c.Close()
		s.mu.Lock()
		s.state, s.id = answered, ""
		s.mu.Unlock()
		return err
	}
	if extended {
		s.invoke(ev)
	}
	return nil
}

func (s *Server) accept(ln net.Listener) {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		c := &conn{Conn: nonblock.Wrap(nc), s: s}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			_ = c.Close()
			return
		}
		s.conns[c] = struct{}{}
		if until := s.until.Load(); until != nil {
			c.hurry(*until)
			if s.last == c.RemoteAddr().String() {
				s.last = ""
				close(s.seen)
			}
		}
		s.running.Go(func() { s.serve(c) })
		s.mu.Unlock()
	}
}

func (s *Server) ownerOf(c net.Conn) owner {
	if s.user < 0 {
		return ours
	}
	return ownerOf(c, s.user)
}

// serve answers the requests of one connection until it ends.
func (s *Server) serve(c *conn) {
	defer s.forget(c)
	switch s.ownerOf(c) {
	case foreign:
		return
	case nobody:
		c.gone = true
	case ours:
	}
	br := bufio.NewReaderSize(c, 4096)
	for {
		r, err := readRequest(br)
		switch {
		case err != nil && s.until.Load() != nil:
			return
		case errors.Is(err, errTooLong):
			reply(c, 431, errorBody("RequestHeaderTooLarge", "The request header is larger than 1 MiB."))
			return
		case errors.Is(err, errMalformed):
			reply(c, 400, errorBody("InvalidRequest", "The request is not HTTP/1.1."))
			return
		case err != nil:
			return
		}
		s.mu.Lock()
		pipelined := c.waits
		s.mu.Unlock()
		if pipelined { // a second request while another waits on this connection: we could not tell their answers apart
			return
		}
		if !s.route(c, br, &r) || !r.keepAlive {
			// a request without keep-alive: its event is still to come, and the client sends nothing more
			if s.waitsOn(c) {
				continue
			}
			return
		}
	}
}

func (s *Server) waitsOn(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.waits
}

func (s *Server) forget(c *conn) {
	_ = c.Close()
	s.mu.Lock()
	delete(s.conns, c)
	for _, e := range s.extensions {
		if e.conn == c {
			e.conn, e.state = nil, extRunning
		}
	}
	if s.next == c { // the runtime stopped waiting; it may ask again on another connection
		s.next, s.state = nil, answered
	}
	s.mu.Unlock()
}
