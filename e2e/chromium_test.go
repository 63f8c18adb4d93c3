package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/api/wire/wiretest"
	"github.com/shardmill/shardmill/internal/eventually"
)

// chromium returns the browser. Its names differ from system to system.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{
		"chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
		"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
		"/Applications/Chromium.app/Contents/MacOS/Chromium",
	} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal(
		"chromium is missing; install it with: sudo apt-get install -y chromium (macOS: brew install --cask chromium)",
	)
	return ""
}

// browse opens a page in a Chromium without a window, of which nothing is left when the test ends. Its temporary files
// are not in the test's folder: it opens a socket among them, whose path has 108 bytes at most, 104 on macOS.
func browse(t *testing.T, h home, args ...string) *process {
	t.Helper()
	tmp, err := os.MkdirTemp("/tmp", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(tmp) }) // after its end: cleanups run in reverse
	return launch(t, h, []string{"TMPDIR=" + tmp}, chromium(t), append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
		"--no-default-browser-check", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--disable-default-apps", "--disable-extensions", "--disable-domain-reliability",
		"--disable-breakpad", "--metrics-recording-only", "--disable-popup-blocking",
		"--user-data-dir=" + h.path("home"),
	}, args...)...)
}

// comesFrom returns what a browser's page sends, and fails at once when the browser ends before.
func comesFrom[T any](t *testing.T, browser *process, what string, c <-chan T) (v T) {
	t.Helper()
	came := make(chan bool, 1)
	go func() {
		select {
		case v = <-c:
			came <- true
		case <-browser.ended:
			came <- false
		}
	}()
	if !eventually.Comes(t, what, came) {
		t.Fatalf("%s does not come: the browser has ended", what)
	}
	return v
}

// passage is a way to the server that remembers what came along it.
type passage struct {
	base string
	mu   sync.Mutex
	// of each request that arrived: method, path with query, Sec-Fetch-Site, and the status of its answer
	seen  []string
	sites map[string]bool
}

// openPassage leads to the server. A silent one takes away what a browser says about the page, as browsers do that do
// not say it.
func openPassage(t *testing.T, s *server, silent bool) *passage {
	t.Helper()
	to, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p := &passage{sites: map[string]bool{}}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host // as the browser says it
			if silent {
				for _, name := range []string{
					"Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-Fetch-User",
				} {
					r.Out.Header.Del(name)
				}
			}
		},
		ModifyResponse: func(resp *http.Response) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			r := resp.Request
			p.seen = append(p.seen, fmt.Sprint(r.Method, " ", r.URL.RequestURI(), " ", resp.StatusCode))
			return nil
		},
	}
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.sites[r.Header.Get("Sec-Fetch-Site")] = true
		p.mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(door.Close)
	p.base = door.URL
	return p
}

func (p *passage) arrived() (seen []string, sites map[string]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sites = map[string]bool{}
	for s := range p.sites {
		sites[s] = true
	}
	return slices.Clone(p.seen), sites
}

// shot is an act at an address, as the page gets it.
type shot struct{ Method, URL, Type, Body string }

// page fires every shot in every way that needs no permission, and those that need one as well. It tells its own server
// when all have gone out and come back.
const page = `<!doctype html><body><script type="module">
const shots = SHOTS, waits = [];
const settled = (e, ok, bad) => waits.push(new Promise(r => { e.addEventListener(ok, r); e.addEventListener(bad, r); setTimeout(r, 4000); }));
const put = (tag, set) => { const e = document.createElement(tag); settled(e, 'load', 'error'); set(e); document.body.append(e); };
const form = (s, url, method, type) => {
  const name = 'f' + waits.length;
  put('iframe', e => { e.name = name; });
  const f = document.createElement('form');
  Object.assign(f, {action: url, method, enctype: type, target: name});
  const pairs = type === 'text/plain' ? [[s.Body, '']] : [...new URLSearchParams(method === 'get' ? new URL(url).search : s.Body)];
  for (const [k, v] of pairs) { const i = document.createElement('input'); Object.assign(i, {type: 'hidden', name: k, value: v}); f.append(i); }
  document.body.append(f);
  waits.push(new Promise(r => setTimeout(r, 1000)));
  f.submit();
};
const tryAll = (url, init) => waits.push(fetch(url, init).catch(() => 0));
for (const s of shots) {
  const type = s.Type.split(';')[0] || 'text/plain';
  if (s.Method === 'GET') {
    put('img', e => { e.src = s.URL; });
    put('script', e => { e.src = s.URL + '&by=script'; });
    put('link', e => { e.rel = 'stylesheet'; e.href = s.URL + '&by=style'; });
    put('iframe', e => { e.src = s.URL + '&by=frame'; });
    form(s, s.URL, 'get', 'application/x-www-form-urlencoded');
    new EventSource(s.URL + '&by=events').onerror = e => e.target.close();
  } else if (s.Method === 'POST') {
    form(s, s.URL, 'post', type);
    navigator.sendBeacon(s.URL, new Blob([s.Body], {type}));
    const x = new XMLHttpRequest(); x.open('POST', s.URL); x.setRequestHeader('Content-Type', type); x.send(s.Body);
    const a = document.createElement('a'); a.href = '#'; a.ping = s.URL; document.body.append(a); a.click();
  }
  const body = s.Method === 'POST' ? s.Body : undefined;
  tryAll(s.URL, {method: s.Method, mode: 'no-cors', body, headers: body ? {'Content-Type': type} : {}, referrerPolicy: 'no-referrer'});
  tryAll(s.URL, {method: s.Method, mode: 'cors', body, headers: {'Authorization': 'AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/sqs/aws4_request', 'X-Amz-Target': 'AmazonSQS.PurgeQueue'}});
}
await Promise.all(waits);
await fetch('/done', {method: 'POST', body: String(shots.length)});
if (location.hostname === '127.0.0.1') location.hostname = 'localhost'; // and again, as a page of another site
</script>`

