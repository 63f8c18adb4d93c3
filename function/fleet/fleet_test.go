package fleet_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shardmill/shardmill/function/fleet"
)

var (
	fn     = fleet.Function{Account: "000000000000", Region: "us-east-1", Name: "function-name"}
	limits = fleet.Limits{Account: 1000, Environments: 100, IdleTTL: time.Minute}
)

// What cannot have happened is a bug of the shell. The machine does not go on with counts that mean nothing.
func TestAWrongSequenceIsBroken(t *testing.T) {
	t.Parallel()
	other := fleet.Function{Name: "other"}
	asked := func(id fleet.Ticket, g fleet.Generation) fleet.Asked {
		return fleet.Asked{Ticket: id, Function: fn, Generation: g, Wait: true}
	}
	exists, idle := fleet.Started{Environment: 1}, fleet.Idle{Environment: 1}
	enrolled := fleet.Enrolled{Waiter: 1, Function: fn}
	opened := fleet.Opened{Generation: 2, Function: other}
	for name, events := range map[string][]fleet.Event{
		"a ticket asks twice":                          {asked(1, 1)},
		"an invocation ends that never asked":          {fleet.Ended{Ticket: 7}},
		"an invocation ends twice":                     {fleet.Ended{Ticket: 1}, fleet.Ended{Ticket: 1}},
		"an invocation ends while it is in line":       {asked(2, 1), fleet.Ended{Ticket: 2}},
		"an invocation in line asks again":             {asked(2, 1), fleet.Again{Ticket: 2, Generation: 1}},
		"a caller leaves that never asked":             {fleet.Left{Ticket: 7}},
		"a generation of another function":             {fleet.Asked{Ticket: 2, Function: other, Generation: 1}},
		"again for another function":                   {opened, fleet.Again{Ticket: 1, Generation: 2}},
		"a generation is opened twice":                 {fleet.Opened{Generation: 1, Function: fn}},
		"an environment exists that was never started": {fleet.Started{Environment: 2}},
		"an environment exists twice":                  {exists, exists},
		"an environment is idle before it exists":      {idle},
		"an environment is idle twice":                 {exists, idle, idle},
		"an environment is gone twice":                 {fleet.Gone{Environment: 1}, fleet.Gone{Environment: 1}},
		"an environment without a number":              {fleet.Died{Environment: 0}},
		"a waiter enrols twice":                        {enrolled, enrolled},
		"less than nothing is reserved":                {fleet.Reserved{Function: fn, Limit: -2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := fleet.New(fleet.Limits{Account: 10, Environments: 1, IdleTTL: time.Minute})
			m.Step(epoch, fleet.Opened{Generation: 1, Function: fn})
			m.Step(epoch, asked(1, 1))
			for _, ev := range events[:len(events)-1] {
				m.Step(epoch, ev)
			}
			defer func() {
				var broken *fleet.Broken
				if err, _ := recover().(error); !errors.As(err, &broken) {
					t.Errorf("it went on (%v)", err)
				}
			}()
			m.Step(epoch, events[len(events)-1])
		})
	}
}

// The line of waiters has an end: one that does not fit is not called, and none that is in line is lost for it.
func TestWaitersAreBounded(t *testing.T) {
	t.Parallel()
	m := fleet.New(limits)
	m.Step(epoch, fleet.Reserved{Function: fn, Limit: 0})
	for i := range fleet.Waiter(fleet.MaxWaiters + 10) {
		commands := m.Step(epoch, fleet.Enrolled{Waiter: i, Function: fn})
		dismissed := slices.Contains(commands, fleet.Command(fleet.Dismiss{Waiter: i}))
		if dismissed != (i >= fleet.MaxWaiters) {
			t.Fatalf("waiter %d is dismissed: %t", i, dismissed)
		}
	}
	if n := m.Counts().Waiters; n != fleet.MaxWaiters {
		t.Errorf("%d waiters are kept", n)
	}

	m.Step(epoch, fleet.Withdrawn{Waiter: fleet.MaxWaiters + 5})
	m.Step(epoch, fleet.Withdrawn{Waiter: 0})
	m.Step(epoch, fleet.Enrolled{Waiter: fleet.MaxWaiters + 20, Function: fn})
	commands := m.Step(epoch, fleet.Reserved{Function: fn, Limit: fleet.MaxWaiters})

	n := len(commands)
	first, last := commands[0], commands[n-1]
	want := fleet.Offer{Waiter: fleet.MaxWaiters + 20}
	if n != fleet.MaxWaiters || first != (fleet.Offer{Waiter: 1}) || last != want {
		t.Errorf("%d are called, from %v to %v", n, first, last)
	}
}

// A warm invocation takes no memory but for the one command that answers it.
func TestAWarmInvocationTakesNoMemory(t *testing.T) {
	m, round := warm(fleet.Unreserved)
	round()
	if n := testing.AllocsPerRun(100, round); n > 1 {
		t.Errorf("%v allocations, want 1", n)
	}
	if c := m.Counts(); c.Running != 0 || c.Idle != 1 {
		t.Errorf("%+v", c)
	}
}

// warm returns a machine with one warm environment, and a function that is an invocation in it from beginning to end.
func warm(reserved int) (m *fleet.Fleet, round func()) {
	m = fleet.New(limits)
	m.Step(epoch, fleet.Opened{Generation: 1, Function: fn})
	m.Step(epoch, fleet.Reserved{Function: fn, Limit: reserved})
	m.Step(epoch, fleet.Asked{Ticket: 1, Function: fn, Generation: 1})
	m.Step(epoch, fleet.Started{Environment: 1})
	m.Step(epoch, fleet.Done{Ticket: 1, Environment: 1})
	id := fleet.Ticket(1)
	return m, func() {
		id++
		c := m.Step(epoch, fleet.Asked{Ticket: id, Function: fn, Generation: 1})
		if c[0] != (fleet.Use{Ticket: id, Environment: 1}) {
			panic(fmt.Sprint(c))
		}
		m.Step(epoch, fleet.Done{Ticket: id, Environment: 1})
	}
}

// BenchmarkWarm is a warm invocation from the machine's side: asked, done.
func BenchmarkWarm(b *testing.B) {
	for _, c := range []struct {
		name     string
		reserved int
	}{{"unreserved", fleet.Unreserved}, {"reserved", 10}} {
		b.Run(c.name, func(b *testing.B) {
			_, round := warm(c.reserved)
			b.ReportAllocs()
			for b.Loop() {
				round()
			}
		})
	}
}
