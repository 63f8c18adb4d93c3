package mapping

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// This file is what the engine uses. Only its reports end a transitional state.

// All returns every mapping of every account and region, in order of UUID.
func (m *Mappings) All(ctx context.Context) ([]Mapping, error) {
	all, err := m.store.all(ctx)
	if err != nil {
		return nil, err
	}
	stored, err := m.store.allResults(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		mp := &all[i]
		results := m.results.over(mp.UUID, stored[mp.UUID])
		mp.LastResult, mp.Standing = joined(mp.LastResult, results), standing(results)
	}
	return all, nil
}

// Changed returns a channel that is closed at the next change of any mapping. Take it before All: spurious wake-ups
// happen, lost ones do not.
func (m *Mappings) Changed() <-chan struct{} { return m.store.changed() }

// Stands reports whether a mapping exists and is not being deleted, by what the store says now.
func (m *Mappings) Stands(ctx context.Context, uuid string) (bool, error) {
	mp, rev, err := m.store.get(ctx, uuid)
	return err == nil && rev != 0 && mp.State != Deleting, err
}

// Settled reports that the configuration numbered version is in effect and the mapping at rest in state: Enabled, it
// reads; Disabled, nothing is in flight any more. A report is ignored if another change has overtaken it, if it does
// not fit the transition under way, or if the mapping is unknown.
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
		mp.State, mp.LastModified = next, m.now()
		err = m.store.replace(ctx, rev, &old, &mp)
		if !errors.Is(err, storage.ErrConflict) {
			return err
		}
		if err := race.Lost(rev, err); err != nil {
			return fmt.Errorf("change mapping %s: %w", uuid, err)
		}
	}
}

// ForgetShards reports that shards have expired: their starting positions and last results no longer matter. The
// mapping is written once. Unknown mappings and shards are ignored.
func (m *Mappings) ForgetShards(ctx context.Context, uuid string, shards []record.ShardID) error {
	if len(shards) == 0 {
		return nil
	}
	for race := (storage.Race{}); ; {
		old, rev, err := m.store.get(ctx, uuid)
		if err != nil {
			return err
		}
		ops, err := m.store.forgetResults(ctx, uuid, shards...)
		if err != nil {
			return err
		}
		mp := old
		mp.Starts = maps.Clone(old.Starts)
		for _, id := range shards {
			delete(mp.Starts, id)
		}
		if rev == 0 || len(mp.Starts) == len(old.Starts) && len(ops) == 0 {
			return nil
		}
		err = m.store.replace(ctx, rev, &old, &mp, ops...)
		if !errors.Is(err, storage.ErrConflict) {
			return err
		}
		if err := race.Lost(rev, err); err != nil {
			return fmt.Errorf("change mapping %s: %w", uuid, err)
		}
	}
}

// Removed reports that a mapping in state Deleting has ended: it is forgotten. The engine deletes its checkpoints
// before the call. Twice is harmless; a mapping in another state stays.
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
