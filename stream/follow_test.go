package stream

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/storage/storagetest"
)

// two runs a test with the streams of two processes over one store.
func two(t *testing.T, test func(t *testing.T, a, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := clock.New(0)
		store := memory.New(memory.Options{Clock: c})
		open := func() *bench {
			b := &bench{T: t, clock: c, store: store, ctx: t.Context()}
			b.s = New(Options{Store: store, Clock: c})
			b.must(b.s.Start(b.ctx))
			return b
		}
		a, b := open(), open()
		defer func() {
			a.s.Stop()
			b.s.Stop()
		}()
		synctest.Wait()
		test(t, a, b)
	})
}

// halves are the ranges of the children of a shard that covers everything.
func halves() []record.HashKeyRange {
	left, right := record.HashKeyRange{End: record.MaxHashKey}, record.HashKeyRange{End: record.MaxHashKey}
	left.End[0], right.Start[0] = 0x7f, 0x80
	return []record.HashKeyRange{left, right}
}

func (b *bench) absent(name Name) {
	b.Helper()
	if info, err := b.s.Lookup(b.ctx, name); fault.CodeOf(err) != fault.CodeNotFound {
		b.Errorf("%+v, %v; want none", info, err)
	}
}

// What another process decides about a stream holds here, too: whom its policy means, and which records count as
// encrypted.
func TestSettingsOfAnotherProcessHold(t *testing.T) {
	t.Parallel()
	two(t, func(t *testing.T, a, b *bench) {
		other := Name{orders.Account, orders.Region, "clicks"}
		owner := Caller{Account: orders.Account, Region: orders.Region}
		a.create(orders, 1)
		a.create(other, 1)
		deny := func(action string) string {
			return `{"Statement":{"Effect":"Deny","Principal":"*","Action":"kinesis:` + action + `","Resource":"*"}}`
		}
		a.must(a.s.SetPolicy(a.ctx, orders, deny("PutRecord")))
		a.must(a.s.StartEncryption(a.ctx, orders, KMS, "alias/a"))
		synctest.Wait()
		wantCode(t, b.s.Authorize(owner, orders, "PutRecord"), codeDenied)
		b.must(b.s.Authorize(owner, other, "PutRecord"))
		if placed := b.put(orders, "x"); !placed[0].Encrypted {
			t.Error("a record is not encrypted")
		}

		a.must(a.s.SetPolicy(a.ctx, orders, deny("PutRecords")))
		synctest.Wait()
		b.must(b.s.Authorize(owner, orders, "PutRecord"))
		wantCode(t, b.s.Authorize(owner, orders, "PutRecords"), codeDenied)
		b.s.Stop()
		b.s = New(Options{Store: b.store, Clock: b.clock}) // a process that finds the policy when it begins
		b.must(b.s.Ready(b.ctx))
		wantCode(t, b.s.Authorize(owner, orders, "PutRecords"), codeDenied)
	})
}

// Changes by another process show without a restart: a new stream, its tags, its shards, its deletion, and another
// stream under its name.
func TestChangesOfAnotherProcessAreSeen(t *testing.T) {
	t.Parallel()
	two(t, func(t *testing.T, a, b *bench) {
		b.absent(orders)
		a.create(orders, 1)
		synctest.Wait()
		first := b.lookup(orders)
		if first.Status != Active || len(first.Shards) != 1 {
			t.Fatalf("%+v", first)
		}
		a.must(a.s.AddTags(a.ctx, orders, map[string]string{"team": "a"}))
		synctest.Wait()
		if tags, _, err := b.s.Tags(b.ctx, orders, "", 10); err != nil || !slices.Equal(tags, []Tag{{"team", "a"}}) {
			t.Errorf("%v, %v", tags, err)
		}

		changed := b.s.ShardsChanged(first.ID)
		a.must(a.s.Reshard(a.ctx, orders, []record.ShardID{0}, halves()))
		synctest.Wait()
		select {
		case <-changed:
		default:
			t.Error("who waits for another shard list was not woken by the reshard")
		}
		if info := b.lookup(orders); len(info.Shards) != 3 || info.Shards[0].Closed == 0 || info.Status != Active {
			t.Errorf("%+v", info)
		}

		changed = b.s.ShardsChanged(first.ID)
		a.must(a.s.Delete(a.ctx, orders))
		synctest.Wait()
		b.absent(orders)
		select {
		case <-changed:
		default:
			t.Error("who waits for another shard list was not woken by the deletion")
		}
		if _, ok, err := b.s.LookupID(b.ctx, first.ID); ok || err != nil {
			t.Errorf("found %t by its number, %v", ok, err)
		}
		b.create(orders, 2)
		a.must(b.s.Delete(b.ctx, orders))
		second := b.create(orders, 3)
		synctest.Wait()
		if info := a.lookup(orders); info.ID != second.ID || len(info.Shards) != 3 {
			t.Errorf("%+v, want %+v", info, second)
		}
	})
}

