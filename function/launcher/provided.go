package launcher

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

func isProvided(runtime string) bool {
	return runtime == "provided.al2023" || runtime == "provided.al2" || runtime == "provided"
}

// Custom reports whether the runtime comes with the package: settings of AWS's own runtimes mean nothing to it.
func Custom(runtime string) bool { return isProvided(runtime) }

// planProvided plans to run the executable called bootstrap in the code. Messages name paths as on AWS, where the code
// is in /var/task.
func (l *Launcher) planProvided(_ context.Context, r Request) (Plan, error) {
	path := filepath.Join(r.Code, "bootstrap")
	info, err := os.Stat(path)
	switch {
	case err != nil || info.IsDir():
		return Plan{}, &EntryPoint{
			Kind:    "Runtime.InvalidEntrypoint",
			Message: "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]",
		}
	case info.Mode()&0o111 == 0:
		return Plan{}, &EntryPoint{
			Kind: "Runtime.InvalidEntrypoint", Message: "fork/exec /var/task/bootstrap: permission denied",
		}
	}
	if err := checkMachine(path); err != nil {
		return Plan{}, err
	}
	path = filepath.Join(r.TaskRoot, "bootstrap")
	return Plan{
		Path: path,
		Args: []string{path},
		Env: map[string]string{
			"PATH":            systemPath(""),
			"LD_LIBRARY_PATH": r.TaskRoot + ":" + filepath.Join(r.TaskRoot, "lib") + ":/opt/lib",
		},
		RuntimeDir: "/var/runtime",
		Display:    r.Runtime,
	}, nil
}

// machines maps a Go architecture to the processors it runs, and the binfmt_misc entries that would run others.
var machines = map[string]struct {
	elf    elf.Machine
	lambda string
	binfmt string
}{
	"amd64": {elf.EM_X86_64, "x86_64", "qemu-x86_64"},
	"arm64": {elf.EM_AARCH64, "arm64", "qemu-aarch64"},
}

// checkMachine refuses a program for another processor, unless the kernel knows how to run it. Scripts and unreadable
// files are left to exec.
func checkMachine(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	own, ok := machines[runtime.GOARCH]
	if !ok || f.Machine == own.elf {
		return nil
	}
	name := f.Machine.String()
	for _, m := range machines {
		if m.elf != f.Machine {
			continue
		}
		name = m.lambda
		if _, err := os.Stat("/proc/sys/fs/binfmt_misc/" + m.binfmt); !errors.Is(err, os.ErrNotExist) {
			return nil
		}
	}
	return &Unusable{
		Code:   "FunctionError.InvalidEntryPoint",
		Reason: fmt.Sprintf("The entry point bootstrap is built for %s, and this machine is %s.", name, own.lambda),
	}
}
