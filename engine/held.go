package engine

import (
	"slices"
	"sort"
	"strconv"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// heldRecords are the records read and not yet below the checkpoint, in order of position.
type heldRecords struct {
	recs []record.Record
	head int
	cost int64 // bytes of memory, about
}

func (h *heldRecords) len() int { return len(h.recs) - h.head }

func (h *heldRecords) push(records []record.Record) {
	live := h.recs[h.head:]
	if len(records) > 0 && len(live) > 0 && records[0].Pos <= live[len(live)-1].Pos {
		h.merge(records)
		return
	}
	if h.head > 0 && len(h.recs)+len(records) > cap(h.recs) {
		n := copy(h.recs, live)
		clear(h.recs[n:])
		h.recs, h.head = h.recs[:n], 0
	}
	h.recs = append(h.recs, records...)
	for i := range records {
		h.cost += costOf(&records[i])
	}
}

// merge adds records of which some lie before or among those held: after another lane map or filter a part is read
// again, and what is held already stays.
func (h *heldRecords) merge(records []record.Record) {
	live := h.recs[h.head:]
	all := make([]record.Record, 0, len(live)+len(records))
	for len(live) > 0 || len(records) > 0 {
		switch {
		case len(records) == 0 || len(live) > 0 && live[0].Pos <= records[0].Pos:
			if len(records) > 0 && live[0].Pos == records[0].Pos {
				records = records[1:]
			}
			all = append(all, live[0])
			live = live[1:]
		default:
			h.cost += costOf(&records[0])
			all = append(all, records[0])
			records = records[1:]
		}
	}
	h.recs, h.head = all, 0
}

// retain drops every record but those at positions, which are ascending.
func (h *heldRecords) retain(positions []record.Position) {
	live := h.recs[h.head:]
	kept := live[:0]
	for i := range live {
		for len(positions) > 0 && positions[0] < live[i].Pos {
			positions = positions[1:]
		}
		if len(positions) > 0 && positions[0] == live[i].Pos {
			kept = append(kept, live[i])
			continue
		}
		h.cost -= costOf(&live[i])
	}
	clear(live[len(kept):])
	h.recs = h.recs[:h.head+len(kept)]
}

// keep drops every record at or beyond from.
func (h *heldRecords) keep(from record.Position) {
	i := h.search(from)
	for j := i; j < len(h.recs); j++ {
		h.cost -= costOf(&h.recs[j])
	}
	clear(h.recs[i:])
	h.recs = h.recs[:i]
}

func (h *heldRecords) search(p record.Position) int {
	return h.head + sort.Search(len(h.recs)-h.head, func(i int) bool { return h.recs[h.head+i].Pos >= p })
}

func (h *heldRecords) dropThrough(p record.Position) {
	i := h.head
	for i < len(h.recs) && h.recs[i].Pos <= p {
		h.cost -= costOf(&h.recs[i])
		h.recs[i] = record.Record{}
		i++
	}
	h.head = i
	if h.head == len(h.recs) {
		h.recs, h.head = h.recs[:0], 0
	}
}

// find appends the records at positions, which are ascending, to dst.
func (h *heldRecords) find(dst []record.Record, positions []record.Position) []record.Record {
	if len(positions) == 0 {
		return dst
	}
	dst = slices.Grow(dst, len(positions))
	i := h.search(positions[0])
	for _, p := range positions {
		if i >= len(h.recs) || h.recs[i].Pos != p {
			i = h.search(p)
		}
		if i >= len(h.recs) || h.recs[i].Pos != p {
			panic(&esm.Broken{What: "record " + strconv.FormatUint(uint64(p), 10) + " is not held"})
		}
		dst = append(dst, h.recs[i])
		i++
	}
	return dst
}
