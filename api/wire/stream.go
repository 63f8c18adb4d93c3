package wire

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Bounds of an answer that is sent in parts. How many there are at once is bounded with the requests; see Intake.
const (
	// MaxPart is the largest part, in bytes: the largest event of AWS's event streams, with room around it.
	MaxPart = 16<<20 + 64<<10

	// streamPatience is how long a client may take for one part before it counts as gone, unless Patience is set.
	streamPatience = 30 * time.Second
)

// Stream is the answer of an operation that owns it. It is sent in parts as they come to be, each of which is on its
// way when Send returns; HTTP/1.1 sends chunks, HTTP/2 data frames.
//
// Before Begin or the first Send nothing is sent: an operation that returns an error is refused like any other. From
// then on the status is Status. A later error is sent as the part that Broken makes of it. Without Broken the
// connection is cut, or the stream of HTTP/2 reset, so that half an answer never looks like a whole one.
//
// An operation ends when its context does, that is when the client leaves; its result is then ignored. The body of its
// request is read to its end before it begins. Methods may be called only from the operation's goroutine, except Hurry.
type Stream struct {
	Status      int               // of the answer; 0: 200. Set before the first part
	ContentType string            // as Status
	Header      map[string]string // further headers, under the names that are sent; as Status
	Patience    time.Duration     // how long a client may take for the next part; 0: 30 s

	Refuse func(err error)        // answers an error before the first part
	Broken func(err error) []byte // returns the last part after an error; nil: the protocol has none for it

	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
	gone    error // why nothing can be sent any more

	mu    sync.Mutex // guards the deadline of writes
	until time.Time  // when the client must have taken everything; zero: no such time. See Hurry
	over  bool       // the operation has returned
}

// ErrPartTooLong is what Send returns for more than MaxPart bytes, of which none are sent.
var ErrPartTooLong = errors.New("wire: a part of an answer is too long")

// Serve runs an operation whose answer s is, and ends that answer.
func (s *Stream) Serve(w http.ResponseWriter, r *http.Request, operation func(ctx context.Context) error) {
	s.w, s.control = w, http.NewResponseController(w)
	defer s.end()
	err := operation(r.Context())
	if err == nil {
		err = s.Begin() // what had nothing to send has an answer all the same
	}
	switch {
	case err != nil && s.begun && r.Context().Err() != nil: // the client is gone
		panic(http.ErrAbortHandler)
	case err == nil:
	case !s.begun:
		s.Refuse(err)
	default:
		s.breakOff(err)
	}
}

// breakOff ends an answer of which a part is out, after an error.
func (s *Stream) breakOff(err error) {
	var last []byte
	if s.Broken != nil {
		last = s.Broken(err)
	}
	if last == nil || s.Send(last) != nil {
		panic(http.ErrAbortHandler)
	}
}

// Begin sends the head of the answer, unless it is out: a follower learns at once that it is connected. It fails when
// the client is gone.
func (s *Stream) Begin() error {
	if s.begun {
		return s.gone
	}
	s.begun = true
	h := s.w.Header()
	if s.ContentType != "" {
		h["Content-Type"] = []string{s.ContentType}
	}
	for name, value := range s.Header {
		h[name] = []string{value}
	}
	s.patience(cmp.Or(s.Patience, streamPatience))
	s.w.WriteHeader(cmp.Or(s.Status, http.StatusOK))
	return s.flush()
}

// Send sends one part, and the head before the first one. It returns once the part is handed to the system, and fails
// when the client is gone or takes nothing for too long; the context of the operation ends then, and nothing more is
// sent.
func (s *Stream) Send(part []byte) error {
	if len(part) > MaxPart {
		return fmt.Errorf("%w: %d bytes, of %d at most", ErrPartTooLong, len(part), MaxPart)
	}
	if err := s.Begin(); err != nil {
		return err
	}
	s.patience(cmp.Or(s.Patience, streamPatience))
	if _, err := s.w.Write(part); err != nil {
		return s.lost(err)
	}
	return s.flush()
}

func (s *Stream) flush() error {
	if err := s.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return s.lost(err)
	}
	s.patience(0)
	return nil
}

// patience bounds the time of later writes; 0 removes the bound, which would otherwise end an idle stream of HTTP/2,
// and the next request on a connection of HTTP/1.1.
func (s *Stream) patience(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	until := s.until
	if d > 0 {
		if then := time.Now().Add(d); until.IsZero() || then.Before(until) {
			until = then
		}
	}
	_ = s.control.SetWriteDeadline(until) // a writer of tests has none
}

// Hurry bounds the time that the client has for everything that is still sent, a part under way included: an operation
// that is to end must not wait for a client that takes nothing. Safe for concurrent use; once the operation has
// returned it does nothing.
func (s *Stream) Hurry(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	then := time.Now().Add(d)
	if s.over || !s.until.IsZero() && s.until.Before(then) {
		return
	}
	s.until = then
	_ = s.control.SetWriteDeadline(then)
}

// end bounds the time for the end of the answer. The server removes the bound when that is sent.
func (s *Stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.begun {
		_ = s.control.SetWriteDeadline(time.Now().Add(streamPatience))
	}
}

// lost records that the client is gone. net/http ends the context of its request.
func (s *Stream) lost(err error) error {
	s.gone = fmt.Errorf("the client is gone: %w", err)
	return s.gone
}
