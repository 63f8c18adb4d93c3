package storagetest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/shardmill/shardmill/storage"
)

// Fault is what a Faulty Coord does with a commit.
type Fault uint8

const (
	None     Fault = iota // it is passed on
	LoseIt                // it is not applied, and the error leaves that open
	LoseWord              // it is applied, and the error leaves that open
	Refuse                // it is not applied, and the error says so
)

// Loss is a commit whose answer is lost.
type Loss struct {
	Fault  Fault
	Unread bool // and nothing can be read either
}

// Losses are all kinds of Loss, by the names of their tests.
var Losses = map[string]Loss{
	"applied":                          {LoseWord, false},
	"not applied":                      {LoseIt, false},
	"applied, and nothing is readable": {LoseWord, true},
	"not applied, nor readable":        {LoseIt, true},
}

// ErrLost is returned by a commit whose outcome is unknown. It is like any error of a network: it does not say what
// happened.
var ErrLost = errors.New("the connection was lost")

// Faulty is a Coord whose commits go wrong as a test asks. Safe for concurrent use.
type Faulty struct {
	storage.Coord
	mu      sync.Mutex
	fault   func(ops []storage.Op) Fault
	unread  func(key string) bool
	Commits int // tried so far
}

// Fail sets what becomes of commits from now on; nil: no faults. fault is called with f locked.
func (f *Faulty) Fail(fault func(ops []storage.Op) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// FailNext sets what becomes of the next n commits.
func (f *Faulty) FailNext(n int, fault Fault) {
	f.Fail(func([]storage.Op) Fault {
		if n--; n >= 0 {
			return fault
		}
		return None
	})
}

// Unread makes keys unreadable for Get; nil: none.
func (f *Faulty) Unread(unread func(key string) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unread = unread
}

// Tried returns how many commits were tried.
func (f *Faulty) Tried() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Commits
}

func (f *Faulty) Get(ctx context.Context, key string) (storage.Entry, error) {
	f.mu.Lock()
	unread := f.unread != nil && f.unread(key)
	f.mu.Unlock()
	if unread {
		return storage.Entry{}, fmt.Errorf("read %s: %w", key, ErrLost)
	}
	return f.Coord.Get(ctx, key)
}

func (f *Faulty) Commit(ctx context.Context, group string, ops ...storage.Op) (storage.Revision, error) {
	f.mu.Lock()
	f.Commits++
	fault := None
	if f.fault != nil {
		fault = f.fault(ops)
	}
	f.mu.Unlock()
	switch fault {
	case None:
	case LoseIt:
		return 0, ErrLost
	case LoseWord:
		if _, err := f.Coord.Commit(ctx, group, ops...); errors.Is(err, storage.ErrConflict) {
			return 0, err
		}
		return 0, ErrLost
	case Refuse:
		return 0, fmt.Errorf("%w: %w", storage.ErrUnchanged, ErrLost)
	}
	return f.Coord.Commit(ctx, group, ops...)
}

// With returns s with another Coord.
func With(s storage.Store, c storage.Coord) storage.Store { return &with{s, c} }

type with struct {
	storage.Store
	coord storage.Coord
}

func (w *with) Coord() storage.Coord { return w.coord }
