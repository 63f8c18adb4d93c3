package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shardmill/shardmill/function/sandbox"
	"github.com/shardmill/shardmill/internal/eventually"
)

// alive reports whether a process of this machine has text among its arguments.
func alive(t testing.TB, text string) bool {
	t.Helper()
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && strings.Contains(strings.ReplaceAll(string(b), "\x00", " "), text) {
			return true
		}
	}
	return false
}

// F-56: what a process starts ends with it, whatever signals it ignores and whatever its session and environment.
func TestWhatIsStartedEndsToo(t *testing.T) {
	atEachLevel(t, func(t *testing.T, p place) {
		unique := strconv.Itoa(300_000_000 + os.Getpid()*10 + len(p.level))
		for name, detached := range map[string]string{
			"child":    "sleep " + unique + " &",
			"deaf":     `sh -c 'trap "" TERM HUP INT; echo >/dev/null; sleep ` + unique + `' &`,
			"session":  "setsid sleep " + unique + " &",
			"stranger": "env -i setsid sleep " + unique + " &",
			"orphan":   "(setsid sleep " + unique + " &) ; true",
			"greatmany": "for i in 1 2 3 4 5 6 7 8 9; do env -i setsid sh -c 'sleep " + unique + " & sleep " + unique +
				"' & done",
		} {
			for end, how := range map[string]func(r run){
				"exit": func(run) {}, "kill": func(r run) { r.Kill() },
				"terminate": func(r run) { r.Terminate(time.Millisecond) },
			} {
				rest := "sleep 600"
				if end == "exit" {
					rest = "sleep 0.05"
				}
				r := p.sh(detached + "\necho up\n" + rest)
				r.line()

				how(r)
				<-r.Done()

				if alive(t, "sleep "+unique) {
					t.Errorf("%s outlives %s", name, end)
				}
			}
		}
	})
}

// All processes end with the server, however the server ends.
func TestNothingOutlivesTheServer(t *testing.T) {
	if os.Getenv("SHARDMILL_TEST_SERVER") != "" {
		p, ok := at(t, sandbox.Options{Isolation: os.Getenv("SHARDMILL_TEST_SERVER")})
		if !ok {
			os.Exit(3)
		}
		r := p.sh(
			"env -i setsid sleep " + os.Getenv("UNIQUE") + " & sleep " + os.Getenv("UNIQUE") +
				" & while :; do echo up; sleep 1; done",
		)
		r.line()
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	}
	for i, level := range []string{sandbox.None, sandbox.Confined} {
		unique := strconv.Itoa(400_000_000 + os.Getpid()*10 + i)
		c := exec.Command("/proc/self/exe", "-test.run=^TestNothingOutlivesTheServer$")
		c.Env = append(os.Environ(), "SHARDMILL_TEST_SERVER="+level, "UNIQUE="+unique)

		_ = c.Run()

		if c.ProcessState.ExitCode() == 3 {
			t.Log("this machine has no level sandbox")
			continue
		}
		if s, ok := c.ProcessState.Sys().(syscall.WaitStatus); !ok || s.Signal() != syscall.SIGKILL {
			t.Fatalf("%s: the server ended with %v", level, c.ProcessState)
		}
		eventually.Holds(t, level+": nothing outlives the server", func() bool { return !alive(t, "sleep "+unique) })
	}
}

// A process inherits only three descriptors, whatever the server was started with.
func TestThreeDescriptors(t *testing.T) {
	leak, err := unix.Open("/etc/passwd", unix.O_RDONLY, 0) // like one left open by the shell that starts the server
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)
	for _, level := range []string{sandbox.None, sandbox.Confined} {
		p, ok := at(t, sandbox.Options{Isolation: level})
		if !ok {
			continue
		}

		r := p.sh(`ls /proc/self/fd | tr '\n' ' '`)

		if got := r.output(); got != "0 1 2 3 " { // the last one belongs to ls
			t.Errorf("%s: descriptors %q", level, got)
		}
	}
}

