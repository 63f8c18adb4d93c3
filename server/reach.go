package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"syscall"

	"github.com/shardmill/shardmill/api/wire"
)

// PortInUse is the error of an address that is taken.
type PortInUse struct {
	Port    int    // 0: of a unix socket
	Address string // "" for that of the default
}

func (e *PortInUse) Error() string {
	if e.Address == "" {
		return fmt.Sprintf("port %d is in use", e.Port)
	}
	return fmt.Sprintf("the address %s is in use", e.Address)
}

// ListenError is the error of an address that cannot be listened on.
type ListenError struct {
	Address string
	Hint    string // what to do; may be ""
	Err     error
}

func (e *ListenError) Error() string { return fmt.Sprintf("listening on %s: %s", e.Address, e.Err) }
func (e *ListenError) Unwrap() error { return e.Err }

// listener is one of the addresses of a running server.
type listener struct {
	boundedListener
	asked  address
	scheme string // http or https
	inside bool   // it is there for functions alone
}

// text returns the address for people and clients, with the port that it has got: scheme://host:port, or unix:PATH.
func (l *listener) text() string {
	if l.asked.path != "" {
		return l.asked.String()
	}
	return l.scheme + "://" + net.JoinHostPort(l.asked.host, strconv.Itoa(l.port()))
}

// port returns the port that it has got; 0 for a unix socket.
func (l *listener) port() int {
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		return a.Port
	}
	return 0
}

// reaches reports whether a client that calls 127.0.0.1 and its port comes here.
func (l *listener) reaches() bool {
	a, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return false
	}
	ip := a.AddrPort().Addr().Unmap()
	return ip == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || ip == netip.IPv4Unspecified() ||
		ip == netip.IPv6Unspecified() && l.asked.host == "::" && !l.asked.only6
}

// listen opens every address, and one for functions where none of them is theirs.
func (s *Server) listen(ctx context.Context) error {
	addresses, err := s.cfg.addresses()
	if err != nil {
		return err
	}
	s.listeners = nil
	all := &connections{most: s.connections, log: s.log, room: s.closeIdle}
	scheme := "http"
	if s.tls != nil {
		scheme = "https"
	}
	for _, a := range addresses {
		l, err := open(ctx, a)
		if err != nil {
			s.closeListeners()
			return s.explain(a, err)
		}
		s.listeners = append(s.listeners, &listener{boundedListener{l, all}, a, scheme, false})
	}
	return s.listenInside(ctx, all)
}

// open opens one address. A port that is about to be free is waited for.
func open(ctx context.Context, a address) (net.Listener, error) {
	if a.path != "" {
		return openSocket(ctx, a.path)
	}
	network := "tcp"
	switch ip, err := netip.ParseAddr(a.host); {
	case err != nil:
	case ip.Is4(): // tcp would take 0.0.0.0 for all of IPv6, too
		network = "tcp4"
	case a.only6:
		network = "tcp6"
	}
	var lc net.ListenConfig
	return listenPatiently(ctx, func(ctx context.Context) (net.Listener, error) {
		return lc.Listen(ctx, network, a.String())
	})
}

// openSocket opens a unix socket that only this user may connect to. The file of a server that was killed is replaced;
// anything else at its path is left alone.
func openSocket(ctx context.Context, path string) (net.Listener, error) {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket:
		return nil, errNoSocket
	default:
		var d net.Dialer
		c, err := d.DialContext(ctx, "unix", path)
		if err == nil {
			_ = c.Close()
			return nil, syscall.EADDRINUSE
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, err
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		// where the system takes it (Linux), the file never has another mode; it is seen to below that it has this one
		return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), privateSocket) })
	}}
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, privateSocket); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

const privateSocket = 0o600

var errNoSocket = errors.New("there is a file that is no socket")

// explain returns what a person needs to know about an address that could not be opened.
func (s *Server) explain(a address, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		if len(s.cfg.Listen) == 0 {
			return &PortInUse{Port: a.port}
		}
		return &PortInUse{a.port, a.String()}
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	hint := ""
	switch {
	case errors.Is(err, errNoSocket):
		hint = "it is left alone; remove it, or choose another path"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "this machine does not have that address; 0.0.0.0 is all that it has"
	case errors.Is(err, syscall.EACCES) && a.path == "":
		hint = "ports below 1024 are for root, or for who has CAP_NET_BIND_SERVICE"
	case errors.Is(err, syscall.EACCES), errors.Is(err, fs.ErrNotExist):
		hint = "the directory of the socket must exist, and this user must be able to write there"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // the address is named already
	}
	return &ListenError{a.String(), hint, err}
}

