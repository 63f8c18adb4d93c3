package storagetest

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/shardmill/shardmill/storage"
)

// Crashable is a Local that can lose what was not synced, and fail or wait on demand, for tests of rooms that store
// things. All methods are safe for concurrent use.
type Crashable struct {
	storage.Local               // what reads see
	synced        storage.Local // what a kill leaves behind
	fresh         func() storage.Local

	mu   sync.Mutex
	soon []storage.LocalOp // applied since the last sync
	fail error             // returned by the next applies
	gate chan struct{}     // when set, applies whose first op writes a key of the family held wait for it
	held string
	next chan struct{} // when set, the next apply closes it and waits for gate
}

// NewCrashable builds a Crashable from empty stores that fresh makes.
func NewCrashable(fresh func() storage.Local) *Crashable {
	return &Crashable{Local: fresh(), synced: fresh(), fresh: fresh}
}

// Apply implements storage.Local.
func (c *Crashable) Apply(ctx context.Context, d storage.Durability, ops ...storage.LocalOp) error {
	c.mu.Lock()
	gate := c.gate
	if c.next != nil {
		close(c.next)
		c.next = nil
		c.mu.Unlock()
		<-gate
		c.mu.Lock()
		gate = c.gate
	}
	held := gate != nil && len(ops) > 0 && ops[0].Value != nil && strings.HasPrefix(string(ops[0].Key), c.held)
	c.mu.Unlock()
	if held {
		<-gate
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return c.fail
	}
	if err := c.Local.Apply(ctx, d, ops...); err != nil {
		return err
	}
	c.soon = append(c.soon, ops...)
	if d != storage.Sync {
		return nil
	}
	ops, c.soon = c.soon, nil
	return c.synced.Apply(ctx, d, ops...)
}

// Kill returns the store as a new process finds it after kill -9 and the loss of everything not synced.
func (c *Crashable) Kill() *Crashable {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ops []storage.LocalOp
	_ = c.synced.Scan(nil, nil, false, func(k, v []byte) bool {
		ops = append(ops, storage.LocalOp{Key: slices.Clone(k), Value: append([]byte{}, v...)})
		return true
	})
	next := NewCrashable(c.fresh)
	if err := next.Apply(context.Background(), storage.Sync, ops...); err != nil {
		panic(err) // a store in memory refuses nothing
	}
	return next
}

// FailWith makes applies fail; nil: no more.
func (c *Crashable) FailWith(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = err
}

// Hold makes applies whose first op writes a key of the family wait until the caller closes gate.
func (c *Crashable) Hold(family string) (gate chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held, c.gate = family, make(chan struct{})
	return c.gate
}

// HoldNext keeps the next apply waiting until release is called; reached is closed when it is there.
func (c *Crashable) HoldNext() (reached <-chan struct{}, release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gate := make(chan struct{})
	c.next, c.gate, c.held = make(chan struct{}), gate, "no key begins like this"
	return c.next, func() { close(gate) }
}

// Count returns how many keys begin with prefix, whatever the bytes behind it.
func (c *Crashable) Count(prefix string) int {
	n := 0
	_ = c.Scan([]byte(prefix), nil, false, func(k, _ []byte) bool {
		begins := strings.HasPrefix(string(k), prefix)
		if begins {
			n++
		}
		return begins
	})
	return n
}
