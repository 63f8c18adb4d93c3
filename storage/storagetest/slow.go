package storagetest

import (
	"context"
	"sync"

	"github.com/shardmill/shardmill/storage"
)

// SlowCoord is a Coord with one commit that blocks. Safe for concurrent use.
type SlowCoord struct {
	storage.Coord
	mu      sync.Mutex
	left    int // commits until the blocking one, which is the one at 1
	reached chan struct{}
	gate    chan struct{}
}

// Hold makes the n-th commit from now on block until release; reached is closed once it blocks.
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
