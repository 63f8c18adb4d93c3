package arch

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A build for Windows is refused, with a sentence that helps.
func TestWindowsIsRefusedByName(t *testing.T) {
	t.Parallel()
	// everything that can start a function imports it
	cmd := exec.Command("go", "build", "-o", os.DevNull, "./function/sandbox")
	cmd.Dir, cmd.Env = root(t), append(os.Environ(), "GOOS=windows", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if text := string(out); err == nil ||
		!strings.Contains(text, "shardmill_does_not_run_on_Windows_use_WSL_2_instead") ||
		strings.Count(text, "undefined") != 1 {
		t.Errorf("building for Windows said (%v):\n%s", err, text)
	}
}
