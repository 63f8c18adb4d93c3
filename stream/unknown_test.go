package stream_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/storage/storagetest"
	"github.com/shardmill/shardmill/stream"
)

var lostName = stream.Name{Account: "000000000000", Region: "us-east-1", Name: "lost"}

func lossy(t *testing.T) (*stream.Streams, *storagetest.Faulty) {
	t.Helper()
	s := memory.New(memory.Options{})
	t.Cleanup(func() { _ = s.Close() })
	f := &storagetest.Faulty{Coord: s.Coord()}
	return stream.New(stream.Options{Store: storagetest.With(s, f)}), f
}

// A change of a stream whose reply is lost returns what really happened; if nothing did, it can be repeated.
func TestChangesOfStreamsWhoseAnswersAreLost(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]storagetest.Fault{
		"applied": storagetest.LoseWord, "not applied": storagetest.LoseIt,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, f := lossy(t)
			if err := s.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Stop)
			do := func(what string, call func() error) {
				t.Helper()
				f.FailNext(1, lost)
				err := call()
				if lost == storagetest.LoseIt && err != nil {
					err = call()
				}
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
			}
			do("create", func() error { return s.Create(t.Context(), lostName, stream.CreateInput{Shards: 1}) })
			do("tag", func() error { return s.AddTags(t.Context(), lostName, map[string]string{"a": "b"}) })
			if _, err := s.PutRecords(t.Context(), lostName, []record.Record{
				{Key: "k", Data: []byte("d")},
			}); err != nil {
				t.Fatal(err)
			}
			if info, err := s.Lookup(t.Context(), lostName); err != nil || info.Status != stream.Active ||
				len(info.Shards) != 1 {
				t.Errorf("%+v, %v", info, err)
			}
			do("delete", func() error {
				err := s.Delete(t.Context(), lostName)
				if fault.CodeOf(err) == fault.CodeInUse { // it is DELETING since the call before
					return nil
				}
				return err
			})
		})
	}
}

// A creation whose outcome stays unknown does not keep its name occupied, and leaves no stream unless it is asked for
// again.
func TestCreateOfUnknownOutcomeCanBeRepeated(t *testing.T) {
	t.Parallel()
	for _, lost := range []storagetest.Fault{storagetest.LoseWord, storagetest.LoseIt} {
		s, f := lossy(t)
		if _, err := s.Lookup(t.Context(), lostName); fault.CodeOf(err) != fault.CodeNotFound { // loaded
			t.Fatal(err)
		}
		var tried atomic.Bool
		f.Fail(func([]storage.Op) storagetest.Fault {
			if tried.Swap(true) {
				return storagetest.None
			}
			return lost
		})
		f.Unread(func(string) bool { return tried.Load() })
		if err := s.Create(t.Context(), lostName, stream.CreateInput{Shards: 2}); !errors.Is(err, storage.ErrUnknown) {
			t.Fatalf("got %v", err)
		}
		f.Unread(nil)

		if err := s.Create(t.Context(), lostName, stream.CreateInput{Shards: 1}); err != nil {
			t.Fatal(err)
		}

		again := stream.New(stream.Options{Store: storagetest.With(memory.New(memory.Options{}), f)})
		info, err := again.Lookup(t.Context(), lostName)
		if err != nil || len(info.Shards) != 1 || info.Status != stream.Active {
			t.Errorf("%+v, %v", info, err)
		}
	}
}

// A creation that did not happen is not taken for done because another stream got the number it wanted.
func TestALostCreateIsNotTakenForAnother(t *testing.T) {
	t.Parallel()
	s, f := lossy(t)
	if err := s.Create(
		t.Context(), stream.Name{Account: lostName.Account, Region: lostName.Region, Name: "first"},
		stream.CreateInput{Shards: 1},
	); err != nil {
		t.Fatal(err)
	}
	f.Fail(func(ops []storage.Op) storagetest.Fault {
		for _, op := range ops {
			if op.Key == "stream/id" { // another process creates a stream and takes the number
				if _, err := f.Coord.Commit(t.Context(), "stream/", op); err != nil {
					t.Error(err)
				}
				return storagetest.LoseIt
			}
		}
		return storagetest.None
	})

	err := s.Create(t.Context(), lostName, stream.CreateInput{Shards: 1})

	if !errors.Is(err, storage.ErrUnchanged) {
		t.Errorf("got %v", err)
	}
	f.Fail(nil)
	if err := s.Create(t.Context(), lostName, stream.CreateInput{Shards: 1}); err != nil {
		t.Fatal(err)
	}
	if info, err := s.Lookup(t.Context(), lostName); err != nil || info.ID != 3 {
		t.Errorf("stream %d, %v; want 3", info.ID, err)
	}
}

// A reshard that conflicts with leftovers of another one, not with another writer of the stream, ends.
func TestReshardThatCannotWinEnds(t *testing.T) {
	t.Parallel()
	s, f := lossy(t)
	if err := s.Create(t.Context(), lostName, stream.CreateInput{Shards: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Commit(t.Context(), "stream/", storage.Op{
		Key: "stream/reshard/0000000001", Value: []byte("{}"), Expect: storage.Any,
	}); err != nil {
		t.Fatal(err)
	}
	info, err := s.Lookup(t.Context(), lostName)
	if err != nil {
		t.Fatal(err)
	}
	left, right := info.Shards[0].Range, info.Shards[0].Range
	left.End[0], right.Start[0] = 0x7f, 0x80
	before := f.Tried()

	err = s.Reshard(t.Context(), lostName, []record.ShardID{0}, []record.HashKeyRange{left, right})

	if !errors.Is(err, storage.ErrConflict) || f.Tried()-before > 3 {
		t.Errorf("%v after %d commits", err, f.Tried()-before)
	}
}
