package bucket

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

// watched is a store that tells what it is asked to do.
type watched struct {
	storage.Local
	mu      sync.Mutex
	got     func(key []byte) // called once, when the next value has been read
	applied func()           // called when a change can be seen, and may not be durable yet
	last    storage.Durability
}

func (w *watched) Get(key []byte) ([]byte, bool, error) {
	v, ok, err := w.Local.Get(key)
	w.mu.Lock()
	got := w.got
	w.got = nil
	w.mu.Unlock()
	if got != nil {
		got(key)
	}
	return v, ok, err
}

func (w *watched) Apply(ctx context.Context, how storage.Durability, ops ...storage.LocalOp) error {
	err := w.Local.Apply(ctx, how, ops...)
	w.mu.Lock()
	applied := w.applied
	w.last, w.applied = how, nil // not for changes of its own
	w.mu.Unlock()
	if applied != nil {
		applied()
		w.mu.Lock()
		w.applied = applied
		w.mu.Unlock()
	}
	return err
}

func watch(t *testing.T) (*bench, *watched) {
	t.Helper()
	w := &watched{Local: memory.New(memory.Options{}).Local()}
	b := &bench{T: t, local: w, dir: t.TempDir()}
	b.restart()
	for _, name := range []string{"bbb", "ccc"} {
		if err := b.Create(t.Context(), "000000000000", "us-east-1", name, nil); err != nil {
			t.Fatal(err)
		}
	}
	return b, w
}

// A change can be seen before it is durable, and a crash in between undoes it: what it replaces or deletes keeps its
// content until then, whoever else lets go of equal bytes or looks for leftovers at that moment.
func TestContentStaysUntilItsEndIsDurable(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(b *bench, upload string) error{
		"an object is replaced": func(b *bench, _ string) error {
			_, err := b.Put(b.Context(), Put{Bucket: "bbb", Key: "k", Body: strings.NewReader("new")})
			return err
		},
		"an object is deleted": func(b *bench, _ string) error {
			_, err := b.Remove(b.Context(), "bbb", Remove{Key: "k"})
			return err
		},
		"a part is replaced": func(b *bench, upload string) error {
			_, err := b.PutPart(b.Context(), PutPart{
				Bucket: "bbb", Key: "k", Upload: upload, Number: 1, Body: strings.NewReader("new"),
			})
			return err
		},
		"a part is not named": func(b *bench, upload string) error {
			two := Part{Number: 2, ETag: (&Sums{MD5: SumsOf([]byte("two"), "").MD5}).etag()}
			_, err := b.Complete(b.Context(), Complete{
				Bucket: "bbb", Key: "k", Upload: upload, Parts: []Part{two}, Size: -1,
			})
			return err
		},
		"an upload is aborted": func(b *bench, upload string) error {
			return b.Abort(b.Context(), "bbb", "k", upload)
		},
		"a bucket is deleted": func(b *bench, _ string) error { return b.Delete(b.Context(), "bbb") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, w := watch(t)
			upload := ""
			if strings.Contains(name, "object") {
				b.put("k", "old")
			} else {
				upload = b.upload(Upload{})
				b.part(upload, 1, "old", "")
				b.part(upload, 2, "two", "")
			}
			if _, err := b.Put(
				t.Context(), Put{Bucket: "ccc", Key: "x", Body: strings.NewReader("old")},
			); err != nil {
				t.Fatal(err)
			}
			there := func() bool {
				r, err := b.Buckets.content.open(sha256.Sum256([]byte("old")), 3)
				if err == nil {
					_ = r.Close()
				}
				return err == nil
			}
			w.applied = func() {
				if _, err := b.Remove(t.Context(), "ccc", Remove{Key: "x"}); err != nil {
					t.Error(err)
				}
				if !there() {
					t.Error("its content went with that of an equal object")
				}
				if gone, err := b.uses.removeUnused(b.Buckets, sha256.Sum256([]byte("old"))); gone || err != nil {
					t.Error("its content was swept", err)
				}
			}

			if err := change(b, upload); err != nil {
				t.Fatal(err)
			}

			w.applied = nil
			if there() {
				t.Error("its content is still there")
			}
		})
	}
}

// A delete is durable when it is answered, also where somebody else's had left nothing to do.
func TestADeleteIsDurable(t *testing.T) {
	t.Parallel()
	b, w := watch(t)
	b.put("k", "body")
	for _, keys := range [][]Remove{{{Key: "k"}, {Key: "none"}}, {{Key: "k"}}} {
		w.last = storage.Soon
		if _, err := b.Remove(t.Context(), "bbb", keys...); err != nil || w.last != storage.Sync {
			t.Errorf("%v: %v, durable: %t", keys, err, w.last == storage.Sync)
		}
	}
}

