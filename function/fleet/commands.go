package fleet

// Command is what the shell is to do. The set is closed.
//
//sumtype:decl
type Command interface{ command() }

// Use gives a warm environment to an invocation.
type Use struct {
	Ticket      Ticket
	Environment Environment
}

// Start lets an invocation start an environment and use it. It counts already; Started or Gone follows, or Left.
type Start struct {
	Ticket      Ticket
	Environment Environment
	Generation  Generation
}

// Wait says that an invocation is admitted and waits in line for room. Use, Start, Stale or Refuse follows.
type Wait struct{ Ticket Ticket }

// Stale says that the generation is over. The invocation keeps its admission: Again with the function's new generation,
// or Ended.
type Stale struct{ Ticket Ticket }

// Refuse ends an invocation: nothing of it is counted any more.
type Refuse struct {
	Ticket Ticket
	Reason Reason
}

// Stop ends an environment. It takes no more work from now on; Gone follows.
type Stop struct{ Environment Environment }

// Offer calls a waiter: there is a place, and it may ask. It has left the line, and enrols again if another caller is
// faster.
type Offer struct{ Waiter Waiter }

// Dismiss says that a waiter is not kept, because there are MaxWaiters: it will never be called.
type Dismiss struct{ Waiter Waiter }

// LetGo says that nothing runs on a retired generation, nor will again. It is the last command about it.
type LetGo struct{ Generation Generation }

// Drained says that the Fleet is closed and no invocation is under way. It comes once.
type Drained struct{}

func (Use) command()     {}
func (Start) command()   {}
func (Wait) command()    {}
func (Stale) command()   {}
func (Refuse) command()  {}
func (Stop) command()    {}
func (Offer) command()   {}
func (Dismiss) command() {}
func (LetGo) command()   {}
func (Drained) command() {}

// Reason says why an invocation is refused.
type Reason uint8

const (
	ReservedLimit Reason = iota + 1 // the function's reservation is used up
	AccountLimit                    // what the account has left for functions without a reservation is used up
	MachineLimit                    // this machine can hold no more environments, and none is idle
	Closing                         // the Fleet is closed
)

func (r Reason) String() string {
	switch r {
	case ReservedLimit:
		return "reserved-limit"
	case AccountLimit:
		return "account-limit"
	case MachineLimit:
		return "machine-limit"
	case Closing:
		return "closing"
	}
	return "unknown"
}
