package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/shardmill/shardmill/e2e"
)

// history is what happened to one record, by the ledger's file.
type history struct {
	e2e.Record
	first, last int         // lives in which it was delivered for the first and the last time
	times       map[int]int // deliveries by life
	processed   int         // the first life in which an invocation with it succeeded; 0: none
}

// book is what the ledger's file says. A life is one run of a server, counted from 1.
type book struct {
	file *os.File
	rest []byte // of a line that is not complete

	life     int
	open     map[string]bool     // data of puts begun and not acknowledged, in this life
	running  map[string]e2e.Note // invocations begun and not ended, in this life, by id
	acks     int                 // in this life
	acked    map[string]e2e.Note // by data
	records  map[string]*history // what was delivered, by sequence number
	frontier map[string]string   // by key: the highest sequence number delivered
	wrong    []string            // what must not happen
}

func openBook(t *testing.T, path string) *book {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return &book{
		file: f, open: map[string]bool{}, running: map[string]e2e.Note{}, acked: map[string]e2e.Note{},
		records: map[string]*history{}, frontier: map[string]string{},
	}
}

// read takes in what the file has got since the last call.
func (b *book) read(t *testing.T) {
	t.Helper()
	more, err := io.ReadAll(b.file)
	if err != nil {
		t.Fatal(err)
	}
	b.rest = append(b.rest, more...)
	for {
		line, rest, complete := bytes.Cut(b.rest, []byte("\n"))
		if !complete {
			return
		}
		b.rest = rest
		var n e2e.Note
		if err := json.Unmarshal(line, &n); err != nil {
			t.Fatalf("the ledger holds %q: %v", line, err)
		}
		b.enter(n)
	}
}

func (b *book) enter(n e2e.Note) {
	switch n.Kind {
	case "life":
		b.life++
		b.acks = 0
		clear(b.open)
		clear(b.running)
	case "put":
		b.open[n.Data] = true
	case "ack":
		delete(b.open, n.Data)
		b.acks++
		b.acked[n.Data] = n
	case "begin":
		b.running[n.ID] = n
		for _, r := range n.Records {
			b.delivered(r)
		}
	case "end":
		begun, ok := b.running[n.ID]
		delete(b.running, n.ID)
		if !ok || n.Failed {
			return // of the life before, or in vain
		}
		for _, r := range begun.Records {
			if h := b.records[r.Sequence]; h.processed == 0 {
				h.processed = b.life
			}
		}
	}
}

// delivered enters one delivery. The first deliveries of a key must come in order of its sequence numbers; repeats are
// allowed where a crash explains them.
func (b *book) delivered(r e2e.Record) {
	h := b.records[r.Sequence]
	if h == nil {
		h = &history{Record: r, first: b.life, times: map[int]int{}}
		b.records[r.Sequence] = h
		if compareSequence(r.Sequence, b.frontier[r.Key]) <= 0 {
			b.wrong = append(
				b.wrong,
				fmt.Sprintf(
					"life %d: key %s: %s came for the first time after %s", b.life, r.Key, r.Sequence,
					b.frontier[r.Key],
				),
			)
		}
		b.frontier[r.Key] = r.Sequence
	}
	if h.Data != r.Data || h.Key != r.Key || h.Shard != r.Shard {
		b.wrong = append(b.wrong, fmt.Sprintf("life %d: %s was %+v and is now %+v", b.life, r.Sequence, h.Record, r))
	}
	h.last = b.life
	h.times[b.life]++
}
