package function

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/ids"
	"github.com/shardmill/shardmill/storage"
)

// entry is one function. Its members are replaced, never changed, under Functions.mu.
type entry struct {
	conf     *Configuration
	revision storage.Revision
	current  *generation   // what new invocations run on; nil before the first activation and when it failed
	settled  chan struct{} // closed when no transition is under way
}

// coordGroup holds every function: one commit changes one of them.
const coordGroup = "function/"

func (r Ref) key() string { return coordGroup + r.Account + "/" + r.Region + "/" + r.Name }

// stored is the form of a function in Coord.
type stored struct {
	Format int // 1
	Configuration
}

// load reads all functions. Those that a crash caught in a transition finish it, and those that could not run here are
// looked at again: an interpreter may have been installed meanwhile.
func (f *Functions) load(ctx context.Context) error {
	all, err := f.coord.List(ctx, coordGroup, "", 0)
	if err != nil {
		return fmt.Errorf("list functions: %w", err)
	}
	var unsettled []*entry
	defer func() {
		for _, en := range unsettled {
			f.activate(en.conf, en.settled)
		}
	}()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range all {
		var s stored
		if err := json.Unmarshal(e.Value, &s); err != nil {
			return fmt.Errorf("read function %s: %w", e.Key, err)
		}
		if s.Format != 1 {
			return fmt.Errorf("read function %s: format %d is newer than this program", e.Key, s.Format)
		}
		conf := &s.Configuration
		if conf.State == Failed {
			conf.State, conf.StateReason, conf.StateCode = Pending, creatingReason, creatingCode
		}
		f.code.retain(conf.CodeSHA256)
		if err := f.code.check(conf.CodeSHA256, conf.CodeBytes); err != nil && conf.State == Active {
			f.opt.Log.Error("the code of a function is missing or damaged", "function", conf.Ref.ARN(), "error", err)
			// and then Failed, with what to do
			conf.State, conf.StateReason, conf.StateCode = Pending, creatingReason, creatingCode
		}
		en := &entry{conf: conf, revision: e.Revision, settled: make(chan struct{})}
		f.entries[conf.Ref] = en
		f.fleet.reserve(conf.Ref, conf.Reserved)
		if conf.settled() {
			close(en.settled)
			if conf.State == Active {
				en.current = f.newGeneration(conf)
			}
		} else {
			unsettled = append(unsettled, en)
		}
	}
	if err := f.code.sweep(); err != nil { // a leftover loses nothing
		f.opt.Log.Error("look for code that no function uses", "error", err)
	}
	return nil
}

// save commits conf in place of revision and makes it visible. f.change is held.
func (f *Functions) save(ctx context.Context, conf *Configuration, expect storage.Revision) (storage.Revision, error) {
	b, err := json.Marshal(stored{1, *conf})
	if err != nil {
		return 0, err
	}
	return f.coord.Commit(ctx, coordGroup, storage.Op{Key: conf.Ref.key(), Value: b, Expect: expect})
}

// dropCode releases a package whose change ended with err. If it is unknown whether the change was stored, the package
// stays until the next start, which will see.
func (f *Functions) dropCode(sha string, err error) {
	if !errors.Is(err, storage.ErrUnknown) {
		f.code.release(sha)
	}
}

// Lookup returns the function as it is now.
func (f *Functions) Lookup(ref Ref) (*Configuration, bool) {
	if e := f.entry(ref); e != nil {
		return e.conf, true
	}
	return nil, false
}

// entry returns a copy of the function's members, or nil.
func (f *Functions) entry(ref Ref) *entry {
	f.mu.RLock()
	defer f.mu.RUnlock()
	e, ok := f.entries[ref]
	if !ok {
		return nil
	}
	c := *e
	return &c
}

// Changed returns a channel that is closed at the next change of the function's code, configuration, concurrency or
// state, or when it appears or is deleted. A watcher of a missing function may be woken by any new function: nothing is
// kept per missing function, because the end of watching is never reported.
func (f *Functions) Changed(ref Ref) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.entries[ref] == nil {
		if f.appears == nil {
			f.appears = make(chan struct{})
		}
		return f.appears
	}
	ch, ok := f.watched[ref]
	if !ok {
		ch = make(chan struct{})
		f.watched[ref] = ch
	}
	return ch
}

