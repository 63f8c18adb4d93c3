package stream

import (
	"context"
	"errors"
	"fmt"
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

// Wherever a process dies while it changes a stream's retention, tags, consumers, record size or shards, the next one
// finds each change done or not begun, every acknowledged one done, and nothing of what was never asked for.
func TestACrashLeavesEachSettingOldOrNew(t *testing.T) {
	t.Parallel()
	changes := []struct {
		do   func(ctx context.Context, s *Streams) error
		show func(b *bench, info *Info) string
		is   string // once it is done
	}{
		{
			func(ctx context.Context, s *Streams) error { return s.IncreaseRetention(ctx, orders, 48) },
			func(_ *bench, info *Info) string { return info.Retention.String() }, "48h0m0s",
		},
		{
			func(ctx context.Context, s *Streams) error {
				return s.AddTags(ctx, orders, map[string]string{"team": "a", "stage": "b"})
			},
			func(b *bench, _ *Info) string {
				tags, _, err := b.s.Tags(b.ctx, orders, "", 10)
				b.must(err)
				return fmt.Sprint(tags)
			}, "[{stage b} {team a}]",
		},
		{
			func(ctx context.Context, s *Streams) error {
				_, err := s.RegisterConsumer(ctx, orders, "billing", map[string]string{"for": "c"})
				return err
			},
			func(b *bench, _ *Info) string {
				all, _, err := b.s.ListConsumers(b.ctx, orders, ListConsumersInput{})
				b.must(err)
				names := ""
				for i := range all {
					tags, err := b.s.TagsOfConsumer(b.ctx, all[i].ID)
					b.must(err)
					names += all[i].ID.Name + fmt.Sprint(tags)
				}
				return names
			}, "billing[{for c}]",
		},
		{
			func(ctx context.Context, s *Streams) error { return s.SetRecordBytes(ctx, orders, 2<<20) },
			func(_ *bench, info *Info) string { return fmt.Sprint(info.RecordBytes) }, fmt.Sprint(2 << 20),
		},
		{
			func(ctx context.Context, s *Streams) error {
				return s.Reshard(ctx, orders, []record.ShardID{0, 1}, []record.HashKeyRange{{End: record.MaxHashKey}})
			},
			func(_ *bench, info *Info) string { return fmt.Sprint(len(info.Shards), info.Status) }, "3ACTIVE",
		},
	}
	for steps := range 40 {
		b := setup(t)
		b.create(orders, 2)
		before := make([]string, len(changes))
		for i := range changes {
			before[i] = changes[i].show(b, b.lookup(orders))
		}
		f := &failing{Store: b.store}
		f.left.Store(int64(steps))
		dying := New(Options{Store: f, Clock: b.clock})
		done := 0
		var err error
		for done < len(changes) && err == nil {
			if err = changes[done].do(b.ctx, dying); err == nil {
				done++
			}
		}

		b.reopen()

		if err != nil && !errors.Is(err, errDied) {
			t.Fatalf("after %d steps: %v", steps, err)
		}
		for i := range changes {
			got := changes[i].show(b, b.lookup(orders))
			switch {
			case i < done && got != changes[i].is:
				t.Errorf("after %d steps change %d was acknowledged and is %s, not %s", steps, i, got, changes[i].is)
			case i == done && got != before[i] && got != changes[i].is:
				t.Errorf("after %d steps change %d is %s, neither %s nor %s", steps, i, got, before[i], changes[i].is)
			case i > done && got != before[i]:
				t.Errorf("after %d steps change %d was never asked for and is %s", steps, i, got)
			}
		}
		if err == nil {
			if done != len(changes) || steps < len(changes) {
				t.Fatalf("%d of %d changes in %d steps", done, len(changes), steps)
			}
			return
		}
	}
	t.Fatal("the whole story takes more steps than were tried")
}
