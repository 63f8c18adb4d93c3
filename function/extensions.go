package function

import "time"

// Registered is an extension inside the process that has registered.
func (e *environment) Registered(name string, events []string) {
	e.mu.Lock()
	e.extensions = append(e.extensions, extension{name, events})
	e.mu.Unlock()
}

// extension is one that has registered.
type extension struct {
	name   string
	events []string
}

// ExtensionFailed is an extension that reports an error: what ends the process now is its doing.
func (e *environment) ExtensionFailed(kind string) {
	e.mu.Lock()
	if e.fatal == "" {
		e.fatal = kind
	}
	e.mu.Unlock()
}

// farewell sends SHUTDOWN to the extensions of a process that is about to be ended, and reports whether there are any:
// if so, it gets SIGTERM before it is killed.
func (e *environment) farewell(reason string) (registered bool) {
	if t := e.telemetry.Load(); t != nil {
		t.flush()
	}
	deadline := time.Now().Add(e.f.opt.ShutdownGrace + stopGrace)
	if e.follows {
		deadline = deadline.Add(e.f.opt.Clock.Offset())
	}
	return e.api.Shutdown(reason, deadline, e.f.opt.ShutdownGrace)
}
