package logstore

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"
)

// Query selects events.
type Query struct {
	Group        string    // exactly
	StreamPrefix string    // "" for all streams of the group
	Since        time.Time // events at or after; the zero time for all
	Follow       bool      // wait for more at the end
}

// slack is how far events of different streams may be out of order by time.
const slack = time.Minute

// Read visits the selected events in the order of writing until visit answers false, the end is reached, or, with Follow, ctx ends. Events that are
// dropped because of a cap while they are read are passed over. It returns ctx's error when that ended it, and ErrClosed when the store closed.
// visit runs on the caller's goroutine and may take its time: nothing is locked.
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
		end, more := readSegment(ctx, view, at, q, visit)
		s.leave(seg)
		at = end
		if !more {
			return ctx.Err()
		}
	}
}

// readSegment visits what a view holds from at on and answers where it stopped. A part that cannot be read is passed over.
func readSegment(ctx context.Context, view io.ReaderAt, at int64, q Query, visit func(Event) bool) (end int64, more bool) {
	r := newReader(view, at)
	for ctx.Err() == nil {
		events, err := r.next()
		if errors.Is(err, io.EOF) {
			return r.at, true
		}
		if err != nil {
			return 1 << 62, true // nothing behind it can be found
		}
		for _, e := range events {
			if e.Group == q.Group && strings.HasPrefix(e.Stream, q.StreamPrefix) && !e.At.Before(q.Since) && !visit(e) {
				return r.at, false
			}
		}
	}
	return r.at, false
}

// from finds where reading goes on after byte at of segment number, and moves both there. nil: there is nothing more yet; changed tells when.
func (s *Store) from(number *uint64, at *int64, since time.Time) (*segment, io.ReaderAt, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, nil, ErrClosed
	}
	for i, seg := range s.segments {
		if seg.number < *number || seg.number == *number && *at >= seg.size {
			continue
		}
		if !since.IsZero() && i+1 < len(s.segments) && s.segments[i+1].begin().Before(since.Add(-slack)) {
			continue // everything in it is older
		}
		if seg.number > *number {
			*number, *at = seg.number, headerSize
		}
		if *at >= seg.size {
			continue
		}
		seg.users++
		return seg, seg.view(), nil, nil
	}
	return nil, nil, s.changed, nil
}

// leave ends the use of a segment; one that was removed meanwhile closes.
func (s *Store) leave(seg *segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seg.users--; seg.users == 0 && seg.gone && seg.file != nil {
		_ = seg.file.Close()
	}
}

// Groups are the groups that have events, with the time of their newest, as far as segments still hold them. It reads everything and is meant for a
// person who asks.
func (s *Store) Groups(ctx context.Context) (map[string]time.Time, error) {
	groups := map[string]time.Time{}
	number, at := uint64(0), headerSize
	for {
		seg, view, _, err := s.from(&number, &at, time.Time{})
		if err != nil || seg == nil {
			return groups, err
		}
		r := newReader(view, at)
		for {
			events, err := r.next()
			if err != nil {
				break
			}
			for _, e := range events {
				if e.At.After(groups[e.Group]) {
					groups[e.Group] = e.At
				}
			}
		}
		s.leave(seg)
		at = 1 << 62
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}
