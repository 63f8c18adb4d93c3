package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/e2e"
)

// invocation is one call of a function, as the ledger saw it.
type invocation struct {
	id      string
	payload []byte
	records []e2e.Record
	ended   bool
}

// keys returns the set of its partition keys.
func (inv *invocation) keys() map[string]bool {
	out := map[string]bool{}
	for _, r := range inv.records {
		out[r.Key] = true
	}
	return out
}

// ledger is a witness within the test: the function that createFunction makes reports every invocation to it and does
// what it is told.
type ledger struct {
	url    string
	decide func(invocation) e2e.Order // called while the invocation waits; may block; nil: succeed

	mu       sync.Mutex
	all      []*invocation // in the order in which they began
	inFlight int
	peak     int
	ended    int
	busy     map[string]int  // keys of invocations in flight
	overlaps []string        // keys that were in two invocations at once
	done     map[string]bool // sequence numbers in invocations that have ended
}

func newLedger(t *testing.T, decide func(invocation) e2e.Order) *ledger {
	t.Helper()
	l := &ledger{decide: decide, busy: map[string]int{}, done: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /begin", func(w http.ResponseWriter, r *http.Request) {
		payload, err := io.ReadAll(r.Body)
		if err != nil {
			return // the function has gone
		}
		records, err := e2e.ParseEvent(payload)
		if err != nil {
			t.Errorf("the event does not parse: %v\n%s", err, payload)
		}
		inv := &invocation{id: r.Header.Get("Request-Id"), payload: payload, records: records}
		l.mu.Lock()
		l.all = append(l.all, inv)
		l.inFlight++
		l.peak = max(l.peak, l.inFlight)
		for key := range inv.keys() {
			if l.busy[key]++; l.busy[key] > 1 {
				l.overlaps = append(l.overlaps, key)
			}
		}
		l.mu.Unlock()
		var order e2e.Order
		if l.decide != nil {
			order = l.decide(*inv)
		}
		_ = json.NewEncoder(w).Encode(order) // a function that was killed needs none
	})
	mux.HandleFunc("POST /end", func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, inv := range l.all {
			if inv.id == r.Header.Get("Request-Id") && !inv.ended {
				inv.ended = true
				l.inFlight--
				l.ended++
				for key := range inv.keys() {
					l.busy[key]--
				}
				for _, r := range inv.records {
					l.done[r.Sequence] = true
				}
				return
			}
		}
		t.Errorf("invocation %s ends and has never begun", r.Header.Get("Request-Id"))
	})
	s := httptest.NewServer(mux)
	t.Cleanup(func() {
		s.CloseClientConnections() // of functions that still wait for an order
		s.Close()
	})
	l.url = s.URL
	return l
}

// counts returns how many invocations have begun and ended, and how many were in flight at most.
func (l *ledger) counts() (begun, ended, peak int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all), l.ended, l.peak
}

// processed returns how many records were in invocations that have ended.
func (l *ledger) processed() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.done)
}

// invocations returns a copy of what has been seen.
func (l *ledger) invocations() []invocation {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]invocation, len(l.all))
	for i, inv := range l.all {
		out[i] = *inv
	}
	return out
}

// overlapping lists keys that were in two invocations at once.
func (l *ledger) overlapping() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.overlaps...)
}

// data lists the data of every record delivered, in order, repeats included.
func (l *ledger) data() []string {
	var out []string
	for _, inv := range l.invocations() {
		for _, r := range inv.records {
			out = append(out, r.Data)
		}
	}
	return out
}