// An object that is about to be read cannot be replaced until its content is in use.
func TestAnObjectIsOpenedInOneStep(t *testing.T) {
	t.Parallel()
	b, w := watch(t)
	b.put("k", "body")
	x, err := b.find("bbb")
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	w.got = func([]byte) {
		for i := range x.keys {
			if x.keys[i].TryLock() {
				x.keys[i].Unlock()
			} else {
				held++
			}
		}
	}
	if got := b.content("k"); got != "body" || held != 1 {
		t.Errorf("%q, while %d locks were held", got, held)
	}
}

// A part whose upload ends while its body is still coming is refused and leaves nothing behind.
func TestAPartOfAnUploadThatEndsIsRefused(t *testing.T) {
	both(t, func(t *testing.T, b *bench) {
		id := b.upload(Upload{})
		r, w := io.Pipe()
		put := make(chan error, 1)
		go func() {
			_, err := b.PutPart(t.Context(), PutPart{
				Bucket: "bbb", Key: "k", Upload: id, Number: 1, Body: r, Buffer: make([]byte, 4),
			})
			put <- err
		}()
		if _, err := w.Write([]byte("12345678")); err != nil {
			t.Fatal(err)
		}
		if err := b.Abort(t.Context(), "bbb", "k", id); err != nil {
			t.Fatal(err)
		}
		_ = w.Close()
		if err := <-put; fault.CodeOf(err) != CodeNoSuchUpload || b.kept() != 0 {
			t.Errorf("%v, %d contents", err, b.kept())
		}
	})
}

// Whoever has found a bucket, in memory or in the store, learns that it is deleted meanwhile.
func TestADeletedBucketIsGoneForThoseWhoFoundIt(t *testing.T) {
	t.Parallel()
	b, w := watch(t)
	id := b.upload(Upload{})
	b.part(id, 1, "of an upload", "")
	x, err := b.find("bbb")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), "bbb"); err != nil || !x.deleted || b.kept() != 0 {
		t.Errorf("%v, deleted: %t, %d contents", err, x.deleted, b.kept())
	}

	b.restart() // so that it is read
	w.got = func([]byte) {
		if err := b.Delete(t.Context(), "ccc"); err != nil {
			t.Error(err)
		}
	}
	if _, err := b.Put(
		t.Context(), Put{Bucket: "ccc", Key: "k", Body: strings.NewReader("")},
	); fault.CodeOf(err) != CodeNoSuchBucket {
		t.Error(err)
	}
}

// Tags change nothing about what an object refers to: its content stays, and goes with it.
func TestTagsLeaveTheContentAlone(t *testing.T) {
	both(t, func(t *testing.T, b *bench) {
		b.put("k", "body")
		if err := b.Tag(t.Context(), "bbb", "k", []Tag{{"a", "b"}}); err != nil {
			t.Fatal(err)
		}
		b.put("other", "body")
		if _, err := b.Remove(t.Context(), "bbb", Remove{Key: "other"}); err != nil || b.content("k") != "body" {
			t.Errorf("%v, it is %q", err, b.content("k"))
		}
		if _, err := b.Remove(t.Context(), "bbb", Remove{Key: "k"}); err != nil || b.kept() != 0 {
			t.Errorf("%v, %d contents", err, b.kept())
		}
	})
}

// Every owner counts, whatever its bytes.
func TestTheLastOwnerIsFound(t *testing.T) {
	t.Parallel()
	b, _ := watch(t)
	of := owner{}
	for i := range of {
		of[i] = 0xff
	}
	of[0] = 0x7f
	if err := b.local.Apply(
		t.Context(), storage.Sync, refer(nil, of, []piece{{blob{1}, 1}}, true)...,
	); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[blob]bool{{}: false, {1}: true, {2}: false} {
		if got, err := b.referred(name); got != want || err != nil {
			t.Errorf("%v: %t %v", name, got, err)
		}
	}
}

// What is answered is durable: the bytes first, then the name of their file, then what refers to it. Where one of these
// fails there is no object.
func TestAnObjectIsDurableStepByStep(t *testing.T) {
	t.Parallel()
	b, w := watch(t)
	b.put("k", "old") // which makes the directories
	var steps []string
	var failing string
	step := func(name string) error {
		if steps = append(steps, name); name == failing {
			return errDead
		}
		return nil
	}
	f := b.content0()
	syncFile, syncDir := f.syncFile, f.syncDir
	f.syncFile = func(file *os.File) error {
		if filepath.Dir(file.Name()) != f.incoming() {
			t.Errorf("%s has its name already", file.Name())
		}
		return errors.Join(step("bytes"), syncFile(file))
	}
	f.syncDir = func(dir string) error {
		if _, err := os.Stat(f.path(sha256.Sum256([]byte("new")))); dir != f.kept() || err != nil {
			t.Errorf("%s is synced: %v", dir, err)
		}
		return errors.Join(step("name"), syncDir(dir))
	}
	w.applied = func() { _ = step("reference") }
	for _, failing = range []string{"bytes", "name", ""} {
		steps = nil
		_, err := b.Put(t.Context(), Put{Bucket: "bbb", Key: "k", Body: strings.NewReader("new")})
		if got := b.content("k"); failing != "" && (!errors.Is(err, errDead) || got != "old" || b.kept() != 1) {
			t.Errorf("%s failed: %v, it is %q of %d", failing, err, got, b.kept())
		}
	}
	if got := strings.Join(steps, " "); got != "bytes name reference" || b.content("k") != "new" {
		t.Errorf("steps: %s", got)
	}
}

