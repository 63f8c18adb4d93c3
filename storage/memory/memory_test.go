package memory_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/storage/storagetest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(testing.TB) storagetest.Harness {
		c := clock.New(0)
		return storagetest.Harness{Store: memory.New(memory.Options{Clock: c}), Clock: c}
	})
}

// What clients store in a Local counts too. Beyond the limit the whole batch is refused; bookkeeping and deletions go
// on, and make room again.
func TestAFullStoreRefusesWhatIsBroughtToLocal(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := memory.New(memory.Options{Limit: 1 << 20})
	local := s.Local()
	big := bytes.Repeat([]byte("x"), 100_000)
	key := func(n int) []byte { return []byte{'k', byte(n)} }
	put := func(n int) error {
		return local.Apply(
			ctx, storage.Sync, storage.LocalOp{Key: []byte("note"), Value: key(n)},
			storage.LocalOp{Key: key(n), Value: big, Refusable: true},
		)
	}
	for range 50 { // replacing a value takes its room only once
		if err := put(0); err != nil {
			t.Fatal(err)
		}
	}
	written := 1
	var err error
	for ; err == nil; written++ {
		err = put(written)
	}
	written--
	if !errors.Is(err, storage.ErrFull) || written < 10 || written > 11 {
		t.Fatalf("after %d values of 100 kB under a limit of 1 MiB: %v", written, err)
	}
	if v, _, _ := local.Get([]byte("note")); !bytes.Equal(v, key(written-1)) {
		t.Errorf("a part of the refused batch was applied: %q", v)
	}
	if err := local.Apply(ctx, storage.Sync, storage.LocalOp{Key: []byte("note"), Value: []byte("own")}); err != nil {
		t.Errorf("bookkeeping is refused too: %v", err)
	}
	for _, op := range []storage.LocalOp{{Key: key(0)}, {Key: key(1), Until: key(3)}} {
		if err := local.Apply(ctx, storage.Sync, op); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 3 {
		if err := put(n); err != nil {
			t.Errorf("value %d after deleting: %v", n, err)
		}
	}
}

// Beyond the limit puts are refused and nothing is dropped; reads, trims and small values go on, and trimming makes
// room again.
func TestAFullStoreRefusesRecordsOnly(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := memory.New(memory.Options{Limit: 1 << 20})
	log := s.Log()
	shard := storage.Shard{Stream: 1}
	if err := log.Create(ctx, shard, 0); err != nil {
		t.Fatal(err)
	}
	w, _, _ := log.Acquire(ctx, shard)
	put := func() error {
		return log.Append(ctx, []storage.Batch{
			{Writer: w, Records: []record.Record{{Key: "k", Data: bytes.Repeat([]byte("x"), 50_000)}}},
		})[0]
	}

	written := 0
	var err error
	for ; err == nil; written++ {
		err = put()
	}
	written--

	if !errors.Is(err, storage.ErrFull) || written < 12 || written > 21 {
		t.Fatalf("after %d records of 50 kB under a limit of 1 MiB: %v", written, err)
	}
	if _, err := s.Coord().Commit(ctx, "", storage.Op{Key: "k", Value: []byte("v"), Expect: storage.Any}); err != nil {
		t.Fatalf("small values are refused too: %v", err)
	}
	seen := 0
	if _, _, err := log.Scan(ctx, shard, 1, storage.Limit{}, func(record.Record) { seen++ }); err != nil ||
		seen != written {
		t.Fatalf("%d records readable of %d, %v", seen, written, err)
	}
	if err := log.Trim(ctx, shard, record.Position(written)); err != nil {
		t.Fatal(err)
	}
	if err := put(); err != nil {
		t.Fatalf("after trimming: %v", err)
	}
	if err := log.Delete(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if used := memory.Used(s); used != 0 {
		t.Fatalf("%d bytes counted with nothing stored", used)
	}
}

// A large backlog must not cost more than its bytes and a small index.
func TestRecordsTakeLittleMoreThanTheirBytes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := memory.New(memory.Options{Limit: 1 << 30})
	shard := storage.Shard{Stream: 1}
	if err := s.Log().Create(ctx, shard, 0); err != nil {
		t.Fatal(err)
	}
	w, _, _ := s.Log().Acquire(ctx, shard)
	rs := make([]record.Record, 500)
	for i := range rs {
		rs[i] = record.Record{Key: "key", Data: make([]byte, 97)}
	}
	for range 100 {
		if err := s.Log().Append(ctx, []storage.Batch{{Writer: w, Records: rs}})[0]; err != nil {
			t.Fatal(err)
		}
	}
	if per := memory.Used(s) / 50_000; per > 100+32+16 {
		t.Fatalf("a record of 100 bytes takes %d", per)
	}
}

// Records without data take memory all the same, and a trim gives it back in parts, not only with the last of them.
func TestATrimGivesBackWhatEmptyRecordsTake(t *testing.T) {
	t.Parallel()
	s := memory.New(memory.Options{})
	id := storage.Shard{Stream: 1}
	if err := s.Log().Create(t.Context(), id, 0); err != nil {
		t.Fatal(err)
	}
	w, _, err := s.Log().Acquire(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	const each, calls = 500, 80
	for range calls {
		empty := []storage.Batch{{Writer: w, Records: make([]record.Record, each)}}
		if err := s.Log().Append(t.Context(), empty)[0]; err != nil {
			t.Fatal(err)
		}
	}
	full := memory.Used(s)
	if err := s.Log().Trim(t.Context(), id, each*calls*3/4); err != nil {
		t.Fatal(err)
	}
	if left := memory.Used(s); left > full/2 {
		t.Errorf("of %d bytes %d are taken after three quarters were trimmed", full, left)
	}
}
