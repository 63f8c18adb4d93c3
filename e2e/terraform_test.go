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
	f := newTerraform(t, "testdata/terraform/main.tf")
	for _, release := range []string{"one", "two"} {
		f.write(release+".zip", zipped(t, map[string][]byte{
			"handler.py": fmt.Appendf(nil, "# %s\ndef handler(event, context):\n    return {}\n", release),
		}))
	}
	f.lives(10)
}

// A stream with its retention, encryption, metrics by shard, tags, a consumer and a policy, an on-demand stream with
// nothing set, and an encrypted table.
func TestTerraformStream(t *testing.T) {
	f := newTerraform(t, "testdata/terraform/stream/main.tf")
	f.lives(5)
	f.recorder.listed(t, "Terraform's AWS provider")
}

// terraform is a directory in which Terraform works.
type terraform struct {
	t    *testing.T
	home home
	*server
	*recorder
}

// newTerraform returns a directory with a configuration, initialised.
func newTerraform(t *testing.T, configuration string) *terraform {
	t.Helper()
	if *terraformMirror == "" {
		t.Skip("by hand: make terraform MIRROR=DIR")
	}
	t.Parallel()
	h := newHome(t)
	s, r := start(t, h, "dev", "--python", venv(t, "python3")).recorded(t)
	f := &terraform{t, h, s, r}
	config, err := os.ReadFile(configuration)
	if err != nil {
		t.Fatal(err)
	}
	f.write("main.tf", config)
	f.write("settings", fmt.Appendf(
		nil, "provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", *terraformMirror,
	))
	f.run("init")
	return f
}

func (f *terraform) write(name string, content []byte) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.home.path("work"), name), content, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *terraform) run(args ...string) string {
	f.t.Helper()
	cmd := exec.CommandContext(f.t.Context(), "terraform", append(args, "-no-color")...)
	cmd.Dir, cmd.Env = f.home.path("work"), f.home.environ(
		"AWS_ENDPOINT_URL="+f.Endpoint, "TF_CLI_CONFIG_FILE=settings", "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1",
	)
	out, err := cmd.CombinedOutput()
	if err != nil {
		f.t.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, tail(string(out)))
	}
	return string(out)
}

// lives applies both releases of the configuration, each with an empty plan afterwards, and destroys everything.
func (f *terraform) lives(resources int) {
	f.t.Helper()
	for _, release := range []string{"one", "two"} {
		f.run("apply", "-auto-approve", "-var", "release="+release)
		f.run("plan", "-detailed-exitcode", "-var", "release="+release) // an error where something is left to do
	}
	if out := f.run("destroy", "-auto-approve"); !strings.Contains(out, fmt.Sprint(resources, " destroyed")) {
		f.t.Errorf("destroy: %s", tail(out))
	}
}
