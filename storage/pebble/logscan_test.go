package pebble

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// chunkOf returns a chunk of log 7 as Pebble writes it.
func chunkOf(kind uint8, promise uint64, payload int) []byte {
	b := make([]byte, promisingHead+payload)
	binary.LittleEndian.PutUint16(b[4:], uint16(payload))
	b[6] = 8 + kind
	binary.LittleEndian.PutUint32(b[7:], 7)
	binary.LittleEndian.PutUint64(b[11:], promise)
	for i := range payload {
		b[promisingHead+i] = 'x'
	}
	binary.LittleEndian.PutUint32(b, chunkSum(b[6:]))
	return b
}

// What a crash may leave is no damage: a chunk may be missing in the middle of a record, even if a later chunk says
// that earlier ones were synced. A chunk that was synced and cannot be read is damage, wherever the chunk that promised
// it lies.
func TestATornLogIsToldFromADamagedOne(t *testing.T) {
	t.Parallel()
	const first = logBlock - 119 - promisingHead // fills the block behind a record of 100 bytes
	record := chunkOf(1, 0, 100)
	long := append(append([]byte(nil), record...), chunkOf(2, 0, first)...)
	behind := func(promise uint64) []byte {
		b := append(append([]byte(nil), long...), make([]byte, logBlock)...) // the second block never reached the disk
		return append(b, chunkOf(3, promise, 50)...)
	}
	beside := func(promise uint64) []byte {
		b := append(append([]byte(nil), record...), chunkOf(1, 119, 200)...)
		b[119+promisingHead] ^= 1
		return append(b, chunkOf(1, promise, 10)...)
	}
	for name, c := range map[string]struct {
		log     []byte
		damaged bool
	}{
		"a record half written, what was before it synced":  {behind(logBlock), false},
		"a record half written, the missing chunk synced":   {behind(2 * logBlock), true},
		"a chunk that was on its way, the one behind not":   {beside(119), false},
		"a chunk that was synced, told of in its own block": {beside(119 + 219), true},
	} {
		fs := vfs.NewMem()
		f, err := fs.Create("log", vfs.WriteCategoryUnspecified)
		if err == nil {
			_, err = f.Write(c.log)
		}
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		l, err := scanLog(fs, "log", 7)
		if err != nil || l.damaged() != c.damaged || l.sound != 119 {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
	}
}

// What is left of a write that was cut off is told, however few bytes it is; a log that ends after a record is whole.
func TestBytesBehindTheLastRecordAreTold(t *testing.T) {
	t.Parallel()
	record := chunkOf(1, 0, 100)
	for extra := range 5 {
		fs := vfs.NewMem()
		f, err := fs.Create("log", vfs.WriteCategoryUnspecified)
		if err == nil {
			_, err = f.Write(append(slices.Clone(record), record[:extra]...))
		}
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		if l, err := scanLog(fs, "log", 7); err != nil || l.sound != 119 || l.torn != int64(extra) {
			t.Errorf("%d bytes: %+v, %v", extra, l, err)
		}
	}
}

// A file that the manifest has let go of is not looked for.
func TestTheInventoryForgets(t *testing.T) {
	t.Parallel()
	inv := &inventory{tables: map[uint64]uint64{}, blobs: map[uint64]uint64{}}
	apply := func(b ...byte) {
		t.Helper()
		if err := inv.apply(bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
	}
	apply(editNewBacking, 9, 100, editNewBlob, 1, 4, 50, 0, 0)
	if inv.tables[9] != 100 || inv.blobs[4] != 50 {
		t.Fatalf("%+v", inv)
	}
	apply(editRemovedBacking, 9, editDeletedBlob, 1, 4)
	if len(inv.tables) != 0 || len(inv.blobs) != 0 {
		t.Errorf("%+v", inv)
	}
}
