// Package wake tells waiting readers that something changed, for the Changed methods of the storage backends.
//
// A waiter takes its channel before it looks; a writer publishes its change before it fires. So no wake-up is lost.
package wake

import (
	"strings"
	"sync"
	"sync/atomic"
)

// Signal wakes all waiters for one thing. The zero value is ready. Firing without a waiter costs one atomic load.
type Signal struct{ waiting atomic.Pointer[chan struct{}] }

// Wait returns a channel that the next Fire closes.
func (s *Signal) Wait() <-chan struct{} {
	for {
		if c := s.waiting.Load(); c != nil {
			return *c
		}
		c := make(chan struct{})
		if s.waiting.CompareAndSwap(nil, &c) {
			return c
		}
	}
}

// Fire closes the channel of all current waiters.
func (s *Signal) Fire() {
	if s.waiting.Load() == nil {
		return
	}
	if c := s.waiting.Swap(nil); c != nil {
		close(*c)
	}
}

// Prefixes wakes those that wait for a change of any key with a prefix. The zero value is ready.
type Prefixes struct {
	mu      sync.Mutex
	waiting map[string]chan struct{}
}

// Wait returns a channel that the next Fire of a key with the prefix closes.
func (p *Prefixes) Wait(prefix string) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.waiting[prefix]
	if !ok {
		if p.waiting == nil {
			p.waiting = make(map[string]chan struct{})
		}
		c = make(chan struct{})
		p.waiting[prefix] = c
	}
	return c
}

// Fire wakes the waiters of every prefix of key. Its cost grows with the smaller of the number of waiters and the
// length of key.
func (p *Prefixes) Fire(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) <= len(key) {
		for prefix := range p.waiting {
			if strings.HasPrefix(key, prefix) {
				p.fire(prefix)
			}
		}
		return
	}
	for n := range len(key) + 1 {
		p.fire(key[:n])
	}
}

// FireAll wakes all waiters, as when the store closes.
func (p *Prefixes) FireAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for prefix := range p.waiting {
		p.fire(prefix)
	}
}

func (p *Prefixes) fire(prefix string) {
	if c, ok := p.waiting[prefix]; ok {
		delete(p.waiting, prefix)
		close(c)
	}
}

// Now is a closed channel, for calls where waiting makes no sense.
var Now = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()
