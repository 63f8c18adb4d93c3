package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// trusting returns b with a client that trusts what the server's authority signs, and speaks one version of HTTP.
func (b *bench) trusting(version2 bool) *bench {
	b.Helper()
	text, err := os.ReadFile(b.s.CA())
	if err != nil {
		b.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	var p http.Protocols
	p.SetHTTP2(version2)
	p.SetHTTP1(!version2)
	place := strings.TrimPrefix(b.s.Endpoint(), "https://")
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, Protocols: &p,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, place)
		},
	}
	b.Cleanup(tr.CloseIdleConnections)
	return &bench{b.T, b.s, &http.Client{Transport: tr}}
}

// at makes a call to a URL.
func (b *bench) at(url, target, body string) (int, string, string) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), "POST", url, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", target)
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	resp, err := b.client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	return resp.StatusCode, string(answer), resp.Proto
}

// Clients that trust the authority's file reach every service over TLS, by HTTP/1.1 and HTTP/2, by every name of the
// server; URLs in answers are https then. From this machine the same port takes plain connections, as functions make.
func TestTLSSelfSigned(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tls")
	b := start(t, Config{TLSSelfSigned: dir, AllowHosts: []string{"mill.example"}})
	_, place, _ := strings.Cut(b.s.Endpoint(), "://")
	if b.s.Endpoint() != "https://"+place || b.s.Inside() != "http://"+place ||
		!slices.Equal(b.s.Addresses(), []string{b.s.Endpoint()}) || b.s.CA() != filepath.Join(dir, "ca.pem") {
		t.Errorf("%s, inside %s, %v, %s", b.s.Endpoint(), b.s.Inside(), b.s.Addresses(), b.s.CA())
	}
	for _, version2 := range []bool{false, true} {
		b := b.trusting(version2)
		for _, base := range []string{b.s.Endpoint(), "https://localhost:1", "https://mill.example", "https://things.localhost"} {
			status, answer, proto := b.at(base, "AmazonSQS.CreateQueue", `{"QueueName":"q"}`)
			if status != 200 || !strings.Contains(answer, `"`+base+`/000000000000/q"`) ||
				(proto == "HTTP/2.0") != version2 {
				t.Errorf("%s: %d %s over %s", base, status, answer, proto)
			}
		}
		if _, err := b.client.Get("https://evil.example"); err == nil {
			t.Error("there is a certificate for a name that is not the server's")
		}
	}
	status, answer, _ := b.at(b.s.Inside(), "AmazonSQS.CreateQueue", `{"QueueName":"q"}`)
	if status != 200 || !strings.Contains(answer, `"`+b.s.Inside()+`/000000000000/q"`) {
		t.Errorf("plain: %d %s", status, answer)
	}
}

// With a data directory the authority may lie in it; the directory is still one of ours at the next start, and
// functions see nothing of keys.
func TestTLSInTheDataDirectory(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	for range 2 {
		b := start(t, Config{Data: data, TLSSelfSigned: filepath.Join(data, "tls")})
		if status, answer, _ := b.trusting(true).at(b.s.Endpoint(), "AmazonSQS.ListQueues", "{}"); status != 200 {
			t.Errorf("%d %s", status, answer)
		}
		if hidden := b.s.secrets(); !slices.Contains(hidden, filepath.Join(data, "tls")) {
			t.Errorf("functions see the keys; what is hidden: %v", hidden)
		}
		b.s.Stop(t.Context())
	}
}

// What cannot be is refused before anything is listened on.
func TestTLSThatCannotBe(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]Config{
		"--tls-cert and --tls-key go together":                {TLSCert: "x"},
		"--tls-cert and --tls-self-signed exclude each other": {TLSCert: "x", TLSKey: "y", TLSSelfSigned: "z"},
		"TLS: stat /nowhere/c.pem: no such file or directory": {TLSCert: "/nowhere/c.pem", TLSKey: "/nowhere/k.pem"},
		"TLS: mkdir /dev/null: not a directory":               {TLSSelfSigned: "/dev/null/tls"},
	} {
		s, err := New(cfg)
		if err == nil {
			err = s.Start(t.Context())
			var certificate *CertificateError
			if !errors.As(err, &certificate) {
				t.Errorf("%v is no *CertificateError", err)
			}
			s.closed(t)
		}
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Only what comes from this machine may be plain where there is TLS.
func TestWhoMayBePlain(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]bool{
		"127.0.0.1": true, "127.1.2.3": true, "::1": true, "10.0.0.1": false, "::": false,
	} {
		if got := mayBePlain(from{a: &net.TCPAddr{IP: net.ParseIP(ip), Port: 1}}); got != want {
			t.Errorf("%s: %v", ip, got)
		}
	}
	if !mayBePlain(from{a: &net.UnixAddr{Name: "@"}}) {
		t.Error("a unix socket must be TLS")
	}
}

// from is a connection from an address.
type from struct {
	net.Conn
	a net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.a }

// A client that speaks TLS to a server without it gets a line in the log that says what to do, once a minute at most.
func TestTLSClientsOfAPlainServerAreLogged(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	b := start(t, Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	for range 3 {
		if _, err := b.client.Get("https" + b.s.Endpoint()[len("http"):]); err == nil {
			t.Fatal("it was served")
		}
	}
	if text := log.String(); strings.Count(text, "speaks TLS") != 1 || !strings.Contains(text, "--tls-self-signed") {
		t.Errorf("logged %s", text)
	}
}

// lockedBuffer is a buffer that many may use.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
