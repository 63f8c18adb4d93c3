package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Where things are at level sandbox, as on AWS.
const (
	TaskRoot    = "/var/task"
	RuntimeRoot = "/var/runtime"
)

// base is where the root of an environment is built, in a mount namespace of its own. Every machine has this directory,
// and nothing below it needs to be visible.
const base = "/sys/kernel"

// systemDirs are visible as they are, read-only. Anything not named here or in Spec does not exist inside: homes, the
// data directory, sockets of the machine's services, other disks.
var systemDirs = []string{
	"/usr", "/bin", "/etc", "/gnu/store", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/run/current-system",
	"/sbin", "/sys/devices/system/cpu",
	"/sys/devices/system/node", "/var/lib/ca-certificates",
}

// systemFiles may be links in /etc to places that are not visible.
var systemFiles = []string{
	"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/localtime", "/etc/ssl/certs",
	"/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem",
	"/etc/pki/tls/certs/ca-bundle.crt",
}

// devices are those of AWS's environments. There is no /dev/shm, as on AWS, so that a handler that needs one fails here
// too.
var devices = []string{"null", "zero", "full", "random", "urandom"}

// maskedProc lists files with data about the machine, or about its users' keys.
var maskedProc = []string{
	"kcore", "key-users", "keys", "kallsyms", "kmsg", "latency_stats", "sched_debug", "sysrq-trigger", "timer_list",
}

const readOnly = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV

// view collects the steps that build what an environment sees.
type view struct {
	steps []step
	dirs  map[string]bool // already made
	shown []string        // real directories of this machine that are visible under their own names
}

// newView returns the steps that build what the environment of spec sees. Directories in hide are never visible,
// wherever they are.
func newView(spec *Spec, hide []string, uid, gid int) []step {
	v := &view{dirs: map[string]bool{"/": true}}
	v.add(step{kind: opMount, b: "/", flags: unix.MS_REC | unix.MS_PRIVATE})
	v.add(step{
		kind: opMount, a: "tmpfs", b: base, c: "tmpfs", flags: unix.MS_NOSUID | unix.MS_NODEV,
		d: "mode=755,size=4m,nr_inodes=4096",
	})
	for _, dir := range systemDirs {
		v.reveal(dir)
	}
	for _, file := range systemFiles {
		v.reveal(file)
	}
	v.users(uid, gid)
	v.devices()
	v.proc()
	v.temporary(spec.Temp)
	reads := slices.Clone(spec.Reads)
	slices.SortFunc(reads, func(a, b string) int { return len(a) - len(b) }) // parents first
	for _, dir := range reads {
		for _, d := range withoutHome(dir) {
			v.reveal(d)
		}
	}
	for _, path := range hide {
		v.hide(path)
	}
	v.mkdir("/opt")
	v.bind(spec.Code, TaskRoot)
	v.bind(spec.Runtime, RuntimeRoot)
	v.add(step{kind: opHostname, a: "localhost"})
	v.add(step{kind: opAttr, b: base, flags: unix.MOUNT_ATTR_RDONLY})
	v.add(step{kind: opEnter, b: base})
	return v.steps
}

func (v *view) add(s step) { v.steps = append(v.steps, s) }

// mkdir makes a directory of the new root and those above it.
func (v *view) mkdir(dir string) {
	if v.dirs[dir] || v.isShown(dir) {
		return
	}
	v.mkdir(filepath.Dir(dir))
	v.dirs[dir] = true
	v.add(step{kind: opMkdir, b: base + dir})
}

// bind shows the directory source at dir, read-only. For "" it shows an empty one.
func (v *view) bind(source, dir string) {
	v.mkdir(dir)
	if source == "" {
		return
	}
	v.add(step{kind: opMount, a: source, b: base + dir, flags: unix.MS_BIND | unix.MS_REC})
	v.add(step{kind: opAttr, b: base + dir, flags: readOnly, deep: true})
}

func (v *view) isShown(path string) bool {
	return slices.ContainsFunc(v.shown, func(dir string) bool { return within(path, dir) })
}

// within reports whether path is dir or below it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, dir+"/") || dir == "/"
}

