package bucket

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/eventually"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

// dying is a store that a process does not live to write to: every write from some moment on fails.
type dying struct {
	storage.Local
	mu    sync.Mutex
	after int // writes that still succeed; < 0: all
}

var errDead = errors.New("the process is dead")

func (d *dying) Apply(ctx context.Context, how storage.Durability, ops ...storage.LocalOp) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.after == 0 {
		return errDead
	}
	d.after--
	return d.Local.Apply(ctx, how, ops...)
}

// Wherever a process dies, the next one finds the old object or the new one, whole, and in the end no file that no
// object needs.
func TestACrashLeavesTheOldObjectOrTheNewOne(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "objects")
	local := &dying{Local: memory.New(memory.Options{}).Local(), after: -1}
	b := &bench{T: t, local: local, dir: dir}
	b.restart()
	if err := b.Create(t.Context(), "000000000000", "us-east-1", "bbb", nil); err != nil {
		t.Fatal(err)
	}
	b.put("k", "old")

	local.after = 0
	_, err := b.Put(t.Context(), Put{Bucket: "bbb", Key: "k", Body: strings.NewReader("new")})
	if !errors.Is(err, errDead) {
		t.Fatal(err)
	}
	if _, err := b.Remove(t.Context(), "bbb", Remove{Key: "k"}); err != nil && !errors.Is(err, errDead) {
		t.Fatal(err)
	}
	// dead before a file was named, and before it was referred to
	half := filepath.Join(dir, "incoming", "half")
	orphan := filepath.Join(dir, "content", strings.Repeat("ab", 32))
	for _, path := range []string{half, orphan, filepath.Join(dir, "content", "of somebody else")} {
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	local.after = -1

	b.restart()

	if got := b.content("k"); got != "old" {
		t.Errorf("it is %q", got)
	}
	b.put("k", "newer")
	eventually.Holds(t, "the orphan is swept", func() bool {
		_, err := os.Stat(orphan)
		return errors.Is(err, os.ErrNotExist)
	})
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the half of a file is still there: %v", err)
	}
	if got := b.content("k"); got != "newer" || b.kept() != 2 { // and what is not ours
		t.Errorf("it is %q, and there are %d files", got, b.kept())
	}
}

// A file that has lost bytes is noticed, and is no object of another size.
func TestADamagedFileIsNoObject(t *testing.T) {
	t.Parallel()
	b := begin(t, t.TempDir())
	b.put("k", "0123456789")
	entries, err := os.ReadDir(filepath.Join(b.dir, "content"))
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	if err := os.Truncate(filepath.Join(b.dir, "content", entries[0].Name()), 5); err != nil {
		t.Fatal(err)
	}
	o, err := b.Open(t.Context(), "bbb", "k")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	err = o.Copy(t.Context(), 0, 3, make([]byte, 10), func([]byte) error { return nil })
	if !errors.Is(err, errDamaged) {
		t.Error(err)
	}
	b.put("k2", "0123456789") // the same bytes again
	if got := b.content("k2"); got != "0123456789" {
		t.Errorf("it is %q", got)
	}
}

// Less free space than is to be left is our own fault, with advice, and stores nothing.
func TestAFullDiskTakesNoObject(t *testing.T) {
	t.Parallel()
	b := begin(t, t.TempDir())
	b.content0().minFree = 1 << 62
	_, err := b.Put(t.Context(), Put{Bucket: "bbb", Key: "k", Body: strings.NewReader("x")})
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != CodeInternal || f.Status != 500 ||
		!strings.Contains(f.Hint, "no space is left") {
		t.Errorf("%v", err)
	}
	if got := b.content("k"); got != CodeNoSuchKey {
		t.Errorf("it is %q", got)
	}
}

func (b *bench) content0() *files { return b.Buckets.content.(*files) }

// Writers, readers and deleters of few keys with few bodies: whoever reads an object reads one that was written, whole.
func TestObjectsAreWholeUnderLoad(t *testing.T) {
	both(t, func(t *testing.T, b *bench) {
		bodies := []string{strings.Repeat("a", 1000), strings.Repeat("b", 70_000), "", strings.Repeat("c", 300_000)}
		keys := []string{"x", "y"}
		var wg sync.WaitGroup
		for w := range 6 {
			wg.Go(func() {
				for i := range 25 {
					key, body := keys[(w+i)%2], bodies[(w*7+i)%4]
					switch i % 3 {
					case 0:
						b.put(key, body)
					case 1:
						got := b.content(key)
						whole := got == CodeNoSuchKey
						for _, body := range bodies {
							whole = whole || got == body
						}
						if !whole {
							t.Errorf("%d bytes that nobody wrote", len(got))
						}
					default:
						if _, err := b.Remove(t.Context(), "bbb", Remove{Key: key}); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		if _, err := b.Remove(t.Context(), "bbb", Remove{Key: "x"}, Remove{Key: "y"}); err != nil {
			t.Fatal(err)
		}
		if n := b.kept(); n != 0 {
			t.Errorf("%d contents are left", n)
		}
	})
}
