package e2e_test

import (
	"bytes"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/api/wire/wiretest"
)

var goldens = flag.Bool("golden.record", false, "record the calls of real clients in api/kinesis/testdata anew")

// goldenDir is where the calls are kept, and played back by a test.
const goldenDir = "../api/kinesis/testdata"

// scribe stands between one client and a server, and writes down each call that the client has announced.
type scribe struct {
	t      *testing.T
	to     string // the server's endpoint
	client string
	next   string // the name of the call that comes
	turn   int
	masks  wiretest.Masks
}

// TestRecordGoldens is a tool: make golden runs it. A call is real in its request; the answer is ours, to be read like
// code when it changes.
func TestRecordGoldens(t *testing.T) {
	t.Parallel()
	if !*goldens {
		t.Skip("a tool, for make golden")
	}
	old, err := filepath.Glob(goldenDir + "/*/*.http")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range old {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	for client, story := range map[string]func(*testing.T, *server){
		"boto3": func(t *testing.T, s *server) {
			run(t, s, venv(t, "python3"), absolute(t, "testdata/goldens/story.py"))
		},
		"go": tellInGo,
		"java": func(t *testing.T, s *server) {
			java, args := jvm(t, "kcl3", nil, "Story")
			run(t, s, java, args...)
		},
	} {
		t.Run(client, func(t *testing.T) {
			s := start(t, newHome(t), "dev")
			scribe := &scribe{t: t, to: s.Endpoint, client: client}
			between := httptest.NewServer(scribe)
			defer between.Close()
			through := *s
			through.Endpoint = between.URL
			story(t, &through)
		})
	}
}

func run(t *testing.T, s *server, name string, args ...string) {
	t.Helper()
	if stdout, stderr, err := s.command(t, name, args...); err != nil {
		t.Errorf("%v\n%s\n%s", err, stdout, stderr)
	}
}

// ServeHTTP writes down the call that was announced; /announce?case=NAME announces the next one. A client makes one
// call at a time.
func (s *scribe) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/announce" {
		s.next = r.URL.Query().Get("case")
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
		return
	}
	out, err := http.NewRequestWithContext(r.Context(), r.Method, s.to+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return
	}
	out.Host, out.Header = r.Host, r.Header.Clone()
	resp, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Error(err)
		return
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if s.next == "" {
		s.t.Errorf("%s was not announced", operation)
	}
	s.turn++
	g := wiretest.Golden{
		Operation: operation, Client: s.client, Case: s.next, Turn: s.turn,
		Request: wiretest.Message{
			First: r.Method + " " + r.URL.RequestURI() + " HTTP/1.1", Header: kept(r.Header),
			Body: s.masks.Request(body),
		},
		Answer: wiretest.Message{
			First: "HTTP/1.1 " + resp.Status, Header: kept(resp.Header), Body: s.masks.Answer(answer),
		},
	}
	if err := g.Write(goldenDir); err != nil {
		s.t.Error(err)
	}
	s.next = ""
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(answer) // the client's own failure to read is its story's
}

// sameHeader makes values the same in every run that differ otherwise.
var sameHeader = map[string]func(string) string{
	"Authorization": func(v string) string {
		v = regexp.MustCompile(`Credential=([^/]+)/\d{8}/`).ReplaceAllString(v, "Credential=$1/20260101/")
		return regexp.MustCompile(`Signature=.*`).ReplaceAllString(v, "Signature=00")
	},
	"X-Amz-Date": func(string) string { return "20260101T000000Z" },
	"User-Agent": func(v string) string { first, _, _ := strings.Cut(v, " "); return first },
}

// kept returns a header as it is written down.
func kept(h http.Header) []string {
	same := http.Header{}
	for name, values := range h {
		for _, v := range values {
			if change := sameHeader[name]; change != nil {
				v = change(v)
			}
			same.Add(name, v)
		}
	}
	return wiretest.Kept(same)
}
