package e2e_test

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/doctest"
)

var (
	tutorialAWS     = flag.String("tutorial.aws", "", "AWS CLI that runs the tutorial (default: v1 of .venv)")
	tutorialRewrite = flag.Bool(
		"tutorial.rewrite", false,
		"put what came where the page says something else; read the difference like code, and put wildcards back",
	)
	tutorialUpTo = flag.String("tutorial.upto", "", "end before the heading that begins with this")
)

// docs/tutorial.md is what it says it is: every command runs in one shell as a reader's would, verbatim, with the
// unmodified AWS CLI and boto3, and prints what the page shows. Nothing beyond loopback can be reached meanwhile.
func TestTutorial(t *testing.T) {
	page, err := os.ReadFile("../docs/tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	steps, err := doctest.Parse(string(page))
	if err != nil {
		t.Fatalf("docs/tutorial.md: %v", err)
	}
	h := newHome(t)
	tools := h.path("bin")
	link(t, shardmill(t), filepath.Join(tools, "shardmill"))
	venv := absolute(t, "../.venv")
	if *tutorialAWS != "" {
		link(t, *tutorialAWS, filepath.Join(tools, "aws"))
	}
	env := h.environ("PIP_NO_INDEX=1", "PIP_FIND_LINKS="+
		filepath.Join(venv, "wheels"), "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_ROOT_USER_ACTION=ignore",
		"PYTHONDONTWRITEBYTECODE=1", "LC_ALL=C.UTF-8", "COLUMNS=200")
	env[0] = "PATH=" + strings.Join([]string{tools, filepath.Join(venv, "bin"), os.Getenv("PATH")}, ":")
	shell, err := doctest.Start(h.path("work"), h.path("tmp"), env, offline(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(shell.Close)
	if *tutorialRewrite {
		t.Cleanup(func() {
			if err := os.WriteFile(
				"../docs/tutorial.md", []byte(doctest.Rewrite(string(page), steps)), 0o644,
			); err != nil {
				t.Error(err)
			}
		})
	}
	heading := ""
	for i, step := range steps {
		if *tutorialUpTo != "" && strings.HasPrefix(step.Heading, *tutorialUpTo) {
			return
		}
		if step.Heading != heading {
			heading = step.Heading
			t.Logf("%s: %s", time.Now().Format(time.TimeOnly), heading)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
		got, err := shell.Run(ctx, step)
		if err == nil {
			err = doctest.Match(step.Want, got)
		}
		if err != nil && *tutorialRewrite && ctx.Err() == nil {
			t.Logf("line %d rewritten: %v", step.Line, err)
			steps[i].Want, err = got, nil
		}
		cancel()
		if err != nil {
			log, _ := os.ReadFile(filepath.Join(h.path("work"), "tutorial", "dev.log")) // it may not be there yet
			t.Fatalf(
				"docs/tutorial.md:%d, in %q:\n%s\n%v\nthe server's terminal:\n%s", step.Line, step.Heading,
				step.Command, err, tail(string(log)),
			)
		}
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(absolute(t, target), name); err != nil {
		t.Fatal(err)
	}
}

// noProxy keeps clients that obey these variables from anything but loopback.
func noProxy(cmd *exec.Cmd) {
	const nowhere = "http://127.0.0.1:9"
	cmd.Env = append(
		cmd.Env, "HTTP_PROXY="+nowhere, "HTTPS_PROXY="+nowhere, "http_proxy="+nowhere, "https_proxy="+nowhere,
		"NO_PROXY=127.0.0.1,localhost", "no_proxy=127.0.0.1,localhost",
	)
}

// A reader without a network finds on the page what to do, and it is what TestTutorial does: it reaches nothing but
// loopback, and pip takes packages from a folder.
func TestTutorialSaysWhatToDoWithoutANetwork(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"`pip download aws-kinesis-agg -d wheels`", "`export PIP_NO_INDEX=1 PIP_FIND_LINKS=$PWD/wheels`",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page does not say %s", want)
		}
	}
}