// listenInside sees to it that functions reach the server at 127.0.0.1, whatever else it listens on: at the same port
// where that is free.
func (s *Server) listenInside(ctx context.Context, all *connections) error {
	port := 0
	for _, l := range s.listeners {
		if l.reaches() {
			s.inner = net.JoinHostPort("127.0.0.1", strconv.Itoa(l.port()))
			return nil
		}
		if port == 0 {
			port = l.port()
		}
	}
	var lc net.ListenConfig
	a := address{host: "127.0.0.1", port: port}
	l, err := lc.Listen(ctx, "tcp", a.String())
	if errors.Is(err, syscall.EADDRINUSE) {
		a.port = 0
		l, err = lc.Listen(ctx, "tcp", a.String())
	}
	if err != nil {
		s.closeListeners()
		return s.explain(a, err)
	}
	s.listeners = append(s.listeners, &listener{boundedListener{l, all}, a, "http", true})
	s.inner = l.Addr().String()
	return nil
}

// idleAtOnce is how many idle connections make room at once for new ones.
const idleAtOnce = 64

func (s *Server) closeIdle() { s.front.CloseIdle(idleAtOnce) }

func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		_ = l.Close()
	}
}

// Addresses returns all that the server listens on, in order: http://host:port (https with TLS), or unix:PATH. What is
// there for functions alone is not among them; see Inside.
func (s *Server) Addresses() (all []string) {
	for _, l := range s.listeners {
		if !l.inside {
			all = append(all, l.text())
		}
	}
	return all
}

// Endpoint is where clients of this machine reach the server: http://host:port, https with TLS.
func (s *Server) Endpoint() string {
	for _, l := range s.listeners {
		if l.asked.path == "" && !l.inside && !l.asked.every() {
			return l.text()
		}
	}
	if s.tls != nil && !s.apart() {
		return "https://" + s.inner
	}
	return s.Inside()
}

// apart reports whether the address for functions is one of its own.
func (s *Server) apart() bool {
	return slices.ContainsFunc(s.listeners, func(l *listener) bool { return l.inside })
}

// Inside is where functions and this machine reach the server, whatever it listens on: http://127.0.0.1:port.
func (s *Server) Inside() string { return "http://" + s.inner }

// advertised returns the base of URLs that no request asks for.
func (s *Server) advertised() string {
	if base := s.hosts.Advertised(); base != "" {
		return base
	}
	return s.Endpoint()
}

// Beyond returns those of Addresses that other machines reach.
func (s *Server) Beyond() (all []string) {
	for _, l := range s.listeners {
		if !l.asked.local() {
			all = append(all, l.text())
		}
	}
	return all
}

// Open reports whether other machines reach the server, and nobody verifies who calls.
func (s *Server) Open() bool { return s.cfg.open() }

// hosts returns the names by which clients may call.
func (c *Config) hosts() (*wire.Hosts, error) {
	h := &wire.Hosts{}
	all, err := c.addresses()
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		switch {
		case a.path != "":
		case a.every():
			h.AllowAddresses()
		default:
			if err := h.Allow(a.host); err != nil {
				return nil, fmt.Errorf("--listen: %w", err)
			}
		}
	}
	for _, host := range c.AllowHosts {
		if err := h.Allow(host); err != nil {
			return nil, fmt.Errorf("--allow-host: %w", err)
		}
	}
	if c.Advertise != "" {
		if err := h.Advertise(c.Advertise); err != nil {
			return nil, fmt.Errorf("--advertise: %w", err)
		}
	}
	return h, nil
}

// tokenFile is a place of the token, and its lock, which says that we are alive.
type tokenFile struct {
	path string
	lock *os.File
}

// keepTokens writes the token where commands of this user find it by the address that they call.
func (s *Server) keepTokens() error {
	places := []string{s.inner}
	for _, l := range s.listeners {
		switch {
		case l.asked.path != "":
			places = append(places, l.asked.String())
		case l.asked.every() && l.asked.v6():
			places = append(places, l.Addr().String(), net.JoinHostPort("::1", strconv.Itoa(l.port())))
		default:
			places = append(places, net.JoinHostPort(l.asked.host, strconv.Itoa(l.port())))
		}
	}
	known := map[string]bool{}
	for _, place := range places {
		path, err := TokenFile(place)
		if err != nil {
			return err
		}
		if known[path] {
			continue
		}
		known[path] = true
		lock, err := keepToken(path, s.token)
		if err != nil {
			return err
		}
		s.tokenFiles = append(s.tokenFiles, tokenFile{path, lock})
	}
	return nil
}

func (s *Server) dropTokens() {
	for _, f := range s.tokenFiles {
		dropToken(f.path, f.lock)
	}
	s.tokenFiles = nil
}
