package fleet

// Event is the input of a Fleet. The set is closed.
//
//sumtype:decl
type Event interface{ event() }

// Asked is a new invocation. It is answered in the same Step by Use, Start, Wait, Stale or Refuse.
type Asked struct {
	Ticket     Ticket
	Function   Function
	Generation Generation // what it wants to run on
	Wait       bool       // wait in line for room on this machine instead of being refused
}

// Again is an admitted invocation that needs another environment: the one that it was given is dead or does not
// respond, or its generation was Stale. It keeps its admission, and is answered like Asked.
type Again struct {
	Ticket     Ticket
	Generation Generation
}

// Left ends an invocation whose caller left before using its grant, or while in line. An environment that it was given
// goes to others; one that it was to start counts as never started.
type Left struct{ Ticket Ticket }

// Ended ends an admitted invocation that is not in line. Its environment has events of its own.
type Ended struct{ Ticket Ticket }

// Done is Ended and Idle in one: an invocation has ended, and its environment can take more work.
type Done struct {
	Ticket      Ticket
	Environment Environment
}

// Started reports that the process of an environment exists and can be stopped.
type Started struct{ Environment Environment }

// Idle reports that an environment has done its work and can take more. It changes nothing if the environment is being
// stopped or is gone.
type Idle struct{ Environment Environment }

// Died reports that an environment has ended by itself and takes no more work. Its room is taken until it is Gone.
type Died struct{ Environment Environment }

// Gone reports that nothing is left of an environment, or that it could not be started.
type Gone struct{ Environment Environment }

// Opened makes a generation known: invocations may ask for it.
type Opened struct {
	Generation Generation
	Function   Function
}

// Retired ends a generation: idle environments stop now, others after their invocation, and invocations in line for one
// get Stale. LetGo follows when no environment is left. A second one changes nothing.
type Retired struct{ Generation Generation }

// Reserved sets the concurrency that is kept for a function and limits it; Unreserved: none. Invocations under way go
// on.
type Reserved struct {
	Function Function
	Limit    int
}

// Limited replaces the limits. What exceeds them goes on, but is not replaced when it ends.
type Limited struct{ Limits Limits }

// Enrolled is a caller that was refused for lack of concurrency and wants to be called when there is a place. Places
// are offered in the order of enrolling, at once if one is free.
type Enrolled struct {
	Waiter   Waiter
	Function Function
}

// Withdrawn is a waiter that no longer wants to be called, or declines its offered place, which goes to the next one.
// An unknown waiter is no error.
type Withdrawn struct{ Waiter Waiter }

// Tick reports that the instant of Wake has come.
type Tick struct{}

// Closed refuses new invocations and those in line, and stops what is idle. Drained follows when the last invocation
// has ended.
type Closed struct{}

// Cut closes the Fleet and stops every environment, even busy ones.
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
