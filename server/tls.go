package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/internal/cert"
)

// CertificateError says why the server has no certificate.
type CertificateError struct{ Err error }

func (e *CertificateError) Error() string { return "TLS: " + e.Err.Error() }
func (e *CertificateError) Unwrap() error { return e.Err }

// checkTLS names what is wrong with the settings of TLS, as far as can be said without files.
func (c *Config) checkTLS() error {
	switch {
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key go together")
	case c.TLSCert != "" && c.TLSSelfSigned != "":
		return errors.New("--tls-cert and --tls-self-signed exclude each other")
	}
	return nil
}

// secure prepares TLS, if the configuration wants it.
func (s *Server) secure() error {
	s.tls, s.ca = nil, ""
	var get func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	switch {
	case s.cfg.TLSCert != "":
		files, err := cert.LoadFiles(s.cfg.TLSCert, s.cfg.TLSKey, s.log)
		if err != nil {
			return &CertificateError{err}
		}
		get = files.Get
	case s.cfg.TLSSelfSigned != "":
		authority, err := cert.OpenAuthority(s.cfg.TLSSelfSigned, s.certified(), s.hosts.Accepts)
		if err != nil {
			return &CertificateError{err}
		}
		get = authority.Get
		if s.ca, err = filepath.Abs(authority.CA()); err != nil {
			return &CertificateError{err}
		}
	default:
		return nil
	}
	s.tls = &tls.Config{GetCertificate: get, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	return nil
}

// certified returns the names and addresses that are in every certificate.
func (s *Server) certified() []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	every := false
	addresses, _ := s.cfg.addresses() // they have been checked
	for _, a := range addresses {
		if a.path == "" && !a.every() {
			names = append(names, a.host)
		}
		every = every || a.every()
	}
	if every { // what the machine has; others are known by their connections
		all, _ := net.InterfaceAddrs()
		for _, a := range all {
			if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() {
				names = append(names, n.IP.String())
			}
		}
	}
	return append(names, s.hosts.Names()...)
}

// CA returns the path of the certificate that clients trust who know the server by --tls-self-signed; "": none.
func (s *Server) CA() string { return s.ca }

// mayBePlain reports whether a connection may do without TLS: those from this machine. Functions come without.
func mayBePlain(c net.Conn) bool {
	a, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok { // a unix socket
		return true
	}
	ip, ok := netip.AddrFromSlice(a.IP)
	return ok && ip.Unmap().IsLoopback()
}

// helloEvery is how often it is logged that clients speak TLS to a server without.
const helloEvery = time.Minute

// hello returns what is told of clients that speak TLS to a server without.
func (s *Server) hello() func(net.Conn) {
	var said atomic.Int64
	return func(c net.Conn) {
		now, before := time.Now().UnixNano(), said.Load()
		if before != 0 && now-before < int64(helloEvery) || !said.CompareAndSwap(before, now) {
			return
		}
		s.log.Warn(
			"a client speaks TLS, and this server does not; let it use http:// instead of https://, or start with --tls-self-signed or with --tls-cert and --tls-key",
			"client", fmt.Sprint(c.RemoteAddr()),
		)
	}
}
