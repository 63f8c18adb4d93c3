package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// remote is where a client command finds a server.
type remote struct {
	text string // http://host:port, https://host:port or unix:PATH
	base string // what URLs begin with
	key  string // by which the server's token is looked for; see server.TokenFile
	path string // of a unix socket; "": it is TCP
}

// parseRemote reads an address of a server.
func parseRemote(text string) (remote, error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok && path != "" {
		path, err := filepath.Abs(path)
		return remote{"unix:" + path, "http://localhost", "unix:" + path, path}, err
	}
	example := "for example --endpoint http://127.0.0.1:4566"
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return remote{}, &failure{
			code: exitUsage, text: fmt.Sprintf("the endpoint %q is not an http:// or https:// address, nor unix:PATH", text),
			hint: example,
		}
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return remote{}, &failure{
			code: exitUsage, text: fmt.Sprintf("the endpoint %q has more than a host and a port", text), hint: example,
		}
	}
	base := u.Scheme + "://" + u.Host
	return remote{base, base, u.Host, ""}, nil
}

// connectPatience is how long a machine that says nothing may take to accept a connection, and then to agree on TLS.
const connectPatience = 15 * time.Second

// transport returns how requests get there. With TLS, servers are trusted whose certificate $AWS_CA_BUNDLE vouches for,
// as AWS's clients do, else those that this machine trusts.
func (e remote) transport() (*http.Transport, error) {
	dialer := net.Dialer{Timeout: connectPatience}
	t := &http.Transport{
		MaxIdleConnsPerHost: 64, DialContext: dialer.DialContext, TLSHandshakeTimeout: connectPatience,
	}
	if e.path != "" {
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", e.path)
		}
	}
	bundle := os.Getenv("AWS_CA_BUNDLE")
	if bundle == "" || !strings.HasPrefix(e.base, "https:") {
		return t, nil
	}
	pem, err := readBounded(bundle, 16<<20)
	if err != nil {
		return nil, &failure{code: exitUsage, text: "reading the certificates that $AWS_CA_BUNDLE names", err: err}
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, &failure{
			code: exitUsage, text: fmt.Sprintf("$AWS_CA_BUNDLE names %s, which has no certificate in it", bundle),
			hint: "it must be a file of certificates in PEM, such as the ca.pem of --tls-self-signed",
		}
	}
	t.TLSClientConfig = &tls.Config{RootCAs: roots}
	return t, nil
}

// untrusted says what to do about a certificate that nobody vouches for; "" about another error.
func untrusted(err error) string {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var plain tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		return "let AWS_CA_BUNDLE name the certificate of who has signed that of the server"
	case errors.As(err, &name):
		return "call the server by a name that its certificate has"
	case errors.As(err, &plain):
		return "it does not speak TLS there: use http:// instead of https://"
	}
	return ""
}
