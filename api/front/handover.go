package front

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
)

// handover is the listener from which net/http gets the connections that are not plain. net/http does not serve it
// before there is one.
type handover struct {
	begin sync.Once
	conns chan net.Conn
	done  chan struct{} // closed when nothing is handed over any more
}

// handOver gives a connection to net/http, which reads first what has been read of the current request. The goroutine
// of the connection has nothing more to do with it.
func (s *Server) handOver(nc net.Conn, read []byte) {
	s.rest.begin.Do(func() {
		go func() {
			if err := s.http.Serve(&s.rest); err != nil && !errors.Is(err, http.ErrServerClosed) {
				s.logf("front: net/http serves no more: %v", err)
			}
		}()
	})
	if read != nil {
		nc = &replayed{nc, read}
	}
	select {
	case s.rest.conns <- nc:
	case <-s.rest.done:
		_ = nc.Close()
	}
}

// Accept returns the next connection that is handed over.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close is called by net/http when it shuts down, which the Server also does.
func (h *handover) Close() error { return nil }

// Addr returns an address without meaning: net/http does not use it.
func (h *handover) Addr() net.Addr { return &net.TCPAddr{} }

// replayed is a connection of which the first bytes have been read.
type replayed struct {
	net.Conn
	read []byte
}

// Read reads what has been read before, then the rest.
func (r *replayed) Read(p []byte) (int, error) {
	if len(r.read) == 0 {
		return r.Conn.Read(p)
	}
	n := copy(p, r.read)
	if r.read = r.read[n:]; len(r.read) == 0 {
		r.read = nil
	}
	return n, nil
}

// ReadFrom lets net/http send files as it does on a connection of TCP.
func (r *replayed) ReadFrom(from io.Reader) (int64, error) {
	if to, ok := r.Conn.(io.ReaderFrom); ok {
		return to.ReadFrom(from)
	}
	return io.Copy(struct{ io.Writer }{r.Conn}, from)
}

// CloseWrite ends what is sent, so that an answer is not lost with what the client still sends.
func (r *replayed) CloseWrite() error {
	if c, ok := r.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}
