package memory

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/shardmill/shardmill/storage"
)

// local holds the node's own bytes.
type local struct {
	mu     sync.RWMutex
	closed bool
	values tree
	bytes  atomic.Int64 // of values, with their keys
	full   func() bool
}

func (l *local) close() {
	l.mu.Lock()
	l.closed = true
	l.values = tree{}
	l.bytes.Store(0)
	l.mu.Unlock()
}

// text returns b as a string that is valid for one lookup only.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func (l *local) Get(key []byte) ([]byte, bool, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return nil, false, storage.ErrClosed
	}
	it, ok := l.values.get(text(key))
	if !ok {
		return nil, false, nil
	}
	return entryOf(it).Value, true, nil
}

func (l *local) Scan(lo, hi []byte, reverse bool, visit func(k, v []byte) bool) error {
	l.mu.Lock() // a view changes the tree
	if l.closed {
		l.mu.Unlock()
		return storage.ErrClosed
	}
	v := l.values.view()
	l.mu.Unlock()

	var key []byte
	show := func(it item) bool {
		key = append(key[:0], it.key...)
		return visit(key, it.value)
	}
	if reverse {
		v.descend(text(hi), hi != nil, func(it item) bool { return it.key >= text(lo) && show(it) })
	} else {
		v.ascend(text(lo), func(it item) bool { return (hi == nil || it.key < text(hi)) && show(it) })
	}
	return nil
}

func (l *local) Apply(ctx context.Context, _ storage.Durability, ops ...storage.LocalOp) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return storage.ErrClosed
	}
	if slices.ContainsFunc(ops, func(op storage.LocalOp) bool { return op.Refusable }) && l.full() {
		return storage.ErrFull
	}
	for _, op := range ops {
		l.apply(op)
	}
	return nil
}

// apply changes the tree and counts. l.mu is held.
func (l *local) apply(op storage.LocalOp) {
	if op.Until != nil {
		view(l.values.leaves).ascend(text(op.Key), func(it item) bool {
			if it.key >= text(op.Until) {
				return false
			}
			l.bytes.Add(-it.size())
			return true
		})
		l.values.removeRange(text(op.Key), text(op.Until))
		return
	}
	if old, ok := l.values.get(text(op.Key)); ok {
		l.bytes.Add(-old.size())
	}
	if op.Value == nil {
		l.values.remove(text(op.Key))
		return
	}
	it := item{key: string(op.Key), value: bytes.Clone(op.Value)}
	l.bytes.Add(it.size())
	l.values.set(it)
}

func (it item) size() int64 { return int64(len(it.key) + len(it.value)) }
