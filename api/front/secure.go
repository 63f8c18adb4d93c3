package front

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"time"
)

// A connection that begins with a TLS handshake is TLS if the server has certificates; others are plain, where
// MayBePlain allows that. So one port serves both.

const (
	handshakeRecord = 0x16 // the type of the record in which a TLS client says hello. Source: RFC 8446, 5.1
	refusedPatience = time.Second
	refusedRest     = 256 << 10 // bytes of what a client sends that is told to use TLS
)

// handshakeFailure is the alert that a server sends which finds nothing acceptable. A client of TLS understands it, as
// it would not understand an answer in HTTP. Source: RFC 8446, 6.2.
var handshakeFailure = []byte{0x15, 3, 1, 0, 2, 2, 40}

// begin reads the first bytes of a connection and, if they are a TLS client's, makes it one of TLS. It returns false if
// nothing is to be served here: the connection has ended, or is over to net/http.
func (c *conn) begin() (over, ok bool) {
	if !c.fill() {
		return false, false
	}
	hello := c.buf[c.from] == handshakeRecord
	switch {
	case hello && c.s.tls == nil && c.s.Hello != nil:
		c.s.Hello(c.nc)
		_, _ = c.io.Write(handshakeFailure)
		return false, false
	case hello && c.s.tls != nil:
		return c.secure()
	case c.s.tls != nil && c.s.MayBePlain != nil && !c.s.MayBePlain(c.nc):
		c.refusePlain()
		return false, false
	}
	return false, true
}

// secure does the handshake, in the time that the first head may take. A connection of HTTP/2 goes to net/http.
func (c *conn) secure() (over, ok bool) {
	read := append([]byte(nil), c.buf[c.from:c.to]...)
	t := tls.Server(&replayed{c.io, read}, c.s.tls)
	c.from, c.to = 0, 0
	if err := t.Handshake(); err != nil {
		c.s.logf("front: TLS handshake with %s: %v", c.remote, err)
		return false, false
	}
	c.io, c.secured = t, true
	state := t.ConnectionState()
	if state.NegotiatedProtocol == "h2" {
		c.leave()
		c.slow.own.Store(true)
		c.s.handOver(t, nil)
		return true, false
	}
	c.tls = &state
	return false, c.fill()
}

// refusePlain tells a client that it has to use TLS.
func (c *conn) refusePlain() {
	const text = `{"message":"shardmill speaks TLS at this address: call it with https:// instead of http://."}` + "\n"
	out := appendStatus(nil, http.StatusBadRequest)
	out = appendField(out, "Connection", "close")
	out = appendField(out, "Content-Type", "application/json")
	out = append(append(out, "\r\n"...), text...)
	if _, err := c.io.Write(out); err != nil {
		return
	}
	// what is not read makes the system take the answer back
	if w, ok := c.nc.(interface{ CloseWrite() error }); ok && w.CloseWrite() == nil {
		c.leave()
		_ = c.nc.SetReadDeadline(time.Now().Add(refusedPatience))
		_, _ = io.CopyN(io.Discard, c.nc, refusedRest)
	}
}

type stateKey struct{}

// remember puts the state of TLS where the handler finds it of a connection whose *tls.Conn net/http does not see.
func remember(ctx context.Context, nc net.Conn) context.Context {
	r, ok := nc.(*replayed)
	if !ok {
		return ctx
	}
	t, ok := r.Conn.(*tls.Conn)
	if !ok {
		return ctx
	}
	state := t.ConnectionState()
	return context.WithValue(ctx, stateKey{}, &state)
}

// rest serves what net/http gets.
func (s *Server) serveRest(w http.ResponseWriter, r *http.Request) {
	if state, ok := r.Context().Value(stateKey{}).(*tls.ConnectionState); ok && r.TLS == nil {
		r.TLS = state
	}
	s.handler.ServeHTTP(&patient{ResponseWriter: w, patience: s.patience}, r)
}
