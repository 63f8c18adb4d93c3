package sim

import (
	"time"

	"github.com/shardmill/shardmill/record"
)

// book is the judge's account of a shard: what truly became of every record, whatever any machine believes.
type book struct {
	records []*entry
	places  map[record.Position]*entry
	newest  record.Millis
}

type entry struct {
	pos     record.Position
	key     byte
	own     record.Millis // when it arrived
	arrival record.Millis // the largest up to this record: age and windows go by it
	size    int
	poison  bool // the function never gets over it

	done    bool // the function has processed it
	noticed bool // a notice that names it is at the destination
	dropped bool // given up without a notice, as configured or after three refusals
	lost    bool // retention took it before anything else happened

	windowed bool // the function has aggregated it in a window
	plain    bool // the function has processed it without one
	reported bool // the end of a window has brought the function a state with it
	excused  bool // the state with it was given up, as configured, or outgrew its limit; or it was lost after all
}

func (e *entry) settled() bool { return e.done || e.noticed || e.dropped || e.lost }

func (b *book) accept(r *record.Record, poison bool) {
	if b.places == nil {
		b.places = map[record.Position]*entry{}
	}
	b.newest = max(b.newest, r.Arrival)
	e := &entry{pos: r.Pos, key: r.Hash[0], own: r.Arrival, arrival: b.newest, size: 12 + len(r.Data), poison: poison}
	b.records = append(b.records, e)
	b.places[e.pos] = e
}

func (b *book) at(p record.Position) *entry { return b.places[p] }

func (b *book) succeeded(ps []record.Position, windowed bool) {
	for _, p := range ps {
		e := b.places[p]
		e.done = true
		e.windowed, e.plain = e.windowed || windowed, e.plain || !windowed
	}
}

func (b *book) noticed(ps []record.Position) {
	for _, p := range ps {
		b.places[p].noticed = true
	}
}

func (b *book) trim(oldest record.Position) {
	for _, e := range b.records {
		if e.pos < oldest && !e.settled() {
			e.lost = true
		}
	}
}

// laneOf returns the lane of a key: the hash key range in equal parts. Keys have one byte here, the rest of the hash is
// zero.
func laneOf(key byte, factor int) int { return int(key) * factor / 256 }

// unsettled finds the first record up to p that is not settled and whose key, or any, is key; nil when there is none.
func (b *book) unsettled(p record.Position, any bool, key byte, but []record.Position) *entry {
	for _, e := range b.records {
		if e.pos > p {
			return nil
		}
		if e.settled() || !any && e.key != key || contains(but, e.pos) {
			continue
		}
		return e
	}
	return nil
}

func contains(ps []record.Position, p record.Position) bool {
	for _, q := range ps {
		if q == p {
			return true
		}
	}
	return false
}

func (e *entry) age(now time.Time) time.Duration { return now.Sub(e.arrival.Time()) }
