package server

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// Every way to write an address is understood, and what is none is refused with what was written.
func TestAddressesOfListen(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"127.0.0.1": "127.0.0.1:7", "127.0.0.1:1": "127.0.0.1:1", "127.0.0.1:0": "127.0.0.1:0", "0.0.0.0": "0.0.0.0:7",
		"[::1]": "[::1]:7", "[::1]:1": "[::1]:1", "::1": "[::1]:7", "::": "[::]:7", "[0:0::1]:65535": "[::1]:65535",
		"::ffff:10.0.0.1": "10.0.0.1:7", "localhost": "localhost:7", "LocalHost:1": "localhost:1", "my-host.lan:1": "my-host.lan:1",
		"unix:/run/x.sock": "unix:/run/x.sock", "unix:/run/../x": "unix:/x",

		"": "", ":1": "", "127.0.0.1:": "", "127.0.0.1:65536": "", "127.0.0.1:x": "", "127.0.0.1:-1": "", "[::1]x": "",
		"[::1": "", "http://127.0.0.1:1": "", "a b": "", "unix:": "", "[localhost]:1": "", "a..b": "", "é": "",
		"unix:/" + strings.Repeat("x", 102): "unix:/" + strings.Repeat("x", 102), // as much as every system takes
		"unix:/" + strings.Repeat("x", 103): "",
	} {
		a, err := parseAddress(text, 7)
		if want == "" && err == nil || want != "" && (err != nil || a.String() != want) {
			t.Errorf("%q became %s, %v; want %q", text, a, err, want)
		}
	}
}

// What other machines can reach needs verified signatures, or --auth off typed out under dev. All that stands for one
// address only counts as what it is; a name other than localhost may stand for anything.
func TestBeyondLoopback(t *testing.T) {
	t.Parallel()
	for listen, beyond := range map[string]bool{
		"": false, "127.0.0.1": false, "127.9.9.9:1": false, "[::1]": false, "localhost": false, "unix:/tmp/x": false,
		"0.0.0.0": true, "[::]": true, "10.0.0.1:1": true, "myhost": true, "fe80::1": true, "127.0.0.1,10.0.0.1": true,
		"localhost.example": true, "localhosts:1": true, "x.localhost": true, "127.0.0.1.example": true,
	} {
		cfg := Config{Listen: slices.DeleteFunc(strings.Split(listen, ","), func(s string) bool { return s == "" })}

		var refused *BeyondLoopback
		if err := cfg.Validate(); errors.As(err, &refused) != beyond || err != nil && !beyond {
			t.Errorf("%s: %v", listen, err)
		}
		cfg.Dev, cfg.AuthOff = true, true
		if err := cfg.Validate(); err != nil || cfg.open() != beyond {
			t.Errorf("%s, with auth off: open %v, %v", listen, cfg.open(), err)
		}
		cfg.Dev = false
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), "--auth off is for dev") {
			t.Errorf("%s, serve with auth off: %v", listen, err)
		}
	}
}

// The other settings of how a server is reached are refused by their flags.
func TestSettingsOfReachAreChecked(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]Config{
		`--listen names 127.0.0.1:1 twice`: {Listen: []string{"127.0.0.1:1", "127.0.0.1:1"}},
		`--listen names unix:/x twice`:     {Listen: []string{"unix:/x", "unix:/x"}},
		`--listen: "x y" is no address; one is 127.0.0.1, [::1]:4566, the name of a host, or unix:PATH`:        {Listen: []string{"x y"}},
		`--advertise: "myhost:4566" is no address such as http://host:4566`:                                    {Advertise: "myhost:4566"},
		`--advertise: "http://x/path" has more than a host and a port`:                                         {Advertise: "http://x/path"},
		`--advertise: "http://x:" has no port after the colon`:                                                 {Advertise: "http://x:"},
		`--allow-host: "x y" is no host: neither an IP address nor a name, nor *.NAME for all names below one`: {AllowHosts: []string{"x y"}},
		`--allow-host: "*" is no host: neither an IP address nor a name, nor *.NAME for all names below one`:   {AllowHosts: []string{"*"}},
	} {
		if err := cfg.Validate(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
