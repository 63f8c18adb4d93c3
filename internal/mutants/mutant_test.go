package mutants

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// mutant is one bug and the test that catches it.
type mutant struct {
	name  string // a sentence
	where string // file and line of the block
	edits []edit
	test  []string // the arguments of go test: package, -run, a pattern, and flags of the test
}

// edit is one change of one file.
type edit struct {
	path          string // from the module's root, with slashes
	before, after string // whole lines
}

// parse reads the blocks of a file; README.md in testdata describes them.
func parse(path string) (all []mutant, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	name := filepath.Base(path)
	lines := bufio.NewScanner(f)
	open := false // a block that has no test yet
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		fail := func(what string) error { return fmt.Errorf("%s:%d: %s: %s", name, n, what, line) }
		if title, ok := strings.CutPrefix(line, "== "); ok {
			if open {
				return nil, fail("the block before has no test")
			}
			all, open = append(all, mutant{name: title, where: fmt.Sprintf("%s:%d", name, n)}), true
			continue
		}
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		if !open {
			return nil, fail("outside of a block")
		}
		m := &all[len(all)-1]
		if test, ok := strings.CutPrefix(line, "go test "); ok {
			m.test, open = strings.Fields(test), false
			if len(m.test) < 3 || m.test[1] != "-run" || len(m.edits) == 0 {
				return nil, fail("not: edits, then go test PACKAGE -run PATTERN")
			}
			continue
		}
		if strings.HasSuffix(line, ".go") && !strings.ContainsAny(line[:1], "-+ ") {
			m.edits = append(m.edits, edit{path: line})
			continue
		}
		if len(m.edits) == 0 {
			return nil, fail("a change without a file")
		}
		e := &m.edits[len(m.edits)-1]
		if line[0] != '+' {
			e.before += line[1:] + "\n"
		}
		if line[0] != '-' {
			e.after += line[1:] + "\n"
		}
		if !strings.ContainsAny(line[:1], "-+ ") {
			return nil, fail("neither of -, + and a space")
		}
	}
	if open {
		return nil, fmt.Errorf("%s: the last block has no test", name)
	}
	return all, lines.Err()
}

// switchOff keeps the assertions of the core from catching what must show in what is delivered.
var switchOff = edit{"esm/check.go", "const assertions = true\n", "const assertions = false\n"}

// inCore reports whether a mutant changes the core.
func (m *mutant) inCore() bool {
	return slices.ContainsFunc(m.edits, func(e edit) bool { return strings.HasPrefix(e.path, "esm/") })
}

// sources returns the files that a mutant changes, with the change, by path.
func (m *mutant) sources(root string) (map[string]string, error) {
	out := map[string]string{}
	edits := m.edits
	if m.inCore() {
		edits = append(slices.Clip(edits), switchOff)
	}
	for _, e := range edits {
		text, ok := out[e.path]
		if !ok {
			var err error
			if text, err = read(root, e.path); err != nil {
				return nil, err
			}
		}
		if n := strings.Count("\n"+text, "\n"+e.before); n != 1 {
			return nil, fmt.Errorf("%s holds this %d times; the mutant must follow the code:\n%s", e.path, n, e.before)
		}
		at := strings.Index("\n"+text, "\n"+e.before)
		out[e.path] = text[:at] + e.after + text[at+len(e.before):]
	}
	return out, nil
}

// read returns a file of the module.
func read(root, path string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
	return string(b), err
}