// At level none a server hides its memory and variables from functions of its own user, and can still start processes,
// even if its spawner has to be restarted.
func TestHiddenServer(t *testing.T) {
	if os.Getenv("SHARDMILL_TEST_HIDDEN") == "" {
		c := exec.Command("/proc/self/exe", "-test.run=^TestHiddenServer$", "-test.v")
		c.Env = append(os.Environ(), "SHARDMILL_TEST_HIDDEN=1", "SECRET=canary")
		if out, err := c.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS")) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	p, _ := at(t, sandbox.Options{Isolation: sandbox.None})
	sandbox.HideServer()
	look := "cat /proc/" + strconv.Itoa(os.Getpid()) + "/environ 2>/dev/null; ls /proc/" + strconv.Itoa(os.Getpid()) +
		"/fd 2>/dev/null; cat /proc/$PPID/environ 2>/dev/null; echo up; "
	first := p.sh(look + "sleep 600")
	got := first.line()
	if os.Geteuid() != 0 && got != "up" { // root sees everything
		t.Errorf("a function sees %q", got)
	}
	if err := unix.Kill(mustAtoi(t, parentOf(mustAtoi(t, parentOf(first.Pid)))), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-first.Done()
	if got := p.sh("echo again").output(); got != "again\n" {
		t.Errorf("the next one: %q", got)
	}
}

// The memory of all started processes counts, also of those in other sessions, and that of our own parent process does
// not.
func TestMemoryCountsAllDescendants(t *testing.T) {
	atEachLevel(t, func(t *testing.T, p place) {
		grow := `sh -c 'x=$(head -c 30000000 /dev/zero | tr "\\0" x); echo up; sleep 600'`
		r := p.sh("env -i PATH=/usr/bin:/bin setsid " + grow + " & sleep 600")
		r.line()

		got := sandbox.Memory([]*sandbox.Process{r.Process})[0]

		if got < 30e6 || got > 300e6 {
			t.Errorf("%d bytes", got)
		}
		if r.Resident() <= 0 || r.Peak() <= 0 || r.Resident() > 30e6 {
			t.Errorf("resident %d, peak %d", r.Resident(), r.Peak())
		}
	})
}

// F-59: everything that on AWS each environment has for itself.
func TestWhatAnEnvironmentSees(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, d := range []string{
		"read/private", "code/lib", "other", "read/lib", "with, comma and space/x", "temp1", "temp2", "data",
	} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"code/file": "code", "other/secret": "secret", "other/shown": "shown", "read/lib/x": "read",
		"read/private/secret": "secret", "data/secret": "secret", "with, comma and space/x/y": "odd",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "read"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "read/private"), filepath.Join(dir, "private")); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := syscall.Setgroups([]int{4, 42}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Setgroups(nil) })
	}
	hidden := "/usr/share/zoneinfo"
	p, ok := at(t, sandbox.Options{
		Isolation: sandbox.Confined, Hide: []string{dir + "/data", dir + "/private", hidden},
	})
	if !ok {
		return
	}
	home, _ := os.UserHomeDir()
	namespaces := "cat /proc/sys/user/max_user_namespaces"
	if os.Geteuid() == 0 { // there is no user namespace of ours with a setting of its own
		namespaces = "echo 0"
	}
	for _, c := range []struct{ what, script, want string }{
		{"its code, where AWS has it", "pwd; cat /var/task/file", "/var/task\ncode"},
		{
			"code that cannot be changed", "touch /var/task/x /var/task/file /var/runtime/x 2>/dev/null || echo no",
			"no\n",
		},
		{
			"a system that cannot be changed",
			"for d in / /usr /etc /dev /opt /var /sys/devices/system/cpu; do touch $d/x 2>/dev/null && echo $d; done; echo ok",
			"ok\n",
		},
		{"an empty /opt", "ls -A /opt", ""},
		{"no home", "find /home /root '" + home + "' -mindepth 1 2>/dev/null", ""},
		{
			"nothing of the machine that nobody asked for",
			"ls -d /run/* /srv /mnt /media /boot /var/lib/dpkg /var/tmp /dev/shm '" + dir +
				"/other/secret' 2>/dev/null",
			"",
		},
		{
			"what is to be read, behind a link too",
			"cat '" + dir + "/read/lib/x' '" + dir + "/link/lib/x' '" + dir + "/with, comma and space/x/y'",
			"readreadodd",
		},
		{
			"nothing below what is hidden",
			"find '" + dir + "/data' '" + dir + "/read/private' " + hidden + " -mindepth 1 2>/dev/null", "",
		},
		// first process, shell and the pipe's processes, without those that have ended
		{"a process list of its own", "ls -d /proc/[0-9]* | wc -l | tr -d ' '; echo $$", "3\n2\n"},
		{
			"nothing of its parent",
			"cat /proc/1/environ /proc/$PPID/environ /proc/1/mem 2>/dev/null; ls /proc/1/fd /proc/1/root 2>/dev/null; echo ok",
			"ok\n",
		},
		{
			"no capabilities, and no way to any",
			"grep -E 'Cap|NoNewPrivs' /proc/self/status | cut -f2 | sort -u | tr '\\n' ' '", "0000000000000000 1 ",
		},
		{
			"no mounting",
			"mount -t tmpfs x /tmp 2>/dev/null || mount -o remount,rw /usr 2>/dev/null || umount /tmp 2>/dev/null || echo no",
			"no\n",
		},
		{
			"nothing mounted that gives rights, and nothing to change but /tmp, whatever is mounted below what is shown",
			`while read -r _ _ _ root at options _; do
			case "$options," in rw,nosuid,nodev,*) test "$at" = /tmp || test "$at" = /proc;; ro,nosuid,nodev,*) ;; *)
				case "$root" in /null | /zero | /full | /random | /urandom) ;; *) false;; esac;; esac || echo "$at $options"
			done </proc/self/mountinfo; echo ok`, "ok\n",
		},
		{"no groups of the server", "sed -n 's/^Groups:[^0-9]*//p' /proc/self/status; " + namespaces, "\n0\n"},
		{
			"no namespaces with more rights",
			"unshare -Ur sh -c 'umount /etc/passwd || mount -o remount,rw,bind /usr' 2>/dev/null || echo no", "no\n",
		},
		{"no settings of the kernel", "echo 1 2>/dev/null >/proc/sys/kernel/pid_max || echo no", "no\n"},
		{
			"nothing of the machine's keys, addresses and timers",
			"cat /proc/keys /proc/key-users /proc/kallsyms /proc/timer_list 2>/dev/null; echo ok", "ok\n",
		},
		{"a user with a name", "id -un; grep -c . /etc/passwd", "sbx_user1051\n2\n"},
		{"its own host name", "hostname", "localhost\n"},
		{
			"devices",
			"head -c 3 /dev/zero | wc -c | tr -d ' '; echo x >/dev/null; head -c 1 /dev/urandom | wc -c | tr -d ' '; echo via >/dev/stdout; echo err >/dev/stderr",
			"3\n1\nvia\nerr\n",
		},
		{"the first process does not die by its hand", "kill -9 1; kill -9 -1 2>/dev/null; echo alive", "alive\n"},
	} {
		r := p.sh(c.script, func(s *sandbox.Spec) {
			s.Dir, s.Code, s.Temp = sandbox.TaskRoot, dir+"/code", dir+"/temp1"
			s.Reads = []string{
				dir + "/read", dir + "/link", dir + "/with, comma and space/x", dir + "/nothing", dir + "/other/shown",
				"/sys/fs",
			}
		})
		if got := r.output(); got != c.want && c.what != "a process list of its own" {
			t.Errorf("%s: got %q, want %q", c.what, got, c.want)
		}
	}
}