// reveal shows a directory or file of this machine under its own name, and the links that lead there. A missing one is
// skipped.
func (v *view) reveal(path string) {
	rest := strings.Split(strings.TrimPrefix(filepath.Clean(path), "/"), "/")
	at := "/"
	for range 255 { // as deep as links may lead, roughly
		if len(rest) == 0 {
			break
		}
		next := filepath.Join(at, rest[0])
		info, err := os.Lstat(next)
		if err != nil {
			return
		}
		if info.Mode()&os.ModeSymlink == 0 {
			at, rest = next, rest[1:]
			continue
		}
		target, err := os.Readlink(next)
		if err != nil {
			return
		}
		if !v.isShown(next) {
			v.mkdir(at)
			v.add(step{kind: opSymlink, a: target, b: base + next})
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(at, target)
		}
		rest = append(strings.Split(strings.TrimPrefix(filepath.Clean(target), "/"), "/"), rest[1:]...)
		at = "/"
	}
	info, err := os.Stat(at)
	if err != nil || at == "/" || v.isShown(at) {
		return
	}
	switch {
	case info.IsDir():
		v.bind(at, at)
		v.shown = append(v.shown, at)
	case info.Mode().IsRegular():
		v.mkdir(filepath.Dir(at))
		v.add(step{kind: opFile, b: base + at})
		v.add(step{kind: opMount, a: at, b: base + at, flags: unix.MS_BIND})
		v.add(step{kind: opAttr, b: base + at, flags: readOnly})
		v.shown = append(v.shown, at)
	}
}

// hide covers a path below a visible directory.
func (v *view) hide(path string) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil || !v.isShown(real) {
		return
	}
	if info, err := os.Stat(real); err == nil && info.IsDir() {
		v.add(step{
			kind: opMount, a: "tmpfs", b: base + real, c: "tmpfs",
			flags: unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV, d: "mode=755,size=4k",
		})
		return
	}
	v.add(step{kind: opMount, a: "/dev/null", b: base + real, flags: unix.MS_BIND})
}

// users writes the user files: root and the user of functions, under AWS's name, because programs look up their user's
// name.
func (v *view) users(uid, gid int) {
	const file = base + "/.users"
	for _, f := range []struct{ path, text string }{
		{
			"/etc/passwd",
			fmt.Sprintf("root:x:0:0:root:/root:/sbin/nologin\nsbx_user1051:x:%d:%d::/tmp:/sbin/nologin\n", uid, gid),
		},
		{"/etc/group", fmt.Sprintf("root:x:0:\nsbx_user1051:x:%d:\n", gid)},
	} {
		if info, err := os.Stat(f.path); err != nil || !info.Mode().IsRegular() {
			continue
		}
		v.add(step{kind: opWrite, a: f.text, b: file})
		v.add(step{kind: opMount, a: file, b: base + f.path, flags: unix.MS_BIND, optional: true})
		v.add(step{kind: opAttr, b: base + f.path, flags: readOnly, optional: true})
		v.add(step{kind: opUnlink, b: file})
	}
}

func (v *view) devices() {
	v.mkdir("/dev")
	for _, name := range devices {
		v.add(step{kind: opFile, b: base + "/dev/" + name})
		v.add(step{kind: opMount, a: "/dev/" + name, b: base + "/dev/" + name, flags: unix.MS_BIND})
	}
	for _, l := range [][2]string{
		{"/proc/self/fd", "/dev/fd"},
		{"/proc/self/fd/0", "/dev/stdin"},
		{"/proc/self/fd/1", "/dev/stdout"},
		{"/proc/self/fd/2", "/dev/stderr"},
	} {
		v.add(step{kind: opSymlink, a: l[0], b: base + l[1]})
	}
}

// proc shows the processes of the PID namespace.
func (v *view) proc() {
	v.mkdir("/proc")
	v.add(step{
		kind: opMount, a: "proc", b: base + "/proc", c: "proc", flags: unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC,
	})
	for _, name := range maskedProc {
		v.add(step{kind: opMount, a: "/dev/null", b: base + "/proc/" + name, flags: unix.MS_BIND, optional: true})
	}
	v.add(step{kind: opMount, a: base + "/proc/sys", b: base + "/proc/sys", flags: unix.MS_BIND})
	v.add(step{kind: opAttr, b: base + "/proc/sys", flags: readOnly | unix.MOUNT_ATTR_NOEXEC})
}

// temporary shows /tmp. A trial has none of its own.
func (v *view) temporary(dir string) {
	v.mkdir("/tmp")
	if dir == "" {
		v.add(step{
			kind: opMount, a: "tmpfs", b: base + "/tmp", c: "tmpfs", flags: unix.MS_NOSUID | unix.MS_NODEV,
			d: "size=4k",
		})
		return
	}
	v.add(step{kind: opMount, a: dir, b: base + "/tmp", flags: unix.MS_BIND})
}

// withoutHome returns dir itself, or for a home or a parent of homes, the directories that an installation there would
// have.
func withoutHome(dir string) []string {
	home, _ := os.UserHomeDir()
	dir = filepath.Clean(dir)
	if !filepath.IsAbs(dir) {
		return nil
	}
	if dir != "/" && dir != "/home" && dir != "/root" && dir != home && filepath.Dir(dir) != "/home" {
		return []string{dir}
	}
	var parts []string
	for _, part := range []string{"bin", "lib", "lib64", "libexec", "share"} {
		parts = append(parts, filepath.Join(dir, part))
	}
	return parts
}