// Chromium sends what the pages of other ports and other sites make it send, and no service serves any of it: with what
// it says about the page, and without. Every service of the server's own list is tried. Nothing that the browser does
// leaves loopback.
func TestAPageInChromiumChangesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev")
	calls := func(of []wiretest.Call) (answers []string) {
		for _, c := range of {
			a := send(t, http.DefaultClient, c.Method, s.Endpoint+c.Path, c.Body, c.Header())
			if a.status != 200 {
				t.Fatalf("%s: %d %s", c.Service, a.status, a.body)
			}
			answers = append(answers, a.body)
		}
		return answers
	}
	calls(wiretest.Victims)
	before := wiretest.Seen(calls(wiretest.Holdings))
	speaking, silent := openPassage(t, s, false), openPassage(t, s, true)
	var shots []shot
	for _, service := range servicesOf(t, s) {
		if len(wiretest.Acts[service]) == 0 {
			t.Errorf("no act of a page is tried on %s", service)
		}
		for _, a := range wiretest.Acts[service] {
			for _, p := range []*passage{speaking, silent} {
				shots = append(shots, shot{a.Method, p.base + a.Path, a.ContentType, a.Body})
			}
		}
	}
	fired, err := json.Marshal(shots)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan string, 2)
	own := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/done" {
			n, _ := io.ReadAll(r.Body)
			done <- string(n)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, strings.ReplaceAll(page, "SHOTS", string(fired)))
	}))
	t.Cleanup(own.Close)
	h := newHome(t)
	b := browse(t, h,
		// nothing listens on the port of discard; loopback needs no proxy
		"--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost", "--proxy-server=127.0.0.1:9",
		own.URL)
	for range 2 { // a page of another port of this host, and then one of another site
		if n := comesFrom(t, b, "the end of a page", done); n != fmt.Sprint(len(shots)) {
			t.Errorf("a page fired %s shots, want %d", n, len(shots))
		}
	}

	for name, c := range map[string]struct {
		passage *passage
		answers []string
	}{
		"what says who sends": {speaking, []string{"403"}},
		// what means no service in particular is refused in other ways
		"what does not": {silent, []string{"400", "403", "404", "501"}},
	} {
		seen, sites := c.passage.arrived()
		if !sites["same-site"] || !sites["cross-site"] || len(seen) < len(shots) {
			t.Errorf("%s: %d requests of %v came along, want those of both pages", name, len(seen), sites)
		}
		for _, line := range seen {
			if !slices.Contains(c.answers, line[strings.LastIndexByte(line, ' ')+1:]) {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
	if after := wiretest.Seen(calls(wiretest.Holdings)); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// servicesOf are the names of the server's services, which it gives when it is asked for another one.
func servicesOf(t *testing.T, s *server) []string {
	t.Helper()
	a := send(t, http.DefaultClient, "POST", s.Endpoint+"/", "{}", map[string]string{
		"X-Amz-Target": "secretsmanager.GetSecretValue",
	})
	m := regexp.MustCompile(`it has ([a-z0-9, ]+)\.`).FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("the server does not say what it has: %s", a.body)
	}
	return strings.Split(m[1], ", ")
}