// Processes do not inherit a higher limit of open files or ignored signals from the server.
func TestLimitsAndSignalsAreThoseOfAWS(t *testing.T) {
	signal.Ignore(syscall.SIGHUP) // like nohup
	t.Cleanup(func() { signal.Reset(syscall.SIGHUP) })
	for _, level := range []string{sandbox.None, sandbox.Confined} {
		p, ok := at(t, sandbox.Options{Isolation: level})
		if !ok {
			continue
		}

		got := p.sh("ulimit -n; ulimit -Hn; ulimit -c; ulimit -Hl; grep SigIgn /proc/self/status | cut -f2").output()

		if want := "1024\n1024\n0\n64\n0000000000000000\n"; got != want {
			t.Errorf("%s: %q, want %q", level, got, want)
		}
	}
}

// Links that an earlier process has left in its /tmp, where directories of the machine are to be mounted, lead the next
// start nowhere.
func TestLinksInTmpLeadNowhere(t *testing.T) {
	t.Parallel()
	p, ok := at(t, sandbox.Options{Isolation: sandbox.Confined})
	if !ok {
		return
	}
	outside := t.TempDir()
	shown, err := os.MkdirTemp("/tmp", "shardmill-shown-") //nolint:usetesting // it has to be in /tmp
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(shown) })
	if err := os.MkdirAll(shown+"/lib", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{shown + "/program", shown + "/lib/x"} {
		if err := os.WriteFile(file, []byte("shown"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(shown, 0o755); err != nil {
		t.Fatal(err)
	}
	temp := filepath.Join(outside, "temp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, trap := range []string{
		"ln -s " + outside + " " + shown,
		"mkdir -p " + shown + "; mkfifo " + shown + "/program; ln -s " + outside + " " + shown + "/lib",
		"touch " + shown,
	} {
		p.sh("rm -rf /tmp/*; "+trap, func(s *sandbox.Spec) { s.Temp = temp }).output()

		got := p.sh("cat "+shown+"/program "+shown+"/lib/x", func(s *sandbox.Spec) {
			s.Temp, s.Reads = temp, []string{shown + "/program", shown + "/lib"}
		}).output()

		if got != "shownshown" {
			t.Errorf("after %s: %q", trap, got)
		}
		if names, _ := os.ReadDir(outside); len(names) != 1 {
			t.Errorf("after %s: made on the machine: %v", trap, names)
		}
	}
}

// Killing the spawner ends the processes that it started, and nothing else: the next start works.
func TestSpawnerKilled(t *testing.T) {
	atEachLevel(t, func(t *testing.T, p place) {
		first := p.sh("setsid sleep 600 & echo up; sleep 600")
		first.line()
		spawner, err := strconv.Atoi(parentOf(mustAtoi(t, parentOf(first.Pid))))
		if err != nil {
			t.Fatal(err)
		}

		if err := unix.Kill(spawner, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}

		<-first.Done()
		if got := first.Exit().String(); got != "signal: killed" {
			t.Errorf("what ran ended with %s", got)
		}
		if got := p.sh("echo again").output(); got != "again\n" {
			t.Errorf("the next one: %q", got)
		}
	})
}

// At level none a function can stop or kill its parent. Neither keeps a process alive.
func TestParentStoppedOrKilled(t *testing.T) {
	atEachLevel(t, func(t *testing.T, p place) {
		for how, sig := range map[string]syscall.Signal{"stopped": unix.SIGSTOP, "killed": unix.SIGKILL} {
			unique := strconv.Itoa(500_000_000 + os.Getpid()*100 + len(p.level)*10 + len(how))
			r := p.sh("setsid sleep " + unique + " & echo up; sleep " + unique)
			r.line()
			if err := unix.Kill(mustAtoi(t, parentOf(r.Pid)), sig); err != nil {
				t.Fatal(err)
			}

			r.Terminate(time.Millisecond)

			if got := r.Exit().String(); got != "signal: killed" {
				t.Errorf("%s: it ended with %s", how, got)
			}
			eventually.Holds(t, how+": nothing outlives the parent", func() bool { return !alive(t, "sleep "+unique) })
		}
	})
}

func mustAtoi(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// F-38, F-59: /tmp belongs to one environment, outlives its process, has a limited size, and is removed with its
// directory.
func TestTemporaryFilesAreOnesOwn(t *testing.T) {
	t.Parallel()
	p, ok := at(t, sandbox.Options{Isolation: sandbox.Confined})
	if !ok {
		return
	}
	dir := t.TempDir()
	temp := func(name string) func(*sandbox.Spec) {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		return func(s *sandbox.Spec) { s.Temp, s.TempMB = filepath.Join(dir, name), 16 }
	}
	if got := p.sh(`ls -A /tmp; echo one >/tmp/batch.json; mkdir /tmp/model`, temp("one")).output(); got != "" {
		t.Errorf("a new /tmp holds %q", got)
	}
	p.sh(`echo two >/tmp/batch.json`, temp("two")).output()
	if got := p.sh(`cat /tmp/batch.json; ls /tmp | wc -l | tr -d ' '`, temp("one")).output(); got != "one\n2\n" {
		t.Errorf("after another process: %q", got)
	}
	if got := p.sh(
		`head -c 15000000 /dev/zero >/tmp/big && echo fits; head -c 3000000 /dev/zero >/tmp/more || echo full`,
		temp("two"),
	).output(); !strings.HasPrefix(got, "fits\n") ||
		!strings.HasSuffix(got, "full\n") {
		t.Errorf("at its size: %q", got)
	}
	if entries, _ := os.ReadDir(filepath.Join(dir, "two")); len(entries) > 0 {
		t.Errorf("it shows on the machine: %v", entries)
	}
	if err := os.RemoveAll(filepath.Join(dir, "one")); err != nil {
		t.Fatal(err)
	}
	if got := p.sh(`ls -A /tmp`, temp("one")).output(); got != "" {
		t.Errorf("after its directory was removed: %q", got)
	}
}

// With a private network an environment reaches only the sockets that it was given.
func TestPrivateNetwork(t *testing.T) {
	t.Parallel()
	p, ok := at(t, sandbox.Options{Isolation: sandbox.Confined, PrivateNetwork: true})
	if !ok {
		return
	}
	outside, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	_, port, _ := net.SplitHostPort(outside.Addr().String())
	script := `exec 3<>/dev/tcp/127.0.0.1/9001 && head -c 2 <&3; (exec 3<>/dev/tcp/127.0.0.1/` + port +
		`) 2>/dev/null || echo none; (exec 3<>/dev/tcp/10.0.0.1/80) 2>/dev/null || echo none`
	r := p.sh(script, func(s *sandbox.Spec) { s.Path, s.Ports = "/bin/bash", []uint16{9001, 4566} })
	if len(r.Listeners) != 2 || r.Listeners[0].Addr().String() != "127.0.0.1:9001" ||
		r.Listeners[1].Addr().String() != "127.0.0.1:4566" {
		t.Fatalf("listeners %v", r.Listeners)
	}

	c, err := r.Listeners[0].Accept()
	if err != nil {
		t.Fatal(err)
	}
	inside, err := r.DialLoopback(t.Context(), 4566)
	if err != nil {
		t.Fatal(err)
	}
	if met, err := r.Listeners[1].Accept(); err != nil || met.RemoteAddr().String() != inside.LocalAddr().String() {
		t.Errorf("met %v, %v", met, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := unix.Kill(mustAtoi(t, parentOf(r.Pid)), unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second one while the answer to the first is still to come
		if _, err := r.DialLoopback(ended, 4566); !errors.Is(err, context.Canceled) {
			t.Errorf("without an answer: %v", err)
		}
	}
	if err := unix.Kill(mustAtoi(t, parentOf(r.Pid)), unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if _, err := r.DialLoopback(t.Context(), 4567); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a port that nobody listens on: %v", err)
	}
	_, _ = c.Write([]byte("hi"))
	if got := r.output(); got != "hinone\nnone\n" {
		t.Errorf("got %q", got)
	}
	_ = c.Close()
	for _, l := range r.Listeners {
		_ = l.Close()
	}
}

// Both levels work for a user without privileges.
func TestWithoutRoot(t *testing.T) {
	if os.Getenv("SHARDMILL_TEST_USER") != "" || os.Geteuid() != 0 {
		t.Log("this is the user without rights")
		return
	}
	dir, err := os.MkdirTemp("", "shardmill-user-") //nolint:usetesting // another user cannot enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	tests := "^(TestExits|TestTermination|TestRefusals|TestWhatIsStarted|TestThreeDescriptors|TestMemoryCounts|TestWhatAnEnvironmentSees|TestTemporaryFiles|TestPrivateNetwork|TestNothing|TestLimits|TestLinks|TestSpawner|TestParent|TestHidden).*"
	c := exec.Command("/proc/self/exe", "-test.run="+tests, "-test.v")
	c.Dir = dir
	c.Env = []string{"SHARDMILL_TEST_USER=1", "TMPDIR=" + dir, "HOME=" + dir + "/home", "PATH=" + os.Getenv("PATH")}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}

	out, err := c.CombinedOutput()

	if err != nil || !strings.Contains(string(out), "--- PASS: TestWhatAnEnvironmentSees") {
		t.Errorf("%v\n%s", err, out)
	}
}
