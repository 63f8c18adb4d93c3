// Package book is the account that both simulators keep of a shard: what truly became of every record, whatever any
// machine believes. It shares no code with the core. Imported by tests only.
package book

import (
	"slices"
	"time"

	"github.com/shardmill/shardmill/record"
)

// Book is the account of one shard. The zero value is empty and ready for use. Not safe for concurrent use.
type Book struct {
	Records []*Entry // in order of position
	places  map[record.Position]*Entry
}

// Entry is what became of one record.
type Entry struct {
	Pos     record.Position
	Key     byte          // the first byte of its hash key; the others are zero
	Own     record.Millis // when it arrived
	Arrival record.Millis // the largest up to this record: age and windows go by it
	Size    int           // bytes that it adds to a payload
	Poison  bool          // the function never gets over it

	Done    bool // the function has processed it
	Noticed bool // a notice that names it is at the destination
	Dropped bool // given up without a notice, as configured or after three refusals
	Lost    bool // retention took it before anything else happened
	Out     bool // a machine was given it under a filter that it does not pass

	Windowed bool // the function has aggregated it in a window
	Plain    bool // the function has processed it without one
	Reported bool // the end of a window has brought the function a state with it
	Excused  bool // the state with it was given up, as configured, or outgrew its limit; or it was lost after all
}

// Settled reports whether the record has come to an end: no promise about it is open.
func (e *Entry) Settled() bool { return e.Done || e.Noticed || e.Dropped || e.Lost || e.Out }

// Age is how old the record is at now.
func (e *Entry) Age(now time.Time) time.Duration { return now.Sub(e.Arrival.Time()) }

// Accept enters a record that was put. size is what it adds to a payload, in bytes. Records may be entered in any
// order; one that is entered already stays as it is.
func (b *Book) Accept(r *record.Record, size int, poison bool) *Entry {
	if e := b.places[r.Pos]; e != nil {
		return e
	}
	if b.places == nil {
		b.places = map[record.Position]*Entry{}
	}
	e := &Entry{Pos: r.Pos, Key: r.Hash[0], Own: r.Arrival, Size: size, Poison: poison}
	i, _ := slices.BinarySearchFunc(b.Records, e.Pos, byPosition)
	b.Records = slices.Insert(b.Records, i, e)
	b.places[e.Pos] = e
	newest := record.Millis(0)
	if i > 0 {
		newest = b.Records[i-1].Arrival
	}
	for _, e := range b.Records[i:] {
		newest = max(newest, e.Own)
		e.Arrival = newest
	}
	return e
}

func byPosition(e *Entry, p record.Position) int {
	switch {
	case e.Pos < p:
		return -1
	case e.Pos > p:
		return 1
	}
	return 0
}

// From is the entries from p on, in order of position.
func (b *Book) From(p record.Position) []*Entry {
	i, _ := slices.BinarySearchFunc(b.Records, p, byPosition)
	return b.Records[i:]
}

// At is the entry of the record at p; nil when there is none.
func (b *Book) At(p record.Position) *Entry { return b.places[p] }

// Succeeded notes that the function has processed records, in a tumbling window or without one.
func (b *Book) Succeeded(ps []record.Position, windowed bool) {
	for _, p := range ps {
		e := b.places[p]
		e.Done = true
		e.Windowed, e.Plain = e.Windowed || windowed, e.Plain || !windowed
	}
}

// Noticed notes that a notice which names records is at the destination.
func (b *Book) Noticed(ps []record.Position) {
	for _, p := range ps {
		b.places[p].Noticed = true
	}
}

// Trim notes that retention has taken every record below oldest.
func (b *Book) Trim(oldest record.Position) {
	for _, e := range b.Records {
		if e.Pos < oldest && !e.Settled() {
			e.Lost = true
		}
	}
}

// Unsettled finds the first record up to p that is not settled, is not one of but, and whose key is key; with any the
// key does not matter. It returns nil when there is none.
func (b *Book) Unsettled(p record.Position, any bool, key byte, but []record.Position) *Entry {
	for _, e := range b.Records {
		if e.Pos > p {
			return nil
		}
		if e.Settled() || !any && e.Key != key || slices.Contains(but, e.Pos) {
			continue
		}
		return e
	}
	return nil
}

// LaneOf is the lane of a key under a factor: the whole hash key range in equal parts. Only the first byte of a key
// counts here.
func LaneOf(key byte, factor int) int { return int(key) * factor / 256 }
