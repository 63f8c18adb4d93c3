package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

// bench is a Buckets over a store and, unless dir is "", a directory, with a bucket b.
type bench struct {
	*testing.T
	*Buckets
	local storage.Local
	dir   string
}

func begin(t *testing.T, dir string) *bench {
	t.Helper()
	store := memory.New(memory.Options{})
	b := &bench{T: t, local: store.Local(), dir: dir}
	b.restart()
	if err := b.Create(t.Context(), "000000000000", "us-east-1", "bbb", nil); err != nil {
		t.Fatal(err)
	}
	return b
}

// both runs a test with content in files and in the store.
func both(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Parallel()
	for _, place := range []string{"files", "values"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			dir := ""
			if place == "files" {
				dir = filepath.Join(t.TempDir(), "objects")
			}
			test(t, begin(t, dir))
		})
	}
}

// restart is a start over the same store and directory, as after a crash.
func (b *bench) restart() {
	b.Helper()
	if b.Buckets != nil {
		b.Stop() // the directory belongs to one process
	}
	bs, err := New(Options{Local: b.local, Dir: b.dir, MinFree: -1})
	if err != nil {
		b.Fatal(err)
	}
	if err := bs.Start(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(bs.Stop)
	b.Buckets = bs
}

func (b *bench) put(key, body string) Description {
	b.Helper()
	d, err := b.Put(b.Context(), Put{Bucket: "bbb", Key: key, Body: bytes.NewReader([]byte(body))})
	if err != nil {
		b.Fatalf("put %q: %v", key, err)
	}
	return d
}

func (b *bench) content(key string) string {
	b.Helper()
	o, err := b.Open(b.Context(), "bbb", key)
	if err != nil {
		return fault.CodeOf(err)
	}
	defer o.Close()
	return b.bytes(o, 0, o.Size)
}

func (b *bench) bytes(o *Object, from, size int64) string {
	b.Helper()
	var out bytes.Buffer
	if err := o.Copy(b.Context(), from, size, make([]byte, 70_001), func(p []byte) error {
		_, err := out.Write(p)
		return err
	}); err != nil {
		b.Fatal(err)
	}
	return out.String()
}

// kept returns how many contents there are.
func (b *bench) kept() (n int) {
	b.Helper()
	if b.dir == "" {
		seen := map[string]bool{}
		// Without an upper bound: what follows the prefix is random and may begin with any byte.
		_ = b.local.Scan([]byte(prefixContent), nil, false, func(k, _ []byte) bool {
			name, ours := bytes.CutPrefix(k, []byte(prefixContent))
			if ours {
				seen[string(name[:len(blob{})])] = true
			}
			return ours
		})
		return len(seen)
	}
	entries, err := os.ReadDir(filepath.Join(b.dir, "content"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		b.Fatal(err)
	}
	return len(entries)
}

// An object comes back as it was put, is replaced as a whole, and leaves nothing behind when it goes.
func TestAnObjectIsPutReadReplacedAndDeleted(t *testing.T) {
	both(t, func(t *testing.T, b *bench) {
		if d := b.put("k/ä", "one"); d.ETag != "f97c5d29941bfb1b2fdab0874906ab82" || d.Size != 3 {
			t.Errorf("%+v", d)
		}
		big := string(bytes.Repeat([]byte("0123456789"), 60_000))
		b.put("k/ä", big)
		if got := b.content("k/ä"); got != big {
			t.Errorf("%d bytes came back", len(got))
		}
		o, err := b.Open(t.Context(), "bbb", "k/ä")
		if err != nil {
			t.Fatal(err)
		}
		if got := b.bytes(o, 262_140, 10); got != big[262_140:262_150] {
			t.Errorf("a range is %q", got)
		}
		b.put("k/ä", "two")
		if got := b.bytes(o, 0, 10); got != "0123456789" {
			t.Errorf("what is being read became %q", got)
		}
		o.Close()
		o.Close()
		if n := b.kept(); n != 1 {
			t.Errorf("%d contents are kept", n)
		}
		if got := b.content("k/ä"); got != "two" {
			t.Errorf("it is %q", got)
		}

		if errs, err := b.Remove(t.Context(), "bbb", Remove{Key: "k/ä"}, Remove{Key: "none"}); err != nil ||
			errors.Join(errs...) != nil {
			t.Fatal(errs, err)
		}

		if got := b.content("k/ä"); got != CodeNoSuchKey || b.kept() != 0 {
			t.Errorf("it is %q, and %d contents are kept", got, b.kept())
		}
		if err := b.Delete(t.Context(), "bbb"); err != nil {
			t.Error(err)
		}
		if _, err := b.Open(t.Context(), "bbb", "k"); fault.CodeOf(err) != CodeNoSuchBucket {
			t.Error(err)
		}
	})
}

// Objects with the same bytes share a file, which stays until the last of them goes.
func TestEqualObjectsShareAFile(t *testing.T) {
	t.Parallel()
	b := begin(t, t.TempDir())
	b.put("a", "same")
	b.put("b", "same")
	b.put("a", "same")
	if n := b.kept(); n != 1 {
		t.Errorf("%d files", n)
	}
	if _, err := b.Remove(t.Context(), "bbb", Remove{Key: "a"}); err != nil {
		t.Fatal(err)
	}
	if got := b.content("b"); got != "same" {
		t.Errorf("it is %q", got)
	}
	if _, err := b.Remove(t.Context(), "bbb", Remove{Key: "b"}); err != nil {
		t.Fatal(err)
	}
	if n := b.kept(); n != 0 {
		t.Errorf("%d files", n)
	}
}

// A notice goes to a bucket by its name alone. A bucket that is not there refuses it; a full store does not, it is at
// fault itself.
func TestPutObjectSaysWhoseFaultItIs(t *testing.T) {
	t.Parallel()
	b := begin(t, "")
	if err := b.PutObject(t.Context(), "", "", "bbb", "notice", []byte("{}"), "application/json"); err != nil {
		t.Fatal(err)
	}
	o, err := b.Open(t.Context(), "bbb", "notice")
	if err != nil || o.ContentType != "application/json" || o.Size != 2 {
		t.Errorf("%+v %v", o, err)
	}
	o.Close()
	if err := b.PutObject(t.Context(), "", "", "none", "k", nil, ""); fault.CodeOf(err) != CodeNoSuchBucket {
		t.Error(err)
	}
	full, err := New(Options{Local: memory.New(memory.Options{Limit: 1}).Local()})
	if err != nil {
		t.Fatal(err)
	}
	if err := full.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(full.Stop)
	err = full.Create(t.Context(), "000000000000", "us-east-1", "bbb", nil)
	for i := 0; err == nil && i < 10; i++ {
		err = full.PutObject(t.Context(), "", "", "bbb", fmt.Sprint(i), []byte("x"), "")
	}
	if fault.CodeOf(err) != CodeInternal {
		t.Errorf("a full store: %v", err)
	}
}

// A stop does not wait for the body of an object, which ends with the next bytes that come; nothing of it is stored.
func TestAStopDoesNotWaitForABody(t *testing.T) {
	both(t, func(t *testing.T, b *bench) {
		r, w := io.Pipe()
		put := make(chan error, 1)
		go func() {
			_, err := b.Put(t.Context(), Put{Bucket: "bbb", Key: "k", Body: r, Buffer: make([]byte, 4)})
			_ = r.CloseWithError(err) // it may have seen the stop already
			put <- err
		}()
		if _, err := w.Write([]byte("12345678")); err != nil {
			t.Fatal(err)
		}

		b.Stop()

		if _, err := w.Write([]byte("more")); err != nil && !errors.Is(err, ErrStopped) {
			t.Fatal(err)
		}
		if err := <-put; !errors.Is(err, ErrStopped) {
			t.Error(err)
		}
		if _, err := b.Open(t.Context(), "bbb", "k"); !errors.Is(err, ErrStopped) {
			t.Error(err)
		}
		b.restart()
		if got := b.content("k"); got != CodeNoSuchKey {
			t.Errorf("it is %q", got)
		}
	})
}
