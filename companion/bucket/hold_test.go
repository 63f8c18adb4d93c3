package bucket

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"
)

// While somebody holds content, an object that is deleted or overwritten leaves its file; afterwards the file goes,
// unless an object has its bytes again.
func TestHeldContentStaysUntilItIsReleased(t *testing.T) {
	t.Parallel()
	b := begin(t, t.TempDir())
	for _, key := range []string{"deleted", "overwritten", "back", "stays"} {
		b.put(key, "bytes of "+key)
	}

	first, second := b.Hold(), b.Hold()
	for _, key := range []string{"deleted", "back"} {
		if _, err := b.Remove(t.Context(), "bbb", Remove{Key: key}); err != nil {
			t.Fatal(err)
		}
	}
	b.put("overwritten", "other bytes")
	b.put("other", "bytes of back")
	first()
	held := b.kept()
	second()

	if held != 5 {
		t.Errorf("%d files were kept of 5", held)
	}
	if n := b.kept(); n != 3 {
		t.Errorf("%d files are left, and objects have 3", n)
	}
	for _, key := range []string{"stays", "other", "overwritten"} {
		b.content(key)
	}
}

// A check compares what objects refer to with the files that are there, and changes neither.
func TestACheckComparesFilesWithTheirNames(t *testing.T) {
	t.Parallel()
	b := begin(t, t.TempDir())
	for _, key := range []string{"whole", "cut", "gone"} {
		b.put(key, "bytes of "+key)
	}
	check := func() (found []string) {
		if err := Check(t.Context(), b.local, b.dir, func(where, what string) {
			found = append(found, fmt.Sprint(where, ": ", what))
		}); err != nil {
			t.Fatal(err)
		}
		return found
	}
	if found := check(); len(found) > 0 {
		t.Fatalf("in what is whole: %q", found)
	}
	files := b.content0()
	if err := os.Truncate(files.path(sha256.Sum256([]byte("bytes of cut"))), 3); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(files.path(sha256.Sum256([]byte("bytes of gone")))); err != nil {
		t.Fatal(err)
	}

	found := strings.Join(check(), "\n")

	if !strings.Contains(found, "its bytes are not those") || !strings.Contains(found, "it is missing") {
		t.Errorf("found:\n%s", found)
	}
}