// A change applies to what is stored, not to this process's view: changes by another process stay, and show here too.
func TestAChangeOverAChangeOfAnotherProcess(t *testing.T) {
	t.Parallel()
	c := clock.New(0)
	store := memory.New(memory.Options{Clock: c})
	a, b := &bench{T: t, clock: c, store: store, ctx: t.Context()}, &bench{
		T: t, clock: c, store: store, ctx: t.Context(),
	}
	a.s, b.s = New(Options{Store: store, Clock: c}), New(Options{Store: store, Clock: c}) // neither follows the other
	a.create(orders, 1)
	b.lookup(orders)
	a.must(a.s.Reshard(a.ctx, orders, []record.ShardID{0}, halves()))

	b.must(b.s.AddTags(b.ctx, orders, map[string]string{"team": "b"}))

	info := b.lookup(orders)
	if len(info.Shards) != 3 {
		t.Errorf("after a change of its own: %+v", info)
	}
	b.must(b.s.Reshard(b.ctx, orders, []record.ShardID{1, 2}, []record.HashKeyRange{{End: record.MaxHashKey}}))
	if info := b.lookup(orders); len(info.Shards) != 4 || info.Status != Active {
		t.Errorf("after a reshard of its own: %+v", info)
	}
	a.must(a.s.Delete(a.ctx, orders))
	if err := b.s.AddTags(b.ctx, orders, map[string]string{"x": "y"}); fault.CodeOf(err) != fault.CodeNotFound {
		t.Errorf("a change of what is deleted: %v", err)
	}
	b.absent(orders)
}

// A reader that comes after another process has closed the shard, but before it has committed the children, sees
// neither: it waits at the tail, is woken by the commit, and sees the end together with the children.
func TestAReaderInTheMidstOfTheReshardOfAnotherProcess(t *testing.T) {
	t.Parallel()
	two(t, func(t *testing.T, _, b *bench) {
		h := &hooked{Store: b.store}
		a := &bench{T: t, clock: b.clock, ctx: t.Context(), s: New(Options{Store: h, Clock: b.clock})}
		info := a.create(orders, 1)
		a.put(orders, "k")
		synctest.Wait()
		read := func() (n int, end storage.End) {
			_, end, err := b.s.Read(b.ctx, info.ID, 0, 1, storage.Limit{}, func(record.Record) { n++ })
			b.must(err)
			return n, end
		}
		before := b.s.Changed(info.ID, 0)
		var midst <-chan struct{}
		h.commit = func(ops []storage.Op) {
			if len(ops) != 5 { // the stream, the intent, a parent and two children
				return
			}
			midst = b.s.Changed(info.ID, 0)
			if n, end := read(); n != 1 || end.Kind != storage.Tail {
				t.Errorf("%d records, end %v", n, end.Kind)
			}
		}
		a.must(a.s.Reshard(a.ctx, orders, []record.ShardID{0}, halves()))
		synctest.Wait()
		for name, woken := range map[string]<-chan struct{}{"before the end": before, "in the midst": midst} {
			select {
			case <-woken:
			default:
				t.Errorf("who came %s is not woken", name)
			}
		}
		if n, end := read(); n != 1 || end.Kind != storage.ShardEnd || len(b.lookup(orders).Children(0)) != 2 {
			t.Errorf("%d records, end %v", n, end.Kind)
		}
	})
}

