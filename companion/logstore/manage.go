package logstore

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// Codes of the faults that callers can cause.
const (
	CodeNotFound = "ResourceNotFoundException"
	CodeExists   = "ResourceAlreadyExistsException"
	CodeInvalid  = "InvalidParameterException"
	CodeTags     = "TooManyTagsException"
)

func noSuchGroup() error { return fault.New(CodeNotFound, "The specified log group does not exist.") }

func noSuchStream() error { return fault.New(CodeNotFound, "The specified log stream does not exist.") }

// GroupInfo describes a group as the catalogue has it.
type GroupInfo struct {
	Group     Group
	Created   time.Time
	Retention int   // in days; 0: no policy
	Bytes     int64 // that the segments still hold of the group
}

// StreamInfo describes a stream as the catalogue has it. Without events the last three fields are zero.
type StreamInfo struct {
	Name                  string
	Created               time.Time
	First, Last, Ingested time.Time
}

// group finds a group that exists. s.mu is held.
func (s *Store) group(name Group) (*groupState, error) {
	if s.closed {
		return nil, ErrClosed
	}
	g := s.groups[name]
	if g == nil || g.Gone {
		return nil, noSuchGroup()
	}
	return g, nil
}

// stream finds a stream that exists. s.mu is held.
func (s *Store) stream(name Group, stream string) (*groupState, *streamState, error) {
	g, err := s.group(name)
	if err != nil {
		return nil, nil, err
	}
	st := g.streams[stream]
	if st == nil || st.Gone {
		return nil, nil, noSuchStream()
	}
	return g, st, nil
}

// CreateGroup makes a group. tags may be nil and are copied. Durable on return. Faults: ResourceAlreadyExistsException.
func (s *Store) CreateGroup(name Group, tags map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	g := s.groups[name]
	if g != nil && !g.Gone {
		return fault.New(CodeExists, "The specified log group already exists")
	}
	next := &groupState{
		Version: catalogueVersion, Created: s.opt.Clock.Now().UnixMilli(), Tags: maps.Clone(tags),
		streams: map[string]*streamState{},
	}
	if g != nil {
		next.Floor = g.Floor
	}
	if err := s.commit(put(groupKey(name), next)); err != nil {
		return err
	}
	s.groups[name] = next
	return nil
}

// DeleteGroup deletes a group with its streams and events; their disk space is freed with the segments. Durable on
// return. Faults: ResourceNotFoundException.
func (s *Store) DeleteGroup(name Group) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.group(name)
	if err != nil {
		return err
	}
	floor, err := s.floor()
	if err != nil {
		return err
	}
	gone := &groupState{Version: catalogueVersion, Gone: true, Floor: floor, streams: map[string]*streamState{}}
	ops := []storage.Op{put(groupKey(name), gone)}
	for stream := range g.streams {
		ops = append(ops, remove(streamKey(name, stream)))
	}
	if err := s.commit(ops...); err != nil {
		return err
	}
	s.groups[name] = gone
	return nil
}

// change commits a changed copy of a group's own state. Segments that are too old for every group are dropped at once.
func (s *Store) change(name Group, change func(*groupState) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.group(name)
	if err != nil {
		return err
	}
	next := *g
	next.Tags = maps.Clone(g.Tags)
	if err := change(&next); err != nil {
		return err
	}
	if err := s.commit(put(groupKey(name), &next)); err != nil {
		return err
	}
	next.dirty = false
	*g = next
	s.trim()
	return nil
}

// SetRetention sets for how many days events of a group are shown; 0: for MaxAge, or as long as their segments stay.
// Durable on return. Faults: ResourceNotFoundException.
func (s *Store) SetRetention(name Group, days int) error {
	return s.change(name, func(g *groupState) error { g.Retention = days; return nil })
}

// MaxTags is how many tags a group may have.
const MaxTags = 50

// Tag adds or replaces tags of a group. Durable on return. Faults: ResourceNotFoundException, TooManyTagsException.
func (s *Store) Tag(name Group, tags map[string]string) error {
	return s.change(name, func(g *groupState) error {
		if g.Tags == nil {
			g.Tags = map[string]string{}
		}
		maps.Copy(g.Tags, tags)
		if len(g.Tags) > MaxTags {
			return fault.New(CodeTags, "A log group can have at most %d tags.", MaxTags)
		}
		return nil
	})
}

// Untag removes tags of a group; those it does not have are no error. Durable on return. Faults:
// ResourceNotFoundException.
func (s *Store) Untag(name Group, keys []string) error {
	return s.change(name, func(g *groupState) error {
		for _, k := range keys {
			delete(g.Tags, k)
		}
		return nil
	})
}

// Tags returns a copy of a group's tags. Faults: ResourceNotFoundException.
func (s *Store) Tags(name Group) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.group(name)
	if err != nil {
		return nil, err
	}
	return maps.Clone(g.Tags), nil
}

