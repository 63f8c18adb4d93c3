package function

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/shardmill/shardmill/function/launcher"
	"github.com/shardmill/shardmill/function/runtimeapi"
	"github.com/shardmill/shardmill/function/sandbox"
)

// Networks of functions.
const (
	NetworkHost    = "host"
	NetworkPrivate = "private"
)

// CheckIsolation judges a value of Options.Isolation.
func CheckIsolation(value string) error {
	if value != "" && value != sandbox.None && value != sandbox.Confined {
		return fmt.Errorf("isolation %q is neither none nor sandbox", value)
	}
	return nil
}

// CheckNetwork judges a value of Options.Network.
func CheckNetwork(value string) error {
	if value != "" && value != NetworkHost && value != NetworkPrivate {
		return fmt.Errorf("function-network %q is neither host nor private", value)
	}
	return nil
}

// settleIsolation finds out how far functions can be confined, in the background unless the options require something
// that may be impossible.
func (f *Functions) settleIsolation() error {
	if f.opt.Isolation != sandbox.Confined && f.opt.Network != NetworkPrivate {
		f.work.Go(func() { f.box.Level() })
		return nil
	}
	level, why := f.box.Level()
	switch {
	case level == sandbox.Confined:
		return nil
	case f.opt.Network == NetworkPrivate:
		return &Impossible{"function-network private", "it needs isolation sandbox: " + why}
	}
	return &Impossible{"isolation sandbox", why}
}

// Impossible is the error of a machine that cannot confine functions as required.
type Impossible struct{ What, Why string }

func (i *Impossible) Error() string { return i.What + " is not possible here: " + i.Why }

// Isolation returns the level at which functions are kept apart: sandbox, or none and why it is not more. It may take a
// moment after Start.
func (f *Functions) Isolation() (level, why string) { return f.box.Level() }

// HideServer keeps functions from reading this process's memory and variables where no sandbox does. Afterwards a
// process without root can start no sandbox any more.
func HideServer() { sandbox.HideServer() }

// shared says what functions share with each other and with this machine at level none.
const shared = "/tmp, ports and the process list are shared with this machine"

// confined reports whether functions run in level sandbox.
func (f *Functions) confined() bool {
	level, _ := f.box.Level()
	return level == sandbox.Confined
}

// request returns the request for a plan to start conf: code is in dir, compiled files may be in cache.
func (f *Functions) request(conf *Configuration, dir, cache string) launcher.Request {
	r := launcher.Request{
		Runtime: conf.Runtime, Architecture: conf.Architecture, Code: dir, TaskRoot: dir, Cache: cache,
		MemoryMB: conf.MemoryMB, Environment: conf.Environment,
	}
	if f.confined() {
		// As on AWS nothing is written beside the code, and one environment leaves nothing that another one would run.
		r.TaskRoot, r.RuntimeRoot, r.Cache = sandbox.TaskRoot, sandbox.RuntimeRoot, ""
	}
	return r
}

// show fills in where the process of e finds things.
func (e *environment) show(spec *sandbox.Spec, plan launcher.Plan, dir string) {
	if !e.f.confined() {
		spec.Dir = dir
		return
	}
	spec.Dir, spec.Code = sandbox.TaskRoot, dir
	if runtime := filepath.Join(e.f.code.scratch, "runtime"); isDir(runtime) { // binaries of the customer need none
		spec.Runtime = runtime
	}
	spec.Reads, spec.Temp, spec.TempMB = slices.Concat(plan.Reads, e.f.opt.Show), e.directory, e.g.conf.EphemeralMB
	if e.f.opt.Network == NetworkPrivate {
		spec.Ports = append(spec.Ports, e.f.insidePort())
		if port := e.f.endpointPort(); port != 0 {
			spec.Ports = append(spec.Ports, port)
		}
	}
}

// taskRoot returns where the process sees its code, which is in dir.
func (e *environment) taskRoot(dir string) string {
	if e.f.confined() {
		return sandbox.TaskRoot
	}
	return dir
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// initStart returns the first line of an environment's log. It says what the environment shares but would not on AWS.
func (e *environment) initStart(plan launcher.Plan) string {
	line := "INIT_START Runtime Version: " + plan.Display + "\tRuntime Version ARN: " + RuntimeVersionARN(e.g.conf)
	if !e.f.confined() {
		line += "\tIsolation: none (" + shared + ")"
	}
	return line
}

// inside is where the Runtime API is in a private network: AWS's port, unless the endpoint has it.
const inside = 9001

func (f *Functions) insidePort() uint16 {
	if f.endpointPort() == inside {
		return inside + 1
	}
	return inside
}

// endpointPort returns the port of Options.Endpoint, and 0 when there is none.
func (f *Functions) endpointPort() uint16 {
	u, err := url.Parse(f.opt.Endpoint())
	if err != nil {
		return 0
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		return 0
	}
	return uint16(port)
}

// listen opens the Runtime API, or, in a private network, decides where it will be.
func (e *environment) listen() (err error) {
	f := runtimeapi.Function{
		Account: e.g.conf.Ref.Account, Name: e.g.conf.Ref.Name, Version: e.g.conf.Version, Handler: e.g.conf.Handler,
	}
	if e.f.opt.Network == NetworkPrivate {
		e.api = runtimeapi.New(e, f, net.JoinHostPort("127.0.0.1", strconv.Itoa(int(e.f.insidePort()))))
		return nil
	}
	e.api, err = runtimeapi.Listen(e, f, e.f.box.UserID())
	return err
}

// answerInside serves the sockets of a private network.
func (e *environment) answerInside() {
	for i, l := range e.proc.Listeners {
		if i == 0 {
			e.api.Serve(l)
		} else {
			e.f.opt.Serve(l)
		}
	}
}

// leaveInside ends that.
func (e *environment) leaveInside() {
	for _, l := range e.proc.Listeners {
		_ = l.Close()
	}
}
