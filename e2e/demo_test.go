package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/eventually"
)

// A stranger sees the poison record in the queue within two seconds of the binary's start. The figure is printed; the
// bound is generous, since machines are shared.
func TestTheDemoShowsThePoisonRecordSoon(t *testing.T) {
	binary := shardmill(t)
	h := newHome(t)

	began := time.Now()
	p := launch(t, h, nil, binary, "demo", "--exit", "--port", "0")
	eventually.Reaches(t, "the notice about the poison record", func() (bool, string) {
		if out := p.stdout.String(); strings.Contains(out, `"KinesisBatchInfo"`) {
			return true, ""
		}
		if !p.running() {
			t.Fatalf("the demo ended with %s", p.cmd.ProcessState)
		}
		return false, tail(p.stdout.String())
	})
	took := time.Since(began)

	t.Logf("the poison record was in the queue %s after the binary's start", took.Round(time.Millisecond))
	if took > 10*time.Second {
		t.Errorf("the demo took %s, want less than 10 s", took)
	}
	if code := p.wait(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}
