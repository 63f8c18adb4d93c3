package simshell_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/shardmill/shardmill/sim/simshell"
)

var (
	seeds = flag.Int("simshell.seeds", 40, "how many worlds TestShell plays")
	seed  = flag.Uint64("simshell.seed", 1, "the first seed; with -simshell.seeds=1 -v the run is printed")
	trace = flag.String("simshell.trace", "", "a file that a red run left, for TestTraceFile")
)

// TestShell plays seeded worlds of faults around the real shell and has every one judged. A red seed leaves the trace
// of its machines in $SIMSHELL_TRACE, or where temporary files are; the same seed brings the same faults, though not
// the same schedule.
func TestShell(t *testing.T) {
	t.Parallel()
	var red, crashes, calls, records, bytes, notices, windows, machines atomic.Int64
	var mu sync.Mutex
	events := map[string]int{}
	t.Run("worlds", func(t *testing.T) {
		for s := *seed; s < *seed+uint64(*seeds); s++ {
			t.Run(fmt.Sprint("seed=", s), func(t *testing.T) {
				t.Parallel()
				if red.Load() >= enough {
					return
				}
				rep := simshell.Run(t, s, simshell.Options{Log: *seeds == 1 && testing.Verbose()})
				if !judged(t, &rep) {
					red.Add(1)
				}
				crashes.Add(int64(rep.Crashes))
				calls.Add(int64(rep.Calls))
				records.Add(int64(rep.Records))
				bytes.Add(int64(rep.Bytes))
				notices.Add(int64(rep.Notices))
				windows.Add(int64(rep.Windows))
				machines.Add(int64(len(rep.Machines)))
				mu.Lock()
				defer mu.Unlock()
				for what, n := range rep.Events {
					events[what] += n
				}
			})
		}
	})
	t.Logf("%d records, %d MiB, %d invocations, %d windows, %d notices, %d crashes, %d machines", records.Load(),
		bytes.Load()>>20, calls.Load(), windows.Load(), notices.Load(), crashes.Load(), machines.Load())
	if red.Load() == 0 && *seeds >= gate {
		often(t, events, *seeds)
	}
}

// gate is how many worlds are enough to say what comes about in them.
const gate = 200

// often checks that it comes to everything that only some worlds have, and often enough to matter: in so many worlds
// for each 200.
func often(t *testing.T, events map[string]int, seeds int) {
	t.Helper()
	t.Logf("%v", events)
	for what, least := range map[string]int{
		"worlds with filters": 60, "worlds with qualifiers": 35, "worlds at AWS's pace": 25,
		"the filters change": 75, "the filters cannot be used": 30, "the filters can be used again": 30,
		"filters beyond the quota are refused": 15, "more filters than the usual quota": 6,
		"the mapping is deleted": 35, "created at TRIM_HORIZON": 10, "created at LATEST": 10,
		"created at AT_TIMESTAMP": 10, "the alias moves": 60, "the alias has weights": 6,
		"the alias is gone for a moment": 30, "the mapping changes its qualifier": 30,
		"worlds with settings": 60, "a setting changes": 150, "the retention changes": 20, "the encryption changes": 30,
		"the policy changes": 20, "the mode changes": 40, "the record size changes": 20, "the monitoring changes": 15,
		"a record is found encrypted": 5000, "a start with AWS's limits": 30, "a start with a small quota": 40,
		"worlds with consumers": 40, "mappings by a consumer": 20, "a consumer changes": 100,
		"consumers are found again": 150, "a record is pushed": 20_000, "a subscriber goes on with a child": 15,
		"a record is left out": 5000, "a reshard": 75, "a rescale": 45, "reshards in a row": 45,
	} {
		if events[what]*gate < least*seeds {
			t.Errorf("%q came about %d times in %d worlds, want %d in %d", what, events[what], seeds, least, gate)
		}
	}
}

// enough is how many red worlds say all that there is to say.
const enough = 3