// publish replaces the entry, or removes it if e is nil, and wakes watchers.
func (f *Functions) publish(ref Ref, e *entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e == nil {
		delete(f.entries, ref)
	} else {
		if f.entries[ref] == nil && f.appears != nil {
			close(f.appears)
			f.appears = nil
		}
		f.entries[ref] = e
	}
	if ch, ok := f.watched[ref]; ok {
		delete(f.watched, ref)
		close(ch)
	}
}

// replace puts another entry in the place of one, for a change that is none to watchers.
func (f *Functions) replace(ref Ref, e *entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entries[ref] = e
}

// NotFound returns AWS's fault for a missing function; suffix is what the operation appends to the ARN.
func NotFound(ref Ref, suffix string) error {
	return fault.New(fault.CodeNotFound, "Function not found: %s%s", ref.ARN(), suffix)
}

// Get returns a function. Faults: ResourceNotFoundException.
func (f *Functions) Get(ref Ref) (*Configuration, error) {
	c, ok := f.Lookup(ref)
	if !ok {
		return nil, NotFound(ref, "")
	}
	return c, nil
}

// List returns up to n functions of an account and region whose names come after after, by name, and whether there are
// more.
func (f *Functions) List(account, region, after string, n int) (page []*Configuration, more bool) {
	f.mu.RLock()
	for ref, e := range f.entries {
		if ref.Account == account && ref.Region == region && ref.Name > after {
			page = append(page, e.conf)
		}
	}
	f.mu.RUnlock()
	sort.Slice(page, func(i, j int) bool { return page[i].Ref.Name < page[j].Ref.Name })
	if len(page) > n {
		return page[:n:n], true
	}
	return page, false
}

// Package returns the zip of a package in use by a function. The caller must have authorized the request.
func (f *Functions) Package(sha string) ([]byte, error) {
	if len(sha) != 64 || !word(sha, "") {
		return nil, fault.New(fault.CodeNotFound, "There is no such code package.")
	}
	b, err := f.code.read(sha)
	if err != nil {
		return nil, fault.New(fault.CodeNotFound, "There is no such code package.").Because(err)
	}
	return b, nil
}

// Delete removes a function. Invocations under way finish. Faults: ResourceNotFoundException.
func (f *Functions) Delete(ctx context.Context, ref Ref) error {
	f.change.Lock()
	defer f.change.Unlock()
	e := f.entry(ref)
	if e == nil {
		return NotFound(ref, "")
	}
	if _, err := f.coord.Commit(ctx, coordGroup, storage.Op{Key: ref.key(), Expect: e.revision}); err != nil {
		return conflict(ref, err)
	}
	f.publish(ref, nil)
	f.fleet.reserve(ref, nil)
	f.fleet.retire(e.current)
	if !e.conf.settled() {
		close(e.settled)
	}
	f.code.release(e.conf.CodeSHA256)
	f.meter.forget(ref)
	return nil
}

// conflict turns a lost race into AWS's answer.
func conflict(ref Ref, err error) error {
	if errors.Is(err, storage.ErrConflict) {
		return inProgress(ref).Because(err)
	}
	return fmt.Errorf("write function %s: %w", ref.Name, err)
}

func inProgress(ref Ref) *fault.Error {
	return fault.New(
		fault.CodeConflict, "The operation cannot be performed at this time. An update is in progress for resource: %s",
		ref.ARN(),
	)
}

// conflictWait is how long a change waits for the transition before it, instead of failing at once: transitions take
// milliseconds here.
const conflictWait = time.Second

// patience returns how long a call waits for a transition to end: not at all where transitions are meant to be seen.
func (f *Functions) patience(most time.Duration) time.Duration {
	if f.opt.Transition > 0 {
		return 0
	}
	return most
}

// settle locks the catalogue at a moment when the function is in no transition. On success the caller unlocks f.change.
func (f *Functions) settle(ctx context.Context, ref Ref) (*entry, error) {
	timeout := time.NewTimer(f.patience(conflictWait))
	defer timeout.Stop()
	for {
		f.change.Lock()
		e := f.entry(ref)
		if e == nil {
			f.change.Unlock()
			return nil, NotFound(ref, "")
		}
		if e.conf.settled() {
			return e, nil
		}
		f.change.Unlock()
		select {
		case <-e.settled:
		case <-timeout.C:
			return nil, inProgress(ref)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// touch stamps a change: every visible step has a revision id of its own.
func (f *Functions) touch(c *Configuration) {
	c.RevisionID = ids.New()
}
