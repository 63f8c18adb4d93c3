package logstore

import (
	"container/heap"
	"context"
	"slices"
	"strings"
	"time"
)

// Search selects events of one group by time.
type Search struct {
	Group         Group
	Streams       []string // exactly these; nil: all
	StreamPrefix  string
	From, To      time.Time // From ≤ time < To, to the millisecond; the zero time: no bound
	After, Before *Place    // exclusive bounds; nil: none
	Backward      bool      // take from the latest events, not from the earliest
	Limit         int       // of events, at least 1
	Bytes         int       // a page ends when its messages sum up to it
	Match         func(message string) bool
}

// Find returns the first page of what a search selects, or with Backward the last one, always in the order of Place.
// more reports that the page ended at a limit. A page holds at least one event if there is one. Nothing is locked while
// events are read, and no more than a page is held in memory. Faults: ResourceNotFoundException (the group, or a named
// stream).
func (s *Store) Find(ctx context.Context, q Search) (events []Event, more bool, err error) {
	v, segments, err := s.view(&q)
	if err != nil {
		return nil, false, err
	}
	defer func() {
		for _, seg := range segments {
			s.leave(seg.segment)
		}
	}()
	slices.SortStableFunc(segments, func(a, b viewed) int {
		if q.Backward {
			return int(max(-1, min(1, b.state.Max-a.state.Max)))
		}
		return int(max(-1, min(1, a.state.Min-b.state.Min)))
	})
	p := &page{backward: q.Backward, limit: max(q.Limit, 1), bytes: q.Bytes}
	for _, seg := range segments {
		if p.beyond(seg.state) {
			p.more = true
			break
		}
		if err := search(ctx, seg.reader, q, v, p); err != nil {
			return nil, false, err
		}
	}
	slices.SortFunc(p.events, func(a, b Event) int { return a.Place.Compare(b.Place) })
	return p.events, p.more, nil
}

// floors holds the marks below which nothing is shown.
type floors struct {
	group   mark
	streams map[string]mark
}

func (f floors) show(stream string, at mark) bool {
	if at.before(f.group) {
		return false
	}
	m, ok := f.streams[stream]
	return !ok || !at.before(m)
}

// viewed is a segment in use.
type viewed struct {
	*segment
	state  segmentState // at this moment
	reader *reader
}

// view returns the segments that may hold selected events, and the floors; the caller leaves each segment.
func (s *Store) view(q *Search) (floors, []viewed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.group(q.Group)
	if err != nil {
		return floors{}, nil, err
	}
	for _, stream := range q.Streams {
		if _, _, err := s.stream(q.Group, stream); err != nil {
			return floors{}, nil, err
		}
	}
	if g.Retention > 0 {
		if oldest := s.opt.Clock.Now().Add(-s.retention(g)); q.From.IsZero() || q.From.Before(oldest) {
			q.From = oldest
		}
	}
	f := floors{g.Floor, map[string]mark{}}
	for name, st := range g.streams {
		if st.Floor != (mark{}) {
			f.streams[name] = st.Floor
		}
	}
	var out []viewed
	for _, seg := range s.segments {
		outside := !q.From.IsZero() && seg.state.Max < q.From.UnixMilli() || !q.To.IsZero() &&
			seg.state.Min >= q.To.UnixMilli() ||
			q.After != nil && seg.state.Max < q.After.Millis || q.Before != nil && seg.state.Min > q.Before.Millis
		if outside || seg.state.Bytes[q.Group.text()] == 0 {
			continue
		}
		seg.users++
		out = append(out, viewed{seg, segmentState{Min: seg.state.Min, Max: seg.state.Max}, seg.reader(headerSize)})
	}
	return f, out, nil
}

// search offers the selected events of a segment to a page. Unreadable parts are skipped.
func search(ctx context.Context, r *reader, q Search, v floors, p *page) error {
	for ctx.Err() == nil {
		f, err := r.next()
		if err != nil {
			return nil //nolint:nilerr // the end, or damage behind which nothing can be found
		}
		if f.group != q.Group || !v.show(f.stream, f.at) || !strings.HasPrefix(f.stream, q.StreamPrefix) ||
			q.Streams != nil && !slices.Contains(q.Streams, f.stream) {
			continue
		}
		events, err := f.events()
		if err != nil {
			return nil //nolint:nilerr // as above
		}
		for _, e := range events {
			if q.selects(e) {
				p.offer(e)
			}
		}
	}
	return ctx.Err()
}

func (q Search) selects(e Event) bool {
	ms := e.Place.Millis
	return (q.From.IsZero() || ms >= q.From.UnixMilli()) && (q.To.IsZero() || ms < q.To.UnixMilli()) &&
		(q.After == nil || e.Place.Compare(*q.After) > 0) && (q.Before == nil || e.Place.Compare(*q.Before) < 0) &&
		(q.Match == nil || q.Match(e.Message))
}

// page keeps the first (or last) of the events offered, in a heap whose top is the next to be dropped.
type page struct {
	backward     bool
	limit, bytes int
	events       []Event
	size         int // bytes of messages
	more         bool
}

func (p *page) Len() int      { return len(p.events) }
func (p *page) Swap(i, j int) { p.events[i], p.events[j] = p.events[j], p.events[i] }
func (p *page) Less(i, j int) bool {
	c := p.events[i].Place.Compare(p.events[j].Place)
	if p.backward {
		return c < 0
	}
	return c > 0
}
func (p *page) Push(e any) { p.events = append(p.events, e.(Event)) }
func (p *page) Pop() any {
	last := len(p.events) - 1
	e := p.events[last]
	p.events = p.events[:last]
	return e
}

func (p *page) full() bool {
	return len(p.events) > 0 && (len(p.events) >= p.limit || p.bytes > 0 && p.size >= p.bytes)
}

// beyond reports whether no event of a segment can belong to the page.
func (p *page) beyond(st segmentState) bool {
	if !p.full() {
		return false
	}
	if p.backward {
		return st.Max < p.events[0].Place.Millis
	}
	return st.Min > p.events[0].Place.Millis
}

func (p *page) offer(e Event) {
	heap.Push(p, e)
	p.size += len(e.Message)
	for len(p.events) > 1 {
		if rest := p.size - len(p.events[0].Message); len(p.events) <= p.limit && (p.bytes <= 0 || rest < p.bytes) {
			return
		}
		p.size -= len(heap.Pop(p).(Event).Message)
		p.more = true
	}
}
