package pebble

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// slowSync is a file that is written to while it is synced.
type slowSync struct {
	vfs.File
	during func()
}

func (s *slowSync) Sync() error     { s.during(); return nil }
func (s *slowSync) SyncData() error { s.during(); return nil }

// Durable is what was written before a sync began, and nothing of a log that was never synced: it may be gone after a
// crash, and was never acknowledged.
func TestDurableIsWhatWasWrittenBeforeTheSync(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	l := &logs{fs: fs, synced: func() {}, failed: func(err error) { t.Error(err) }}
	made, err := l.create("000007.log", 7, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	f, _ := made.(*syncedFile)
	f.File = &slowSync{f.File, func() {
		if _, err := f.Write([]byte("later")); err != nil {
			t.Error(err)
		}
	}}
	if _, err := f.Write([]byte("before")); err != nil {
		t.Fatal(err)
	}
	if _, got := l.durable(); len(got) != 0 {
		t.Errorf("before a sync %v", got)
	}
	for i, sync := range []func() error{f.Sync, f.SyncData} {
		if err := sync(); err != nil {
			t.Fatal(err)
		}
		if _, got := l.durable(); !slices.Equal(got, []extent{{7, int64(6 + 5*i)}}) {
			t.Errorf("after sync %d: %v", i, got)
		}
	}

	if err := l.remove("000007.log", 7); err != nil {
		t.Fatal(err)
	}
	if _, got := l.durable(); len(got) != 0 || l.bytes() != 0 {
		t.Errorf("of a log that is removed: %v, %d bytes", got, l.bytes())
	}
}

// A table or blob file whose writing failed is removed.
func TestAnOutputThatFailedIsRemoved(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite {
			return syscall.ENOSPC
		}
		return nil
	}))
	ours := &files{FS: fs, dir: ".", troubles: newTroubles("", nil)}
	f, err := ours.Create("000009.blob", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("x")); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if names, _ := mem.List(""); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
}

// slowRemove is a disk that stands still while it removes a file.
type slowRemove struct {
	vfs.FS
	begun, goOn chan struct{}
}

func (s *slowRemove) Remove(name string) error {
	s.begun <- struct{}{}
	<-s.goOn
	return s.FS.Remove(name)
}

// A log that is being removed holds back neither those that ask how much lies in logs, as appends do once a second, nor
// the next log.
func TestALogThatIsRemovedHoldsNobodyBack(t *testing.T) {
	t.Parallel()
	fs := &slowRemove{vfs.NewMem(), make(chan struct{}), make(chan struct{})}
	l := &logs{fs: fs, synced: func() {}, failed: func(err error) { t.Error(err) }}
	for n, name := range map[uint64]string{1: "000001.log", 2: "000002.log"} {
		f, err := l.create(name, n, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("commit")); err != nil {
			t.Fatal(err)
		}
	}

	removed := make(chan error)
	go func() { removed <- l.remove("000001.log", 1) }()
	<-fs.begun
	left := l.bytes()
	_, err := l.create("000003.log", 3, vfs.WriteCategoryUnspecified)
	close(fs.goOn)

	if err := errors.Join(err, <-removed); err != nil || left != 6 {
		t.Errorf("%d bytes left, %v", left, err)
	}
}

// A spare log waits for the next log for its own time, not until the time of an earlier one is up.
func TestASpareLogHasItsOwnTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		l := &logs{fs: fs, synced: func() {}, failed: func(err error) { t.Error(err) }}
		full := func(number uint64) {
			t.Helper()
			name := fmt.Sprintf("%06d.log", number)
			f, err := l.create(name, number, vfs.WriteCategoryUnspecified)
			if err == nil {
				_, err = f.Write(make([]byte, spareLeast))
			}
			if err := errors.Join(err, f.Close(), l.remove(name, number)); err != nil {
				t.Fatal(err)
			}
		}
		full(1)
		<-time.After(spareFor - 2*time.Second)
		full(2) // takes the spare, and is the next
		for _, there := range []bool{true, true, false} {
			if exists(fs, spareFile) != there {
				t.Errorf("the spare is there: %v, want %v", !there, there)
			}
			<-time.After(spareFor / 2)
			synctest.Wait()
		}
	})
}
