package logstore

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strings"
	"time"

	"github.com/shardmill/shardmill/storage"
)

// The catalogue lists groups and streams. Changes by API calls are stored at once. Groups and streams that were made by
// their first event, and the times of streams, are stored when a segment is full; after a crash they are read from the
// other segments.
//
// A deletion records the end of the log at that moment as a floor: events before it are never shown again, even if the
// name is used again.

// catalogueVersion is the version of every stored value.
const catalogueVersion = 1

// Keys of the catalogue in Coord.
const (
	keyPrefix     = "logs/"
	groupPrefix   = keyPrefix + "group/"
	streamPrefix  = keyPrefix + "stream/"
	segmentPrefix = keyPrefix + "segment/"
)

type groupState struct {
	Version   int               `json:"v"`
	Created   int64             `json:"created"` // Unix milliseconds
	Retention int               `json:"retention,omitempty"`
	Tags      map[string]string `json:"tags,omitempty"`
	Gone      bool              `json:"gone,omitempty"`
	Floor     mark              `json:"floor"`

	streams map[string]*streamState
	dirty   bool
}

type streamState struct {
	Version  int   `json:"v"`
	Created  int64 `json:"created"`
	First    int64 `json:"first,omitempty"` // time of the earliest event
	Last     int64 `json:"last,omitempty"`
	Ingested int64 `json:"ingested,omitempty"`
	Explicit bool  `json:"explicit,omitempty"` // made by a call; others vanish with their last event
	Gone     bool  `json:"gone,omitempty"`
	Floor    mark  `json:"floor"`

	dirty bool
}

// segmentState is what is known of a full segment without reading it.
type segmentState struct {
	Version int              `json:"v"`
	Min     int64            `json:"min"` // times of events, Unix milliseconds
	Max     int64            `json:"max"`
	Bytes   map[string]int64 `json:"bytes"` // of frames, by group
}

func groupKey(g Group) string { return groupPrefix + g.text() }

func streamKey(g Group, stream string) string { return streamPrefix + g.text() + ":" + stream }

func segmentKey(number uint64) string { return fmt.Sprintf("%s%012d", segmentPrefix, number) }

// loadCatalogue reads the stored catalogue, before segments are opened.
func (s *Store) loadCatalogue(ctx context.Context) (map[string]segmentState, error) {
	s.groups, s.base = map[Group]*groupState{}, 1
	segments := map[string]segmentState{}
	if s.opt.Coord == nil {
		return segments, nil
	}
	entries, err := s.opt.Coord.List(ctx, keyPrefix, "", 0)
	if err != nil {
		return nil, fmt.Errorf("read the catalogue of logs: %w", err)
	}
	for _, e := range entries { // groups come before streams
		if name, ok := strings.CutPrefix(e.Key, groupPrefix); ok {
			g := &groupState{streams: map[string]*streamState{}}
			if err := decodeValue(e, g, &g.Version); err != nil {
				return nil, err
			}
			s.groups[parseGroup(name)] = g
			s.base = max(s.base, g.Floor.Segment+1)
		} else if name, ok := strings.CutPrefix(e.Key, streamPrefix); ok {
			cut := strings.LastIndexByte(name, ':')
			g := s.groups[parseGroup(name[:max(cut, 0)])]
			if cut < 0 || g == nil {
				continue
			}
			st := &streamState{}
			if err := decodeValue(e, st, &st.Version); err != nil {
				return nil, err
			}
			g.streams[name[cut+1:]] = st
			s.base = max(s.base, st.Floor.Segment+1)
		} else if strings.HasPrefix(e.Key, segmentPrefix) {
			var seg segmentState
			if err := decodeValue(e, &seg, &seg.Version); err != nil {
				return nil, err
			}
			segments[e.Key] = seg
		}
	}
	return segments, nil
}

func decodeValue(e storage.Entry, v any, version *int) error {
	if err := json.Unmarshal(e.Value, v); err != nil {
		return fmt.Errorf("%w: %s: %w", storage.ErrCorrupt, e.Key, err)
	}
	if *version != catalogueVersion {
		return fmt.Errorf(
			"read %s: format version %d is not known here; it was written by a newer release", e.Key, *version,
		)
	}
	return nil
}

func encodeValue(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types can always be marshalled
	}
	return b
}

// commitPatience bounds a commit of the catalogue.
const commitPatience = 10 * time.Second

// commit stores changes. s.mu is held, so that the order in Coord is the order in memory; a writer of events may wait
// for it.
func (s *Store) commit(ops ...storage.Op) error {
	if s.opt.Coord == nil || len(ops) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), commitPatience)
	defer cancel()
	if _, err := s.opt.Coord.Commit(ctx, keyPrefix, ops...); err != nil {
		return fmt.Errorf("store the catalogue of logs: %w", err)
	}
	return nil
}

