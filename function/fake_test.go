package function_test

import (
	"context"
	"sort"
	"strings"
	"sync"

	"github.com/shardmill/shardmill/storage"
)

// fakeStore is a Store whose Coord lives in memory.
type fakeStore struct{ coord *fakeCoord }

func newStore() fakeStore { return fakeStore{&fakeCoord{values: map[string]storage.Entry{}}} }

func (s fakeStore) Log() storage.Log     { return nil }
func (s fakeStore) Coord() storage.Coord { return s.coord }
func (s fakeStore) Local() storage.Local { return nil }
func (s fakeStore) Close() error         { return nil }

type fakeCoord struct {
	mu     sync.Mutex
	values map[string]storage.Entry
	last   storage.Revision
}

func (c *fakeCoord) Get(_ context.Context, key string) (storage.Entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.values[key], nil
}

func (c *fakeCoord) List(_ context.Context, prefix, after string, n int) (out []storage.Entry, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, e := range c.values {
		if strings.HasPrefix(k, prefix) && k > after {
			out = append(out, e)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Key < out[j].Key })
	if n > 0 && len(out) > n {
		out = out[:n]
	}
	return out, nil
}

func (c *fakeCoord) Commit(_ context.Context, _ string, ops ...storage.Op) (storage.Revision, error) {
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
			c.values[op.Key] = storage.Entry{Key: op.Key, Value: append([]byte(nil), op.Value...), Revision: c.last}
		}
	}
	return c.last, nil
}

func (c *fakeCoord) Changed(string) <-chan struct{} { return nil }
