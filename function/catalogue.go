package function

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/ids"
	"github.com/shardmill/shardmill/storage"
)

// live is a version as it is now: $LATEST or a published one.
type live struct {
	conf     *Configuration
	revision storage.Revision // of the row that holds conf
	current  *generation      // what new invocations run on; nil before the first activation and when it failed
	settled  chan struct{}    // closed when no transition is under way
}

// entry is one function. Its members are replaced, never changed, under Functions.mu.
type entry struct {
	live                        // $LATEST
	versions map[string]version // published and not deleted, by number
	last     uint64             // the highest number that a version got; numbers are used once
	aliases  map[string]Alias   // by name
	policies map[string]Policy  // by qualifier; "" is the function itself
}

// version is a published version: its code and configuration stay as they are.
type version struct {
	live
	print string // fingerprint of what it was published from
}

// coordGroup holds every function: one commit changes one of them.
const coordGroup = "function/"

func (r Ref) key() string { return coordGroup + r.Account + "/" + r.Region + "/" + r.Name }

func (r Ref) versionKey(number string) string { return r.key() + "/" + number }

// The stored formats. 1 had no versions, aliases and policies.
const storedFormat = 2

// stored is the form of a function in Coord.
type stored struct {
	Format int
	Configuration
	LastVersion uint64            `json:",omitempty"`
	Aliases     map[string]Alias  `json:",omitempty"`
	Policies    map[string]Policy `json:",omitempty"`
}

// storedVersion is the form of a published version in Coord.
type storedVersion struct {
	Format int
	Configuration
	Fingerprint string
}

// load reads all functions. Those that a crash caught in a transition finish it, and those that could not run here are
// looked at again: an interpreter may have been installed meanwhile.
func (f *Functions) load(ctx context.Context) error {
	all, err := f.coord.List(ctx, coordGroup, "", 0)
	if err != nil {
		return fmt.Errorf("list functions: %w", err)
	}
	var unsettled []live
	defer func() {
		for _, l := range unsettled {
			f.activate(l)
		}
	}()
	f.mu.Lock()
	defer f.mu.Unlock()
	published := func(e storage.Entry) bool { return strings.Count(e.Key, "/") == strings.Count(coordGroup, "/")+3 }
	for _, e := range all {
		if published(e) {
			continue // when its function is known
		}
		var s stored
		if err := decodeRow(e, &s, &s.Format); err != nil {
			return err
		}
		en := &entry{
			live: live{conf: &s.Configuration, revision: e.Revision}, versions: map[string]version{},
			last: s.LastVersion, aliases: s.Aliases, policies: s.Policies,
		}
		if en.conf.Version == "" {
			en.conf.Version = Latest
		}
		f.entries[en.conf.Ref] = en
		f.fleet.reserve(en.conf.Ref, en.conf.Reserved)
		f.revive(&en.live, &unsettled)
	}
	for _, e := range all {
		if !published(e) {
			continue
		}
		var s storedVersion
		if err := decodeRow(e, &s, &s.Format); err != nil {
			return err
		}
		en := f.entries[s.Ref]
		if en == nil {
			return fmt.Errorf("read function %s: %w: there is no such function", e.Key, storage.ErrCorrupt)
		}
		v := version{live{conf: &s.Configuration, revision: e.Revision}, s.Fingerprint}
		f.revive(&v.live, &unsettled)
		en.versions[s.Version] = v
	}
	if err := f.code.sweep(); err != nil { // a leftover loses nothing
		f.opt.Log.Error("look for code that no function uses", "error", err)
	}
	return nil
}

// decodeRow reads a stored row whose format is in format afterwards.
func decodeRow(e storage.Entry, row any, format *int) error {
	if err := json.Unmarshal(e.Value, row); err != nil {
		return fmt.Errorf("read function %s: %w: %w", e.Key, storage.ErrCorrupt, err)
	}
	if *format < 1 || *format > storedFormat {
		return fmt.Errorf("read function %s: %w: format %d is newer than this program", e.Key, storage.ErrCorrupt, *format)
	}
	return nil
}

