package sqs

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/shardmill/shardmill/storage"
)

// mapLocal is a storage.Local in memory.
type mapLocal struct {
	mu   sync.Mutex
	keys map[string][]byte
}

func (l *mapLocal) Get(key []byte) ([]byte, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, ok := l.keys[string(key)]
	return v, ok, nil
}

func (l *mapLocal) Scan(lo, hi []byte, reverse bool, visit func(k, v []byte) bool) error {
	l.mu.Lock()
	all := maps.Clone(l.keys)
	l.mu.Unlock()
	keys := slices.Sorted(maps.Keys(all))
	if reverse {
		slices.Reverse(keys)
	}
	for _, k := range keys {
		if k >= string(lo) && (hi == nil || k < string(hi)) && !visit([]byte(k), all[k]) {
			break
		}
	}
	return nil
}

func (l *mapLocal) Apply(_ context.Context, _ storage.Durability, ops ...storage.LocalOp) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, op := range ops {
		switch {
		case op.Until != nil:
			maps.DeleteFunc(l.keys, func(k string, _ []byte) bool { return k >= string(op.Key) && k < string(op.Until) })
		case op.Value == nil:
			delete(l.keys, string(op.Key))
		default:
			l.keys[string(op.Key)] = bytes.Clone(op.Value)
		}
	}
	return nil
}
