package front

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
)

// exchange is one request and its answer. It is made anew for each request, because handlers may keep parts of it.
type exchange struct {
	c        *conn
	request  *http.Request
	body     body
	response response
	values   [maxFields]string // of the request's header
}

var blank http.Request

// newExchange takes the head that has been read. odd: net/http has to judge it after all.
func (c *conn) newExchange() (*exchange, verdict) {
	x := &exchange{c: c}
	ctx, cancel := context.WithCancel(context.Background())
	x.request = blank.WithContext(ctx)
	if !c.head.request(c.buf[c.from:c.to], x.request, x.values[:]) {
		cancel()
		return nil, odd
	}
	c.cancel.Store(&cancel)
	c.from += c.head.at
	c.afterPost = x.request.Method == http.MethodPost
	x.request.RemoteAddr, x.request.TLS = c.remote, c.tls
	x.body.c, x.body.left = c, c.head.length
	x.response = response{
		x: x, header: make(http.Header), out: c.out[:0], length: -1, bodiless: x.request.Method == http.MethodHead,
	}
	return x, plain
}

// serve calls the handler and ends the answer. It returns false when the connection cannot be used any more. At a stop
// it serves nothing: that is asked for after the phase has begun, so that Shutdown, which asks the other way round,
// closes no connection whose handler has been called.
func (x *exchange) serve() bool {
	c := x.c
	if x.body.left == 0 {
		x.request.Body = http.NoBody
		c.enter(waiting)
	} else {
		x.request.Body = &x.body
		c.enter(bodied)
	}
	if c.s.closing.Load() {
		return false
	}
	c.s.handler.ServeHTTP(&x.response, x.request)
	c.cut()
	c.cancel.Store(nil)
	return x.response.finish()
}

// cut ends the context of the request under way.
func (c *conn) cut() {
	if cancel := c.cancel.Load(); cancel != nil {
		(*cancel)()
	}
}

// body is the body of a request. Safe for concurrent use, as that of net/http.
type body struct {
	mu     sync.Mutex
	c      *conn
	left   int64 // bytes that have not been read
	closed bool
	cutOff bool // the client has ended the connection before the body
}

// directRead is the smallest read that goes past the buffer of the connection.
const directRead = 512

// Read reads from the body, and ends the context of the request when the client has left.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.read(p)
}

func (b *body) read(p []byte) (n int, err error) {
	if b.left == 0 || b.cutOff { // the early end has been reported
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	p = p[:min(int64(len(p)), b.left)]
	c := b.c
	switch {
	case c.from < c.to:
		n = copy(p, c.buf[c.from:c.to])
		c.from += n
	case len(p) >= directRead:
		n, err = c.io.Read(p)
	default:
		c.from, c.to = 0, 0
		c.to, err = c.io.Read(c.buf)
		n = copy(p, c.buf[:c.to])
		c.from = n
	}
	b.left -= int64(n)
	switch {
	case b.left == 0:
		c.enter(waiting)
		return n, io.EOF
	case n > 0 || err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		b.cutOff, err = true, io.ErrUnexpectedEOF
	}
	c.cut()
	return 0, err
}

// Close reads what is left, so that the connection can serve the next request.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	if b.left == 0 {
		return nil
	}
	var scrap [2 << 10]byte
	for {
		switch _, err := b.read(scrap[:]); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// whole reports whether nothing more of the body will come.
func (b *body) whole() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.left == 0
}
