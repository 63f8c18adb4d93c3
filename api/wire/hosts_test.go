package wire

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// URLs in answers begin with what is advertised; a function gets the address by which it calls, since others may not
// lead it back. Over TLS they begin with https.
func TestWhatIsAdvertisedIsNotForFunctions(t *testing.T) {
	t.Parallel()
	hosts := &Hosts{}
	if err := hosts.Advertise("https://Mill.example/"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ key, advertised, plain string }{
		{"AKID", "https://Mill.example", "http://127.0.0.1:4566"},
		{"SMILL123", "http://127.0.0.1:4566", "http://127.0.0.1:4566"},
	} {
		for _, hosts := range []*Hosts{hosts, nil} {
			got, want := "", c.plain
			if hosts != nil {
				want = c.advertised
			}
			rt := testRouter()
			rt.Hosts, rt.Keys = hosts, keys{"SMILL123": "111122223333"}
			rt.Services[1].Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got = CallerOf(r.Context()).Endpoint
			})
			r := request("POST", "/", "", "X-Amz-Target", "AmazonSQS.X", "Authorization",
				"AWS4-HMAC-SHA256 Credential="+c.key+"/20260101/us-east-1/sqs/aws4_request")

			rt.ServeHTTP(httptest.NewRecorder(), r)

			if got != want {
				t.Errorf("%s: %s, want %s", c.key, got, want)
			}
		}
	}
}

// Whatever is allowed, a Host header is accepted only if it is a host, and maybe a port; what is in front of a name
// below which every name counts is a name itself.
func FuzzHosts(f *testing.F) {
	hosts := &Hosts{}
	hosts.AllowAddresses()
	for _, host := range []string{"mill", "*.lan", "*.s3.lan", "::1", "10.0.0.1"} {
		if err := hosts.Allow(host); err != nil {
			f.Fatal(err)
		}
	}
	for _, host := range []string{
		"mill:1", "a.lan", "a.s3.lan:80", "[::2]:1", "10.0.0.1", ".lan", "[", "a:b:c", "x.localhost", "[::1%25lo]", "",
	} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		accepted, prefix := hosts.Accepts(host), hosts.Prefix(host)
		if !accepted {
			return
		}
		if LocalHost(host) { // its own test says which
			return
		}
		name, ok := hostName(host)
		if !ok || prefix != "" && !IsHostName(prefix) {
			t.Errorf("%q is accepted; its name is %q, with %q in front", host, name, prefix)
		}
	})
}
