package launcher

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A plan names what a Python reads outside the system's directories: its virtual environment, the installation behind
// that, and what AWS bundles, wherever it is; with HostPackages, all places with installed packages. The next plan
// finds what is installed later.
func TestPlanNamesWhatAPythonReads(t *testing.T) {
	t.Parallel()
	out, err := exec.Command(
		"python3", "-I", "-c",
		`import os, sys; print(os.path.realpath(sys.executable), "python%d.%d" % sys.version_info[:2], os.path.realpath(sys.base_prefix))`,
	).Output()
	found := strings.Fields(string(out))
	if err != nil || len(found) != 3 {
		t.Fatalf("python3: %v %q", err, out)
	}
	venv, elsewhere := t.TempDir(), t.TempDir()
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	python := filepath.Join(venv, "bin", "python")
	write(filepath.Join(venv, "pyvenv.cfg"), "home = "+filepath.Dir(found[0])+"\n")
	write(filepath.Join(venv, "lib", found[1], "site-packages", "more.pth"), elsewhere+"\n")
	if err := os.Mkdir(filepath.Dir(python), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(found[0], python); err != nil {
		t.Fatal(err)
	}
	for _, host := range []bool{false, true} {
		l := New(Options{Python: python, Dir: t.TempDir(), HostPackages: host})
		reads := func() []string {
			t.Helper()
			p, err := l.Plan(t.Context(), Request{Runtime: "python3.12", Code: "/code", TaskRoot: "/code"})
			if err != nil {
				t.Fatal(err)
			}
			if base := found[2]; !slices.Contains(p.Reads, venv) || !strings.HasPrefix(base, "/usr") &&
				!slices.Contains(p.Reads, base) {
				t.Errorf("reads %q, want %s and %s among them", p.Reads, venv, base)
			}
			return p.Reads
		}
		if got := reads(); slices.Contains(got, elsewhere) != host {
			t.Errorf("host packages %v: reads %q", host, got)
		}
		write(filepath.Join(elsewhere, "boto3", "__init__.py"), "")
		write(
			filepath.Join(elsewhere, "boto3-1.dist-info", "METADATA"),
			"Metadata-Version: 2.1\nName: boto3\nVersion: 1\n",
		)

		want := filepath.Join(elsewhere, "boto3")
		if host {
			want = elsewhere
		}
		if got := reads(); !slices.Contains(got, want) {
			t.Errorf("host packages %v: after boto3 was installed it reads %q, want %s among them", host, got, want)
		}
		if err := os.RemoveAll(filepath.Join(elsewhere, "boto3")); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(elsewhere, "boto3-1.dist-info")); err != nil {
			t.Fatal(err)
		}
	}
}
