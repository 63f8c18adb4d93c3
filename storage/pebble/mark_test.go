package pebble

import (
	"bytes"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// The bytes of a mark, as docs/format/store.md describes them.
func TestMarkBytesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	m := &mark{
		turn: 7, at: time.UnixMilli(1_700_000_000_123), closed: true, manifest: extent{3, 1000},
		logs: []extent{{12, 34}, {56, 78}},
	}
	b := m.encode()
	want := "01010200" + "2d0d6cae" + "0700000000000000" + "7b68e5cf8b010000" + "0300000000000000" +
		"e803000000000000" + "0000000000000000" +
		"0c00000000000000" + "2200000000000000" + "3800000000000000" + "4e00000000000000"
	if got := hex.EncodeToString(b[:len(want)/2]); got != want || len(b) != markSlot || !allZero(b[len(want)/2:]) {
		t.Fatalf("%d bytes\n%s, want\n%s", len(b), got, want)
	}
	back, err := decodeMark(b)
	if err != nil || back.turn != 7 || !back.at.Equal(m.at) || !back.closed || back.manifest != m.manifest ||
		len(back.logs) != 2 || back.logs[1] != m.logs[1] {
		t.Fatalf("read back %+v, %v", back, err)
	}
}

// A mark of a newer version is refused by name: its claims are unknown.
func TestANewerMarkIsRefused(t *testing.T) {
	t.Parallel()
	b := (&mark{turn: 1}).encode()
	b[0] = 2
	copy(b[4:8], []byte{0, 0, 0, 0})
	sum := markSum(b)
	b[4], b[5], b[6], b[7] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
	if _, err := decodeMark(b); err == nil || errors.Is(err, errNoMark) || !strings.Contains(err.Error(), "version 2") {
		t.Fatalf("a mark of version 2: %v", err)
	}
}

// Bad bytes in a log, a manifest or a mark do nothing but end the reading.
func FuzzWhatLiesInTheDirectory(f *testing.F) {
	f.Add([]byte{})
	f.Add((&mark{turn: 1, logs: []extent{{1, 2}}}).encode())
	f.Add(append([]byte{0, 0, 0, 0, 1, 0, chunkFirst + 8, 1, 0, 0, 0}, make([]byte, 40)...))
	f.Add([]byte{
		editNewTableRanges, 0, 5, 9, 1, 1, 'a', 1, 'b', 1, 'c', 1, 'd', 1, 2, fieldBlobs, 1, 0xff, 0xff, 0xff, 0xff,
		0x0f, fieldEnd,
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = decodeMark(b)
		_ = (&inventory{tables: map[uint64]uint64{}, blobs: map[uint64]uint64{}}).apply(bytes.NewReader(b))
		fs := vfs.NewMem()
		file, err := fs.Create("log", vfs.WriteCategoryUnspecified)
		if err == nil {
			_, err = file.Write(append([]byte(nil), b...))
		}
		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		l, err := scanLog(fs, "log", 1)
		if err != nil || l.sound > l.whole || l.whole > int64(len(b)) {
			t.Fatalf("%+v, %v", l, err)
		}
	})
}

// A mark that cannot be written is tried again in the same slot, so that the whole one in the other slot stays.
func TestMarksThatFailLeaveTheLast(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	var broken atomic.Bool
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && (op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSync) {
			return syscall.EIO
		}
		return nil
	}))
	said := newTroubles("", slog.New(slog.DiscardHandler))
	m, err := newMarker(fs, "", nil, time.Second, &logs{fs: fs}, said)
	if err != nil {
		t.Fatal(err)
	}
	m.write(false)
	before, err := mem.Open(markFile)
	if err != nil {
		t.Fatal(err)
	}
	whole := make([]byte, 2*markSlot)
	_, _ = before.ReadAt(whole, 0) // the second is not there yet
	broken.Store(true)
	for range 3 {
		m.write(false)
	}
	after := make([]byte, 2*markSlot)
	_, _ = before.ReadAt(after, 0)
	if !bytes.Equal(whole[markSlot:], after[markSlot:]) && !bytes.Equal(whole[:markSlot], after[:markSlot]) {
		t.Error("both marks were written over")
	}
	if err := errors.Join(before.Close(), m.file.Close()); err != nil {
		t.Fatal(err)
	}
}

// The marks of a later start are newer than those of an earlier one, whichever slot they are in.
func TestMarksOfALaterStartAreNewer(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	for start := range uint64(3) {
		old, err := readMark(fs, "")
		if err != nil {
			t.Fatal(err)
		}
		m, err := newMarker(fs, "", old, time.Second, &logs{fs: fs}, newTroubles("", slog.New(slog.DiscardHandler)))
		if err != nil {
			t.Fatal(err)
		}
		m.write(false)
		m.write(false)
		m.write(true)
		if err := m.file.Close(); err != nil {
			t.Fatal(err)
		}
		newest, err := readMark(fs, "")
		if err != nil || newest.turn != 3*(start+1) || !newest.closed {
			t.Errorf("start %d: %+v, %v", start, newest, err)
		}
	}
}
