package stream

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// failing is a store whose n-th change fails, as if the process had died there.
type failing struct {
	storage.Store
	left atomic.Int64
}

var errDied = errors.New("died")

func (f *failing) step() error {
	if f.left.Add(-1) < 0 {
		return errDied
	}
	return nil
}

func (f *failing) Log() storage.Log     { return failingLog{f.Store.Log(), f} }
func (f *failing) Coord() storage.Coord { return failingCoord{f.Store.Coord(), f} }

type failingLog struct {
	storage.Log
	f *failing
}

func (l failingLog) Create(ctx context.Context, s storage.Shard, first record.Position) error {
	if err := l.f.step(); err != nil {
		return err
	}
	return l.Log.Create(ctx, s, first)
}

func (l failingLog) Close(ctx context.Context, s storage.Shard) (record.Position, error) {
	if err := l.f.step(); err != nil {
		return 0, err
	}
	return l.Log.Close(ctx, s)
}

func (l failingLog) Delete(ctx context.Context, id uint32) error {
	if err := l.f.step(); err != nil {
		return err
	}
	return l.Log.Delete(ctx, id)
}

type failingCoord struct {
	storage.Coord
	f *failing
}

func (c failingCoord) Commit(ctx context.Context, group string, ops ...storage.Op) (storage.Revision, error) {
	if err := c.f.step(); err != nil {
		return 0, err
	}
	return c.Coord.Commit(ctx, group, ops...)
}

// Wherever a process dies while it creates, reshards or deletes, the next one finds each step done or not begun, and
// the stream usable.
func TestACrashLeavesNothingHalfDone(t *testing.T) {
	t.Parallel()
	for steps := range 20 {
		b := setup(t)
		f := &failing{Store: b.store}
		f.left.Store(int64(steps))
		ctx := b.ctx
		dying := New(Options{Store: f, Clock: b.clock})
		full := []record.HashKeyRange{{End: record.MaxHashKey}}
		err := dying.Create(ctx, orders, CreateInput{Shards: 2})
		if err == nil {
			err = dying.Reshard(ctx, orders, []record.ShardID{0, 1}, full)
		}
		if err == nil {
			err = dying.Delete(ctx, orders)
		}

		b.reopen()

		if err != nil && !errors.Is(err, errDied) {
			t.Fatalf("after %d steps: %v", steps, err)
		}
		info, lookupErr := b.s.Lookup(ctx, orders)
		if err == nil && lookupErr == nil {
			t.Fatalf("after %d steps the stream is deleted and still there: %+v", steps, info)
		}
		if lookupErr != nil {
			b.create(orders, 2)
		} else if n := len(info.Shards); info.Status != Active || n != 2 && n != 3 {
			t.Fatalf("after %d steps the stream is %+v", steps, info)
		}
		b.put(orders, "a", "b")
		b.must(b.s.Delete(ctx, orders))
		if err == nil {
			return
		}
	}
	t.Fatal("the whole story takes more steps than were tried")
}

// refusing is a log whose appends fail with a storage error.
type refusing struct {
	storage.Store
	err error
}

func (r refusing) Log() storage.Log { return refusingLog{r.Store.Log(), r.err} }

type refusingLog struct {
	storage.Log
	err error
}

func (r refusingLog) Append(_ context.Context, batches []storage.Batch) []error {
	errs := make([]error, len(batches))
	for i := range errs {
		errs[i] = r.err
	}
	return errs
}

func TestRefusalsOfStorageReachThePutter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err            error
		code, text     string
		single, hinted bool
	}{
		{
			storage.ErrBusy, "ProvisionedThroughputExceededException",
			"Rate exceeded for shard shardId-000000000000 in stream orders under account 000000000000.", true, false,
		},
		{storage.ErrFull, "InternalFailure", "Internal Service Failure", false, true},
		{storage.ErrFenced, "InternalFailure", "Internal Service Failure", false, true},
		{errDied, "InternalFailure", "Internal Service Failure", false, false},
	} {
		b := setup(t)
		b.create(orders, 1)
		s := New(Options{Store: refusing{b.store, c.err}, Clock: b.clock})

		placed, err := s.PutRecords(b.ctx, orders, []record.Record{{Key: "a"}})
		b.must(err)
		_, single := s.PutRecord(b.ctx, orders, PutRecordInput{Record: record.Record{Key: "a"}})

		f := placed[0].Fault
		if f == nil || f.Code != c.code || f.Message != c.text || (f.Hint != "") != c.hinted || !errors.Is(f, c.err) {
			t.Errorf("%v: the record's fault is %+v", c.err, f)
		}
		wantCode(t, single, c.code)
		var sf *fault.Error
		if errors.As(single, &sf); c.single != (sf.Message != "") {
			t.Errorf("%v: PutRecord says %q", c.err, sf.Message)
		}
	}
}
