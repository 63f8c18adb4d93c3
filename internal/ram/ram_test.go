package ram

import (
	"runtime"
	"testing"
)

// Defaults are fractions of it, so a wrong unit would be noticed late.
func TestBytesAreBytes(t *testing.T) {
	t.Parallel()
	n := Bytes()
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		if n != 0 {
			t.Errorf("%d bytes where the system is not asked", n)
		}
		return
	}
	if n < 64<<20 || n > 1<<50 {
		t.Errorf("%d bytes", n)
	}
}
