package sim_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutants are bugs that the core must never have. Each is a change of its source, and each must turn the simulator red
// with the core's own assertions off: they prove that the judge sees what it claims to see. A snippet that does not
// occur exactly once fails the test, so that the mutants move with the code.
var mutants = []struct {
	name, file, old, new string
}{
	{
		"the checkpoint ignores all lanes but the first", "save.go",
		"if q := &s.lanes[i].queue; q.len() > 0 {\n\t\t\tlow =",
		"if q := &s.lanes[i].queue; q.len() > 0 && i == 0 {\n\t\t\tlow =",
	},
	{
		"the rest of a partial success keeps the old counter and identity", "result.go",
		"\t*seg = segment{\n", "\tseg.failures++\n\t_ = segment{\n",
	},
	{
		"discarded records are settled before their notice is delivered", "discard.go",
		"\t\ts.deliver(l)\n\t\treturn false\n",
		"\t\ts.deliver(l)\n\t\tl.settled, s.dirty = l.queue.at(l.discard.count-1).Pos, true\n\t\treturn false\n",
	},
	{
		"a restart forgets all but the first batch of a bisect", "lane.go",
		"for _, p := range m.Plan {", "for _, p := range m.Plan[:min(1, len(m.Plan))] {",
	},
	{
		"a throttle uses up an attempt", "result.go",
		"\tseg.refusals++\n", "\tseg.refusals++\n\tseg.failures++\n",
	},
	{
		"a factor changes under attempts in flight", "shard.go",
		"if s.rebuild != nil && s.quiet() && !s.dirty && !s.saving && !s.drained() && s.win.End == 0 {",
		"if s.rebuild != nil && s.win.End == 0 {",
	},
	{
		"a restart forgets how far the faster lanes were", "lane.go",
		"\tl.settled = m.Settled\n", "",
	},
	{
		"a lane never waits for its checkpoint to be saved", "lane.go",
		"return l.ahead >= maxAhead || l.ahead > 0 && s.now.Sub(l.aheadSince) >= maxAheadTime", "return false",
	},
	{
		"the age of a record counts only before its first attempt", "batch.go",
		"if s.cfg.MaxAge == 0 || len(l.plan) == 0 ||",
		"if s.cfg.MaxAge == 0 || len(l.plan) == 0 || l.plan[0].invocations > 0 ||",
	},
	{
		"a child does not wait for its parents", "mapping.go",
		"case want && e.phase == shardWaits && m.parentsEnded(e):", "case want && e.phase == shardWaits:",
	},
	{
		"a batch holds records of two tumbling windows", "batch.go",
		"if r.Arrival >= end {", "if end < 0 && r.Arrival >= end {",
	},
	{
		"a restart forgets the state of the open window", "tumbling.go",
		"\ts.win = *from.Window\n", "\ts.win = *from.Window\n\ts.win.State = \"\"\n",
	},
	{
		"an idle window ends at its time, whatever the source knows", "tumbling.go",
		"if s.maxArrival >= end || s.sealed >= end {",
		"if s.maxArrival >= end || s.sealed >= end || s.idleTail && !s.now.Before(end.Time()) {",
	},
	{
		"a change of the width forgets the open window", "tumbling.go",
		"case w.Last == 0: //", "case w.Last == 0 || s.rebuild != nil: //",
	},
	{
		"a partial success does not change the state of the window", "result.go",
		"s.succeeded(l, k, state)", "s.succeeded(l, k, s.state())",
	},
	{
		"a restart forgets that the final invocation is owed", "save.go",
		"Window: s.mark(),\n\t}\n",
		"Window: s.mark(),\n\t}\n\tif cp.Window != nil && cp.Window.Closing {\n" +
			"\t\tcp.Window.First, cp.Window.Last, cp.Window.State = 0, 0, \"\"\n\t}\n",
	},
}

// TestMutantsAreCaught builds this package's tests with one bug in the core, and lets TestSim find it.
func TestMutantsAreCaught(t *testing.T) {
	core, err := filepath.Abs("../esm")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		t.Run(strings.ReplaceAll(m.name, " ", "_"), func(t *testing.T) {
			binary := buildMutant(t, core, m.file, m.old, m.new)

			out, err := exec.Command(binary, "-test.run=TestSim$", "-sim.seeds=3000", "-sim.quiet").CombinedOutput()

			if err == nil {
				t.Errorf("not caught in 3,000 worlds: %s", m.name)
			} else if !strings.Contains(string(out), "seed ") {
				t.Errorf("failed for another reason: %s", out)
			} else {
				t.Logf("%s", lastLine(string(out), "seed "))
			}
		})
	}
}

// buildMutant compiles the tests of this package over a core with one change and without assertions.
func buildMutant(t *testing.T, core, file, before, after string) string {
	t.Helper()
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	edit := func(file, before, after string) {
		path := filepath.Join(core, file)
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(source), before); n != 1 {
			t.Fatalf("%s holds %q %d times; the mutant must follow the code", file, before, n)
		}
		changed := filepath.Join(dir, file)
		if err := os.WriteFile(changed, []byte(strings.Replace(string(source), before, after, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[path] = changed
	}
	edit(file, before, after)
	edit("check.go", "const assertions = true", "const assertions = false")
	list, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayFile, list, 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "mutant.test")
	build := exec.Command("go", "test", "-c", "-vet=off", "-overlay", overlayFile, "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("build %s: %w\n%s", file, err, out))
	}
	return binary
}

func lastLine(out, with string) (last string) {
	for line := range strings.Lines(out) {
		if strings.Contains(line, with) {
			last = strings.TrimSpace(line)
		}
	}
	return last
}
