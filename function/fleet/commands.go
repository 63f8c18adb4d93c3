package fleet

// Command is what a Fleet wants done. The set is closed.
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

// Wait tells that an invocation is admitted and stands in line for room. Use, Start, Stale or Refuse follows.
type Wait struct{ Ticket Ticket }

// Stale tells that the generation is over. The invocation keeps its admission: Again with the function's new
// generation, or Ended.
type Stale struct{ Ticket Ticket }

// Refuse ends an invocation: nothing of it is counted any more.
type Refuse struct {
	Ticket Ticket
	Reason Reason
}

// Stop ends an environment. It takes no more work from now on; Gone follows.
type Stop struct{ Environment Environment }

// Offer calls a waiter: there is a place, and it may ask. It is out of the line, and enrols anew if another caller
// is faster.
type Offer struct{ Waiter Waiter }

// Dismiss tells that a waiter is not kept, as there are MaxWaiters: it is never called.
type Dismiss struct{ Waiter Waiter }

// LetGo tells that nothing runs on a retired generation any more, nor will. It is the last that is said of it.
type LetGo struct{ Generation Generation }

// Drained tells that the Fleet is closed and no invocation is under way. It is said once.
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

// Reason is why an invocation is refused.
type Reason uint8

const (
	ReservedLimit Reason = iota + 1 // the function's reservation is used up
	AccountLimit                    // so is what its account has left for functions without one
	MachineLimit                    // this machine carries no more environments, and none is idle
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
