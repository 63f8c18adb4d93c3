package wire

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Hosts knows the names by which clients may call the server: those of loopback always, and what is added. The zero
// value knows no other. It must not change once requests are served.
type Hosts struct {
	names     map[string]bool // without a port
	under     []string        // suffixes, with the dot, below which every name counts
	addresses bool            // every IP address counts
	advertise string          // scheme://host[:port] of URLs in answers; "": as the client called us
}

// Allow adds a host: a name or an IP address, or all names below one as *.name.
func (h *Hosts) Allow(host string) error {
	name, below := strings.CutPrefix(strings.ToLower(host), "*.")
	if ip, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil && !below {
		name = ip.Unmap().String()
	} else if !IsHostName(name) {
		return fmt.Errorf("%q is no host: neither an IP address nor a name, nor *.NAME for all names below one", host)
	}
	if below {
		h.under = append(h.under, "."+name)
		return nil
	}
	if h.names == nil {
		h.names = map[string]bool{}
	}
	h.names[name] = true
	return nil
}

// AllowAddresses adds all IP addresses, in their usual spelling. No page can rebind one: it is not looked up.
func (h *Hosts) AllowAddresses() { h.addresses = true }

// Advertise makes URLs in answers begin with that of base, whose host is allowed from now on.
func (h *Hosts) Advertise(base string) error {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return fmt.Errorf("%q is no address such as http://host:4566", base)
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("%q has more than a host and a port", base)
	}
	if p := u.Port(); p != "" && !isPort(p) || strings.HasSuffix(u.Host, ":") {
		return fmt.Errorf("%q has no port after the colon", base)
	}
	if err := h.Allow(u.Hostname()); err != nil {
		return err
	}
	h.advertise = u.Scheme + "://" + u.Host
	return nil
}

// Advertised returns the base of URLs in answers, and "" where clients get the one that they have used.
func (h *Hosts) Advertised() string {
	if h == nil {
		return ""
	}
	return h.advertise
}

// Names returns the hosts that are added, in order, without those that stand for many.
func (h *Hosts) Names() []string { return slices.Sorted(maps.Keys(h.names)) }

// Accepts reports whether a Host header names this server.
func (h *Hosts) Accepts(host string) bool {
	if LocalHost(host) {
		return true
	}
	if h == nil {
		return false
	}
	name, ok := hostName(host)
	if !ok {
		return false
	}
	if h.names[name] {
		return true
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		return h.addresses && ip.Zone() == "" && !ip.Is4In6() && ip.String() == name
	}
	return h.prefix(name) != ""
}

// prefix returns what a name has in front of one below which every name counts; "": it is not below any.
func (h *Hosts) prefix(name string) (prefix string) {
	if before, ok := strings.CutSuffix(name, ".localhost"); ok {
		return before
	}
	if h == nil {
		return ""
	}
	for _, suffix := range h.under { // the longest one counts
		if before, ok := strings.CutSuffix(name, suffix); ok && (prefix == "" || len(before) < len(prefix)) &&
			IsHostName(before) {
			prefix = before
		}
	}
	return prefix
}

// Prefix returns what a Host header has in front of a name below which every name counts, such as localhost: bucket.s3
// of bucket.s3.localhost:4566. "": it is not below any.
func (h *Hosts) Prefix(host string) string {
	name, ok := hostName(host)
	if !ok {
		return ""
	}
	return h.prefix(name)
}

// hostName returns the host of a Host header in lower case, without its port and brackets.
func hostName(host string) (name string, ok bool) {
	if host == "" || len(host) > 300 {
		return "", false
	}
	name = host
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	} else if strings.Contains(host, ":") {
		var port string
		var err error
		if name, port, err = net.SplitHostPort(host); err != nil || !isPort(port) {
			return "", false
		}
	}
	return strings.ToLower(name), true
}

// IsHostName reports whether s is labels of lower-case letters, digits, - and _, with dots between them.
func IsHostName(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, c := range []byte(label) {
			switch {
			case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			default:
				return false
			}
		}
	}
	return true
}

// HostPrefix is Hosts.Prefix of the Host header of a request that came through Router.
func HostPrefix(r *http.Request) string {
	var h *Hosts
	if x, ok := r.Context().Value(callerKey{}).(*exchange); ok {
		h = x.hosts
	}
	return h.Prefix(r.Host)
}

// notOurs tells a client that it is not our name by which it calls.
func notOurs(host string) string {
	if host == "" { // HTTP/1.0 allows that, and some health checks of load balancers do it
		return "shardmill answers only to its own addresses, and this request has no Host header; send Host: localhost."
	}
	text := "shardmill answers only to its own addresses; the Host header says " + strconv.Quote(clip(host)) +
		". Use 127.0.0.1 or localhost"
	if name, ok := hostName(host); ok && IsHostName(name) {
		text += ", or start it with --allow-host " + clip(name)
	}
	return text + "."
}
