package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/logstore"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/stream"
)

const token = "t0ken"

// world is everything that the control API sees of a server, which has one function, f, one mapping, m, of stream 7,
// and nothing measured.
type world struct {
	statuses []engine.MappingStatus
	ready    bool
	refuses  error // what Advance and Reset return
	asked    []string
	clock    *clock.Clock
	lines    []logstore.Event
	broken   error // how reading them ends
	chaos    []stream.ChaosState
}

func (w *world) Ready() bool            { return w.ready }
func (w *world) Usage() wire.Usage      { return wire.Usage{} }
func (w *world) Reach() Reach           { return Reach{Addresses: []string{"http://127.0.0.1:4566"}} }
func (w *world) Retries() (int64, bool) { return 3, true }

func (w *world) Advance(_ context.Context, by time.Duration) error {
	w.asked = append(w.asked, "advance "+by.String())
	return w.refuses
}

func (w *world) Reset(context.Context) error {
	w.asked = append(w.asked, "reset")
	return w.refuses
}

func (w *world) Backup(_ context.Context, to string) (BackupAnswer, error) {
	w.asked = append(w.asked, "backup "+to)
	return BackupAnswer{Data: "/data", To: to, Files: 3}, w.refuses
}

func (w *world) Lookup(ref function.Ref) (*function.Configuration, bool) {
	if ref.Name != "f" {
		return nil, false
	}
	return &function.Configuration{Ref: ref, LogGroup: "/aws/lambda/f"}, true
}

func (w *world) Named(string) []function.Ref { return nil }

func (w *world) All(context.Context) ([]mapping.Mapping, error) { return nil, nil }

func (w *world) LookupID(context.Context, uint32) (*stream.Info, bool, error) { return nil, false, nil }

func (w *world) Replay(
	context.Context, string, engine.ReplayRange, func(engine.Replayed),
) (string, error) {
	return "", fault.New(engine.CodeNoMapping, "there is no mapping m")
}

func (w *world) Exists(logstore.Group, string) error { return errors.New("nothing is there") }

func (w *world) Read(_ context.Context, _ logstore.Query, each func(logstore.Event) bool) error {
	for _, e := range w.lines {
		if !each(e) {
			return nil
		}
	}
	return w.broken
}

func (w *world) Write(function.Ref, string, string, []function.LogEvent) {}

func (w *world) Each(func(metric.ID, string, metric.Total)) {}

func (w *world) Statuses(context.Context) []engine.MappingStatus { return w.statuses }

func newWorld() *world { return &world{ready: true, clock: clock.New(0)} }

func (w *world) handler(dev bool) http.Handler { return New(w.options(dev)) }

func (w *world) options(dev bool) Options {
	return Options{
		Token: token, Dev: dev, Version: "v1", Began: time.Unix(0, 0), Clock: w.clock, Server: w, Functions: w,
		Mappings: w,
		Streams:  w, Chaos: w, Replayer: w, Logs: w, Sink: w, Metrics: w, Statuses: w,
	}
}

