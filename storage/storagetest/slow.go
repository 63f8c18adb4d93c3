package storagetest

import (
	"context"
	"sync"

	"github.com/shardmill/shardmill/storage"
)

// SlowCoord is a Coord with a commit that waits. Safe for concurrent use.
type SlowCoord struct {
	storage.Coord
	mu      sync.Mutex
	left    int // commits until the one that waits, which is the one at 1
	reached chan struct{}
	gate    chan struct{}
}

// Hold makes the n-th commit from now on wait for release; reached is closed when it is there.
func (s *SlowCoord) Hold(n int) (reached <-chan struct{}, release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gate := make(chan struct{})
	s.left, s.reached, s.gate = n, make(chan struct{}), gate
	return s.reached, func() { close(gate) }
}

func (s *SlowCoord) Commit(ctx context.Context, group string, ops ...storage.Op) (storage.Revision, error) {
	s.mu.Lock()
	s.left--
	mine, reached, gate := s.left == 0, s.reached, s.gate
	s.mu.Unlock()
	if mine {
		close(reached)
		<-gate
	}
	return s.Coord.Commit(ctx, group, ops...)
}
