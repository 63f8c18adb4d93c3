package front_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/api/front"
	"github.com/shardmill/shardmill/internal/cert"
)

// certified returns a server's settings of TLS, and a client's that trusts it.
func certified(t *testing.T) (ours, theirs *tls.Config) {
	t.Helper()
	a, err := cert.OpenAuthority(t.TempDir(), []string{"127.0.0.1"}, func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(a.CA())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &tls.Config{GetCertificate: a.Get, NextProtos: []string{"h2", "http/1.1"}},
		&tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
}

// secured is a server with certificates, and the settings of clients that trust it.
func secured(t *testing.T, h http.HandlerFunc, change func(*front.Server)) (*server, *tls.Config) {
	t.Helper()
	ours, theirs := certified(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, addr: l.Addr().String(), log: &bytes.Buffer{}}
	s.Server = front.New(&http.Server{
		Handler: h, TLSConfig: ours, Protocols: every(), ReadHeaderTimeout: time.Minute, IdleTimeout: time.Minute,
		ErrorLog: log.New(io.Discard, "", 0),
	})
	if change != nil {
		change(s.Server)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() {
		_ = s.Close()
		running.Wait()
	})
	return s, theirs
}

// every returns all protocols.
func every() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return &p
}

func (s *server) dialTLS(c *tls.Config) *client {
	s.t.Helper()
	conn, err := tls.Dial("tcp4", s.addr, c)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	return &client{conn, s.t, bufio.NewReader(conn)}
}

// who is a handler that tells who serves it, and how the connection came.
func who(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	by, how := "front", "plain"
	if r.Context().Value(http.ServerContextKey) != nil {
		by = "net/http"
	}
	if r.TLS != nil && r.TLS.HandshakeComplete {
		how = "TLS"
	}
	fmt.Fprintf(w, "%s %s %s %d", by, r.Proto, how, len(body))
}

// Over TLS the front serves what it serves otherwise, and net/http the rest; both know that it is TLS, and so they do
// of HTTP/2, for which clients ask in the handshake. On the same port plain connections are served.
func TestOverTLS(t *testing.T) {
	t.Parallel()
	s, trusting := secured(t, who, nil)
	large := request("PUT", "/", strings.Repeat("x", 200_000))
	for _, c := range []struct {
		sent string
		want []string
	}{
		{plainOnes[1] + large, []string{"front HTTP/1.1 TLS 7", "front HTTP/1.1 TLS 200000"}},
		{
			request("GET", "/", "") + request("POST", "/", "abc", "Trailer: X") + request("GET", "/", ""),
			[]string{"front HTTP/1.1 TLS 0", "net/http HTTP/1.1 TLS 3", "net/http HTTP/1.1 TLS 0"},
		},
	} {
		for how, conn := range map[string]*client{"TLS": s.dialTLS(trusting), "plain": s.dial()} {
			conn.send(c.sent)
			for _, want := range c.want {
				if got := conn.gets(); !strings.HasPrefix(got, strings.Fields(want)[0]) ||
					got[strings.LastIndexByte(got, ' '):] != want[strings.LastIndexByte(want, ' '):] ||
					!strings.Contains(got, " "+how+" ") {
					t.Errorf("%s, %.60q: %s, want %s", how, c.sent, got, want)
				}
			}
		}
	}
	for _, protocol := range []string{"HTTP/2.0", "HTTP/1.1"} {
		var p http.Protocols
		p.SetHTTP2(protocol == "HTTP/2.0")
		p.SetHTTP1(protocol == "HTTP/1.1")
		tr := &http.Transport{TLSClientConfig: trusting.Clone(), Protocols: &p}
		t.Cleanup(tr.CloseIdleConnections)
		for range 2 {
			a, err := (&http.Client{Transport: tr}).Post("https://"+s.addr, "x/y", strings.NewReader("abc"))
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := io.ReadAll(a.Body); !strings.HasSuffix(string(got), protocol+" TLS 3") {
				t.Errorf("got %q", got)
			}
			_ = a.Body.Close()
		}
	}
}

