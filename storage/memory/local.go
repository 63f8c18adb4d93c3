package memory

import (
	"bytes"
	"context"
	"sync"
	"unsafe"

	"github.com/shardmill/shardmill/storage"
)

// local is the node's own bytes.
type local struct {
	mu     sync.RWMutex
	closed bool
	values tree
}

func (l *local) close() {
	l.mu.Lock()
	l.closed = true
	l.values = tree{}
	l.mu.Unlock()
}

// text is b as a string for the length of a lookup.
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
	for _, op := range ops {
		switch {
		case op.Until != nil:
			l.values.removeRange(text(op.Key), text(op.Until))
		case op.Value == nil:
			l.values.remove(text(op.Key))
		default:
			l.values.set(item{key: string(op.Key), value: bytes.Clone(op.Value)})
		}
	}
	return nil
}
