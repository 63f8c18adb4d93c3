package engine

import (
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// Machine is all that a shard machine was made from. Another one made from it that is given the same events at the same
// times gives the same commands.
type Machine struct {
	Identity
	Config esm.Config // with the sizes of payloads
	From   esm.Checkpoint
	Seed   uint64
	Range  record.HashKeyRange // of the shard: its lanes are parts of it
}

// Tracer is told what one machine is given and what it wants. Its methods are called in turn, on the machine's
// goroutine; what they get is valid during the call only.
type Tracer interface {
	Given(now time.Time, ev esm.Event) // before the machine takes it
	Wanted(commands []esm.Command)     // after that; not called when the machine broke
}

// Trace makes the executor tell t. Call it before the first Step.
func (x *Executor) Trace(t Tracer) { x.trace = t }

// decide feeds one event to the machine and returns its commands.
func (x *Executor) decide(now time.Time, ev esm.Event) []esm.Command {
	if x.trace == nil {
		return x.shard.Step(now, ev)
	}
	x.trace.Given(now, ev)
	commands := x.shard.Step(now, ev)
	x.trace.Wanted(commands)
	return commands
}
