package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shardmill/shardmill/server"
)

// printedUnit returns the systemd unit of docs/cli.md.
func printedUnit(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "```ini\n")
	unit, _, end := strings.Cut(rest, "```")
	if !ok || !end {
		t.Fatal("docs/cli.md prints no unit")
	}
	return unit
}

// The unit on the page is complete, and nothing in it takes away what the sandbox needs.
func TestPrintedUnitLeavesTheSandboxWorking(t *testing.T) {
	t.Parallel()
	unit := printedUnit(t)
	for _, line := range []string{
		"DynamicUser=yes", "StateDirectory=shardmill", "Delegate=cpu", "KillMode=mixed", "TimeoutStopSec=45",
		"Restart=on-failure", "WantedBy=multi-user.target",
	} {
		if !strings.Contains(unit, "\n"+line+"\n") {
			t.Errorf("the unit has no %s", line)
		}
	}
	for _, word := range []string{
		"RestrictNamespaces", "PrivateUsers", "ProtectProc", "ProcSubset", "ProtectKernelTunables", "ProtectKernelLogs",
		"ProtectControlGroups", "SystemCallFilter", "MemoryDenyWriteExecute",
		"InaccessiblePaths", "TemporaryFileSystem", "RootDirectory", "User=",
	} {
		if regexp.MustCompile(`(?m)^` + word).MatchString(unit) {
			t.Errorf("the unit has %s, which level sandbox does not survive", word)
		}
	}
}

// systemd itself finds nothing wrong with it.
func TestPrintedUnitIsVerified(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze on this machine")
	}
	file := filepath.Join(t.TempDir(), "shardmill.service")
	// the program must exist for systemd-analyze
	unit := strings.Replace(printedUnit(t), "/usr/local/bin/shardmill", "/bin/true", 1)
	if err := os.WriteFile(file, []byte(unit), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", file).CombinedOutput()
	if err != nil || bytes.Contains(out, []byte(file)) || bytes.Contains(out, []byte("shardmill.service:")) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// service runs serve as a service manager would.
type service struct {
	t    *testing.T
	self string // the program, where every user can run it
	env  []string
	user *syscall.Credential
}

// command returns a command of ours in the service's environment: no home, / as the working directory, no standard
// input.
func (s *service) command(args ...string) *exec.Cmd {
	c := exec.Command("/bin/sh", append([]string{"-c", `umask 0077; exec "$@"`, "sh", s.self}, args...)...)
	c.Dir, c.Env = "/", s.env
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.user, Setsid: true}
	return c
}

func (s *service) output(args ...string) string {
	s.t.Helper()
	out, err := s.command(args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// serve needs nothing but its directory: it starts, runs a function and ends as a service without a home, for an
// unprivileged user; commands find it there.
func TestServeRunsAsAService(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{
		"no home":             nil,
		"a home that is none": {"HOME=/nonexistent", "XDG_RUNTIME_DIR=", "USER=shardmill", "LOGNAME=shardmill"},
		"the root as home":    {"HOME=/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := &service{
				t: t, self: filepath.Join(dir, "shardmill"),
				env: append(
					[]string{
						"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "INVOCATION_ID=0123", "JOURNAL_STREAM=8:1",
					},
					env...,
				),
			}
			data := filepath.Join(dir, "state")
			if err := os.Mkdir(data, 0o700); err != nil {
				t.Fatal(err)
			}
			copyProgram(t, s.self)
			if os.Getuid() == 0 { // as with DynamicUser: an id without a user
				s.user = &syscall.Credential{Uid: 61184, Gid: 61184}
				if err := os.Chown(data, 61184, 61184); err != nil {
					t.Fatal(err)
				}
				openTheWay(t, dir)
			}
			// The function is this program, which is outside of its package: a confined function would not find it.
			c := s.command(
				"serve", "--data", data, "--port", "0", "--isolation", "none", "--log-format", "json", "--min-free",
				"1MiB",
			)
			var errs bytes.Buffer
			c.Stderr = &errs
			out, err := c.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Process.Kill() })
			endpoint := ""
			lines := bufio.NewScanner(out)
			for endpoint == "" && lines.Scan() {
				if m := regexp.MustCompile(`is ready at (http://[0-9.:]+)`).FindStringSubmatch(lines.Text()); m != nil {
					endpoint = m[1]
				}
			}
			if endpoint == "" {
				t.Fatalf("it does not start: %v\n%s", c.Wait(), errs.String())
			}
			go func() { _, _ = io.Copy(io.Discard, out) }()

			s.callFunction(endpoint)
			if got := s.output("clock", "--endpoint", endpoint, "--data", data); !strings.Contains(
				got, "(0s ahead of real time)",
			) {
				t.Errorf("clock says %s", got)
			}
			if got := s.output(
				"logs", "f", "--endpoint", endpoint, "--data", data,
			); !strings.Contains(got, "START RequestId") {
				t.Errorf("logs says %s", got)
			}
			token, err := os.ReadFile(server.DataTokenFile(data))
			if err != nil {
				t.Fatal(err)
			}
			s.env = append(s.env, "SHARDMILL_TOKEN="+strings.TrimSpace(string(token)))
			s.output("clock", "--endpoint", endpoint)

			if err := c.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := c.Wait(); err != nil {
				t.Errorf("it ends with %v: %s", err, errs.String())
			}
			if _, err := os.Stat(server.DataTokenFile(data)); err == nil {
				t.Error("its token is still there")
			}
			if bytes.Contains(errs.Bytes(), []byte(`"ERROR"`)) {
				t.Errorf("it logs %s", errs.String())
			}
		})
	}
}

// callFunction makes a function whose runtime is this program, and invokes it.
func (s *service) callFunction(endpoint string) {
	s.t.Helper()
	cl := newClient(endpoint, wireAccount, "us-east-1")
	defer cl.http.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	in := map[string]any{
		"FunctionName": "f", "Runtime": "provided.al2023", "Handler": "bootstrap",
		"Role": "arn:aws:iam::000000000000:role/r", "Timeout": 20,
		"Code": map[string]any{"ZipFile": bootstrapZip(s.t, "#!/bin/sh\nexec '"+s.self+"' demo-handler\n")},
	}
	if err := cl.lambda(ctx, "POST", functionsPath, in, nil); err != nil {
		s.t.Fatal(err)
	}
	var errs strings.Builder // a hint goes there, because this program may be below /tmp
	c := s.command("invoke", "f", "--endpoint", endpoint, "--payload", `{"Records":[]}`)
	c.Stderr = &errs
	if got, err := c.Output(); err != nil || !json.Valid(got) {
		s.t.Errorf("the function answers %s, %v\n%s", got, err, errs.String())
	}
}

// copyProgram copies this test binary, which is also the command, to where every user can run it.
func copyProgram(t *testing.T, to string) {
	t.Helper()
	from, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(f, from)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		t.Fatal(err)
	}
}

// openTheWay lets other users pass through the directories of a test.
func openTheWay(t *testing.T, dir string) {
	t.Helper()
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// bootstrapZip returns a package with only a bootstrap.
func bootstrapZip(t *testing.T, script string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	h := &zip.FileHeader{Name: "bootstrap"}
	h.SetMode(0o755)
	w, err := z.CreateHeader(h)
	if err == nil {
		_, err = io.WriteString(w, script)
	}
	if cerr := z.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
