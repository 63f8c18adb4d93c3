package pebble_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/pebble"
)

// A backup that is made while records come holds everything acknowledged before it began, and then a beginning of what
// came later, without a hole. The store goes on: nothing of the copy is taken for its own.
func TestABackupOfABusyStoreIsWhole(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	s, w := made(t, pebble.Options{Dir: "store", FS: fs}.WithMemTable(1<<18))
	putting := func(from, n int) {
		for i := range n {
			if _, err := put(t, s, w, fmt.Sprint(from+i, "/", strings.Repeat("x", 10_000))); err != nil {
				t.Error(err)
			}
		}
	}
	putting(0, 60)
	soon := storage.LocalOp{Key: []byte("r/k"), Value: []byte("v")}
	if err := s.Local().Apply(t.Context(), storage.Soon, soon); err != nil {
		t.Fatal(err)
	}

	var busy sync.WaitGroup
	busy.Go(func() { putting(60, 60) })
	err := s.Backup(t.Context(), "copies/store")
	busy.Wait()
	if err != nil {
		t.Fatal(err)
	}
	putting(120, 60)

	if found := findings(t, moved(t, fs)); len(found) > 0 {
		t.Errorf("in the copy: %+v", found)
	}
	restored := open(t, pebble.Options{Dir: "copies/store", FS: fs})
	defer func() { _ = restored.Close() }()
	there := readAll(t, restored, w.Shard)
	if len(there) < 60 || len(there) > 120 {
		t.Errorf("the copy has %d records of 60 to 120", len(there))
	}
	for i, data := range there {
		if !strings.HasPrefix(data, fmt.Sprint(i, "/")) {
			t.Fatalf("record %d is %.10s", i, data)
		}
	}
	if v, ok, err := restored.Local().Get([]byte("r/k")); !ok || string(v) != "v" {
		t.Errorf("what was to be durable soon: %q, %v, %v", v, ok, err)
	}
	if all := readAll(t, s, w.Shard); len(all) != 180 {
		t.Errorf("the store has %d of 180 records", len(all))
	}
	again, _, err := restored.Log().Acquire(t.Context(), w.Shard)
	rs := []record.Record{{Key: "k", Data: []byte("after")}}
	err = errors.Join(err, restored.Log().Append(t.Context(), []storage.Batch{{Writer: again, Records: rs}})[0])
	if err != nil {
		t.Error(err)
	}
}

// moved returns a file system with the copy under the name that findings looks at.
func moved(t *testing.T, fs *vfs.MemFS) vfs.FS {
	t.Helper()
	to := vfs.NewMem()
	if err := to.MkdirAll("store", 0o755); err != nil {
		t.Fatal(err)
	}
	for name := range files(t, fs, "copies/store") {
		if err := vfs.CopyAcrossFS(fs, "copies/store/"+name, to, "store/"+name); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// A mark in the copy tells damage at the end of its log from what a crash cuts off.
func TestDamageAtTheEndOfABackupIsNoticed(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	s, w := made(t, pebble.Options{Dir: "store", FS: fs})
	for i := range 3 {
		if _, err := put(t, s, w, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Backup(t.Context(), "copies/store"); err != nil {
		t.Fatal(err)
	}
	restored := moved(t, fs)
	last := ""
	for name := range files(t, restored, "store") {
		if strings.HasSuffix(name, ".log") {
			last = max(last, name)
		}
	}
	whole := files(t, restored, "store")[last]
	write(t, restored, last, whole[:len(whole)-5])

	refuses(t, restored, last, "it was cut or is corrupt")
	restored = moved(t, fs)
	for name, whole := range files(t, restored, "store") {
		if strings.HasPrefix(name, "MANIFEST-") {
			write(t, restored, name, whole[:len(whole)-15])
		}
	}
	refuses(t, restored, "the list of its files", "it was cut or is corrupt")
}

// A backup that cannot be completed leaves nothing behind, and the store goes on.
func TestABackupThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	failing := errors.New("no such luck")
	for n := range 40 {
		left := n
		fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if strings.HasPrefix(op.Path, "copies") && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				if left--; left == -1 {
					return failing
				}
			}
			return nil
		}))
		s, w := made(t, pebble.Options{Dir: "store", FS: fs})
		if _, err := put(t, s, w, "before"); err != nil {
			t.Fatal(err)
		}
		err := s.Backup(t.Context(), "copies/store")
		if err == nil {
			if n < 10 {
				t.Errorf("a backup made %d changes, which seems too few", n)
			}
			return
		}
		if !errors.Is(err, failing) {
			t.Fatalf("change %d: %v", n, err)
		}
		if _, err := fs.Stat("copies/store"); err == nil {
			t.Errorf("change %d failed, and something is left", n)
		}
		if _, err := put(t, s, w, "after"); err != nil {
			t.Errorf("change %d failed, and so did the store: %v", n, err)
		}
	}
	t.Error("no backup came to its end")
}

// A nearly full disk refuses a backup before it writes anything.
func TestABackupIsRefusedOnANearlyFullDisk(t *testing.T) {
	t.Parallel()
	fs := newSized(vfs.NewMem(), 1<<20)
	s, _ := made(t, pebble.Options{Dir: "store", FS: fs, MinFree: 2 << 20})

	if err := s.Backup(t.Context(), "copies/store"); !errors.Is(err, storage.ErrFull) {
		t.Errorf("got %v", err)
	}
}
