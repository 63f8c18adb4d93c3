package function

import (
	"os"
	"testing"
)

// While somebody holds code, a package that nobody uses any more stays; afterwards it goes, unless it is used again.
func TestHeldCodeStaysUntilItIsReleased(t *testing.T) {
	t.Parallel()
	p := openPackages(t.TempDir())
	if err := os.MkdirAll(p.zips, 0o755); err != nil {
		t.Fatal(err)
	}
	there := func(sha string) bool {
		_, err := os.Stat(p.zipPath(sha))
		return err == nil
	}
	for _, sha := range []string{"unused", "again"} {
		p.retain(sha)
		if err := os.WriteFile(p.zipPath(sha), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	first, second := p.hold(), p.hold()
	p.release("unused")
	p.release("again")
	p.retain("again")
	first()
	held := there("unused")
	second()

	if !held || there("unused") || !there("again") {
		t.Errorf("held %v; then unused %v, used again %v", held, there("unused"), there("again"))
	}
}
