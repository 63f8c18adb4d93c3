package bucket

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"

	"github.com/shardmill/shardmill/storage"
)

// values keeps content in the store, in values of valueSize bytes. It is for a store in memory: its limit is that of
// records and messages, and nothing survives it, so that nothing is left behind either.
type values struct{ local storage.Local }

const valueSize = 256 << 10

func valueKey(n blob, number uint32) []byte {
	return binary.BigEndian.AppendUint32(append([]byte(prefixContent), n[:]...), number)
}

func (v *values) prepare() error { return nil }

func (v *values) create() (draft, error) {
	d := &valueDraft{local: v.local}
	_, _ = rand.Read(d.name[:]) // it never fails
	return d, nil
}

type valueDraft struct {
	local storage.Local
	name  blob
	rest  []byte // not stored yet, less than valueSize
	next  uint32
	kept  bool
}

func (d *valueDraft) Write(p []byte) (int, error) {
	n := len(p)
	for len(d.rest)+len(p) >= valueSize {
		take := valueSize - len(d.rest)
		d.rest, p = append(d.rest, p[:take]...), p[take:]
		if err := d.flush(); err != nil {
			return 0, err
		}
	}
	d.rest = append(d.rest, p...)
	return n, nil
}

func (d *valueDraft) flush() error {
	op := storage.LocalOp{Key: valueKey(d.name, d.next), Value: d.rest, Refusable: true}
	if err := d.local.Apply(context.Background(), storage.Soon, op); err != nil {
		return err
	}
	d.next, d.rest = d.next+1, d.rest[:0]
	return nil
}

func (d *valueDraft) keep(_ [32]byte, named func(blob)) error {
	if len(d.rest) > 0 {
		if err := d.flush(); err != nil {
			return err
		}
	}
	named(d.name)
	d.kept = true
	return nil
}

func (d *valueDraft) drop() {
	if !d.kept && d.next > 0 {
		_ = (&values{d.local}).remove(d.name) // a store that is closed has nothing any more
	}
}

func (v *values) open(n blob, size int64) (reader, error) { return valueReader{v.local, n, size}, nil }

func (v *values) remove(n blob) error {
	until := append(bytes.Clone(n[:]), 0xff, 0xff, 0xff, 0xff, 0xff)
	return v.local.Apply(context.Background(), storage.Soon,
		storage.LocalOp{Key: valueKey(n, 0), Until: append([]byte(prefixContent), until...)})
}

func (v *values) each(func(blob) bool) error { return nil }

type valueReader struct {
	local storage.Local
	name  blob
	size  int64
}

func (r valueReader) ReadAt(p []byte, off int64) (n int, err error) {
	for len(p) > 0 {
		if off >= r.size {
			return n, io.EOF
		}
		value, ok, err := r.local.Get(valueKey(r.name, uint32(off/valueSize)))
		if err != nil {
			return n, err
		}
		if at := off % valueSize; ok && at < int64(len(value)) {
			copied := copy(p, value[at:])
			n, off, p = n+copied, off+int64(copied), p[copied:]
			continue
		}
		return n, errDamaged
	}
	return n, nil
}

func (r valueReader) Close() error { return nil }
