package fleet

// Event is what a Fleet is told. The set is closed.
//
//sumtype:decl
type Event interface{ event() }

// Asked is a new invocation. It is answered in the same Step by Use, Start, Wait, Stale or Refuse.
type Asked struct {
	Ticket     Ticket
	Function   Function
	Generation Generation // what it wants to run on
	Wait       bool       // stand in line for room on this machine instead of being refused
}

// Again is an admitted invocation that needs another environment: the one that it was given is dead or does not come
// back, or its generation was Stale. It keeps its admission, and is answered as Asked is.
type Again struct {
	Ticket     Ticket
	Generation Generation
}

// Left ends an invocation whose caller has gone before it took up what it was given, or while it was in line. An
// environment that was given to it meanwhile goes to others; one that it was to start counts as never started.
type Left struct{ Ticket Ticket }

// Ended ends an admitted invocation that is not in line. What becomes of its environment is told apart.
type Ended struct{ Ticket Ticket }

// Done is Ended and Idle in one: an invocation has ended, and its environment can take more work.
type Done struct {
	Ticket      Ticket
	Environment Environment
}

// Started tells that the process of an environment exists and can be stopped.
type Started struct{ Environment Environment }

// Idle tells that an environment has done its work and can take more. It changes nothing when the environment is being
// stopped or gone.
type Idle struct{ Environment Environment }

// Died tells that an environment has ended by itself and takes no work any more. Its room is taken until it is Gone.
type Died struct{ Environment Environment }

// Gone tells that nothing is left of an environment, or that it could not be started.
type Gone struct{ Environment Environment }

// Opened makes a generation known: invocations may ask for it.
type Opened struct {
	Generation Generation
	Function   Function
}

// Retired ends a generation: idle environments stop now, others after their invocation, and invocations in line for one
// are told that it is stale. It is followed by LetGo when no environment is left. A second time it changes nothing.
type Retired struct{ Generation Generation }

// Reserved sets the concurrency that is kept for a function, and is its limit; Unreserved is none. Invocations under
// way go on.
type Reserved struct {
	Function Function
	Limit    int
}

// Limited replaces the limits. What is above them goes on and is not replaced when it ends.
type Limited struct{ Limits Limits }

// Enrolled is a caller that was refused for lack of concurrency and wants to be called when there is a place. Places
// are offered in the order of enrolling, at once if one is free.
type Enrolled struct {
	Waiter   Waiter
	Function Function
}

// Withdrawn is a waiter that does not want to be called any more, or that does not want the place that it was offered:
// that goes on to the next one. A waiter that is no longer known is no error.
type Withdrawn struct{ Waiter Waiter }

// Tick tells that the instant of Wake has come.
type Tick struct{}

// Closed refuses new invocations and those in line, and stops what is idle. Drained follows when the last invocation
// has ended.
type Closed struct{}

// Cut closes, and stops every environment whatever it does.
type Cut struct{}

func (Asked) event()     {}
func (Again) event()     {}
func (Left) event()      {}
func (Ended) event()     {}
func (Done) event()      {}
func (Started) event()   {}
func (Idle) event()      {}
func (Died) event()      {}
func (Gone) event()      {}
func (Opened) event()    {}
func (Retired) event()   {}
func (Reserved) event()  {}
func (Limited) event()   {}
func (Enrolled) event()  {}
func (Withdrawn) event() {}
func (Tick) event()      {}
func (Closed) event()    {}
func (Cut) event()       {}
