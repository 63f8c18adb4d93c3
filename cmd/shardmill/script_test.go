package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/shardmill/shardmill/internal/eventually"
	"github.com/shardmill/shardmill/server"
)

// The test binary is the command: scripts run it as shardmill.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"shardmill": main})
}

// The scripts show what a user sees. One script per subcommand or rule; the first word of a script's name is the
// subcommand.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			for _, name := range []string{"home", "run"} {
				if err := os.Mkdir(filepath.Join(e.WorkDir, name), 0o700); err != nil {
					return err
				}
			}
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("XDG_RUNTIME_DIR", filepath.Join(e.WorkDir, "run"))
			// a command under the race detector would sleep for a second before it ends
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			return useGo(e)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": ready, "endpoint": endpoint, "until": until, "code": code, "keep": keep,
		},
	})
}

// useGo lets scripts build with the modules that are already downloaded, and no others.
func useGo(e *testscript.Env) error {
	out, err := exec.Command("go", "env", "-json", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		return err
	}
	var caches map[string]string
	if err := json.Unmarshal(out, &caches); err != nil {
		return err
	}
	for name, value := range caches {
		e.Setenv(name, value)
	}
	for _, v := range [][2]string{
		{"GOPROXY", "off"}, {"GOFLAGS", ""}, {"GOWORK", "off"}, {"GOTOOLCHAIN", "local"}, {"CGO_ENABLED", "0"},
	} {
		e.Setenv(v[0], v[1])
	}
	return nil
}

// ready FILE waits for a --ready-file and points later commands at its server. In the script, $ENDPOINT and $PORT name
// it.
func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ready FILE")
	}
	var r server.Ready
	eventually.Holds(ts, "the ready file", func() bool {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && json.Unmarshal(b, &r) == nil
	})
	if r.Token == "" || r.PID == 0 || r.Version == "" {
		ts.Fatalf("the ready file is not complete: %+v", r)
	}
	ts.Setenv("AWS_ENDPOINT_URL", r.Endpoint)
	ts.Setenv("ENDPOINT", r.Endpoint)
	ts.Setenv("PORT", r.Endpoint[strings.LastIndexByte(r.Endpoint, ':')+1:])
}

// until TEXT COMMAND... runs shardmill COMMAND again and again until its output contains TEXT.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until TEXT COMMAND...")
	}
	eventually.Holds(ts, strings.Join(args, " "), func() bool {
		return ts.Exec("shardmill", args[1:]...) == nil && strings.Contains(ts.ReadFile("stdout"), args[0])
	})
}

// endpoint DIR does the same as ready for a server without a ready file: it waits for the only token below a runtime
// directory.
func endpoint(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: endpoint DIR")
	}
	var found []string
	eventually.Holds(ts, "a token", func() bool {
		found, _ = filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "shardmill", "*.token")) // the pattern is well-formed
		return len(found) == 1
	})
	host, port, _ := strings.Cut(strings.TrimSuffix(filepath.Base(found[0]), ".token"), "_")
	ts.Setenv("AWS_ENDPOINT_URL", "http://"+host+":"+port)
}

// code N COMMAND... runs a command that must leave with exit code N; stdout and stderr are for the assertions that
// follow.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND...")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", strings.Join(args[1:], " "), err)
		}
		got = exit.ExitCode()
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("%s: exit code %d, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// keep NAME REGEXP sets a variable to what REGEXP's group matches in the last standard output.
func keep(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: keep NAME REGEXP")
	}
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("%s does not match", args[1])
	}
	ts.Setenv(args[0], found[1])
}
