package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	scenarioPages = "docs/compat/scenarios"
	maxTracked    = 1 << 20
)

var (
	// scenario is a number such as S-75. The letters are those of the pages; others, such as UTF-8, are not scenarios.
	scenario = regexp.MustCompile(`\b([DFKLOPRSVW])-(\d+)\b`)
	// span is a range of scenarios as pages write it: F-48 to F-50.
	span     = regexp.MustCompile(`\b([DFKLOPRSVW])-(\d+) to ([DFKLOPRSVW])-(\d+)\b`)
	testName = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w*`)
	script   = regexp.MustCompile(`[\w*]+\.txt\b`)
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fence    = regexp.MustCompile("(?ms)^```.*?^```$")
	inline   = regexp.MustCompile("`[^`\n]*`")
	// refused is a paragraph that lists operations of AWS, some of which have names like tests.
	refused = regexp.MustCompile(`(?ms)^Not served \(501\): .*?(?:\n\n|\z)`)
)

// tracked returns the committed files and those in the index, from the module root with slashes.
func tracked(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-z", "--cached")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		// A source archive has no repository, so nothing can be committed there by accident.
		t.Logf("git ls-files: %v; taking no file as tracked", err)
		return nil
	}
	var paths []string
	for path := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if _, err := os.Lstat(filepath.Join(root(t), path)); err == nil { // else deleted, not yet committed
			paths = append(paths, path)
		}
	}
	return paths
}

// pages returns the Markdown files below a directory of the module, by path.
func pages(t *testing.T, below string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, dir := range []string{below, below + "/*", below + "/*/*", below + "/*/*/*"} {
		paths, err := filepath.Glob(filepath.Join(root(t), filepath.FromSlash(dir), "*.md"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			rel, err := filepath.Rel(root(t), path)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(rel, "node_modules") || strings.HasPrefix(rel, ".") {
				continue
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			out[filepath.ToSlash(rel)] = string(text)
		}
	}
	if len(out) == 0 {
		t.Fatalf("no Markdown below %s; looking in the wrong place", below)
	}
	return out
}

// number drops leading zeros, so that S-5 and S-05 are one scenario.
func number(letter, digits string) string {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return letter + "-" + digits
	}
	return fmt.Sprintf("%s-%d", letter, n)
}

func TestScenariosThatTestsNameAreOnAPage(t *testing.T) {
	t.Parallel()
	listed := map[string]bool{}
	for _, text := range pages(t, scenarioPages) {
		for _, m := range scenario.FindAllStringSubmatch(text, -1) {
			listed[number(m[1], m[2])] = true
		}
		for _, m := range span.FindAllStringSubmatch(text, -1) {
			from, _ := strconv.Atoi(m[2]) // digits, by the expression
			to, _ := strconv.Atoi(m[4])
			for n := from; n <= to; n++ {
				listed[fmt.Sprintf("%s-%d", m[1], n)] = true
			}
		}
	}
	for _, f := range files(t) {
		if !f.test || f.room == "internal/arch" {
			continue
		}
		for _, group := range f.ast.Comments {
			for _, m := range scenario.FindAllStringSubmatch(group.Text(), -1) {
				if !listed[number(m[1], m[2])] {
					t.Errorf(
						"%s names the scenario %s, which no page of %s lists; say there what holds, how sure we are, and the test",
						f.path, m[0], scenarioPages,
					)
				}
			}
		}
	}
}

func TestTestsThatPagesNameExist(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	for _, f := range files(t) {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.test && fn.Recv == nil {
				have[fn.Name.Name] = true
			}
		}
	}
	for path, text := range pages(t, "docs") {
		for _, name := range testName.FindAllString(refused.ReplaceAllString(text, ""), -1) {
			if !have[name] {
				t.Errorf("%s names %s, and there is no such test", path, name)
			}
		}
	}
	core, err := filepath.Glob(filepath.Join(root(t), "esm", "testdata", "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range pages(t, scenarioPages) {
		for _, name := range script.FindAllString(text, -1) {
			if !slices.ContainsFunc(
				core, func(p string) bool { ok, _ := filepath.Match(name, filepath.Base(p)); return ok },
			) {
				t.Errorf("%s names %s, and esm/testdata has no such script", path, name)
			}
		}
	}
}

func TestRelativeLinksResolve(t *testing.T) {
	t.Parallel()
	all := pages(t, ".")
	for _, path := range slices.Sorted(maps.Keys(all)) {
		text := inline.ReplaceAllString(fence.ReplaceAllString(all[path], ""), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, ":") { // elsewhere
				continue
			}
			to := path
			if target != "" {
				to = filepath.ToSlash(filepath.Join(filepath.Dir(path), target))
				if _, err := os.Stat(filepath.Join(root(t), to)); err != nil {
					t.Errorf("%s links to %s, which does not exist", path, m[1])
					continue
				}
			}
			if anchor != "" && !slices.Contains(anchors(all[to]), anchor) {
				t.Errorf("%s links to %s, and %s has no such heading", path, m[1], to)
			}
		}
	}
}