func put(key string, value any) storage.Op {
	return storage.Op{Key: key, Value: encodeValue(value), Expect: storage.Any}
}

func remove(key string) storage.Op { return storage.Op{Key: key, Expect: storage.Any} }

// note enters a written frame, with events from first to last, into the catalogue. s.mu is held.
func (s *Store) note(f frame, first, last time.Time) {
	g := s.groups[f.group]
	if g == nil {
		g = &groupState{Version: catalogueVersion, Gone: true, streams: map[string]*streamState{}}
		s.groups[f.group] = g
	}
	if f.at.before(g.Floor) {
		return
	}
	ingested := f.ingested.UnixMilli()
	if f.ingested.IsZero() {
		ingested = last.UnixMilli()
	}
	if g.Gone {
		*g = groupState{Version: catalogueVersion, Created: ingested, Floor: g.Floor, streams: g.streams, dirty: true}
	}
	st := g.streams[f.stream]
	if st == nil {
		st = &streamState{Version: catalogueVersion, Gone: true}
		g.streams[f.stream] = st
	}
	if f.at.before(st.Floor) {
		return
	}
	if st.Gone {
		*st = streamState{Version: catalogueVersion, Created: ingested, Floor: st.Floor}
	}
	st.dirty = true
	if st.Ingested == 0 || first.UnixMilli() < st.First {
		st.First = first.UnixMilli()
	}
	st.Last = max(st.Last, last.UnixMilli())
	st.Ingested = max(st.Ingested, ingested)
}

// settle stores what a full segment holds, and what has changed since. s.mu is held. A failure is logged, and tried
// again with the next segment; until then a start reads the segment itself.
func (s *Store) settle() {
	if s.opt.Coord == nil {
		return
	}
	earliest := s.earliest()
	var ops []storage.Op
	var stored []*segment
	for _, seg := range s.segments[:max(len(s.segments)-1, 0)] {
		if !seg.settled {
			ops = append(ops, put(segmentKey(seg.number), seg.state))
			stored = append(stored, seg)
		}
	}
	for _, number := range s.trimmed {
		ops = append(ops, remove(segmentKey(number)))
	}
	for name, g := range s.groups {
		if g.Gone && s.passed(g.Floor) {
			ops = append(ops, remove(groupKey(name)))
		} else if g.dirty {
			ops = append(ops, put(groupKey(name), g))
		}
		for stream, st := range g.streams {
			switch {
			case s.forgotten(st, earliest):
				ops = append(ops, remove(streamKey(name, stream)))
			case st.dirty:
				ops = append(ops, put(streamKey(name, stream), st))
			}
		}
	}
	if err := s.commit(ops...); err != nil {
		s.opt.Log.Warn("catalogue of logs not stored; the next start reads the segments", "error", err)
		return
	}
	s.trimmed = nil
	for _, seg := range stored {
		seg.settled = true
	}
	maps.DeleteFunc(s.groups, func(_ Group, g *groupState) bool { return g.Gone && s.passed(g.Floor) })
	for _, g := range s.groups {
		g.dirty = false
		maps.DeleteFunc(g.streams, func(_ string, st *streamState) bool { return s.forgotten(st, earliest) })
		for _, st := range g.streams {
			st.dirty = false
		}
	}
}

// forgotten reports whether nothing of a stream is left and no call made it.
func (s *Store) forgotten(st *streamState, earliest int64) bool {
	if st.Gone {
		return s.passed(st.Floor)
	}
	return !st.Explicit && st.Last < earliest
}

// earliest returns the time of the earliest event that is left. Clocks step back, so it need not be in the first
// segment.
func (s *Store) earliest() int64 {
	earliest := int64(math.MaxInt64)
	for _, seg := range s.segments {
		if len(seg.state.Bytes) > 0 {
			earliest = min(earliest, seg.state.Min)
		}
	}
	return earliest
}

// passed reports whether no event before a floor is left.
func (s *Store) passed(floor mark) bool {
	return len(s.segments) > 0 && floor.Segment < s.segments[0].number
}

// end returns the place of the next frame. s.mu is held.
func (s *Store) end() mark {
	if last := s.last(); last != nil {
		return mark{last.number, last.size}
	}
	return mark{s.base, headerSize}
}

// floor syncs and returns the end of the log, so that no power loss can move it back. s.mu is held.
func (s *Store) floor() (mark, error) {
	if last := s.last(); last != nil {
		if err := last.sync(); err != nil {
			return mark{}, fmt.Errorf("sync log: %w", err)
		}
	}
	return s.end(), nil
}
