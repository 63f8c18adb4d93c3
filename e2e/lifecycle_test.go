package e2e_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/shardmill/shardmill/e2e"
	"github.com/shardmill/shardmill/internal/eventually"
)

// held returns a ledger whose invocations wait until they are let go.
func held(t *testing.T) (l *ledger, letGo func()) {
	gate := make(chan struct{})
	l = newLedger(t, func(invocation) e2e.Order {
		select {
		case <-gate:
		case <-t.Context().Done():
		}
		return e2e.Order{}
	})
	return l, func() { close(gate) }
}

// SIGTERM drains: no new invocation starts, the one in flight ends, its checkpoint is saved, and the exit code is 0.
// The next start goes on behind it.
func TestSIGTERMLetsTheInvocationInFlightEndAndSavesWhatItDid(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	l, letGo := held(t)
	s := start(t, h, "serve", "--data", h.path("data"))
	c := s.clients()
	c.createStream(t, "orders", 1)
	c.createFunction(t, "orders", l.url)
	c.createMapping(t, "orders", lambda.CreateEventSourceMappingInput{BatchSize: aws.Int32(1)})
	c.put(t, "orders", "k", "first")
	eventually.Reaches(t, "an invocation in flight", func() (bool, string) {
		begun, _, _ := l.counts()
		return begun == 1, fmt.Sprint(begun, " begun")
	})
	c.put(t, "orders", "k", "second")

	s.signal(t, syscall.SIGTERM)
	eventually.Reaches(t, "the server saying that it stops", func() (bool, string) {
		out := s.stdout.String()
		return strings.Contains(
			out, "stopping: waiting for invocations in flight; interrupt again to leave at once",
		), tail(out)
	})
	if !s.running() {
		t.Fatal("the server has left an invocation in flight behind")
	}
	letGo()
	code := s.wait(t)

	if code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if begun, ended, _ := l.counts(); begun != 1 || ended != 1 {
		t.Errorf("%d invocations begun and %d ended, want the one that was in flight and no other", begun, ended)
	}
	if _, err := os.Stat(h.path("ready.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the ready file is still there (%v): it says that a server answers", err)
	}
	start(t, h, "serve", "--data", h.path("data"))
	eventually.Reaches(t, "the second record", func() (bool, string) {
		got := l.data()
		return slices.Contains(got, "second"), fmt.Sprint(got)
	})
	if got := l.data(); !slices.Equal(got, []string{"first", "second"}) {
		t.Errorf("delivered %q, want each record once, because the drain saved the checkpoint", got)
	}
}

// A second signal leaves at once with 130. Nothing is lost: the record comes again at the next start.
func TestASecondSignalLeavesAtOnceAndLosesNothing(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	l, letGo := held(t)
	s := start(t, h, "serve", "--data", h.path("data"))
	c := s.clients()
	c.createStream(t, "orders", 1)
	c.createFunction(t, "orders", l.url)
	c.createMapping(t, "orders", lambda.CreateEventSourceMappingInput{BatchSize: aws.Int32(1)})
	c.put(t, "orders", "k", "first")
	eventually.Reaches(t, "an invocation in flight", func() (bool, string) {
		begun, _, _ := l.counts()
		return begun == 1, fmt.Sprint(begun, " begun")
	})
	s.signal(t, syscall.SIGINT)
	eventually.Reaches(t, "the server saying that it stops", func() (bool, string) {
		return strings.Contains(s.stdout.String(), "stopping:"), tail(s.stdout.String())
	})

	s.signal(t, syscall.SIGINT)
	code := s.wait(t)

	if code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	letGo()
	start(t, h, "serve", "--data", h.path("data"))
	eventually.Reaches(t, "the record again", func() (bool, string) {
		begun, _, _ := l.counts()
		return begun == 2, fmt.Sprint(begun, " begun")
	})
	if got := l.data(); !slices.Equal(got, []string{"first", "first"}) {
		t.Errorf("delivered %q, want the record again", got)
	}
}

// refusal returns a server that must not start: it returns its exit code and what it says.
func refusal(t *testing.T, h home, args ...string) (code int, said string) {
	t.Helper()
	p := launch(t, h, nil, shardmill(t), args...)
	code = p.wait(t)
	if out := p.stdout.String(); out != "" {
		t.Errorf("standard output is %q, want nothing: errors go to standard error", out)
	}
	return code, p.stderr.String()
}

