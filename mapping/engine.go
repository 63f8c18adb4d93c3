package mapping

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// What the engine uses. A mapping's state ends only by its reports.

// All returns every mapping of every account and region, in order of UUID.
func (m *Mappings) All(ctx context.Context) ([]Mapping, error) {
	all, err := m.store.all(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		m.results.overlay(&all[i])
	}
	return all, nil
}

// Changed is closed at the next change of any mapping. Take it before All: spurious wake-ups happen, lost ones do not.
func (m *Mappings) Changed() <-chan struct{} { return m.store.changed() }

// Settled reports that the configuration numbered version is in effect and the mapping at rest in state: Enabled, it
// reads; Disabled, nothing is in flight any more. A report that has been overtaken by another change, or that does not
// fit what is under way, is passed over. Unknown mappings too.
func (m *Mappings) Settled(ctx context.Context, uuid string, version uint64, state State) error {
	kind := settleOff
	if state == Enabled {
		kind = settleOn
	}
	for race := (storage.Race{}); ; {
		old, rev, err := m.store.get(ctx, uuid)
		if err != nil {
			return err
		}
		next, ok := after(old.State, kind)
		if rev == 0 || old.Version != version || !ok || old.Enabled != (kind == settleOn) {
			return nil
		}
		mp := old
		m.results.overlay(&mp)
		mp.State, mp.LastModified = next, m.now()
		err = m.store.replace(ctx, rev, &old, &mp)
		if err == nil {
			m.results.wrote(uuid, mp.LastResult)
			return nil
		}
		if !errors.Is(err, storage.ErrConflict) {
			return err
		}
		if err := race.Lost(rev, err); err != nil {
			return fmt.Errorf("change mapping %s: %w", uuid, err)
		}
	}
}

// ForgetShard reports that a shard has expired: where the mapping starts on it does not matter any more. Unknown
// mappings and shards are passed over.
func (m *Mappings) ForgetShard(ctx context.Context, uuid string, shard record.ShardID) error {
	for race := (storage.Race{}); ; {
		old, rev, err := m.store.get(ctx, uuid)
		if err != nil {
			return err
		}
		if _, ok := old.Starts[shard]; rev == 0 || !ok {
			return nil
		}
		mp := old
		m.results.overlay(&mp)
		mp.Starts = maps.Clone(old.Starts)
		delete(mp.Starts, shard)
		err = m.store.replace(ctx, rev, &old, &mp)
		if err == nil {
			m.results.wrote(uuid, mp.LastResult)
			return nil
		}
		if !errors.Is(err, storage.ErrConflict) {
			return err
		}
		if err := race.Lost(rev, err); err != nil {
			return fmt.Errorf("change mapping %s: %w", uuid, err)
		}
	}
}

// Removed reports that a mapping in state Deleting has ended: it is forgotten. Its checkpoints are the engine's to
// clear away, before. Twice is harmless; a mapping in another state stays.
func (m *Mappings) Removed(ctx context.Context, uuid string) error {
	for race := (storage.Race{}); ; {
		old, rev, err := m.store.get(ctx, uuid)
		if err != nil {
			return err
		}
		if rev == 0 || old.State != Deleting {
			return nil
		}
		err = m.store.forget(ctx, rev, &old)
		if err == nil {
			m.results.drop(uuid)
			return nil
		}
		if !errors.Is(err, storage.ErrConflict) {
			return err
		}
		if err := race.Lost(rev, err); err != nil {
			return fmt.Errorf("change mapping %s: %w", uuid, err)
		}
	}
}

// resultDelay is how long a LastProcessingResult may stay in memory before it is written. A crash in that time shows
// the one before.
const resultDelay = 3 * time.Second

// SetResult notes what the last batch came to. Get and List show it at once; it is written with the next change of the
// mapping or within some seconds, because a synced write per batch would cost more than the batch. It does not block
// and does not count as a change of the mapping.
func (m *Mappings) SetResult(_ context.Context, uuid, result string) {
	m.results.set(uuid, result, m.flush)
}

// Close writes results that are not written yet and waits until that has ended. The room must not be used afterwards.
func (m *Mappings) Close(ctx context.Context) error {
	m.results.close()
	return m.writeResults(ctx)
}

// flush runs on the timer's goroutine.
func (m *Mappings) flush() {
	if err := m.writeResults(context.Background()); err != nil && !errors.Is(err, storage.ErrClosed) {
		m.log.Error("write last processing results", "error", err)
	}
}

// writeResults brings the store up to date, mapping by mapping: one whose configuration changes at the same moment is
// left to that change.
func (m *Mappings) writeResults(ctx context.Context) error {
	var errs []error
	for uuid, result := range m.results.snapshot() {
		old, rev, err := m.store.get(ctx, uuid)
		switch {
		case err != nil:
			errs = append(errs, err)
			continue
		case rev == 0:
			m.results.drop(uuid)
			continue
		}
		mp := old
		mp.LastResult = result
		if mp.LastResult != old.LastResult {
			if err := m.store.replace(ctx, rev, &old, &mp); err != nil {
				if !errors.Is(err, storage.ErrConflict) {
					errs = append(errs, err)
				}
				continue // it stays pending; the change that was faster, or the next one, writes it
			}
		}
		m.results.wrote(uuid, result)
	}
	return errors.Join(errs...)
}

// results holds what SetResult was told and the store does not have yet.
type results struct {
	mu      sync.Mutex
	pending map[string]string // by uuid; at most one per mapping
	timer   *time.Timer       // runs while something is pending
	running sync.WaitGroup
	closed  bool
}

func (r *results) set(uuid, result string, flush func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending[uuid] = result
	r.arm(flush)
}

// arm starts the timer unless it runs. r.mu is held.
func (r *results) arm(flush func()) {
	if r.timer != nil || r.closed || len(r.pending) == 0 {
		return
	}
	r.running.Add(1)
	r.timer = time.AfterFunc(resultDelay, func() {
		defer r.running.Done()
		flush()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.timer = nil
		r.arm(flush)
	})
}

// close stops the timer and waits for a flush under way.
func (r *results) close() {
	r.mu.Lock()
	r.closed = true
	if r.timer != nil && r.timer.Stop() {
		r.running.Done()
		r.timer = nil
	}
	r.mu.Unlock()
	r.running.Wait()
}

func (r *results) overlay(m *Mapping) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if result, ok := r.pending[m.UUID]; ok {
		m.LastResult = result
	}
}

// wrote tells that the store has result; a newer one stays pending.
func (r *results) wrote(uuid, result string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending[uuid] == result {
		delete(r.pending, uuid)
	}
}

func (r *results) drop(uuid string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pending, uuid)
}

func (r *results) snapshot() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.pending)
}
