package mapping

import "github.com/shardmill/shardmill/esm"

// State says how far the engine has carried out what the user wants. The texts are AWS's.
//
//	Create                    → Creating  → Enabled or Disabled
//	Update, Enabled → false   → Disabling → Disabled
//	Update, Enabled → true    → Enabling  → Enabled
//	Update of anything else   → Updating  → the state it came from
//	Delete                    → Deleting  → gone
//
// No state means "failed": a mapping whose function fails stays Enabled and retries.
type State = esm.State

const (
	Creating  = esm.Creating  // stored; the engine has not taken it up yet
	Enabling  = esm.Enabling  // it was Disabled; reading is about to continue at the checkpoint
	Enabled   = esm.Enabled   // at rest: reading
	Disabling = esm.Disabling // no new invocation begins; those in flight end and are saved
	Disabled  = esm.Disabled  // at rest: nothing is delivered, until it is enabled
	Updating  = esm.Updating  // a new configuration is stored; the old one may still be in effect
	Deleting  = esm.Deleting  // invocations in flight end, then the mapping is forgotten
)

// resting reports whether no transition is under way.
func resting(s State) bool { return s == Enabled || s == Disabled }

// change is what a caller or the engine does to a mapping.
type change uint8

const (
	edit      change = iota + 1 // Update that leaves Enabled as it is
	enable                      // Update from Enabled false to true
	disable                     // Update from Enabled true to false
	remove                      // Delete
	settleOn                    // the engine: it runs, with the configuration stored
	settleOff                   // the engine: it is at rest, with nothing in flight
)

// after returns the state to which c leads from s. ok is false if c is not allowed in s: a call is then a conflict, and
// a report of the engine is too late and ignored.
func after(s State, c change) (next State, ok bool) {
	switch c {
	case edit:
		return Updating, resting(s)
	case enable:
		return Enabling, resting(s)
	case disable:
		return Disabling, resting(s)
	case remove:
		// AWS names only Creating and Updating as states that a Delete conflicts with; a second Delete is harmless.
		return Deleting, s != Creating && s != Updating
	case settleOn:
		return Enabled, s == Creating || s == Enabling || s == Updating
	case settleOff:
		return Disabled, s == Creating || s == Disabling || s == Updating
	}
	return s, false
}