// A clock that was moved goes with its data: dev resumes it, serve refuses it, reset puts it back.
func TestAMovedClockStaysWithItsData(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	data := h.path("data")
	s := start(t, h, "dev", "--data", data)
	s.clients().createStream(t, "orders", 1)
	s.advance(t, 36*time.Hour)
	s.signal(t, syscall.SIGTERM)
	if code := s.wait(t); code != 0 {
		t.Fatalf("exit code %d, want 0", code)
	}

	code, said := refusal(t, h, "serve", "--data", data, "--port", "0", "--min-free", "64MiB")
	want := "error: the data directory " + data +
		": its clock was moved forward by 36h0m0s, and serve runs on real time\nhint: open it with: shardmill dev --data " +
		data + "\n"
	if code != 4 || said != want {
		t.Errorf("serve: exit code %d, %q; want 4, %q", code, said, want)
	}

	s = start(t, h, "dev", "--data", data)
	if got := s.control(t, "GET", "clock", ""); !strings.Contains(got.body, `"offsetMillis":129600000`) {
		t.Errorf("dev: the clock says %s, want the offset of 36 h again", got.body)
	}
	if got := s.control(t, "POST", "reset", ""); got.status != 200 || got.body != "{\"reset\":true}\n" &&
		got.body != `{"reset":true}` {
		t.Errorf("reset: %d %q", got.status, got.body)
	}
	names, err := s.clients().kinesis.ListStreams(t.Context(), &kinesis.ListStreamsInput{})
	if err != nil || len(names.StreamNames) != 0 {
		t.Errorf("after a reset the streams are %v (%v), want none", names, err)
	}
	if got := s.control(t, "GET", "clock", ""); !strings.Contains(got.body, `"offsetMillis":0`) {
		t.Errorf("after a reset the clock says %s, want no offset", got.body)
	}
	s.signal(t, syscall.SIGTERM)
	s.wait(t)
	start(t, h, "serve", "--data", data) // real time again
}

// serve runs on real time and keeps what it has: it neither moves its clock nor forgets.
func TestServeNeitherMovesItsClockNorResets(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	s := start(t, h, "serve", "--data", h.path("data"))
	for _, c := range []struct{ path, body, want string }{
		{"clock", `{"advanceMillis":1}`, "serve runs on real time; the clock can be moved under shardmill dev"},
		{"reset", ``, "reset deletes everything, so it works under shardmill dev only"},
	} {
		if got := s.control(t, "POST", c.path, c.body); got.status != 403 || got.message(t) != c.want {
			t.Errorf("%s: %d %s, want 403 %s", c.path, got.status, got.body, c.want)
		}
	}
}

// One data directory has one process. The second one says so and leaves the first one alone.
func TestADataDirectoryInUseIsRefused(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	data := h.path("data")
	first := start(t, h, "serve", "--data", data)

	code, said := refusal(t, h, "serve", "--data", data, "--port", "0", "--min-free", "64MiB")

	if code != 4 ||
		!strings.HasPrefix(
			said, "error: the data directory "+data+": in use by another process: end it, or choose another directory",
		) {
		t.Errorf("exit code %d, %q; want 4 and that another process uses it", code, said)
	}
	if strings.Count(said, data) != 1 {
		t.Errorf("%q names the directory more than once", said)
	}
	first.clients().createStream(t, "orders", 1) // it is not disturbed
}

// A directory with other people's files in it is not taken over.
func TestAForeignDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	data := h.path("photos")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "holiday.jpg"), []byte("…"), 0o600); err != nil {
		t.Fatal(err)
	}

	code, said := refusal(t, h, "serve", "--data", data, "--port", "0", "--min-free", "64MiB")

	want := "error: the data directory " + data +
		": it holds other files and is no data directory of shardmill (holiday.jpg)\nhint: name an empty directory or a new one: --data DIR\n"
	if code != 4 || said != want {
		t.Errorf("exit code %d, %q; want 4, %q", code, said, want)
	}
	if entries, err := os.ReadDir(data); err != nil || len(entries) != 1 {
		t.Errorf("the directory holds %v now, want what it held", entries)
	}
}

func TestAPortInUseIsRefused(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	port := l.Addr().(*net.TCPAddr).Port

	code, said := refusal(t, newHome(t), "dev", "--port", fmt.Sprint(port))

	want := fmt.Sprintf(
		"error: port %d is in use\nhint: another shardmill or emulator runs there; stop it, or choose another port: --port 4567 (0 takes any free one)\n",
		port,
	)
	if code != 5 || said != want {
		t.Errorf("exit code %d, %q; want 5, %q", code, said, want)
	}
}
