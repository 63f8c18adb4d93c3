package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/shardmill/shardmill/internal/eventually"
	"github.com/shardmill/shardmill/internal/image"
)

// containedMark makes this test binary what starts a container's program: it puts /proc and /dev/null into the file
// system that the variable names, as every container engine does, makes that the whole file system, and becomes the
// program in its arguments.
const containedMark = "SHARDMILL_E2E_CONTAINED"

func init() {
	root := os.Getenv(containedMark)
	if root == "" {
		return
	}
	_ = os.Unsetenv(containedMark) // it has had its effect
	err := enter(root)
	if err == nil {
		err = syscall.Exec("/usr/local/bin/shardmill", os.Args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "contained:", err)
	os.Exit(125)
}

func enter(root string) error {
	for _, name := range []string{"/proc", "/dev/null"} {
		if err := unix.Mount(name, root+name, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mount %s: %w", name, err)
		}
	}
	if err := unix.Chroot(root); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	if err := unix.Chdir("/data"); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) // the program has no privilege
}

// contained returns a command of a container of an image that is unpacked at root: with that as its whole file system,
// as a user that owns nothing else, and with nothing of our environment.
func contained(root string, config *v1.Config, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(slices.Clone(config.Env), containedMark+"="+root)
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = image.User, image.User
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid: true, Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: image.User, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: image.User, HostID: gid, Size: 1}},
		Credential:  &syscall.Credential{Uid: image.User, Gid: image.User, NoSetGroups: true},
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT},
	}
	return cmd
}

// The archive of the image is unpacked, and what it says to run runs with nothing but its files, as its user: it keeps
// records, invokes functions that are programs, says that it is well, and stops when it is asked to. So an image needs
// no container engine to be tested.
func TestTheImageRuns(t *testing.T) {
	t.Parallel()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := image.Write(&archive, image.Options{
		Binaries: []image.Binary{{Path: shardmill(t), Arch: runtime.GOARCH}}, CA: ca, Version: "test",
		Tag: "shardmill:test",
	}); err != nil {
		t.Fatal(err)
	}
	root, err := os.MkdirTemp("", "shardmill-image-") // not below a directory that only we can enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	own := func(path string, uid int) error { return os.Chown(path, uid, uid) }
	if os.Getuid() != 0 {
		own = nil
	} else if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	config, err := image.Unpack(&archive, runtime.GOARCH, root, own)
	if err != nil {
		t.Fatal(err)
	}
	if config.Entrypoint[0] != "shardmill" || config.User != "65532:65532" || config.WorkingDir != "/data" {
		t.Fatalf("%+v", config)
	}

	for _, name := range []string{"proc", "dev"} { // as every container engine makes them
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "dev", "null"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := contained(root, config, "shardmill", "version").CombinedOutput(); err != nil {
		t.Skipf("an ordinary user can make no container here: %v: %s", err, out)
	}

	s := &server{home: newHome(t), process: &process{ended: make(chan struct{})}}
	s.cmd = contained(root, config, slices.Concat(
		config.Entrypoint, config.Cmd, []string{"--port", "0", "--ready-file", "/tmp/ready.json", "--min-free", "64MiB"},
	)...)
	s.cmd.Stdout, s.cmd.Stderr = &s.stdout, &s.stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.ended)
		_ = s.cmd.Wait() // the state is in cmd.ProcessState
	}()
	t.Cleanup(s.kill)
	eventually.Reaches(t, "the ready file", func() (bool, string) {
		if !s.running() {
			t.Fatalf("it ended with %s:\n%s", s.cmd.ProcessState, s.stderr.String())
		}
		b, err := os.ReadFile(filepath.Join(root, "tmp", "ready.json"))
		return err == nil && json.Unmarshal(b, s) == nil, s.stderr.String()
	})
	health := func(more ...string) (string, int) {
		cmd := contained(root, config, append(slices.Clone(config.Healthcheck.Test[1:]), more...)...)
		out, _ := cmd.CombinedOutput() // the state says how it ended
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, code := health("--endpoint", s.Endpoint); out != "ready\n" || code != 0 {
		t.Errorf("the health check says %q, and leaves with %d", out, code)
	}

	c := s.clients()
	g := newLedger(t, nil)
	c.createStream(t, "orders", 1)
	c.createFunction(t, "orders", g.url)
	c.put(t, "orders", "key", "data")
	c.createMapping(t, "orders", lambda.CreateEventSourceMappingInput{})
	eventually.Holds(t, "the record in the function", func() bool { return g.processed() == 1 })

	s.signal(t, syscall.SIGTERM)
	if code := s.wait(t); code != 0 {
		t.Errorf("it left with %d:\n%s", code, s.stderr.String())
	}
	if _, err := os.Stat(filepath.Join(root, "data", "store")); err != nil {
		t.Errorf("the data is not in /data: %v", err)
	}
	if out, code := health("--endpoint", s.Endpoint); code != 3 || !strings.Contains(out, "no shardmill answers") {
		t.Errorf("after the stop the health check says %q, and leaves with %d", out, code)
	}
}