// judged reports what a run broke, if it broke something, and keeps the trace of its machines.
func judged(t *testing.T, rep *simshell.Report) (green bool) {
	t.Helper()
	for _, line := range rep.Log {
		t.Log(line)
	}
	if len(rep.Complaints) == 0 {
		return true
	}
	for _, c := range rep.Complaints[:min(5, len(rep.Complaints))] {
		t.Error(c)
	}
	dir := os.Getenv("SIMSHELL_TRACE")
	if dir == "" {
		dir = os.TempDir()
	}
	path := filepath.Join(dir, fmt.Sprintf("simshell-%d.trace", rep.Seed))
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := simshell.WriteTrace(f, rep.Machines); err != nil {
		t.Error(err)
	}
	t.Errorf("seed %d is red. make simshell SEED=%d N=1 plays its faults again; "+
		"go test ./sim/simshell -run TestTraceFile -v -simshell.trace=%s plays what its machines were given", rep.Seed,
		rep.Seed, path)
	return false
}

// Seeds that were red once, because of the shell and not of the judge.
func TestSeedsThatWereRed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		seed  uint64
		plain bool
		what  string
	}{
		{48, true, "a reshard whose last commit was refused left its stream UPDATING until the next start"},
		{4015, true, "the engine read mappings that could not be read without a pause, and time stood still"},
	} {
		t.Run(fmt.Sprint("seed=", c.seed), func(t *testing.T) {
			t.Parallel()
			t.Log(c.what)
			rep := simshell.Run(t, c.seed, simshell.Options{Plain: c.plain})
			judged(t, &rep)
		})
	}
}

// What a run leaves of its machines replays in the core, command for command, from memory and from a file; and a trace
// in which one thing is not as it was does not.
func TestARunReplaysInTheCore(t *testing.T) {
	t.Parallel()
	rep := simshell.Run(t, 3, simshell.Options{})
	judged(t, &rep)
	steps := 0
	for i, m := range rep.Machines {
		steps += len(m.Steps)
		if err := simshell.Replay(m); err != nil {
			t.Errorf("machine %d: %v", i, err)
		}
	}
	var file bytes.Buffer
	if err := simshell.WriteTrace(&file, rep.Machines); err != nil {
		t.Fatal(err)
	}
	text := file.Bytes()

	played, err := simshell.ReplayTrace(bytes.NewReader(text))

	if err != nil || len(played) != len(rep.Machines) {
		t.Fatalf("%d machines of %d, %v", len(played), len(rep.Machines), err)
	}
	lines := 0
	for i, p := range played {
		lines += p.Lines
		if p.Err != nil {
			t.Errorf("machine %d: %v", i, p.Err)
		}
	}
	if lines != steps || steps < 100 {
		t.Errorf("%d steps were taken and %d replayed", steps, lines)
	}
	at := bytes.Index(text, []byte(`"Positions\":[`)) // of an Invoke
	if at < 0 {
		t.Fatal("the trace has no invocation")
	}
	changed := bytes.Clone(text)
	digit := &changed[at+len(`"Positions\":[`)]
	*digit = '1' + (*digit-'0')%9
	played, err = simshell.ReplayTrace(bytes.NewReader(changed))
	if err != nil {
		t.Fatal(err)
	}
	wrong := 0
	for _, p := range played {
		if p.Err != nil {
			wrong++
		}
	}
	if wrong != 1 {
		t.Errorf("one command was changed, and %d machines do not replay", wrong)
	}
}

// TestTraceFile plays what the machines of a red run were given again in the core.
func TestTraceFile(t *testing.T) {
	if *trace == "" {
		t.Skip("-simshell.trace names no file")
	}
	f, err := os.Open(*trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	played, err := simshell.ReplayTrace(f)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range played {
		t.Logf("machine %d of %s from %d: %d events", i, p.Made.Shard, p.Made.From.Low, p.Lines)
		if p.Err != nil {
			t.Errorf("machine %d: %v", i, p.Err)
		}
	}
}
