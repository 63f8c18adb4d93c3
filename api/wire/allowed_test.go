package wire

import (
	"strings"
	"testing"
)

// What is allowed counts as it is meant, however it is spelled, and nothing beside it: an address of IPv4 in the
// clothes of IPv6, capitals, a name below another one. Of two names below which every name counts the longer one does.
func TestNamesThatAreAllowed(t *testing.T) {
	t.Parallel()
	for _, order := range [][]string{{"*.lan", "*.mill.lan"}, {"*.mill.lan", "*.lan"}} {
		h := &Hosts{}
		for _, host := range append(order, "::ffff:10.0.0.9", "[2001:DB8::7]", "Mill.Example", "*.UP.example") {
			if err := h.Allow(host); err != nil {
				t.Fatalf("%s: %v", host, err)
			}
		}
		for host, want := range map[string]struct {
			accepted bool
			prefix   string
		}{
			"10.0.0.9":        {true, ""},
			"10.0.0.9:80":     {true, ""},
			"10.0.0.8":        {false, ""},
			"[2001:db8::7]:1": {true, ""},
			"MILL.example:80": {true, ""},
			"x.mill.example":  {false, ""},
			"a.mill.lan":      {true, "a"},
			"a.b.mill.lan":    {true, "a.b"},
			"A.Mill.Lan:4566": {true, "a"},
			"mill.lan":        {true, "mill"},
			"x.lan":           {true, "x"},
			"lan":             {false, ""},
			"wlan":            {false, ""},
			"a.wlan":          {false, ""},
			".lan":            {false, ""},
			"a..lan":          {false, ""},
			"a b.lan":         {false, ""},
			"a/../b.lan":      {false, ""},
			"x.lan:":          {false, ""},
			"x.lan.":          {false, ""},
			"b.up.example":    {true, "b"},
			"b.s3.localhost":  {true, "b.s3"},
		} {
			if accepted, prefix := h.Accepts(host), h.Prefix(host); accepted != want.accepted || prefix != want.prefix {
				t.Errorf("%v: %q: %v with %q in front, want %+v", order, host, accepted, prefix, want)
			}
		}
	}
}

// Where all addresses count, that is so for their usual spelling alone, in which no browser takes them for anything
// else, and for none that is bound to an interface.
func TestAddressesThatAreAllowed(t *testing.T) {
	t.Parallel()
	h := &Hosts{}
	h.AllowAddresses()
	for host, want := range map[string]bool{
		"10.1.2.3": true, "10.1.2.3:4566": true, "[2001:db8::7]": true, "[2001:db8::7]:1": true, "[fe80::1]": true,
		"010.1.2.3": false, "10.1.2": false, "[2001:db8:0::7]": false, "[::ffff:10.1.2.3]": false, "[::ffff:a01:203]": false,
		"[fe80::1%eth0]": false, "[fe80::1%25eth0]:80": false, "2001:db8::7": false, "mill": false, "10.1.2.3.nip.io": false,
	} {
		if got := h.Accepts(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

// What is advertised is a scheme, a host and maybe a port; its host is one by which clients may call. Anything more is
// refused, because it would be part of no URL in an answer, or a secret in all.
func TestWhatMayBeAdvertised(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"http://mill.example": "http://mill.example", "https://mill.example:8443/": "https://mill.example:8443",
		"http://[2001:db8::7]:80": "http://[2001:db8::7]:80", "HTTP://mill.example": "http://mill.example",
		"mill.example": "", "mill.example:80": "", "ftp://mill.example": "", "http://": "", "http://:80": "",
		"http://mill.example:": "", "http://mill.example:x": "", "http://mill.example/path": "",
		"http://mill.example?x=y": "", "http://mill.example#x": "", "http://user:secret@mill.example": "",
		"http://mill_example!": "", "": "",
	} {
		h := &Hosts{}
		if err := h.Advertise(base); (err == nil) != (want != "") || h.Advertised() != want {
			t.Errorf("%q: %q, %v", base, h.Advertised(), err)
		}
		if _, host, _ := strings.Cut(want, "://"); want != "" && !h.Accepts(host) {
			t.Errorf("%s is no name of ours", host)
		}
	}
}