// hooked is a store that calls a test's functions around certain calls.
type hooked struct {
	storage.Store
	commit func(ops []storage.Op)  // before a commit
	list   func(prefix string)     // before a list
	fail   func(call string) error // of a commit, a create, a delete, a trim or a scan, before anything is done

	mu        sync.Mutex // guards what follows: some calls come from several goroutines
	committed func()     // after a commit, once
	listed    func()     // after a list, once
	create    func()     // before a shard is created, once
	append    func()     // before an append, once
	seek      func()     // before a seek, once
	bounds    func()     // after the bounds of a shard were read, once
	scanned   func()     // after a scan, once
	acquire   func()     // before a shard is acquired, once
	acquires  int        // how many there were
}

// once calls and forgets one of the functions.
func (h *hooked) once(f *func()) {
	h.mu.Lock()
	call := *f
	*f = nil
	h.mu.Unlock()
	if call != nil {
		call()
	}
}

// failed returns the error that a call is to have.
func (h *hooked) failed(call string) error {
	if h.fail == nil {
		return nil
	}
	return h.fail(call)
}

func (h *hooked) Coord() storage.Coord { return hookedCoord{h.Store.Coord(), h} }
func (h *hooked) Log() storage.Log     { return hookedLog{h.Store.Log(), h} }

type hookedCoord struct {
	storage.Coord
	h *hooked
}

func (c hookedCoord) Commit(ctx context.Context, group string, ops ...storage.Op) (storage.Revision, error) {
	if c.h.commit != nil {
		c.h.commit(ops)
	}
	if err := c.h.failed("commit"); err != nil {
		return 0, err
	}
	revision, err := c.Coord.Commit(ctx, group, ops...)
	c.h.once(&c.h.committed)
	return revision, err
}

func (c hookedCoord) List(ctx context.Context, prefix, after string, n int) ([]storage.Entry, error) {
	if c.h.list != nil {
		c.h.list(prefix)
	}
	entries, err := c.Coord.List(ctx, prefix, after, n)
	c.h.once(&c.h.listed)
	return entries, err
}

type hookedLog struct {
	storage.Log
	h *hooked
}

func (l hookedLog) Create(ctx context.Context, shard storage.Shard, first record.Position) error {
	l.h.once(&l.h.create)
	if err := l.h.failed("create"); err != nil {
		return err
	}
	return l.Log.Create(ctx, shard, first)
}

func (l hookedLog) Delete(ctx context.Context, id uint32) error {
	if err := l.h.failed("delete"); err != nil {
		return err
	}
	return l.Log.Delete(ctx, id)
}

func (l hookedLog) Trim(ctx context.Context, shard storage.Shard, before record.Position) error {
	if err := l.h.failed("trim"); err != nil {
		return err
	}
	return l.Log.Trim(ctx, shard, before)
}

func (l hookedLog) Scan(
	ctx context.Context, shard storage.Shard, from record.Position, limit storage.Limit, visit func(record.Record),
) (record.Position, storage.End, error) {
	if err := l.h.failed("scan"); err != nil {
		return from, storage.End{}, err
	}
	next, end, err := l.Log.Scan(ctx, shard, from, limit, visit)
	l.h.once(&l.h.scanned)
	return next, end, err
}

func (l hookedLog) Bounds(ctx context.Context, shard storage.Shard) (
	oldest, next record.Position, closed bool, err error,
) {
	oldest, next, closed, err = l.Log.Bounds(ctx, shard)
	l.h.once(&l.h.bounds)
	return oldest, next, closed, err
}