// do sends a request with the token, unless headers say otherwise.
func do(h http.Handler, method, path, body string, headers ...string) (status int, answer string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// Health and metrics need nothing, everything else the token of this start, whole.
func TestTheTokenOpensWhatIsNotHealth(t *testing.T) {
	t.Parallel()
	w := newWorld()
	h := w.handler(true)
	for _, path := range []string{PathLive, PathReady, PathMetrics} {
		if status, answer := do(h, "GET", path, "", "Authorization", ""); status != 200 {
			t.Errorf("%s without the token: %d %s", path, status, answer)
		}
	}
	for _, c := range []struct{ method, path string }{
		{"GET", PathClock},
		{"POST", PathClock},
		{"POST", PathReset},
		{"POST", PathReplay},
		{"POST", PathBackup},
		{"GET", PathLogs},
		{"GET", PathProfile},
		{"GET", PathProfile + "heap"},
	} {
		for _, given := range []string{
			"", "Bearer ", "Bearer " + token[:4], "Bearer " + token + "x", "Basic " + token, token,
		} {
			status, answer := do(h, c.method, c.path, "{}", "Authorization", given)
			if status != 401 || strings.Contains(answer, token) {
				t.Errorf("%s %s with %q: %d %s", c.method, c.path, given, status, answer)
			}
		}
		if status, answer := do(h, c.method, c.path, "{}"); status == 401 || status == 404 || status == 405 {
			t.Errorf("%s %s with the token: %d %s", c.method, c.path, status, answer)
		}
	}
	if len(w.asked) != 2 { // once each, with the token
		t.Errorf("the server was asked to %q", w.asked)
	}
	if status, _ := do(h, "GET", wire.ControlPrefix+"nothing", ""); status != 404 {
		t.Errorf("a path of nothing: %d", status)
	}
}

// A signature counts instead of the token, if it is admitted; a wrong token is not another signature.
func TestASignatureIsJudgedWhereThereIsNoToken(t *testing.T) {
	t.Parallel()
	w := newWorld()
	o := w.options(true)
	o.Admit = func(_ *http.Request, operation string) error {
		if operation == "ShowClock" {
			return nil
		}
		return fault.New("NoSuchKey", "for %s", operation)
	}
	h := New(o)
	for _, c := range []struct {
		method, path, given string
		status              int
		answer              string
	}{
		{"GET", PathClock, "AWS4-HMAC-SHA256 …", 200, ""},
		{"GET", PathLogs, "AWS4-HMAC-SHA256 …", 403, `{"message":"NoSuchKey: for ShowLogs"}`},
		{"GET", PathClock, "Bearer wrong", 401, ""},
		{"GET", PathClock, "", 401, ""},
	} {
		status, answer := do(h, c.method, c.path, "", "Authorization", c.given)
		if status != c.status || c.answer != "" && answer != c.answer {
			t.Errorf("%s %s with %q: %d %s", c.method, c.path, c.given, status, answer)
		}
	}
}

// failing is a body that the server has no memory for.
type failing struct{}

func (failing) Read([]byte) (int, error) {
	return 0, fault.New(fault.CodeUnavailable, "No memory.").WithStatus(503).WithHint("try again")
}

// A body that the server cannot take at the moment is not the caller's mistake, and the answer says what to do.
func TestABodyWithoutRoomIsToldFromAWrongOne(t *testing.T) {
	t.Parallel()
	h := newWorld().handler(true)
	for _, path := range []string{PathBackup, PathChaos, PathClock, PathReplay} {
		r := httptest.NewRequest("POST", path, failing{})
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 503 || w.Body.String() != `{"message":"No memory. try again."}` {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// A page in a browser gets nothing at all, with the token or without.
func TestPagesGetNothing(t *testing.T) {
	t.Parallel()
	w := newWorld()
	h := w.handler(true)
	for _, method := range []string{"GET", "POST"} {
		for _, path := range []string{PathLive, PathReady, PathMetrics, PathClock, PathLogs, PathReset} {
			for _, header := range []string{"Origin", "Sec-Fetch-Site"} {
				if status, _ := do(h, method, path, "", header, "cross-site"); status != 403 {
					t.Errorf("%s %s with %s: %d", method, path, header, status)
				}
			}
		}
	}
	if w.asked != nil {
		t.Errorf("the server was asked to %q", w.asked)
	}
}

func TestReadinessIsTheServers(t *testing.T) {
	t.Parallel()
	w := newWorld()
	h := w.handler(false)
	if status, answer := do(h, "GET", PathReady, ""); status != 200 || answer != `{"ready":true}` {
		t.Errorf("%d %s", status, answer)
	}
	w.ready = false
	if status, answer := do(h, "GET", PathReady, ""); status != 503 || answer != `{"ready":false}` {
		t.Errorf("%d %s", status, answer)
	}
	if status, answer := do(h, "GET", PathLive, ""); status != 200 || answer != `{"live":true}` {
		t.Errorf("%d %s", status, answer)
	}
}

// The clock moves forward by the requested time, only under dev; a failure has its own status.
func TestTheClockIsMovedAsItIsAsked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		dev     bool
		refuses error
		body    string
		status  int
		asked   string
	}{
		"forward":             {true, nil, `{"advanceMillis":1500}`, 200, "advance 1.5s"},
		"not at all":          {true, nil, `{"advanceMillis":0}`, 200, "advance 0s"},
		"back":                {true, nil, `{"advanceMillis":-1}`, 400, ""},
		"no number":           {true, nil, `{"advanceMillis":"1"}`, 400, ""},
		"by a century":        {true, nil, `{"advanceMillis":3153600000000}`, 200, "advance 876000h0m0s"},
		"by more":             {true, nil, `{"advanceMillis":3153600000001}`, 400, ""},
		"under serve":         {false, nil, `{"advanceMillis":1}`, 403, ""},
		"while work goes on":  {true, &Problem{409, "it stays"}, `{"advanceMillis":1}`, 409, "advance 1ms"},
		"with a broken store": {true, errors.New("disk"), `{"advanceMillis":1}`, 500, "advance 1ms"},
		"for too long":        {true, nil, `{"advanceMillis":1` + strings.Repeat(" ", 5000) + `}`, 400, ""},
	} {
		w := newWorld()
		w.refuses = c.refuses
		if status, answer := do(w.handler(c.dev), "POST", PathClock, c.body); status != c.status ||
			strings.Join(w.asked, ",") != c.asked {
			t.Errorf("%s: %d %s, asked to %q", name, status, answer, w.asked)
		}
	}
}

func TestResetIsForDev(t *testing.T) {
	t.Parallel()
	w := newWorld()
	if status, answer := do(w.handler(false), "POST", PathReset, ""); status != 403 || w.asked != nil {
		t.Errorf("%d %s", status, answer)
	}
	if status, answer := do(w.handler(true), "POST", PathReset, ""); status != 200 || answer != `{"reset":true}` {
		t.Errorf("%d %s", status, answer)
	}
	w.refuses = errors.New("disk")
	if status, answer := do(w.handler(true), "POST", PathReset, ""); status != 500 ||
		answer != `{"message":"reset: disk"}` {
		t.Errorf("%d %s", status, answer)
	}
}

// An error before the first line is a status; a later one is a line.
func TestLogsAreLines(t *testing.T) {
	t.Parallel()
	w := newWorld()
	h := w.handler(false)
	for query, want := range map[string]int{
		"": 400, "?function=a+b": 400, "?function=g": 404, "?function=f&since=x": 400,
	} {
		if status, answer := do(h, "GET", PathLogs+query, ""); status != want ||
			!strings.HasPrefix(answer, `{"message":`) {
			t.Errorf("%q: %d %s", query, status, answer)
		}
	}
	w.lines = []logstore.Event{{At: time.Unix(1, 0).UTC(), Stream: "s", Message: "one\n"}}
	w.broken = errors.New("disk")

	status, answer := do(h, "GET", PathLogs+"?function=f", "")

	var got []LogLine
	for d := json.NewDecoder(strings.NewReader(answer)); ; {
		var l LogLine
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%s: %v", answer, err)
		}
		got = append(got, l)
	}
	if status != 200 || len(got) != 2 || got[0].Message != "one" || got[0].Stream != "s" ||
		got[1].Message != "reading the log: disk" {
		t.Errorf("%d %s", status, answer)
	}
}

// The engine's sentences come with a status.
func TestAReplayOfNoMappingIsNotFound(t *testing.T) {
	t.Parallel()
	body := `{"mapping":"m","shard":"shardId-000000000000","from":"1","to":"2"}`
	if status, answer := do(newWorld().handler(false), "POST", PathReplay, body); status != 404 ||
		answer != `{"message":"there is no mapping m"}` {
		t.Errorf("%d %s", status, answer)
	}
	if status, _ := do(newWorld().handler(false), "POST", PathReplay, `{"mapping":"m"}`); status != 400 {
		t.Errorf("half a request: %d", status)
	}
}

// The page for Prometheus always shows the build, the requests and a durable store's troubles.
func TestMetricsTellOfTheProcess(t *testing.T) {
	t.Parallel()
	_, page := do(newWorld().handler(false), "GET", PathMetrics, "")
	for _, want := range []string{
		`shardmill_build_info{version="v1",go="`, "shardmill_store_retries_total 3\n",
		"shardmill_requests_under_way 0\n",
		"process_start_time_seconds 0\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is not on the page:\n%s", want, page)
		}
	}
}

// A backup goes to an absolute path, and says what it has copied; what the server refuses has its own status.
func TestABackupGoesToAnAbsolutePath(t *testing.T) {
	t.Parallel()
	w := newWorld()
	h := w.handler(false)
	for _, body := range []string{``, `{}`, `{"to":"here"}`, `{"to":5}`} {
		if status, answer := do(h, "POST", PathBackup, body); status != 400 || len(w.asked) != 0 {
			t.Errorf("%s: %d %s", body, status, answer)
		}
	}

	status, answer := do(h, "POST", PathBackup, `{"to":"/mnt/../mnt/monday/"}`)

	if status != 200 || answer != `{"data":"/data","to":"/mnt/monday","files":3,"bytes":0,"linked":0}` {
		t.Errorf("%d %s", status, answer)
	}
	w.refuses = &Problem{409, "not now"}
	if status, answer := do(h, "POST", PathBackup, `{"to":"/x"}`); status != 409 || answer != `{"message":"not now"}` {
		t.Errorf("%d %s", status, answer)
	}
}
