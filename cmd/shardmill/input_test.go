package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/shardmill/shardmill/internal/eventually"
)

// oddities returns names that are not files, by what they are.
func oddities(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: at("s.zip"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if err := errors.Join(
		syscall.Mkfifo(at("pipe.zip"), 0o600), os.Symlink("loop.zip", at("loop.zip")),
		os.Symlink("/dev/zero", at("endless.zip")), os.Symlink("pipe.zip", at("link.zip")),
	); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"a pipe": at("pipe.zip"), "no such device or address": at("s.zip"),
		"too many levels of symbolic links": at("loop.zip"), "a device": at("endless.zip"),
		"a pipe, not": at("link.zip"),
	}
}

// No named input blocks: anything but a file is refused at once, as code, seed and payload.
func TestWhatIsNoFileIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	for what, name := range oddities(t) {
		if _, err := readBounded(name, 10); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := readCode(t.Context(), name); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("code %s: %v", name, err)
		}
		if err := checkCode(t.Context(), name); err == nil {
			t.Errorf("code %s is taken", name)
		}
		for _, args := range [][]string{{"dev", "--seed", name}, {"invoke", "f", "--payload", name}} {
			if code, _, stderr := cmd(args...); code != exitUsage || !strings.Contains(stderr, what) {
				t.Errorf("%v: exit %d, %s", args, code, stderr)
			}
		}
		dir := t.TempDir()
		if err := os.Symlink(name, filepath.Join(dir, "x.zip")); err != nil {
			t.Fatal(err)
		}
		if _, err := scanCode(t.Context(), dir, false); err == nil {
			t.Errorf("%s within a directory is taken", name)
		}
		if err := os.WriteFile(
			filepath.Join(dir, "seed.yaml"),
			[]byte("Functions: [{FunctionName: f, Runtime: python3.12, Handler: h.h, CodeUri: x.zip}]"), 0o600,
		); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := cmd("dev", "--seed", filepath.Join(dir, "seed.yaml")); code != exitUsage ||
			!strings.Contains(stderr, "the code of the function f cannot be used: ") {
			t.Errorf("a function from %s: exit %d, %s", name, code, stderr)
		}
	}
}

// A directory of code is read up to a number of names, and only as long as the command runs.
func TestLookingAtCodeIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 1500 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := scanCode(ctx, dir, false); !errors.Is(err, context.Canceled) {
		t.Errorf("reading goes on after its context has ended: %v", err)
	}
	if _, err := readCode(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("reading goes on after its context has ended: %v", err)
	}
	s := scan{ctx: t.Context(), seen: maxCodeNames - 1000, tree: codeTree{root: dir}}
	if err := s.dir(""); err == nil || !strings.Contains(err.Error(), "holds more than 200000 files and directories") {
		t.Errorf("too many names: %v", err)
	}
}

// What is read arrives whole and in order, with its end and its error, and a waiting reader ends with the context.
func TestAwaitedInputEndsWithTheContext(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 20_000)
	got, err := io.ReadAll(&awaited{ctx: t.Context(), r: io.LimitReader(strings.NewReader(long), 150_000)})
	if err != nil || string(got) != long[:150_000] {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if got, err := io.ReadAll(&awaited{
		ctx: t.Context(), r: iotest.DataErrReader(strings.NewReader("with the last")),
	}); err != nil ||
		string(got) != "with the last" {
		t.Errorf("bytes that come with the end: %q, %v", got, err)
	}
	broken := errors.New("broken")
	if got, err := io.ReadAll(&awaited{
		ctx: t.Context(), r: io.MultiReader(strings.NewReader("x"), failing{broken}),
	}); string(got) != "x" ||
		!errors.Is(err, broken) {
		t.Errorf("%q, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	defer w.Close()
	ended := make(chan error)
	go func() {
		_, err := io.ReadAll(&awaited{ctx: ctx, r: r})
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A command that waits for its input ends with the first signal.
func TestFirstSignalEndsACommandThatReads(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"put s", "put s --lines", "invoke f --payload -"} {
		c := exec.Command(os.Args[0])
		c.Args = append([]string{"shardmill"}, strings.Fields(args)...)
		self, err := filepath.Abs(os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(t.TempDir(), "shardmill")
		if err := os.Symlink(self, link); err != nil {
			t.Fatal(err)
		}
		c.Path = link
		in, err := c.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		c.Stderr = &stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		// more than a pipe holds: so the command is reading
		if _, err := io.WriteString(in, strings.Repeat("x", 200_000)); err != nil {
			t.Fatal(err)
		}
		if err := c.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		eventually.Comes(t, fmt.Sprint(args, ": the end, after the first signal"), ended)
		if code := c.ProcessState.ExitCode(); code != exitInterrupted {
			t.Errorf("%s: exit %d: %s", args, code, stderr.String())
		}
		_ = in.Close()
	}
}

// A replay without records fails.
func TestAReplayOfNothingFails(t *testing.T) {
	t.Parallel()
	var r replayed
	if err := r.verdict(); err == nil || err.Error() != "there is no record in that range that the mapping's filters let through; nothing has been replayed" {
		t.Errorf("got %v", err)
	}
}
