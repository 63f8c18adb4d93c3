package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func reading(text string) *connection {
	return &connection{r: bufio.NewReaderSize(strings.NewReader(text), 4096)}
}

func TestAnswersAreReadWithALengthAndInChunks(t *testing.T) {
	t.Parallel()
	c := reading(
		"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello" +
			"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" +
			"HTTP/1.1 202 Accepted\r\n\r\n",
	)
	for _, want := range []struct {
		status int
		body   string
	}{{200, "hello"}, {503, "abcde"}, {202, ""}} {
		status, body, err := c.answer()
		if status != want.status || string(body) != want.body || err != nil {
			t.Errorf("got %d %q %v instead of %v", status, body, err, want)
		}
	}
}

func TestAnswersThatAreNoHTTPAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "SSH-2.0\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
	} {
		if _, _, err := reading(text).answer(); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
	f.Add("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		_, body, err := reading(text).answer()
		if err == nil && len(body) > len(text) {
			t.Errorf("a body of %d bytes came out of %d", len(body), len(text))
		}
	})
}

func ledgerOf(t *testing.T, lines ...string) *ledger {
	t.Helper()
	g := &ledger{changed: make(chan struct{})}
	for _, l := range lines {
		g.note(l)
	}
	return g
}

func TestLedgerTakesBatchesThatDoNotOverlap(t *testing.T) {
	t.Parallel()
	g := ledgerOf(t, "b 2 3 shardId-1 10 19 4", "b 1 2 shardId-1 1 9 3", "b 5 9 shardId-2 5 12 2")

	if err := g.exactly(9); err != nil {
		t.Error(err)
	}
	first, last := g.span()
	if first.UnixNano() != 1 || last.UnixNano() != 9 {
		t.Errorf("from %d to %d", first.UnixNano(), last.UnixNano())
	}
}

func TestLedgerSeesLossRepeatsAndNonsense(t *testing.T) {
	t.Parallel()
	var loss *lossError
	if err := ledgerOf(t, "b 1 2 shardId-1 1 9 3").exactly(4); !errors.As(err, &loss) {
		t.Errorf("a lost record passed: %v", err)
	}
	if err := ledgerOf(t, "b 1 2 shardId-1 1 9 3", "b 1 2 shardId-1 9 12 3").exactly(6); err == nil ||
		errors.As(err, &loss) {
		t.Errorf("a repeat that makes up for a loss passed: %v", err)
	}
	if err := ledgerOf(t, "hello").wait(t.Context(), 1); err == nil {
		t.Error("nonsense passed")
	}
}

func TestRawLogHasAllBytesOfAllProducersOnReturn(t *testing.T) {
	t.Parallel()
	w, err := newRawLog(filepath.Join(t.TempDir(), "log"), true)
	if err != nil {
		t.Fatal(err)
	}

	err = together(8, func(i int) error { return w.append(bytes.Repeat([]byte{byte('a' + i)}, 100)) })

	b, rerr := os.ReadFile(w.f.Name())
	w.close()
	if err != nil || rerr != nil || len(b) != 800 {
		t.Fatalf("the file has %d bytes, %v, %v", len(b), err, rerr)
	}
	slices.Sort(b)
	for i := range 8 {
		if want := bytes.Repeat([]byte{byte('a' + i)}, 100); !bytes.Equal(b[i*100:i*100+100], want) {
			t.Errorf("producer %d's bytes are not all there", i)
		}
	}
}

func TestRateCountsWhatWentThroughAndStopsAtAnError(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	_, n, err := rate(3, time.Millisecond, func(int) (int, error) { calls.Add(1); return 10, nil })
	if n != 10*calls.Load() || err != nil {
		t.Errorf("counted %d in %d calls, %v", n, calls.Load(), err)
	}
	broken := errors.New("broken")
	if _, _, err := rate(2, time.Hour, func(int) (int, error) { return 0, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// The clock of a record starts when it is due, so records that pile up while a server stalls count against it.
func TestPaceDoesNotWaitForAnswers(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var dues []time.Time

	err := paced(t.Context(), 10_000, 50, 2, func(_, _ int, due time.Time) error {
		mu.Lock()
		defer mu.Unlock()
		dues = append(dues, due)
		return nil
	})

	slices.SortFunc(dues, time.Time.Compare)
	if err != nil || len(dues) != 50 || dues[49].Sub(dues[0]) != 49*100*time.Microsecond {
		t.Errorf("%d records, %v", len(dues), err)
	}
}

func TestBareServerHandsBodiesToALoopAndAnswersWhatItReturns(t *testing.T) {
	t.Parallel()
	b := &bare{work: make(chan job, 16)}
	loops, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = loops.Close() })
	go b.serveLoops(loops)
	front := httptest.NewServer(b.mux())
	t.Cleanup(front.Close)
	c, err := dial(loops.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	go func() { // a function that returns its payload in capitals
		for {
			_, body, err := c.call([]byte("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n"))
			if err != nil {
				return
			}
			body = bytes.ToUpper(body)
			if _, _, err := c.call(fmt.Appendf(
				nil, "POST /2018-06-01/runtime/invocation/1/response HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s",
				len(body), body,
			)); err != nil {
				return
			}
		}
	}()

	for path, want := range map[string]string{"/invoke": "HELLO", "/batches?n=3": "{}", "/sink": "{}", "/put": "{}"} {
		resp, err := http.Post(front.URL+path, "", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if string(got) != want || err != nil {
			t.Errorf("%s answered %q, %v", path, got, err)
		}
	}
}

func TestReadyMadeBatchIsAPayload(t *testing.T) {
	t.Parallel()
	var event struct {
		Records []struct {
			Kinesis struct {
				Data           []byte
				SequenceNumber string
			}
		}
	}

	err := json.Unmarshal(payload(3, func(i int) []byte { return []byte{byte(i)} }), &event)

	if err != nil || len(event.Records) != 3 || !bytes.Equal(event.Records[2].Kinesis.Data, []byte{2}) ||
		len(event.Records[2].Kinesis.SequenceNumber) != 56 {
		t.Errorf("got %+v, %v", event, err)
	}
}

func TestReaderSeesSequenceNumbersThatDoNotGrow(t *testing.T) {
	t.Parallel()
	r := &reader{}
	record := func(n string) []byte { return []byte(`{"SequenceNumber":"` + n + `"}`) }
	if err := r.ordered(append(record("11"), record("12")...)); err != nil {
		t.Error(err)
	}
	if err := r.ordered(record("12")); err == nil {
		t.Error("a repeat passed")
	}
}
