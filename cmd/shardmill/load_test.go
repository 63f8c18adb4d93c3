package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Records come due at their rate, the first one at once, and exactly rate × duration of them.
func TestRecordsComeDueAtTheirRate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		l       load
		elapsed time.Duration
		sent    int
		n       int
		done    bool
	}{
		{load{rate: 10}, 0, 0, 1, false},
		{load{rate: 10}, 99 * time.Millisecond, 1, 0, false},
		{load{rate: 10}, 100 * time.Millisecond, 1, 1, false},
		{load{rate: 10}, time.Hour, 1, 500, false},
		{load{rate: 10, count: 3}, time.Minute, 1, 2, false},
		{load{rate: 10, count: 3}, time.Minute, 3, 0, true},
		{load{rate: 10, duration: time.Second}, 999 * time.Millisecond, 9, 1, false},
		{load{rate: 10, duration: time.Second}, time.Second, 9, 1, false},
		{load{rate: 10, duration: time.Second}, time.Second, 10, 0, true},
		{load{rate: 5000, duration: time.Second}, time.Second, 4000, 500, true}, // too far behind to catch up
		{load{count: 10}, 0, 0, 10, false},
		{load{count: 10_000}, 0, 0, 500, false},
		{load{duration: time.Second}, 500 * time.Millisecond, 7, 500, false},
		{load{duration: time.Second}, time.Second, 7, 500, true},
		{load{data: strings.Repeat("x", 1<<20)}, 0, 0, 3, false}, // by bytes
	} {
		if n, done := c.l.due(c.elapsed, c.sent); n != c.n || done != c.done {
			t.Errorf("%.200v after %s and %d: %d, %v; want %d, %v", c.l, c.elapsed, c.sent, n, done, c.n, c.done)
		}
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{
		"500/s": 500, "500": 500, "30/m": 0.5, "0.5/s": 0.5, "1e3": 1000, "1000000/s": 1e6,
		"": -1, "0": -1, "-1/s": -1, "500/h": -1, "s": -1, "/s": -1, "NaN": -1, "Inf": -1, "1000001": -1, "5/s/s": -1,
	} {
		got, err := parseRate(text)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
}

// Only refused records are sent again; throttles are counted.
func TestRefusedRecordsAreSentAgain(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	taken := map[string]int{}
	calls := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		calls++
		var in struct{ Records []putEntry }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		if calls == 2 {
			w.WriteHeader(400)
			fmt.Fprint(w, `{"__type":"ProvisionedThroughputExceededException","message":"Rate exceeded"}`)
			return
		}
		var out []string
		for i, e := range in.Records {
			switch {
			case calls == 1 && i == 0:
				out = append(
					out, `{"ErrorCode":"ProvisionedThroughputExceededException","ErrorMessage":"Rate exceeded"}`,
				)
			case calls == 1 && i == 2:
				out = append(out, `{"ErrorCode":"InternalFailure","ErrorMessage":"Internal service failure."}`)
			default:
				taken[string(e.Data)]++
				out = append(out, `{"SequenceNumber":"1","ShardId":"s"}`)
			}
		}
		fmt.Fprintf(w, `{"Records":[%s]}`, strings.Join(out, ","))
	}))
	defer s.Close()
	cl := newClient(s.URL, wireAccount, "us-east-1")
	defer cl.http.CloseIdleConnections()
	l := load{data: "record {{n}}", keys: 3}
	var entries []putEntry
	for i := range 4 {
		e, err := l.entry(i + 1)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	p := &putter{cl: cl, stream: "orders"}
	if err := p.put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	got := p.tally
	if want := (tally{Records: 4, Throttled: 3, Resent: 4}); got != want || calls != 3 {
		t.Errorf("%d calls, %+v; want %+v", calls, got, want)
	}
	for i := range 4 {
		if n := taken[fmt.Sprintf("record %d", i+1)]; n != 1 {
			t.Errorf("record %d was taken %d times", i+1, n)
		}
	}
}

// Pauses double up to a second, start over after progress, and end when nothing is accepted at all.
func TestResendingIsGivenUp(t *testing.T) {
	t.Parallel()
	var r resend
	for i, want := range []time.Duration{50, 100, 200, 400, 800, 1000, 1000} {
		if pause, ok := r.after(i == 0); !ok || pause != want*time.Millisecond {
			t.Errorf("pause %d is %s, %v", i, pause, ok)
		}
	}
	if pause, ok := r.after(true); !ok || pause != resendPause {
		t.Errorf("with progress the pause is %s, %v", pause, ok)
	}
	n := 1
	for ok := true; ok; n++ {
		_, ok = r.after(false)
	}
	if n != resendTries {
		t.Errorf("given up after %d", n)
	}
}

// Progress has a bar if the load has an end, and mentions throttles and resent records.
func TestProgressOfALoad(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		l    load
		t    tally
		want string
	}{
		{load{}, tally{Records: 100, Seconds: 2}, "100 records in 2.0 s (50/s)"},
		{
			load{count: 200},
			tally{Records: 100, Seconds: 2},
			"[████████████············]  50 %  100 records in 2.0 s (50/s)",
		},
		{
			load{duration: 8 * time.Second},
			tally{Records: 9, Seconds: 2, Throttled: 3, Resent: 4},
			"[██████··················]  25 %  9 records in 2.0 s (4/s), 3 throttled, 4 sent again",
		},
		{load{count: 1}, tally{Records: 1}, "[████████████████████████] 100 %  1 record in 0.0 s (1000/s)"},
	} {
		if got := c.l.progress(c.t); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	var out bytes.Buffer
	at := time.Now()
	plain := &bar{t: terminal{w: &out}, shown: at}
	for i := range 11 {
		plain.show(fmt.Sprint(i), at.Add(time.Duration(i)*time.Second))
	}
	plain.end()
	if out.String() != "5\n10\n" {
		t.Errorf("elsewhere: %q", out.String())
	}
	out.Reset()
	live := &bar{t: terminal{w: &out}, live: true}
	live.show("a", at)
	live.show("b", at.Add(50*time.Millisecond))
	live.show("c", at.Add(100*time.Millisecond))
	live.end()
	if out.String() != "\r\x1b[Ka\r\x1b[Kc\r\x1b[K" {
		t.Errorf("on a terminal: %q", out.String())
	}
	out.Reset()
	narrow := &bar{t: terminal{w: &out}, live: true, width: 5}
	narrow.show("[██··]", at)
	if out.String() != "\r\x1b[K[██·" {
		t.Errorf("on a narrow terminal: %q", out.String())
	}
}
