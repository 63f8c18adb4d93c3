package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// blocks are the three blocks of go.mod, by the comment over each.
var blocks = []string{"In the binary", "In tests", "In the build"}

var (
	block       = regexp.MustCompile(`(?ms)^// ([^\n]+)\.\nrequire \(\n(.*?)^\)`)
	requirement = regexp.MustCompile(`(?m)^\t(\S+) v\S+`)
	tool        = regexp.MustCompile(`(?m)^\t(\S+)$`)
)

// A module is listed in the block of what needs it, and has a line in docs/dependencies.md.
func TestModulesStandInTheirBlock(t *testing.T) {
	t.Parallel()
	text := read(t, "go.mod")
	reasons := read(t, "docs/dependencies.md")
	in := map[string]string{} // block, by module
	for _, b := range block.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(blocks, b[1]) {
			t.Errorf("go.mod has a block %q; its blocks are %q", b[1], blocks)
		}
		for _, m := range requirement.FindAllStringSubmatch(b[2], -1) {
			in[m[1]] = b[1]
		}
	}
	if len(in) < 10 {
		t.Fatalf("found %d modules in the blocks %q of go.mod", len(in), blocks)
	}

	needs := map[string]string{} // the first file that imports a module, preferably one in the binary
	binary := map[string]bool{}
	for _, f := range files(t) {
		shipped := !f.test && !onlyForUs(f.room)
		for _, imp := range imports(f) {
			for m := range in {
				if (imp == m || strings.HasPrefix(imp, m+"/")) && !binary[m] {
					needs[m], binary[m] = f.path, shipped
				}
			}
		}
	}
	for m, b := range in {
		short := strings.TrimPrefix(m, "github.com/aws/aws-sdk-go-v2/")
		short = strings.TrimPrefix(short, "service/")
		if !strings.Contains(reasons, strings.TrimPrefix(short, "github.com/aws/")) {
			t.Errorf("%s has no line in docs/dependencies.md", m)
		}
		switch {
		case b == "In the build":
			if !slices.ContainsFunc(tool.FindAllStringSubmatch(text, -1), func(line []string) bool {
				return strings.HasPrefix(line[1], m+"/")
			}) && !strings.HasPrefix(needs[m], "internal/image/") { // which make image runs
				t.Errorf("%s is no tool of go.mod", m)
			}
		case needs[m] == "" && m != "github.com/aws/aws-lambda-go": // imported by the code of a function in testdata
			t.Errorf("nothing imports %s", m)
		case binary[m] && b != "In the binary":
			t.Errorf("%s imports %s, which go.mod lists under %q", needs[m], m, b)
		case !binary[m] && b == "In the binary":
			t.Errorf("go.mod lists %s under %q, but only tests import it", m, b)
		}
	}
}

// onlyForUs reports whether no code of a room becomes part of the binary.
func onlyForUs(room string) bool {
	tools := []string{
		"sim", "e2e", "internal/bench", "internal/fuzzall", "internal/doctest", "internal/arch", "internal/image",
		"internal/image/write",
	}
	return slices.Contains(tools, room) || strings.HasPrefix(room, "sim/") || strings.HasSuffix(room, "test")
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root(t), filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
