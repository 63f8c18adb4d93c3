package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var terraformMirror = flag.String(
	"terraform.mirror", "", "a folder with Terraform's AWS provider, as terraform providers mirror makes it",
)

// F-26: Terraform creates a stream, a queue with tags, a topic that delivers to it, a bucket, a function with an alias
// and a permission, and a mapping with most of its knobs, whose failures go to the queue; changes function, alias,
// mapping, tags and delivery; and destroys all. A plan after each apply is empty: what the provider reads back is what
// was asked for.
func TestTerraform(t *testing.T) {
	if *terraformMirror == "" {
		t.Skip("by hand: make terraform MIRROR=DIR")
	}
	t.Parallel()
	h := newHome(t)
	s := start(t, h, "dev", "--python", venv(t, "python3"))
	work := h.path("work")
	write := func(name string, content []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(work, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config, err := os.ReadFile("testdata/terraform/main.tf")
	if err != nil {
		t.Fatal(err)
	}
	write("main.tf", config)
	for _, release := range []string{"one", "two"} {
		write(release+".zip", zipped(t, map[string][]byte{
			"handler.py": fmt.Appendf(nil, "# %s\ndef handler(event, context):\n    return {}\n", release),
		}))
	}
	write("settings", fmt.Appendf(
		nil, "provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", *terraformMirror,
	))
	terraform := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "terraform", append(args, "-no-color")...)
		cmd.Dir, cmd.Env = work, h.environ(
			"AWS_ENDPOINT_URL="+s.Endpoint, "TF_CLI_CONFIG_FILE=settings", "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1",
		)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, tail(string(out)))
		}
		return string(out)
	}

	terraform("init")
	for _, release := range []string{"one", "two"} {
		terraform("apply", "-auto-approve", "-var", "release="+release)
		terraform("plan", "-detailed-exitcode", "-var", "release="+release) // an error where something is left to do
	}
	if out := terraform("destroy", "-auto-approve"); !strings.Contains(out, "10 destroyed") {
		t.Errorf("destroy: %s", tail(out))
	}
}