// anchors returns the fragments with which GitHub links to the headings of a page.
func anchors(page string) []string {
	var out []string
	for line := range strings.Lines(fence.ReplaceAllString(page, "")) {
		if heading, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			keep := func(r rune) rune {
				switch {
				case r == ' ':
					return '-'
				case strings.ContainsRune("`.,:;!?'\"()[]{}/→…&+*", r):
					return -1
				}
				return r
			}
			out = append(out, strings.Map(keep, strings.ToLower(strings.TrimSpace(heading))))
		}
	}
	return out
}

// A benchmark's database was once committed. Files that tests need are in testdata; everything else is hand-written
// text.
func TestTrackedFilesAreSmallAndText(t *testing.T) {
	t.Parallel()
	for _, path := range tracked(t) {
		info, err := os.Lstat(filepath.Join(root(t), path))
		if err != nil {
			t.Fatal(err)
		}
		if !info.Mode().IsRegular() {
			t.Errorf("%s is committed and no regular file", path)
			continue
		}
		if info.Size() > maxTracked {
			t.Errorf("%s is committed and has %d bytes, more than 1 MiB", path, info.Size())
			continue
		}
		text, err := os.ReadFile(filepath.Join(root(t), path))
		if err != nil {
			t.Fatal(err)
		}
		inTestdata := slices.Contains(strings.Split(path, "/"), "testdata")
		if generated := strings.Contains(path, "__pycache__/") || strings.Contains(path, "node_modules/"); generated ||
			!inTestdata && bytes.IndexByte(text, 0) >= 0 {
			t.Errorf("%s is committed and was not written by hand: git rm --cached it, and name it in .gitignore", path)
		}
	}
}

// A newcomer reads the file map first and does not find a room that it does not name.
func TestTheFileMapNamesEveryRoom(t *testing.T) {
	t.Parallel()
	page := pages(t, "docs")["docs/architecture.md"]
	for room := range rooms {
		_, inside, _ := strings.Cut(room, "/") // a nested room may be named in the row of its parent, relative to it
		last := inside[strings.LastIndexByte(inside, '/')+1:]
		named := func(name string) bool { return name != "" && strings.Contains(page, "`"+name+"`") }
		if !named(room) && !named(inside) && !named(last) {
			t.Errorf("the file map of docs/architecture.md does not name %s", room)
		}
	}
}

// Every module that go.mod requires directly, and every tool, has a line that says why.
func TestDirectDependenciesAreExplained(t *testing.T) {
	t.Parallel()
	read := func(path string) string {
		text, err := os.ReadFile(filepath.Join(root(t), filepath.FromSlash(path)))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	why := read("docs/dependencies.md")
	direct := 0
	for line := range strings.Lines(read("go.mod")) {
		f := strings.Fields(line)
		if len(f) != 2 || !strings.HasPrefix(f[1], "v") || !strings.Contains(f[0], "/") &&
			!strings.Contains(f[0], ".") {
			continue
		}
		direct++
		name := f[0]
		// The clients of AWS's SDK share a line that names the services.
		if service, ok := strings.CutPrefix(name, "github.com/aws/aws-sdk-go-v2/"); ok {
			name = strings.TrimPrefix(service, "service/")
		}
		name = strings.TrimPrefix(name, "github.com/aws/smithy-go")
		if !strings.Contains(why, name) {
			t.Errorf("go.mod requires %s, and docs/dependencies.md does not say why", f[0])
		}
	}
	if direct < 10 {
		t.Fatalf("found %d direct requirements in go.mod; reading it wrongly", direct)
	}
}
