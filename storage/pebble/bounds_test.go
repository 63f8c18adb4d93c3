package pebble

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// many opens a store with n shards.
func many(t *testing.T, n int) (s *Store, writers []storage.Writer) {
	t.Helper()
	s, err := Open(Options{Dir: "store", FS: vfs.NewMem(), Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for i := range n {
		id := storage.Shard{Stream: 1, Index: record.ShardID(i)}
		if err := s.Log().Create(t.Context(), id, 0); err != nil {
			t.Fatal(err)
		}
		w, _, err := s.Log().Acquire(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		writers = append(writers, w)
	}
	return s, writers
}

func appendOne(t *testing.T, s *Store, w storage.Writer, size int) {
	t.Helper()
	rs := []record.Record{{Key: "k", Data: make([]byte, size)}}
	if err := s.Log().Append(t.Context(), []storage.Batch{{Writer: w, Records: rs}})[0]; err != nil {
		t.Error(err)
	}
}

// The blocks in memory take no more than their budget, whichever shards they belong to; the newest ones stay.
func TestTheNewestBlocksStayInMemoryWithinTheirBudget(t *testing.T) {
	t.Parallel()
	const size, budget = 10_000, 5 * 10_100
	s, writers := many(t, 3)
	s.tails.budget = budget
	for i := range 1100 { // so many that the list of blocks is cut
		appendOne(t, s, writers[i%len(writers)], size*min(1, i/1080))
	}
	appendOne(t, s, writers[0], size)

	sum := 0
	for _, w := range writers {
		sh, err := s.find(w.Shard)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range sh.seen.tail {
			sum += len(b.bytes)
		}
		if w == writers[0] && (len(sh.seen.tail) == 0 || sh.seen.tail[len(sh.seen.tail)-1].next() != sh.seen.end()) {
			t.Error("the newest block of all is not in memory")
		}
	}
	if sum > budget || sum < budget-2*size {
		t.Errorf("%d bytes of blocks are in memory, want nearly %d", sum, budget)
	}
}

// Of the shards whose blocks were read from the database, only so many keep the last one; each that is read goes on.
func TestFewShardsKeepTheBlockThatWasReadLast(t *testing.T) {
	t.Parallel()
	s, writers := many(t, recentBlocks+20)
	s.tails.budget = 0
	for _, w := range writers {
		appendOne(t, s, w, 10)
	}
	for range 2 {
		for _, w := range writers {
			if _, _, err := s.Log().Scan(t.Context(), w.Shard, 1, storage.Limit{}, func(record.Record) {}); err != nil {
				t.Fatal(err)
			}
		}
	}
	kept := 0
	for _, w := range writers {
		if sh, _ := s.find(w.Shard); sh.seen.recent != nil {
			kept++
		}
	}
	if kept != recentBlocks {
		t.Errorf("%d shards keep a block, want %d", kept, recentBlocks)
	}
}

// A reader who needs the database takes no record for missing that becomes durable while it looks.
func TestRecordsThatComeDuringAReadAreNotMissed(t *testing.T) {
	t.Parallel()
	const records = 3000
	s, writers := many(t, 1)
	s.tails.budget = 0
	var writing sync.WaitGroup
	writing.Go(func() {
		for range records {
			appendOne(t, s, writers[0], 1)
		}
	})
	for next, read := record.Position(1), 0; read < records && !t.Failed(); {
		var err error
		next, _, err = s.Log().Scan(t.Context(), writers[0].Shard, next, storage.Limit{}, func(r record.Record) {
			if read++; r.Pos != record.Position(read) {
				t.Errorf("position %d comes after %d", r.Pos, read-1)
			}
		})
		if err != nil {
			t.Error(fmt.Errorf("after %d records: %w", read, err))
		}
	}
	writing.Wait()
}

// Who has found a group of shards before its stream was deleted, and only then comes to read it from the database,
// finds nothing: what is read there may just be going.
func TestAGroupIsNotLoadedOnceItsStreamIsGone(t *testing.T) {
	t.Parallel()
	s, writers := many(t, 1)
	late := new(group)
	id := storage.Shard{Stream: writers[0].Shard.Stream, Index: 7 * groupSize}
	s.groups[idOf(id)] = late
	if err := s.Log().Delete(t.Context(), id.Stream); err != nil {
		t.Fatal(err)
	}
	s.groups[idOf(id)] = late // as in the hand of a slow caller
	if _, err := s.group(id); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("it is found: %v", err)
	}
}

// What has queued up is committed in groups of a bounded size, so that the first of it need not wait until the last is
// written; one call that is larger goes alone.
func TestAGroupIsBounded(t *testing.T) {
	t.Parallel()
	q := queue{limit: queueBytes, wake: make(chan struct{}, 1)}
	for _, bytes := range []int{groupBytes / 2, groupBytes / 2, 1, 0, groupBytes + 1, 0} {
		if err := q.put(&request{bytes: bytes}); err != nil {
			t.Fatal(err)
		}
	}
	var sizes []int
	for range 4 {
		group, _ := q.take(nil)
		sizes = append(sizes, len(group))
	}
	if want := []int{2, 2, 1, 1}; !slices.Equal(sizes, want) {
		t.Errorf("groups of %d calls, want %d", sizes, want)
	}
}

// A queue that is over its bound, because one call was larger, takes what has no records: checkpoints, trims,
// deletions.
func TestAFullQueueTakesWhatHasNoRecords(t *testing.T) {
	t.Parallel()
	q := queue{limit: 10, wake: make(chan struct{}, 1)}
	for _, c := range []struct {
		bytes int
		want  error
	}{{11, nil}, {0, nil}, {1, storage.ErrBusy}, {0, nil}} {
		if err := q.put(&request{bytes: c.bytes}); !errors.Is(err, c.want) {
			t.Errorf("a call of %d bytes: %v, want %v", c.bytes, err, c.want)
		}
	}
}

// shrinking is a disk of which so many bytes are free.
type shrinking struct {
	vfs.FS
	free uint64
}

func (s *shrinking) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: s.free, TotalBytes: 1 << 40}, nil
}

// The free space is looked at once a second, and also after so many bytes that it might be used up within one.
func TestMuchDataIsNotWrittenPastTheMinimum(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fs := &shrinking{vfs.NewMem(), 1 << 30}
		o := Options{Dir: "store", FS: fs, MinFree: 1 << 20, Ballast: -1}.withDefaults()
		d := newDisk(o, newTroubles(o.Dir, o.Logger))
		d.unflushed = func() int64 { return 0 }
		if d.full() {
			t.Fatal("it is full from the beginning")
		}
		fs.free = 1000
		d.wrote(1<<20/8 - 1)
		if d.full() {
			t.Error("the disk is looked at for every little write")
		}
		d.wrote(1)
		if !d.full() {
			t.Error("after an eighth of the minimum it is not looked at")
		}
	})
}
