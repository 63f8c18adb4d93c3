package simshell

import (
	"bytes"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/function/functiontest"
)

// The function of the simulator answers as the function room does: class, reason and status alike.
func TestTheFunctionKeepsTheContract(t *testing.T) {
	t.Parallel()
	functiontest.Run(t, func(t *testing.T) *functiontest.Bench {
		var all sync.WaitGroup
		f := newFunctions(func(inv function.Invocation) code {
			return code{answer: func() function.Result {
				answer, failed := functiontest.Obey(inv.Payload, 1)
				if failed {
					return fails("Boom")
				}
				return succeeds(string(answer))
			}}
		}, &all)
		t.Cleanup(all.Wait)
		f.missing = true
		return &functiontest.Bench{
			Functions: f, Ref: function.Ref{Account: account, Region: region, Name: "f"},
			Create: func() { f.change(func() { f.missing = false }) },
			Delete: func() { f.change(func() { f.missing, f.limit = true, -1 }) },
			Publish: func() (version string) {
				f.change(func() { version = f.named.Publish(1) })
				return version
			},
			Point: func(alias, version string, weights map[string]float64) {
				f.change(func() { f.named.Point(alias, version, weights) })
			},
			Remove:  func(qualifier string) { f.change(func() { f.named.Remove(qualifier) }) },
			Reserve: func(n int) { f.change(func() { f.limit = n }) },
		}
	})
}

// What becomes of a thing depends on the seed and on how many of its name came before, not on what else was drawn: so a
// seed brings the same faults in every schedule.
func TestFaultsAreFixedByTheSeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 7, Options{})
	if a, b := w.dice.roll("call", "x").Uint64(), w.dice.roll("call", "x").Uint64(); a == b {
		t.Error("the second thing of a name is drawn as the first was")
	}
	again := newWorld(t, 7, Options{})
	again.dice.roll("call", "y")
	w = newWorld(t, 7, Options{})
	if a, b := w.dice.roll("call", "x").Uint64(), again.dice.roll("call", "x").Uint64(); a != b {
		t.Error("what is drawn depends on what was drawn before for something else")
	}
}

// What the judge takes a payload for is what was put, to the byte; anything else is an error.
func TestChangedDataIsSeen(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 16, 17, 1000, -17, -1000} {
		data := dataOf(42, size)
		if size < 0 {
			data = textOf(42, -size)
		}
		if id, err := idOf(data); id != 42 || err != nil {
			t.Fatalf("%d bytes: record %d, %v", size, id, err)
		}
		for i := range data {
			changed := bytes.Clone(data)
			changed[i] ^= 1
			if id, err := idOf(changed); id == 42 && err == nil {
				t.Fatalf("%d bytes: a change of byte %d is not seen", size, i)
			}
		}
	}
	if m, err := millis("1545084650.987"); m != 1545084650987 || err != nil {
		t.Errorf("%d, %v", m, err)
	}
}
