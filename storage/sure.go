package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Unchanged reports whether an error of a Commit, an Append or an Apply promises that nothing was applied. After any
// other error, whatever it says, the outcome counts as unknown: that is safe when a reply was lost.
func Unchanged(err error) bool {
	if errors.Is(err, ErrUnknown) {
		return false
	}
	for _, known := range []error{ErrUnchanged, ErrConflict, ErrBusy, ErrFull, ErrClosed} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// Sure wraps c for a room that must know what became of its commits. If the outcome of a commit is unknown, it reads
// back and returns what it finds: the commit's revision, ErrUnchanged, or ErrConflict when another writer came since.
// If reading fails too, it returns ErrUnknown and remembers the commit: a later commit that meets this forerunner of
// its own builds on it instead of reporting a conflict.
//
// Remembered commits are kept in memory, as many as there are keys of unknown outcome. Values must tell commits apart,
// as those with a time, an id or an epoch do.
func Sure(c Coord) Coord {
	if s, ok := c.(*sure); ok {
		return s
	}
	return &sure{Coord: c}
}

type sure struct {
	Coord
	mu     sync.Mutex
	unsure [][]Op // commits of unknown outcome, oldest first
}

// How often an outcome is read back, with which pauses, and how long that may take in all.
const (
	sureTries    = 6
	surePause    = 10 * time.Millisecond // doubles
	surePatience = 5 * time.Second
	maxUnsure    = 1000
)

func (s *sure) Commit(ctx context.Context, group string, ops ...Op) (Revision, error) {
	revision, err := s.Coord.Commit(ctx, group, ops...)
	switch {
	case err == nil:
		s.forget(ops)
		return revision, nil
	case errors.Is(err, ErrConflict):
		return s.again(ctx, group, ops, err)
	case Unchanged(err):
		return 0, err
	}
	return s.findOut(ctx, group, ops, err)
}

// fate is what became of a commit.
type fate uint8

const (
	applied fate = iota + 1
	notApplied
	overtaken // another writer came since, over it or instead of it
)

// witness returns the index of an op whose key tells whether ops were applied: one with an expectation, preferably with
// a value rather than a deletion. -1: ops may be repeated at will.
func witness(ops []Op) int {
	w := -1
	for i, op := range ops {
		first := !slices.ContainsFunc(ops[:i], func(o Op) bool { return o.Key == op.Key })
		if first && op.Expect != Any && (w < 0 || ops[w].Value == nil && op.Value != nil) {
			w = i
		}
	}
	return w
}

// left returns what ops leave of a key: the value of the last of them.
func left(ops []Op, key string) (value []byte) {
	for _, op := range ops {
		if op.Key == key {
			value = op.Value
		}
	}
	return value
}

// fateOf returns what became of ops, as the entry of their witness says.
func fateOf(ops []Op, w int, e Entry) fate {
	value := left(ops, ops[w].Key)
	switch {
	case value == nil && e.Revision == 0, value != nil && e.Revision != ops[w].Expect && bytes.Equal(e.Value, value):
		return applied
	case e.Revision == ops[w].Expect:
		return notApplied
	}
	return overtaken
}

// findOut reads back what became of a commit that failed with err.
func (s *sure) findOut(ctx context.Context, group string, ops []Op, err error) (Revision, error) {
	// the caller may have gone; the outcome is needed all the same
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), surePatience)
	defer cancel()
	w := witness(ops)
	for try := range sureTries {
		if try > 0 && !pause(ctx, surePause<<try) {
			break
		}
		if w < 0 {
			revision, again := s.Coord.Commit(ctx, group, ops...)
			if again == nil || Unchanged(again) {
				return revision, again
			}
			continue
		}
		e, unread := s.Get(ctx, ops[w].Key)
		if errors.Is(unread, ErrClosed) {
			break
		}
		if unread != nil {
			continue
		}
		switch fateOf(ops, w, e) {
		case applied:
			s.forget(ops)
			return e.Revision, nil
		case notApplied:
			return 0, classed(ErrUnchanged, err)
		case overtaken:
			return 0, classed(ErrConflict, err)
		}
	}
	s.remember(ops)
	return 0, classed(ErrUnknown, err)
}

// classed wraps err as an error of one class and no other.
func classed(class, err error) error {
	if errors.Is(err, ErrUnknown) {
		return fmt.Errorf("%w: %v", class, err) //nolint:errorlint // no longer unknown, or it would be said twice
	}
	return fmt.Errorf("%w: %w", class, err)
}

// pause waits for d; it returns false when ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// again commits ops once more if what they conflict with is an earlier commit of this room whose outcome had remained
// unknown.
func (s *sure) again(ctx context.Context, group string, ops []Op, conflict error) (Revision, error) {
	earlier := s.take(ops)
	if earlier == nil {
		return 0, conflict
	}
	w := witness(earlier)
	e, err := s.Get(ctx, earlier[w].Key)
	if err != nil { // it may be a conflict with ourselves: nothing proves another writer
		s.remember(earlier)
		//nolint:errorlint // it must not count as a conflict
		return 0, fmt.Errorf("%w: %v, and it cannot be read by whom: %w", ErrUnchanged, conflict, err)
	}
	if fateOf(earlier, w, e) != applied {
		return s.again(ctx, group, ops, conflict) // there may be another
	}
	next := slices.Clone(ops)
	for i := range next {
		at := slices.IndexFunc(earlier, func(o Op) bool { return o.Key == next[i].Key })
		if at < 0 || next[i].Expect != earlier[at].Expect {
			continue
		}
		if next[i].Expect = e.Revision; left(earlier, next[i].Key) == nil {
			next[i].Expect = Absent
		}
	}
	return s.Commit(ctx, group, next...)
}

// take removes and returns the latest commit of unknown outcome that shares a key with ops; nil: there is none.
func (s *sure) take(ops []Op) []Op {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.unsure) - 1; i >= 0; i-- {
		if touches(s.unsure[i], ops) {
			earlier := s.unsure[i]
			s.unsure = slices.Delete(s.unsure, i, i+1)
			return earlier
		}
	}
	return nil
}

func touches(a, b []Op) bool {
	return slices.ContainsFunc(a, func(x Op) bool {
		return slices.ContainsFunc(b, func(y Op) bool { return x.Key == y.Key })
	})
}

func (s *sure) remember(ops []Op) {
	if witness(ops) < 0 {
		return
	}
	own := slices.Clone(ops)
	for i := range own {
		own[i].Value = bytes.Clone(own[i].Value)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unsure) == maxUnsure {
		s.unsure = slices.Delete(s.unsure, 0, 1)
	}
	s.unsure = append(s.unsure, own)
}

// forget drops commits whose keys have been written since: their outcome no longer matters.
func (s *sure) forget(ops []Op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unsure) > 0 {
		s.unsure = slices.DeleteFunc(s.unsure, func(earlier []Op) bool { return touches(earlier, ops) })
	}
}

// Race judges the conflicts of a loop that reads, changes and commits until no other writer is faster. The zero value
// is ready.
type Race struct {
	lost int
	last Revision
}

// maxLost is how often another writer may be faster.
const maxLost = 100

// Lost returns nil to try again after a conflict, given the revision that was read before it. An error ends the loop:
// if that revision is the same as in the previous attempt, the conflict is with something else that the commit expects,
// and no retry would ever win.
func (r *Race) Lost(read Revision, conflict error) error {
	if r.lost++; r.lost > 1 && read == r.last || r.lost > maxLost {
		return fmt.Errorf("a commit that cannot win: %w", conflict)
	}
	r.last = read
	return nil
}
