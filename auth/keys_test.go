package auth

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// watched is a key file that is looked at every second.
type watched struct {
	*testing.T
	path string
	keys *Keys
	log  strings.Builder // its reader waits until nobody writes
	read int             // bytes of it
}

// watch runs a test in which a key file of alice is looked at.
func watch(t *testing.T, test func(w *watched)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &watched{T: t, path: filepath.Join(dir, "keys.yaml")}
		w.put(w.path, "alice")
		var err error
		if w.keys, err = Open(w.path, slog.New(slog.NewTextHandler(&w.log, nil))); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go w.keys.Watch(ctx)
		test(w)
	})
}

// put writes a key file with one key into a file as it is. All have one size, as all names have five letters.
func (w *watched) put(path, name string) {
	w.Helper()
	content := "keys:\n  AKIAAAAAAAAAAAAAAAAA: {name: " + name + ", secret: abcdefghijklmnop, role: view}\n"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		w.Fatal(err)
	}
}

// after lets some seconds pass, and wants to find a name in the keys, and so many lines of a level in the log.
func (w *watched) after(seconds int, what, name, level string, lines int) {
	w.Helper()
	for range seconds {
		time.Sleep(watchEvery)
		synctest.Wait()
	}
	if _, ok := w.keys.Named(name); !ok {
		w.Errorf("%s: %s has no key", what, name)
	}
	fresh := w.log.String()[w.read:]
	w.read += len(fresh)
	if n := strings.Count(fresh, "level="+level); n != lines {
		w.Errorf("%s: logged %d times, want %d: %s", what, n, lines, fresh)
	}
}

func (w *watched) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// A change of the key file counts a second later, in whatever way it is made: written over, or moved into its place,
// even with the size and the time of the one before.
func TestAChangedFileIsTakenOver(t *testing.T) {
	t.Parallel()
	watch(t, func(w *watched) {
		w.after(3, "nothing has changed", "alice", "INFO", 0)
		before, err := os.Stat(w.path)
		w.must(err)
		at := before.ModTime().Add(time.Second)
		w.put(w.path, "bobby")
		w.must(os.Chtimes(w.path, at, at))
		w.after(3, "written over", "bobby", "INFO", 1)

		w.put(w.path+".new", "carol")
		w.must(os.Chtimes(w.path+".new", at, at))
		w.must(os.Rename(w.path+".new", w.path))
		w.after(3, "moved into its place", "carol", "INFO", 1)
	})
}

// While the file is gone, wrong, open to others or cannot be opened, the keys from before count, and that is logged
// once, not every second; once it is right it is taken over.
func TestAFileThatCannotBeTakenOverIsSaidOnce(t *testing.T) {
	t.Parallel()
	for what, breaks := range map[string]func(w *watched){
		"gone":           func(w *watched) { w.must(os.Remove(w.path)) },
		"wrong":          func(w *watched) { w.must(os.WriteFile(w.path, []byte("keys: 1"), 0o600)) },
		"open to others": func(w *watched) { w.must(os.Chmod(w.path, 0o644)) },
		"a pipe": func(w *watched) {
			w.must(os.Remove(w.path))
			w.must(syscall.Mkfifo(w.path, 0o600))
		},
		"no file that can be opened": func(w *watched) {
			w.must(os.Remove(w.path))
			l, err := net.Listen("unix", w.path)
			w.must(err)
			l.(*net.UnixListener).SetUnlinkOnClose(false)
			w.must(l.Close())
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			watch(t, func(w *watched) {
				breaks(w)
				w.after(4, what, "alice", "ERROR", 1)
				w.must(os.RemoveAll(w.path))
				w.after(1, what+", then gone", "alice", "INFO", 0)
				w.put(w.path, "bobby")
				w.after(2, what+", then right", "bobby", "INFO", 1)
			})
		})
	}
}

// What is longer than a key file may be is refused, and not read as far as it goes: the rest would be missing keys.
func TestAFileThatIsTooLong(t *testing.T) {
	t.Parallel()
	long := twoKeys + "#" + strings.Repeat("x", maxFile-len(twoKeys)-1)
	if _, err := Open(keyFile(t, long), nil); err != nil {
		t.Errorf("%d bytes: %v", len(long), err)
	}
	if _, err := Open(keyFile(t, long+"x"), nil); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("%d bytes: %v", len(long)+1, err)
	}
}

// A key that is added to a file by a link to it goes into that file, and the link stays one: the server reads it by
// its other name.
func TestALinkStaysALink(t *testing.T) {
	t.Parallel()
	path := keyFile(t, twoKeys)
	link := filepath.Join(t.TempDir(), "link.yaml")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := Add(link, New("carol", "", Rights{Role: View})); err != nil {
		t.Fatal(err)
	}
	keys, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := keys.Named("carol"); !ok {
		t.Error("the file behind the link has no new key")
	}
	if to, err := os.Readlink(link); err != nil || to != path {
		t.Errorf("the link leads to %q, %v", to, err)
	}
}