// revive takes up a version that was stored: it holds on to its code, and is run, or added to unsettled.
func (f *Functions) revive(l *live, unsettled *[]live) {
	conf := l.conf
	if conf.State == Failed {
		conf.State, conf.StateReason, conf.StateCode = Pending, creatingReason, creatingCode
	}
	f.code.retain(conf.CodeSHA256)
	if err := f.code.check(conf.CodeSHA256, conf.CodeBytes); err != nil && conf.State == Active {
		f.opt.Log.Error(
			"the code of a function is missing or damaged", "function", conf.Ref.ARN(), "version", conf.Version,
			"error", err,
		)
		// and then Failed, with what to do
		conf.State, conf.StateReason, conf.StateCode = Pending, creatingReason, creatingCode
	}
	l.settled = make(chan struct{})
	if !conf.settled() {
		*unsettled = append(*unsettled, *l)
		return
	}
	close(l.settled)
	if conf.State == Active {
		l.current = f.newGeneration(conf)
	}
}

// save commits e in place of what is stored, together with more, and gives it its new revision. f.change is held.
func (f *Functions) save(ctx context.Context, e *entry, more ...storage.Op) error {
	b, err := json.Marshal(stored{storedFormat, *e.conf, e.last, e.aliases, e.policies})
	if err != nil {
		return err
	}
	ops := append([]storage.Op{{Key: e.conf.Ref.key(), Value: b, Expect: e.revision}}, more...)
	revision, err := f.coord.Commit(ctx, coordGroup, ops...)
	if err == nil {
		e.revision = revision
	}
	return err
}

// op returns what writes a published version in place of what is stored.
func (v *version) op() (storage.Op, error) {
	b, err := json.Marshal(storedVersion{storedFormat, *v.conf, v.print})
	return storage.Op{Key: v.conf.Ref.versionKey(v.conf.Version), Value: b, Expect: v.revision}, err
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

// ListAll is List with all versions of each function, in the order of Versions: those behind a version of a function.
func (f *Functions) ListAll(account, region, name, version string, n int) (page []*Configuration, more bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	var all []*entry
	for ref, e := range f.entries {
		if ref.Account == account && ref.Region == region && ref.Name >= name {
			all = append(all, e)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].conf.Ref.Name < all[j].conf.Ref.Name })
	for _, e := range all {
		for _, conf := range e.all() {
			if conf.Ref.Name == name && CompareVersions(conf.Version, version) <= 0 {
				continue
			}
			if len(page) == n {
				return page, true
			}
			page = append(page, conf)
		}
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

// Delete removes a function with its versions, aliases and policies. Invocations under way finish. Faults:
// ResourceNotFoundException.
func (f *Functions) Delete(ctx context.Context, ref Ref) error {
	f.change.Lock()
	defer f.change.Unlock()
	e := f.entry(ref)
	if e == nil {
		return NotFound(ref, "")
	}
	ops := []storage.Op{{Key: ref.key(), Expect: e.revision}}
	for number, v := range e.versions {
		ops = append(ops, storage.Op{Key: ref.versionKey(number), Expect: v.revision})
	}
	if _, err := f.coord.Commit(ctx, coordGroup, ops...); err != nil {
		return conflict(ref, err)
	}
	f.publish(ref, nil)
	f.fleet.reserve(ref, nil)
	f.end(e.live)
	for _, v := range e.versions {
		f.end(v.live)
	}
	f.meter.forget(ref)
	return nil
}

// end lets go of a version that does not exist any more.
func (f *Functions) end(l live) {
	f.fleet.retire(l.current)
	if !l.conf.settled() {
		close(l.settled)
	}
	f.code.release(l.conf.CodeSHA256)
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
