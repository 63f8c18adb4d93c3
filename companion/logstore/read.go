package logstore

import (
	"context"
	"errors"
	"io"
	"time"
)

// Query selects events.
type Query struct {
	Group  Group
	Stream func(name string) bool // which streams of the group; nil: all
	Since  time.Time              // events at or after; the zero time for all
	Follow bool                   // wait for more at the end
}

// Read visits the selected events in the order of writing until visit returns false, the end is reached, or, with
// Follow, ctx ends. Events that a cap drops meanwhile are skipped. It returns ctx's error if that ended it, and
// ErrClosed if the store closed. visit runs on the caller's goroutine and may be slow: nothing is locked.
func (s *Store) Read(ctx context.Context, q Query, visit func(Event) bool) error {
	number, at := uint64(0), headerSize
	for {
		seg, view, changed, err := s.from(&number, &at, q.Since)
		if err != nil {
			return err
		}
		if seg == nil { // at the end
			if !q.Follow {
				return ctx.Err()
			}
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		end, more := s.readSegment(ctx, view, q, visit)
		s.leave(seg)
		at = end
		if !more {
			return ctx.Err()
		}
	}
}

// readSegment visits the rest of a segment and returns where it stopped. Unreadable parts are skipped.
func (s *Store) readSegment(ctx context.Context, r *reader, q Query, visit func(Event) bool) (end int64, more bool) {
	for ctx.Err() == nil {
		f, err := r.next()
		if errors.Is(err, io.EOF) {
			return r.at, true
		}
		if err != nil {
			return 1 << 62, true // nothing behind it can be found
		}
		if !q.wants(f) || !s.shown(f) {
			continue
		}
		events, err := f.events()
		if err != nil {
			return 1 << 62, true
		}
		for _, e := range events {
			if !e.At.Before(q.Since) && !visit(e) {
				return r.at, false
			}
		}
	}
	return r.at, false
}

func (q Query) wants(f frame) bool {
	return f.group == q.Group && (q.Stream == nil || q.Stream(f.stream))
}

// shown reports whether neither the group nor the stream of a frame was deleted since it was written.
func (s *Store) shown(f frame) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[f.group]
	if g == nil || f.at.before(g.Floor) {
		return g == nil
	}
	st := g.streams[f.stream]
	return st == nil || !f.at.before(st.Floor)
}

// from finds where reading continues after byte at of segment number, and moves both there. nil: there is no more yet;
// the channel is closed at the next change.
func (s *Store) from(number *uint64, at *int64, since time.Time) (*segment, *reader, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, nil, ErrClosed
	}
	for _, seg := range s.segments {
		if seg.number < *number || seg.number == *number && *at >= seg.size {
			continue
		}
		if !since.IsZero() && seg != s.last() && seg.state.Max < since.UnixMilli() {
			continue // everything in it is older
		}
		if seg.number > *number {
			*number, *at = seg.number, headerSize
		}
		if *at >= seg.size {
			continue
		}
		seg.users++
		return seg, seg.reader(*at), nil, nil
	}
	return nil, nil, s.changed, nil
}

// leave ends the use of a segment, and closes it if it was removed meanwhile.
func (s *Store) leave(seg *segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seg.users--; seg.users == 0 && seg.gone && seg.file != nil {
		_ = seg.file.Close()
	}
}