func (l hookedLog) Seek(ctx context.Context, shard storage.Shard, at record.Millis) (record.Position, error) {
	l.h.once(&l.h.seek)
	return l.Log.Seek(ctx, shard, at)
}

func (l hookedLog) Append(ctx context.Context, batches []storage.Batch) []error {
	l.h.once(&l.h.append)
	return l.Log.Append(ctx, batches)
}

func (l hookedLog) Acquire(ctx context.Context, shard storage.Shard) (storage.Writer, record.Position, error) {
	l.h.mu.Lock()
	l.h.acquires++
	l.h.mu.Unlock()
	l.h.once(&l.h.acquire)
	return l.Log.Acquire(ctx, shard)
}

// A stream that another process is creating is in use: nothing of it is cleared away, and the creation completes.
func TestAStreamThatAnotherProcessIsCreating(t *testing.T) {
	t.Parallel()
	two(t, func(t *testing.T, _, b *bench) {
		for _, follows := range []bool{false, true} {
			h := &hooked{Store: b.store}
			a := &bench{T: t, clock: b.clock, ctx: t.Context(), s: New(Options{Store: h, Clock: b.clock})}
			name := Name{
				Account: "000000000000", Region: "us-east-1", Name: map[bool]string{false: "x", true: "y"}[follows],
			}
			second := New(Options{Store: b.store, Clock: b.clock}) // knows only what was there before
			b.must(second.ready(b.ctx))
			h.create = func() {
				if follows {
					synctest.Wait()
					second = b.s
				}
				err := second.Create(b.ctx, name, CreateInput{Shards: 3})
				if fault.CodeOf(err) != codeInUse {
					t.Errorf("follows %t: %v", follows, err)
				}
			}
			a.must(a.s.Create(a.ctx, name, CreateInput{Shards: 1}))
			synctest.Wait()
			if info := b.lookup(name); len(info.Shards) != 1 || info.Status != Active {
				t.Errorf("follows %t: %+v", follows, info)
			}
		}
	})
}

// When another process was faster with a creation, its stream is known here afterwards, though it was there before our
// creation failed.
func TestAForestalledCreateKnowsTheStream(t *testing.T) {
	t.Parallel()
	two(t, func(t *testing.T, a, _ *bench) {
		h := &hooked{Store: a.store}
		b := &bench{T: t, clock: a.clock, ctx: t.Context(), s: New(Options{Store: h, Clock: a.clock})}
		b.must(b.s.Start(b.ctx))
		defer b.s.Stop()
		h.commit = func([]storage.Op) {
			h.commit = nil
			a.create(orders, 1)
			synctest.Wait()
		}
		if err := b.s.Create(b.ctx, orders, CreateInput{Shards: 2}); fault.CodeOf(err) != codeInUse {
			t.Fatal(err)
		}
		synctest.Wait()
		if info := b.lookup(orders); len(info.Shards) != 1 {
			t.Errorf("%+v", info)
		}
	})
}

// A stream is read as of one moment.
func TestAStreamIsReadAtOneMoment(t *testing.T) {
	t.Parallel()
	a := setup(t)
	h := &hooked{Store: a.store}
	b := New(Options{Store: h, Clock: a.clock})
	info := a.create(orders, 1)
	h.list = func(string) {
		h.list = nil
		a.must(a.s.Reshard(a.ctx, orders, []record.ShardID{0}, halves()))
	}
	r, err := b.readStream(t.Context(), orders)
	e, unread := a.store.Coord().Get(t.Context(), nameKey(orders))
	a.must(unread)
	if err != nil || r.ID != info.ID || len(r.shards) != 3 || r.revision != e.Revision {
		t.Errorf("%d shards at revision %d of %d, %v", len(r.shards), r.revision, e.Revision, err)
	}
}

