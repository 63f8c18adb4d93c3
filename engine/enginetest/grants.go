// Package enginetest is what tests of other rooms need of the engine: an ownership that a test hands out.
package enginetest

import (
	"sync"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Grants is the ownership of one engine: what the test has granted it and not revoked. A shard that is granted to one
// engine and not revoked from another has a zombie. The zero value owns nothing and decides nothing. Safe for
// concurrent use.
type Grants struct {
	mu      sync.Mutex
	held    map[storage.Shard]engine.Grant
	decides bool
	changed chan struct{}
}

var _ engine.Ownership = (*Grants)(nil)

// Owned implements engine.Ownership.
func (g *Grants) Owned(stream uint32, shard record.ShardID) (engine.Grant, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	held, ok := g.held[storage.Shard{Stream: stream, Index: shard}]
	return held, ok
}

// Decides implements engine.Ownership.
func (g *Grants) Decides(string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.decides
}

// Changed implements engine.Ownership.
func (g *Grants) Changed(uint32) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.changed == nil {
		g.changed = make(chan struct{})
	}
	return g.changed
}

// Grant gives a shard to the engine. A hand-over has an epoch above every one before.
func (g *Grants) Grant(shard storage.Shard, to engine.Grant) {
	g.change(func() { g.held[shard] = to })
}

// Revoke takes a shard from the engine.
func (g *Grants) Revoke(shard storage.Shard) { g.change(func() { delete(g.held, shard) }) }

// Decide makes the engine the one that decides the States of mappings, or not.
func (g *Grants) Decide(on bool) { g.change(func() { g.decides = on }) }

// change does f and tells the engine.
func (g *Grants) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held == nil {
		g.held = map[storage.Shard]engine.Grant{}
	}
	f()
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}
