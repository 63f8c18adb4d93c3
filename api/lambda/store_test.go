package lambda_test

import (
	"context"
	"sort"
	"strings"
	"sync"

	"github.com/shardmill/shardmill/storage"
)

// memoryStore is a Store whose Coord lives in memory.
type memoryStore struct{ *memoryCoord }

func (s memoryStore) Log() storage.Log     { return nil }
func (s memoryStore) Coord() storage.Coord { return s.memoryCoord }
func (s memoryStore) Local() storage.Local { return nil }
func (s memoryStore) Close() error         { return nil }

type memoryCoord struct {
	mu     sync.Mutex
	values map[string]storage.Entry
	last   storage.Revision
}

func (c *memoryCoord) Get(_ context.Context, key string) (storage.Entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.values[key], nil
}

func (c *memoryCoord) List(_ context.Context, prefix, after string, n int) (out []storage.Entry, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, e := range c.values {
		if strings.HasPrefix(k, prefix) && k > after {
			out = append(out, e)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Key < out[j].Key })
	return out, nil
}

func (c *memoryCoord) Commit(_ context.Context, _ string, ops ...storage.Op) (storage.Revision, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, op := range ops {
		if op.Expect != storage.Any && c.values[op.Key].Revision != op.Expect {
			return 0, storage.ErrConflict
		}
	}
	c.last++
	for _, op := range ops {
		if op.Value == nil {
			delete(c.values, op.Key)
		} else {
			c.values[op.Key] = storage.Entry{Key: op.Key, Value: op.Value, Revision: c.last}
		}
	}
	return c.last, nil
}

func (c *memoryCoord) Changed(string) <-chan struct{} { return nil }