// The disk may fill while an object comes.
func TestFreeSpaceIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	f := newFiles(t.TempDir(), -1)
	if err := f.prepare(); err != nil {
		t.Fatal(err)
	}
	d, err := f.create()
	if err != nil {
		t.Fatal(err)
	}
	defer d.drop()
	f.minFree = 1 << 62
	for _, c := range []struct {
		passed int64
		want   error
	}{{0, nil}, {lookEvery - 2, nil}, {lookEvery, errFull}} {
		d.(*fileDraft).since = c.passed
		if _, err := d.Write([]byte{1}); !errors.Is(err, c.want) {
			t.Errorf("after %d bytes: %v", c.passed, err)
		}
	}
}

// A stop that comes first leaves nothing behind that would run on.
func TestNoSweepBeginsAfterAStop(t *testing.T) {
	t.Parallel()
	b, _ := watch(t)
	b.Stop()
	if err := b.prepare(); !errors.Is(err, ErrStopped) {
		t.Error(err)
	}
}

// A copy that fails lets go of its source.
func TestACopyThatFailsEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine is left
		b, _ := watch(t)
		id := b.upload(Upload{})
		if _, err := b.Complete(t.Context(), Complete{
			Bucket: "bbb", Key: "k", Upload: id, Parts: []Part{b.part(id, 1, "body", "")}, Size: -1,
		}); err != nil {
			t.Fatal(err)
		}
		o, err := b.Open(t.Context(), "bbb", "k")
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		_, err = b.Copy(t.Context(), Copy{From: o, Bucket: "none", Key: "k"})
		if fault.CodeOf(err) != CodeNoSuchBucket {
			t.Error(err)
		}
		synctest.Wait()
	})
}

// An object is what is left of an upload, and only of that one.
func TestOnlyTheUploadOfAnObjectCanBeCompletedAgain(t *testing.T) {
	t.Parallel()
	b, _ := watch(t)
	aborted, id := b.upload(Upload{}), b.upload(Upload{})
	parts := []Part{b.part(id, 1, "body", "")}
	if err := b.Abort(t.Context(), "bbb", "k", aborted); err != nil {
		t.Fatal(err)
	}
	for upload, want := range map[string]string{id: "", aborted: CodeNoSuchUpload} {
		for range 2 {
			_, err := b.Complete(t.Context(), Complete{Bucket: "bbb", Key: "k", Upload: id, Parts: parts, Size: -1})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.Complete(t.Context(), Complete{
				Bucket: "bbb", Key: "k", Upload: upload, Parts: parts, Size: -1,
			}); fault.CodeOf(err) != want {
				t.Error(err)
			}
		}
	}
}

// The last number that a part can have is one like every other.
func TestTheLastPartCounts(t *testing.T) {
	both(t, func(t *testing.T, b *bench) {
		id := b.upload(Upload{})
		b.part(id, MaxParts, "body", "")
		_, parts, more, err := b.Parts(t.Context(), "bbb", "k", id, MaxParts-1, 10)
		if err != nil || more || len(parts) != 1 || parts[0].Number != MaxParts {
			t.Errorf("%+v %t %v", parts, more, err)
		}
		if err := b.Abort(t.Context(), "bbb", "k", id); err != nil || b.kept() != 0 {
			t.Errorf("%v, %d contents", err, b.kept())
		}
	})
}

// A disk that fails when an object is all but kept leaves nothing in use.
func TestWhatCannotBeKeptIsNotInUse(t *testing.T) {
	t.Parallel()
	b, _ := watch(t)
	b.put("first", "so that there is a directory")
	if err := os.RemoveAll(b.content0().kept()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Put(t.Context(), Put{Bucket: "bbb", Key: "k", Body: strings.NewReader("x")}); err == nil {
		t.Error("it was kept nowhere")
	}
	if n := len(b.uses.count); n != 0 || b.content("k") != CodeNoSuchKey {
		t.Errorf("%d contents are in use, the object is %q", n, b.content("k"))
	}
}
