package memory

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/internal/wake"
)

// coord holds the small values.
type coord struct {
	mu       sync.RWMutex
	closed   bool
	values   tree
	revision uint64
	changed  wake.Prefixes
}

func (c *coord) close() {
	c.mu.Lock()
	c.closed = true
	c.values = tree{}
	c.mu.Unlock()
	c.changed.FireAll()
}

func (c *coord) Get(ctx context.Context, key string) (storage.Entry, error) {
	if err := ctx.Err(); err != nil {
		return storage.Entry{}, err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed {
		return storage.Entry{}, storage.ErrClosed
	}
	it, ok := c.values.get(key)
	if !ok {
		return storage.Entry{}, nil
	}
	return entryOf(it), nil
}

func entryOf(it item) storage.Entry {
	value := make([]byte, len(it.value)) // not bytes.Clone: an empty value is not nil
	copy(value, it.value)
	return storage.Entry{Key: it.key, Value: value, Revision: storage.Revision(it.revision)}
}

func (c *coord) List(ctx context.Context, prefix, after string, n int) ([]storage.Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed {
		return nil, storage.ErrClosed
	}
	var entries []storage.Entry
	view(c.values.leaves).prefixed(prefix, after, func(it item) bool {
		entries = append(entries, entryOf(it))
		return n <= 0 || len(entries) < n
	})
	return entries, nil
}

func (c *coord) Commit(ctx context.Context, group string, ops ...storage.Op) (storage.Revision, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	for _, op := range ops {
		if !strings.HasPrefix(op.Key, group) {
			return 0, fmt.Errorf("storage: commit to group %q: key %q lies outside it", group, op.Key)
		}
	}
	if len(ops) == 0 {
		return 0, nil
	}
	revision, err := c.commit(ops)
	if err != nil {
		return 0, err
	}
	for _, op := range ops {
		c.changed.Fire(op.Key)
	}
	return revision, nil
}

func (c *coord) commit(ops []storage.Op) (storage.Revision, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, storage.ErrClosed
	}
	next := c.revision + 1
	pending := make(map[string]uint64, len(ops)) // what earlier ops of this commit leave
	for _, op := range ops {
		now, ok := pending[op.Key]
		if !ok {
			it, _ := c.values.get(op.Key)
			now = it.revision
		}
		if op.Expect != storage.Any && uint64(op.Expect) != now {
			return 0, fmt.Errorf("%w: %s is at %d, not %d", storage.ErrConflict, op.Key, now, op.Expect)
		}
		pending[op.Key] = next
		if op.Value == nil {
			pending[op.Key] = 0
		}
	}
	c.revision = next
	for _, op := range ops {
		if op.Value == nil {
			c.values.remove(op.Key)
			continue
		}
		c.values.set(item{key: strings.Clone(op.Key), value: bytes.Clone(op.Value), revision: next})
	}
	return storage.Revision(next), nil
}

func (c *coord) Changed(prefix string) <-chan struct{} {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed {
		return wake.Now
	}
	return c.changed.Wait(prefix)
}
