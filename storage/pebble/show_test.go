package pebble

import (
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// writeBlocks stages n blocks of one record each at the shard's end, as a commit leaves them for show.
func writeBlocks(c *commit, sh *shard, n int) {
	for range n {
		sh.state.last++
		r := record.Record{Key: "k"}
		w := newBuilder(sh.state.last, 1, 1, recordBytes(&r))
		w.add(&r)
		c.writeBlock(sh, w.finish())
	}
}

// shown returns a store with two shards, and a commit that a test may fill.
func shown(t *testing.T) (*commit, [2]*shard) {
	t.Helper()
	s, err := Open(Options{Dir: "store", FS: vfs.NewMem(), Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	var shards [2]*shard
	for i := range shards {
		id := storage.Shard{Stream: 1, Index: record.ShardID(i)}
		if err := s.Log().Create(t.Context(), id, 0); err != nil {
			t.Fatal(err)
		}
		if shards[i], err = s.find(id); err != nil {
			t.Fatal(err)
		}
	}
	c := &commit{s: s, batch: s.db.NewBatch()}
	t.Cleanup(func() { _ = c.batch.Close() })
	return c, shards
}

// A batch of many blocks shows at one moment. There are so many here that a reader that looks all the time would see a
// part, if they were shown one by one.
func TestTheBlocksOfACommitShowTogether(t *testing.T) {
	t.Parallel()
	const blocks, rounds = 50_000, 10
	c, shards := shown(t)
	sh := shards[0]
	var reader sync.WaitGroup
	looked := make(chan struct{}, 1)
	reader.Go(func() {
		for end := record.Position(0); end < blocks*rounds+1; {
			sh.mu.Lock()
			end = sh.seen.end()
			sh.mu.Unlock()
			if end%blocks != 1 {
				t.Errorf("a reader found the shard to end at %d, within a batch", end)
				close(looked)
				return
			}
			select {
			case looked <- struct{}{}:
			default:
			}
		}
	})
	for range rounds {
		for range blocks {
			sh.state.last++
			sh.blocks = append(sh.blocks, &block{first: sh.state.last, count: 1})
		}
		c.written = append(c.written, sh)
		<-looked // the reader is at work
		<-looked
		c.show()
	}
	reader.Wait()
}

// A commit may write to a shard twice, with another shard's blocks in between. Tail would promise a reader that saw
// only the first half that nothing older than now follows, but the second half is older.
func TestAShardShowsOnceInACommit(t *testing.T) {
	t.Parallel()
	c, shards := shown(t)
	a, b := shards[0], shards[1]
	writeBlocks(c, a, 1)
	writeBlocks(c, b, 1)
	writeBlocks(c, a, 1)

	b.mu.Lock() // the committer reaches b and waits
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.show()
	}()
	for end := record.Position(1); end == 1; {
		_, end, _, _ = c.s.Log().Bounds(t.Context(), a.id)
		if end == 2 {
			t.Error("a reader sees the first half of what the commit wrote")
		}
	}
	b.mu.Unlock()
	<-done
}