// Groups returns the groups of an account in a region, in order of name.
func (s *Store) Groups(account, region string) []GroupInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []GroupInfo
	for name, g := range s.groups {
		if g.Gone || name.Account != account || name.Region != region {
			continue
		}
		info := GroupInfo{Group: name, Created: time.UnixMilli(g.Created), Retention: g.Retention}
		for _, seg := range s.segments {
			if seg.number >= g.Floor.Segment {
				info.Bytes += seg.state.Bytes[name.text()]
			}
		}
		out = append(out, info)
	}
	slices.SortFunc(out, func(a, b GroupInfo) int { return strings.Compare(a.Group.Name, b.Group.Name) })
	return out
}

// Exists returns ResourceNotFoundException unless the group exists, and the stream too unless it is "".
func (s *Store) Exists(name Group, stream string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stream == "" {
		_, err := s.group(name)
		return err
	}
	_, _, err := s.stream(name, stream)
	return err
}

// CreateStream makes a stream. Durable on return. Faults: ResourceNotFoundException (the group),
// ResourceAlreadyExistsException.
func (s *Store) CreateStream(name Group, stream string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.group(name)
	if err != nil {
		return err
	}
	st := g.streams[stream]
	if st != nil && !st.Gone {
		return fault.New(CodeExists, "The specified log stream already exists")
	}
	next := &streamState{Version: catalogueVersion, Created: s.opt.Clock.Now().UnixMilli(), Explicit: true}
	if st != nil {
		next.Floor = st.Floor
	}
	// The group may have been made by its first event and not be stored yet.
	if err := s.commit(put(groupKey(name), g), put(streamKey(name, stream), next)); err != nil {
		return err
	}
	g.streams[stream], g.dirty = next, false
	return nil
}

// DeleteStream deletes a stream with its events. Durable on return. Faults: ResourceNotFoundException.
func (s *Store) DeleteStream(name Group, stream string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, _, err := s.stream(name, stream)
	if err != nil {
		return err
	}
	floor, err := s.floor()
	if err != nil {
		return err
	}
	gone := &streamState{Version: catalogueVersion, Gone: true, Floor: floor}
	if err := s.commit(put(groupKey(name), g), put(streamKey(name, stream), gone)); err != nil {
		return err
	}
	g.streams[stream], g.dirty = gone, false
	return nil
}

// Streams returns the streams of a group whose names begin with prefix, in order of name. Faults:
// ResourceNotFoundException.
func (s *Store) Streams(name Group, prefix string) ([]StreamInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.group(name)
	if err != nil {
		return nil, err
	}
	var out []StreamInfo
	for stream, st := range g.streams {
		if st.Gone || !strings.HasPrefix(stream, prefix) {
			continue
		}
		info := StreamInfo{Name: stream, Created: time.UnixMilli(st.Created)}
		if st.Ingested > 0 {
			info.First, info.Last, info.Ingested = time.UnixMilli(st.First), time.UnixMilli(st.Last), time.UnixMilli(
				st.Ingested,
			)
		}
		out = append(out, info)
	}
	slices.SortFunc(out, func(a, b StreamInfo) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Rejected says which events of a Put were not stored: those before the indexes Old and Expired, and those from New on.
// -1: none.
type Rejected struct{ New, Old, Expired int }

// Any reports whether an event was rejected.
func (r Rejected) Any() bool { return r.New >= 0 || r.Old >= 0 || r.Expired >= 0 }

// How far the time of an event may be from the present. Source: CloudWatch Logs API Reference, PutLogEvents.
const (
	maxEventAge   = 14 * 24 * time.Hour
	maxEventAhead = 2 * time.Hour
)

// Put adds events, in the order of their times, to a stream that exists. Those that are more than 14 days old, older
// than the group's retention policy, or more than two hours ahead are left out. The slice is not kept. Faults:
// ResourceNotFoundException.
func (s *Store) Put(name Group, stream string, events []LogEvent) (Rejected, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := Rejected{-1, -1, -1}
	g, _, err := s.stream(name, stream)
	if err != nil {
		return r, err
	}
	now := s.opt.Clock.Now()
	index := func(at time.Time) int {
		n, _ := slices.BinarySearchFunc(events, at, func(e LogEvent, at time.Time) int { return e.At.Compare(at) })
		return n
	}
	from, to := 0, len(events)
	if n := index(now.Add(-maxEventAge)); n > 0 {
		r.Old, from = n, n
	}
	if n := index(now.Add(-s.retention(g))); g.Retention > 0 && n > 0 {
		r.Expired, from = n, max(from, n)
	}
	if n := index(now.Add(maxEventAhead).Add(1)); n < to {
		r.New, to = n, n
	}
	if from >= to {
		return r, nil
	}
	return r, s.append(name, stream, events[from:to])
}
