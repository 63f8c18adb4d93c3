// Command ledger FILE is the witness of the kill tests: a process that outlives every server. Producers and functions
// tell it what they do, over HTTP on loopback, and it answers once that is appended to FILE and synced. It prints its
// address.
//
// POST /note takes an e2e.Note. POST /begin and POST /end are what testdata/handler calls; batches that hold a poison
// record are ordered to fail.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/shardmill/shardmill/e2e"
)

// workMillis is how long an invocation is busy, so that a kill finds one running.
const workMillis = 40

type line struct {
	text  []byte
	saved chan struct{}
}

type ledger struct {
	lines chan line

	mu       sync.Mutex
	poisoned map[string]bool // invocations that will fail, by request id
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	l := &ledger{lines: make(chan line, 256), poisoned: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /note", l.note)
	mux.HandleFunc("POST /begin", l.begin)
	mux.HandleFunc("POST /end", l.end)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() { failed <- l.save(f) }()
	go func() { failed <- http.Serve(listener, mux) }()
	fmt.Println(listener.Addr())
	return <-failed
}

// save writes what has come since the last sync, syncs once, and tells everybody.
func (l *ledger) save(f *os.File) error {
	for first := range l.lines {
		group := []line{first}
		for range len(l.lines) {
			group = append(group, <-l.lines)
		}
		var b bytes.Buffer
		for _, ln := range group {
			b.Write(append(ln.text, '\n'))
		}
		if _, err := f.Write(b.Bytes()); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		for _, ln := range group {
			close(ln.saved)
		}
	}
	return nil
}

func (l *ledger) keep(n e2e.Note) error {
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	ln := line{text, make(chan struct{})}
	l.lines <- ln
	<-ln.saved
	return nil
}

func (l *ledger) note(w http.ResponseWriter, r *http.Request) {
	var n e2e.Note
	if err := json.NewDecoder(r.Body).Decode(&n); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer(w, l.keep(n), nil)
}

func (l *ledger) begin(w http.ResponseWriter, r *http.Request) {
	event, err := io.ReadAll(r.Body)
	if err != nil {
		return // the function has gone
	}
	records, err := e2e.ParseEvent(event)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	id, order := r.Header.Get("Request-Id"), e2e.Order{WorkMillis: workMillis}
	if e2e.Poisoned(records) {
		order.Fail = "a poison record"
	}
	l.mu.Lock()
	l.poisoned[id] = order.Fail != ""
	l.mu.Unlock()
	answer(w, l.keep(e2e.Note{Kind: "begin", ID: id, Records: records}), order)
}

func (l *ledger) end(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("Request-Id")
	l.mu.Lock()
	failed := l.poisoned[id]
	l.mu.Unlock()
	answer(w, l.keep(e2e.Note{Kind: "end", ID: id, Failed: failed}), nil)
}

func answer(w http.ResponseWriter, err error, v any) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(v) // a client that has gone needs no answer
}
