package e2e_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// recorder stands between clients and a server, forwards what they send as it came, over the same version of HTTP, and
// keeps which operations they call with which members.
type recorder struct {
	to        atomic.Pointer[url.URL] // the server
	mu        sync.Mutex
	members   map[string]map[string]bool // by "service operation"
	protocols map[string]bool            // "HTTP/2.0 application/x-amz-cbor-1.1"
}

// recorded returns s as clients see it that go by a new recorder.
func (s *server) recorded(t *testing.T) (*server, *recorder) {
	t.Helper()
	return s.recordedOver(t, (*httptest.Server).Start)
}

// recordedOver is recorded with a listener that start opens: httptest.Server's StartTLS is for clients that know only
// TLS.
func (s *server) recordedOver(t *testing.T, start func(*httptest.Server)) (*server, *recorder) {
	t.Helper()
	r := &recorder{members: map[string]map[string]bool{}, protocols: map[string]bool{}}
	r.forward(t, s)
	h2 := &http.Transport{Protocols: new(http.Protocols)}
	h2.Protocols.SetUnencryptedHTTP2(true)
	one := &http.Transport{MaxIdleConnsPerHost: 64}
	forward := func(transport http.RoundTripper) http.Handler {
		return &httputil.ReverseProxy{
			Transport: transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0), // a server that was killed
			Rewrite: func(p *httputil.ProxyRequest) {
				p.SetURL(r.to.Load())
				p.Out.Host = p.In.Host // signed
			},
		}
	}
	alike := map[int]http.Handler{1: forward(one), 2: forward(h2)}
	proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return // the client has gone
		}
		r.note(req, body)
		req.Body = io.NopCloser(bytes.NewReader(body))
		alike[req.ProtoMajor].ServeHTTP(w, req)
	}))
	proxy.Config.Protocols = new(http.Protocols)
	proxy.Config.Protocols.SetHTTP1(true)
	proxy.Config.Protocols.SetUnencryptedHTTP2(true)
	start(proxy)
	t.Cleanup(func() {
		proxy.CloseClientConnections()
		proxy.Close()
		one.CloseIdleConnections()
		h2.CloseIdleConnections()
	})
	through := *s
	through.Endpoint = proxy.URL
	return &through, r
}

// forward has further requests go to s, which may be the same server after a restart.
func (r *recorder) forward(t *testing.T, s *server) {
	t.Helper()
	to, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	r.to.Store(to)
}

var scopePattern = regexp.MustCompile(`Credential=[^/]+/[0-9]+/[^/]+/([^/]+)/aws4_request`)

// note keeps what a request asks for.
func (r *recorder) note(req *http.Request, body []byte) {
	service := "?"
	if m := scopePattern.FindStringSubmatch(req.Header.Get("Authorization")); m != nil {
		service = m[1]
	}
	if req.Header.Get("Content-Encoding") == "gzip" {
		if z, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, _ = io.ReadAll(z)
		}
	}
	content := req.Header.Get("Content-Type")
	operation, members := req.Method+" "+req.URL.Path, map[string]any{}
	if _, target, ok := strings.Cut(req.Header.Get("X-Amz-Target"), "."); ok {
		operation = target
		if strings.Contains(content, "cbor") {
			_ = cbor.Unmarshal(body, &members) // a client's own test says whether its body is any good
		} else {
			_ = json.Unmarshal(body, &members)
		}
	} else if form, err := url.ParseQuery(string(body)); err == nil && form.Has("Action") {
		operation = form.Get("Action")
		for name := range form {
			if name, _, _ = strings.Cut(name, "."); name != "Action" && name != "Version" {
				members[name] = nil
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.protocols[req.Proto+" "+content] = true
	key := service + " " + operation
	if r.members[key] == nil {
		r.members[key] = map[string]bool{}
	}
	for name := range members {
		r.members[key][name] = true
	}
}

// rows returns what was recorded, as docs/compat/clients.md writes it.
func (r *recorder) rows() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var rows []string
	for _, key := range slices.Sorted(maps.Keys(r.members)) {
		service, operation, _ := strings.Cut(key, " ")
		members := strings.Join(slices.Sorted(maps.Keys(r.members[key])), ", ")
		rows = append(rows, fmt.Sprintf("| %s | %s | %s |", service, operation, members))
	}
	return rows
}

// spoke reports whether a request came in this version of HTTP with this type of body.
func (r *recorder) spoke(protocol string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.protocols[protocol]
}

// listed checks that docs/compat/clients.md lists, under the heading of a client, every call that it made, with every
// member that it sent.
func (r *recorder) listed(t *testing.T, client string) {
	t.Helper()
	page, err := os.ReadFile("../docs/compat/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(page), "\n## "+client+"\n")
	if !ok {
		t.Errorf("docs/compat/clients.md has no part on %q; it called\n%s", client, strings.Join(r.rows(), "\n"))
		return
	}
	section, _, _ = strings.Cut(section, "\n## ")
	known := map[string][]string{}
	for line := range strings.Lines(section) {
		if cells := strings.Split(strings.TrimSpace(line), "|"); len(cells) >= 5 {
			key := strings.TrimSpace(cells[1]) + " " + strings.TrimSpace(cells[2])
			known[key] = strings.FieldsFunc(cells[3], func(c rune) bool { return c == ' ' || c == ',' })
		}
	}
	for _, row := range r.rows() {
		cells := strings.Split(row, "|")
		have, ok := known[strings.TrimSpace(cells[1])+" "+strings.TrimSpace(cells[2])]
		for name := range strings.FieldsFuncSeq(cells[3], func(c rune) bool { return c == ' ' || c == ',' }) {
			ok = ok && slices.Contains(have, name)
		}
		if !ok {
			t.Errorf("docs/compat/clients.md does not list under %q all of\n%s", client, row)
		}
	}
}
