package pebble

import "sync"

const (
	tailBytes    = 64 << 20 // newest blocks kept in memory, for all shards together
	recentBlocks = 64       // shards that keep the last block read from the database
)

// tails bounds the blocks that shards keep for readers at the tip: the oldest block of all goes first. Only the
// committer adds blocks.
type tails struct {
	budget int
	bytes  int
	queue  []written // in order of age, from head on
	head   int
}

func (t *tails) add(w written) {
	t.queue = append(t.queue, w)
	t.bytes += len(w.block.bytes)
	for t.bytes > t.budget {
		oldest := t.queue[t.head]
		t.queue[t.head] = written{}
		t.head++
		t.bytes -= len(oldest.block.bytes)
		oldest.shard.forget(oldest.block)
	}
	if t.head > 1024 && t.head > len(t.queue)/2 {
		n := copy(t.queue, t.queue[t.head:])
		clear(t.queue[n:])
		t.queue, t.head = t.queue[:n], 0
	}
}

// forget drops b, the oldest block of the tail, unless it is gone already.
func (sh *shard) forget(b *block) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if tail := sh.seen.tail; len(tail) > 0 && tail[0] == b {
		tail[0] = nil
		sh.seen.tail = tail[1:]
	}
}

// recents bounds how many shards keep the last block read: without it, a reader that takes a few records at a time
// would fetch and check the block again and again.
type recents struct {
	mu     sync.Mutex
	shards [recentBlocks]*shard
	next   int
}

func (t *recents) keep(sh *shard, b *block) {
	sh.mu.Lock()
	had := sh.seen.recent != nil
	sh.seen.recent = b
	sh.mu.Unlock()
	if had {
		return // it is in already
	}
	t.mu.Lock()
	old := t.shards[t.next]
	t.shards[t.next] = sh
	t.next = (t.next + 1) % recentBlocks
	t.mu.Unlock()
	if old != nil && old != sh {
		old.mu.Lock()
		old.seen.recent = nil
		old.mu.Unlock()
	}
}
