package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Pauses after a failed read of what other processes have written, in real time; they double.
const (
	followAgainLeast = 100 * time.Millisecond
	followAgainMost  = 10 * time.Second
)

// follow keeps this process's view in line with what other processes write to the same store, until ctx ends. Every
// change of a stream or of its shards also changes the record under its name in the same commit: if the revision is the
// known one, nothing else need be read.
func (s *Streams) follow(ctx context.Context) {
	pause := followAgainLeast
	for {
		changed := s.coord.Changed(prefixName)
		err := s.catchUp(ctx)
		if ctx.Err() != nil || errors.Is(err, storage.ErrClosed) {
			return
		}
		if err == nil {
			pause = followAgainLeast
			select {
			case <-changed:
			case <-s.looks:
			case <-ctx.Done():
				return
			}
			continue
		}
		s.slog.Error("reading what other processes have changed about streams; trying again", "error", err)
		timer := time.NewTimer(pause)
		pause = min(2*pause, followAgainMost)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// catchUp renews every stream whose revision in the store differs from the known one, or that exists only on one side.
func (s *Streams) catchUp(ctx context.Context) error {
	entries, err := s.coord.List(ctx, prefixName, "", 0)
	if err != nil {
		return err
	}
	stored := make(map[Name]storage.Revision, len(entries))
	for _, e := range entries {
		name, ok := nameOf(e.Key)
		if !ok {
			return fmt.Errorf("read %s: it names no stream: %w", e.Key, storage.ErrCorrupt)
		}
		stored[name] = e.Revision
	}
	var stale []Name
	s.mu.RLock()
	for name, st := range s.byName {
		if sn := st.snap.Load(); sn.revision != 0 && stored[name] != sn.revision {
			stale = append(stale, name)
		}
	}
	for name := range stored {
		if s.byName[name] == nil {
			stale = append(stale, name)
		}
	}
	s.mu.RUnlock()
	for _, name := range stale {
		if err := s.renew(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// nameOf is the reverse of nameKey.
func nameOf(key string) (Name, bool) {
	parts := strings.SplitN(strings.TrimPrefix(key, prefixName), "/", 3)
	if len(parts) != 3 {
		return Name{}, false
	}
	return Name{Account: parts[0], Region: parts[1], Name: parts[2]}, true
}

// renew brings this process's view of one stream in line with the store.
func (s *Streams) renew(ctx context.Context, name Name) error {
	s.mu.RLock()
	st := s.byName[name]
	s.mu.RUnlock()
	if st == nil {
		return s.discover(ctx, name)
	}
	select {
	case st.changing <- struct{}{}: // our own change under way installs what it writes
	case <-ctx.Done():
		return ctx.Err()
	}
	gone, err := s.renewHeld(ctx, st)
	<-st.changing
	if err != nil || !gone {
		return err
	}
	return s.discover(ctx, name) // another stream may have the name now
}

// renewHeld is renew for a known stream whose changing is held. gone is true if it was deleted; then it is forgotten.
func (s *Streams) renewHeld(ctx context.Context, st *stream) (gone bool, err error) {
	if st.snap.Load().revision == 0 {
		return false, nil // its creation is under way in this process
	}
	r, err := s.readStream(ctx, st.name)
	if err != nil {
		return false, err
	}
	id := st.id.Load()
	if r.revision == 0 || r.ID != id {
		s.forget(st)
		s.meters.forget(id)
		return true, nil
	}
	if old := st.snap.Load(); old.revision != r.revision {
		s.install(st, r.snapshot(old))
	}
	return false, nil
}

// discover loads a stream that another process has created.
func (s *Streams) discover(ctx context.Context, name Name) error {
	r, err := s.readStream(ctx, name)
	if err != nil || r.revision == 0 {
		return err
	}
	st := newStream(r.snapshot(nil))
	s.mu.Lock()
	if s.byName[name] != nil || s.doubted[name] == r.ID {
		s.mu.Unlock()
		return nil // this process creates it, or has tried to: Create handles what is left
	}
	s.byName[name], s.byID[r.ID] = st, st
	s.sawPolicy(st.snap.Load())
	s.mu.Unlock()
	s.wakeSweeper()
	return nil
}

// stored is a stream as the store has it at one moment; with revision 0 it has none.
type stored struct {
	streamRecord
	shards    []ShardInfo
	consumers []*consumer
	revision  storage.Revision
}

// snapshot builds the snapshot of r; old is that of an earlier moment, or nil.
func (r *stored) snapshot(old *snapshot) *snapshot {
	info := r.info()
	info.Shards = r.shards
	return newSnapshot(info, r.Tags, r.revision, old).withConsumers(r.consumers, r.revision)
}

// readStream reads a stream from the store.
func (s *Streams) readStream(ctx context.Context, name Name) (r stored, err error) {
	for {
		e, err := s.coord.Get(ctx, nameKey(name))
		if err != nil || e.Revision == 0 {
			return stored{}, err
		}
		r = stored{revision: e.Revision}
		if r.streamRecord, err = decodeStream(e); err != nil {
			return stored{}, err
		}
		entries, err := s.coord.List(ctx, fmt.Sprintf("%s%010d/", prefixShard, r.ID), "", 0)
		if err != nil {
			return stored{}, err
		}
		registered, err := s.listConsumers(ctx, consumersPrefix(r.ID))
		if err != nil {
			return stored{}, err
		}
		again, err := s.coord.Get(ctx, nameKey(name))
		if err != nil {
			return stored{}, err
		}
		if again.Revision != e.Revision {
			continue // the shards may be from another moment; writers will stop some time
		}
		r.shards = make([]ShardInfo, 0, len(entries))
		for _, entry := range entries {
			_, info, err := decodeShard(entry)
			if err != nil {
				return stored{}, err
			}
			if info.ID != record.ShardID(len(r.shards)) {
				return stored{}, fmt.Errorf("read %s: shard %d is missing: %w", entry.Key, len(r.shards),
					storage.ErrCorrupt)
			}
			r.shards = append(r.shards, info)
		}
		r.consumers = registered[r.ID]
		return r, nil
	}
}

// doubt records that it is unknown whether this process has created the stream with an id under a name.
func (s *Streams) doubt(name Name, id uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doubted[name] = id
}

// settleDoubt reports whether doubt was called for the stream with an id under a name, and forgets it.
func (s *Streams) settleDoubt(name Name, id uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.doubted[name] != id {
		return false
	}
	delete(s.doubted, name)
	return true
}

// lookAgain makes follow read again although nothing has changed since.
func (s *Streams) lookAgain() {
	select {
	case s.looks <- struct{}{}:
	default:
	}
}

// wakeSweeper tells the sweeper that there is a stream.
func (s *Streams) wakeSweeper() {
	select {
	case s.first <- struct{}{}:
	default:
	}
}
