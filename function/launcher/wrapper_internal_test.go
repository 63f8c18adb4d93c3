package launcher

import (
	"slices"
	"testing"
)

// A wrapper is named by its path on AWS, by an absolute path, or relative to the task root, where the runtime starts:
// for a bare name a shell would search PATH.
func TestWrapperIsLookedForWhereTheCodeLies(t *testing.T) {
	t.Parallel()
	for named, want := range map[string]string{
		"/var/task/bin/wrap": "/code/bin/wrap", "wrap": "/code/wrap", "./wrap": "/code/wrap", "/opt/wrap": "/opt/wrap",
		"/var/tasks/wrap": "/var/tasks/wrap",
	} {
		p := Plan{Path: "/bin/python", Args: []string{"python", "-u", "bootstrap.py"}}
		p.wrap(Request{TaskRoot: "/code", Environment: map[string]string{WrapperVariable: named}})
		if p.Path != "/bin/sh" || !slices.Equal(p.Args[3:], []string{"sh", want, "/bin/python", "-u", "bootstrap.py"}) {
			t.Errorf("%s: %s %q", named, p.Path, p.Args)
		}
	}
}