// A server may insist on TLS: a plain client is told so in HTTP, and its connection ends.
func TestPlainConnectionsMayBeRefused(t *testing.T) {
	t.Parallel()
	s, trusting := secured(t, who, func(s *front.Server) { s.MayBePlain = func(net.Conn) bool { return false } })
	for _, sent := range []string{request("GET", "/", ""), large(), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"} {
		c := s.dial()
		go func() { _, _ = io.WriteString(c, sent) }() // it may be cut off
		a, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatalf("%.20q: %v", sent, err)
		}
		body, _ := io.ReadAll(a.Body)
		if a.StatusCode != 400 || !a.Close || !strings.Contains(string(body), "https://") {
			t.Errorf("%.20q: %d %s", sent, a.StatusCode, body)
		}
	}
	c := s.dialTLS(trusting)
	c.send(request("GET", "/", ""))
	if got := c.gets(); got != "front HTTP/1.1 TLS 0" {
		t.Error(got)
	}
}

func large() string { return request("PUT", "/", strings.Repeat("x", 200_000)) }

// A TLS client that calls a server without certificates fails in its handshake, as a TLS client understands it, and the
// server is told of it.
func TestATLSClientOfAPlainServer(t *testing.T) {
	t.Parallel()
	told := make(chan net.Conn, 1)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := front.New(&http.Server{Handler: http.HandlerFunc(who)})
	s.Hello = func(c net.Conn) { told <- c }
	var running sync.WaitGroup
	running.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() {
		_ = s.Close()
		running.Wait()
	})

	_, err = tls.Dial("tcp4", l.Addr().String(), &tls.Config{ServerName: "x"})

	if err == nil || !strings.Contains(err.Error(), "handshake failure") {
		t.Errorf("the client got %v", err)
	}
	if c := <-told; c.RemoteAddr() == nil {
		t.Error("told of nobody")
	}
}

// The context of a request over TLS ends when the client leaves, politely or not, and a stop closes what is idle.
func TestLeavingOverTLS(t *testing.T) {
	t.Parallel()
	for _, leave := range []func(c *tls.Conn){
		func(c *tls.Conn) { _ = c.Close() },
		func(c *tls.Conn) { _ = c.NetConn().Close() },
		func(c *tls.Conn) { _ = c.CloseWrite() },
	} {
		for _, extra := range [][]string{nil, {"Pragma: no-cache"}} {
			began, ended := make(chan struct{}), make(chan struct{})
			s, trusting := secured(t, func(_ http.ResponseWriter, r *http.Request) {
				close(began)
				<-r.Context().Done()
				close(ended)
			}, nil)
			c := s.dialTLS(trusting)
			c.send(request("GET", "/", "", extra...))
			<-began

			leave(c.Conn.(*tls.Conn))

			<-ended
		}
	}
	s, trusting := secured(t, who, nil)
	c := s.dialTLS(trusting)
	c.send(request("GET", "/", ""))
	c.gets()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	c.isCut()
}

// A client that takes its time for the handshake has as much as for a head.
func TestSlowHandshakesAreCutOff(t *testing.T) {
	t.Parallel()
	ours, _ := certified(t)
	hello := helloOf(t)
	for name, sent := range map[string][]byte{
		"one byte": hello[:1], "half a hello": hello[:len(hello)/2], "a hello": hello,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := front.New(&http.Server{
				Handler: http.HandlerFunc(who), TLSConfig: ours, Protocols: every(),
				ReadHeaderTimeout: 30 * time.Second,
			})
			calls := newCalls()
			go func() { _ = s.Serve(calls) }()
			mine, theirs := net.Pipe()
			calls.conns <- theirs
			began := time.Now()
			go func() { _, _ = mine.Write(sent) }()
			_, _ = io.Copy(io.Discard, mine)

			if took := time.Since(began); took < 30*time.Second || took > 31*time.Second {
				t.Errorf("%s: cut off after %s", name, took)
			}
			_ = s.Close()
		})
	}
}

// helloOf returns what a TLS client says first.
func helloOf(t *testing.T) []byte {
	t.Helper()
	mine, theirs := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = tls.Client(mine, &tls.Config{ServerName: "x"}).HandshakeContext(ctx) }()
	b := make([]byte, 4<<10)
	n, err := theirs.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}