// Each process reads the records that the other puts, and puts to the shards that the other has made.
func TestPutsMeetTheReshardOfAnotherProcess(t *testing.T) {
	t.Parallel()
	two(t, func(t *testing.T, a, b *bench) {
		info := a.create(orders, 1)
		synctest.Wait()
		b.put(orders, "k")
		a.must(a.s.Reshard(a.ctx, orders, []record.ShardID{0}, halves()))
		placed := b.put(orders, "k", "l") // right away: it waits until the children are known
		for _, p := range placed {
			if p.Fault != nil || p.Shard == 0 {
				t.Errorf("%+v", p)
			}
		}
		count := 0
		for shard := range record.ShardID(3) {
			_, _, err := a.s.Read(a.ctx, info.ID, shard, 1, storage.Limit{}, func(record.Record) { count++ })
			a.must(err)
		}
		if count != 3 {
			t.Errorf("%d records", count)
		}
	})
}

// Of two processes that create a stream of one name, one succeeds, and the other reports ResourceInUse and knows the
// stream.
func TestTwoProcessesCreateOneName(t *testing.T) {
	t.Parallel()
	two(t, func(t *testing.T, a, b *bench) {
		errs := make(chan error, 2)
		for _, x := range []*bench{a, b} {
			go func() { errs <- x.s.Create(x.ctx, orders, CreateInput{Shards: 2}) }()
		}
		synctest.Wait()
		first, second := <-errs, <-errs
		if first != nil {
			first, second = second, first
		}
		if first != nil || fault.CodeOf(second) != codeInUse {
			t.Fatalf("%v and %v", first, second)
		}
		synctest.Wait()
		if x, y := a.lookup(orders), b.lookup(orders); x.ID != y.ID || x.Status != Active || y.Status != Active {
			t.Errorf("%+v and %+v", x, y)
		}
	})
}

// What a creation of unknown outcome has left is not a stream until it is created again.
func TestWhatALostCreateLeavesIsNotDiscovered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memory.New(memory.Options{})
		f := &storagetest.Faulty{Coord: store.Coord()}
		s := New(Options{Store: storagetest.With(store, f)})
		b := &bench{T: t, s: s, ctx: t.Context()}
		b.must(s.Start(b.ctx))
		defer s.Stop()
		tried := false
		f.Fail(func([]storage.Op) storagetest.Fault {
			if tried {
				return storagetest.None
			}
			tried = true
			return storagetest.LoseWord
		})
		f.Unread(func(key string) bool { return key == nameKey(orders) })
		if err := s.Create(b.ctx, orders, CreateInput{Shards: 2}); !errors.Is(err, storage.ErrUnknown) {
			t.Fatal(err)
		}
		f.Unread(nil)
		s.lookAgain()
		synctest.Wait()
		b.absent(orders)
		b.must(s.Create(b.ctx, orders, CreateInput{Shards: 1}))
		if info := b.lookup(orders); len(info.Shards) != 1 {
			t.Errorf("%+v", info)
		}
	})
}

// unlisted is a Coord whose lists fail for a while.
type unlisted struct {
	storage.Coord
	left int
}

func (u *unlisted) List(ctx context.Context, prefix, after string, n int) ([]storage.Entry, error) {
	if u.left--; u.left >= 0 {
		return nil, errDied
	}
	return u.Coord.List(ctx, prefix, after, n)
}

// A store that cannot be read for a while is read again later.
func TestFollowingIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memory.New(memory.Options{})
		u := &unlisted{Coord: store.Coord()}
		s, other := New(Options{Store: storagetest.With(store, u)}), New(Options{Store: store})
		b := &bench{T: t, s: s, ctx: t.Context()}
		b.must(s.Start(b.ctx))
		defer s.Stop()
		synctest.Wait()
		u.left = 3
		b.must(other.Create(b.ctx, orders, CreateInput{Shards: 1}))
		synctest.Wait()
		b.absent(orders)
		<-time.After(time.Minute)
		synctest.Wait()
		b.lookup(orders)

		u.left = 1000
		s.lookAgain()
		<-time.After(time.Minute)
		synctest.Wait()
		if tries := 1000 - u.left; tries < 5 || tries > 20 {
			t.Errorf("a store that cannot be read was read %d times in a minute", tries)
		}
	})
}
