package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
)

// address is one that the server listens on: an IP address or the name of a host, with a port, or the path of a socket.
type address struct {
	host string
	port int    // 0: any free one
	path string // of a unix socket; "": it is TCP
	// it does not stand for the addresses of IPv4, as :: does alone
	only6 bool
}

// unixPrefix begins the address of a unix socket.
const unixPrefix = "unix:"

// maxSocketPath is what the systems take, in bytes: Linux 107, macOS 103.
const maxSocketPath = 103

// parseAddress reads 127.0.0.1, [::1]:4566, localhost:4566 or unix:PATH. port is that of an address without one.
func parseAddress(text string, port int) (address, error) {
	if path, ok := strings.CutPrefix(text, unixPrefix); ok {
		return parseSocket(path)
	}
	host, digits := text, ""
	bracketed := strings.HasPrefix(text, "[")
	switch colons := strings.Count(text, ":"); {
	case bracketed && strings.HasSuffix(text, "]"):
		host = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	case bracketed || colons == 1:
		var err error
		if host, digits, err = net.SplitHostPort(text); err != nil {
			return address{}, fmt.Errorf("%q is no address such as [::1]:4566", text)
		}
		n, err := strconv.ParseUint(digits, 10, 16)
		if err != nil {
			return address{}, fmt.Errorf("%q: the port is not a number from 0 to 65535", text)
		}
		port = int(n)
	}
	switch ip, err := netip.ParseAddr(host); {
	case host == "":
		return address{}, fmt.Errorf("%q names no address; all addresses of this machine are 0.0.0.0", text)
	case err == nil:
		host = ip.Unmap().String()
	case bracketed || !wire.IsHostName(strings.ToLower(host)):
		return address{}, fmt.Errorf(
			"%q is no address; one is 127.0.0.1, [::1]:4566, the name of a host, or unix:PATH", text,
		)
	default:
		host = strings.ToLower(host)
	}
	return address{host: host, port: port}, nil
}

// parseSocket makes the path of a socket absolute, so that it means the same to everybody who reads it.
func parseSocket(path string) (address, error) {
	if path == "" {
		return address{}, fmt.Errorf("%q names no socket; for example unix:/run/shardmill.sock", unixPrefix)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return address{}, err
	}
	if len(path) > maxSocketPath {
		return address{}, fmt.Errorf(
			"the path of the socket %s has %d bytes, and systems take %d; choose a shorter one", path, len(path), maxSocketPath,
		)
	}
	return address{path: path}, nil
}

// String returns the address as it is written.
func (a address) String() string {
	if a.path != "" {
		return unixPrefix + a.path
	}
	return net.JoinHostPort(a.host, strconv.Itoa(a.port))
}

// local reports whether only this machine can reach the address. A name may mean any address, but for localhost.
func (a address) local() bool {
	if a.path != "" || a.host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(a.host)
	return err == nil && ip.IsLoopback()
}

// every reports whether the address stands for all of this machine.
func (a address) every() bool {
	ip, err := netip.ParseAddr(a.host)
	return err == nil && ip.IsUnspecified()
}

// v6 reports whether it is an address of IPv6.
func (a address) v6() bool { return strings.Contains(a.host, ":") }

// addresses returns what the configuration wants the server to listen on.
func (c *Config) addresses() ([]address, error) {
	if len(c.Listen) == 0 {
		return []address{{host: "127.0.0.1", port: c.Port}}, nil
	}
	var all []address
	for _, text := range c.Listen {
		a, err := parseAddress(text, c.Port)
		if err != nil {
			return nil, fmt.Errorf("--listen: %w", err)
		}
		for _, before := range all {
			if a == before && (a.port != 0 || a.path != "") {
				return nil, fmt.Errorf("--listen names %s twice", a)
			}
		}
		all = append(all, a)
	}
	for i := range all {
		all[i].only6 = all[i].v6() && slices.ContainsFunc(all, func(a address) bool { return a.path == "" && !a.v6() })
	}
	return all, nil
}

// beyond returns the first address that other machines can reach.
func (c *Config) beyond() (a address, ok bool) {
	all, _ := c.addresses() // what is wrong with it is said by Validate
	for _, a := range all {
		if !a.local() {
			return a, true
		}
	}
	return address{}, false
}

// open reports whether other machines can reach a server that does not know who calls.
func (c *Config) open() bool {
	_, beyond := c.beyond()
	return beyond && !c.authenticates()
}

// authenticates reports whether signatures are verified.
func (c *Config) authenticates() bool { return c.Auth != nil }

// checkReach names the first setting of how the server is reached that cannot be.
func (c *Config) checkReach() error {
	if _, err := c.addresses(); err != nil {
		return err
	}
	if c.AuthOff && !c.Dev {
		return errors.New(
			"--auth off is for dev: serve does not run where other machines reach it and nobody verifies who calls",
		)
	}
	if a, beyond := c.beyond(); beyond && !c.AuthOff && !c.authenticates() {
		return &BeyondLoopback{Address: a.String(), Dev: c.Dev}
	}
	if _, err := c.hosts(); err != nil {
		return err
	}
	return c.checkTLS()
}

// BeyondLoopback is the error of an address that other machines can reach, of a server that does not verify who calls.
type BeyondLoopback struct {
	Address string
	Dev     bool
}

func (e *BeyondLoopback) Error() string {
	return fmt.Sprintf(
		"%s can be reached from other machines, and requests would not be authenticated", e.Address,
	)
}

// Hint says what to do.
func (e *BeyondLoopback) Hint() string {
	const keys = "add --auth static:FILE, a file that shardmill auth new NAME --role admin --file FILE makes; "
	if e.Dev {
		return keys + "or --auth off if everybody who reaches it may do everything, run code included; else listen on loopback and forward a port: ssh -L 4566:127.0.0.1:4566 HOST"
	}
	return keys + "or listen on loopback, and forward a port to reach it from elsewhere: ssh -L 4566:127.0.0.1:4566 HOST"
}
