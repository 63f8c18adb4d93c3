package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTargetsBelongToThePackageWhoseOkLineFollows(t *testing.T) {
	t.Parallel()
	out := "FuzzOne\nFuzzTwo\nok  \texample.com/a\t0.01s\n?   \texample.com/b\t[no test files]\nok  \texample.com/c\t0.01s\nFuzzThree\nok  \texample.com/d\t(cached)\n"

	got := parseList(out)

	want := []target{{"example.com/a", "FuzzOne"}, {"example.com/a", "FuzzTwo"}, {"example.com/d", "FuzzThree"}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(target{})); d != "" {
		t.Error(d)
	}
}

func TestPackagesThatDoNotBuildLendTheirNamesToNobody(t *testing.T) {
	t.Parallel()

	got := parseList("FuzzLost\nFAIL\texample.com/a [build failed]\nFuzzKept\nok  \texample.com/b\t0.01s\n")

	if len(got) != 1 || got[0] != (target{"example.com/b", "FuzzKept"}) {
		t.Errorf("got %v", got)
	}
}

func TestFailuresAreTheLinesThatSayFail(t *testing.T) {
	t.Parallel()

	got := failures("ok  \ta\t0.1s\nFAIL\tb [build failed]\nFuzzX\nFAIL\n")

	if got != "FAIL\tb [build failed]\nFAIL\n" {
		t.Errorf("got %q", got)
	}
}
