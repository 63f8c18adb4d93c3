package sandbox_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/function/sandbox"
)

// BenchmarkStart starts a process at each level in turn and waits until it runs. It reports what level sandbox adds to
// a start, as median and 90th percentile, and the private memory of the parent that stays with the process. Run it with
// -benchtime=30x.
func BenchmarkStart(b *testing.B) {
	none, _ := at(b, sandbox.Options{Isolation: sandbox.None})
	confined, ok := at(b, sandbox.Options{Isolation: sandbox.Confined})
	if !ok {
		return
	}
	dir := b.TempDir()
	took := map[string][]time.Duration{}
	private := 0
	start := func(p place, name string) {
		temp := filepath.Join(dir, name)
		if err := os.MkdirAll(temp, 0o700); err != nil {
			b.Fatal(err)
		}
		begun := time.Now()
		r := p.sh("echo up; exec sleep 600", func(s *sandbox.Spec) { s.Temp, s.TempMB = temp, 512 })
		r.line()
		took[p.level] = append(took[p.level], time.Since(begun))
		if p.level == sandbox.Confined {
			private = max(private, privateMemory(parentOf(r.Pid)))
		}
		r.Kill()
		<-r.Done()
		if err := os.RemoveAll(temp); err != nil {
			b.Fatal(err)
		}
	}
	start(none, "warm")
	start(confined, "warm")
	took = map[string][]time.Duration{}
	for i := range b.N {
		start(none, "n"+strconv.Itoa(i))
		start(confined, "s"+strconv.Itoa(i))
	}
	for _, level := range []string{sandbox.None, sandbox.Confined} {
		slices.Sort(took[level])
		b.ReportMetric(took[level][b.N/2].Seconds()*1000, level+"-p50-ms")
		b.ReportMetric(took[level][b.N*9/10].Seconds()*1000, level+"-p90-ms")
	}
	b.ReportMetric(float64(private), "private-KiB")
}

func parentOf(pid int) string {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	for line := range bytes.Lines(b) {
		if parent, ok := strings.CutPrefix(string(line), "PPid:"); ok {
			return strings.TrimSpace(parent)
		}
	}
	return ""
}

// privateMemory returns the memory of process pid that it shares with no other, in KiB.
func privateMemory(pid string) (kib int) {
	b, _ := os.ReadFile("/proc/" + pid + "/smaps_rollup")
	for line := range bytes.Lines(b) {
		if f := strings.Fields(string(line)); len(f) > 1 && strings.HasPrefix(f[0], "Private_") {
			n, _ := strconv.Atoi(f[1])
			kib += n
		}
	}
	return kib
}
