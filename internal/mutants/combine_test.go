package mutants

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// chosen is the variable of the environment that says which mutant of a binary is alive, by its number; 0: none.
const chosen = "SHARDMILL_MUTANT"

// batch is mutants that the tests of one package catch, in one binary: to compile and link takes ten times as long as
// most of the tests. In each function that a mutant changes, its body stands before the right one, behind a switch.
type batch struct {
	pkg      string // of the tests
	core     bool   // assertions of the core are off
	mutants  []*mutant
	sources  map[string]string // the changed files, by path
	switched bool              // the environment chooses; otherwise the only mutant is always alive
}

// body is what stands between a function's braces, in one of its versions.
type body struct {
	from    int // where the right version begins in its file
	text    string
	returns bool // results
}

// bodies compares two versions of a file: it returns what changes inside of functions, by the function's place in the
// file, and false if anything else changes, or what does cannot stand beside the right version.
func bodies(before, after string) (changed map[int]body, ok bool) {
	files := token.NewFileSet()
	a, err := parser.ParseFile(files, "before.go", before, parser.SkipObjectResolution)
	if err != nil {
		return nil, false
	}
	b, err := parser.ParseFile(files, "after.go", after, parser.SkipObjectResolution)
	if err != nil || len(a.Decls) != len(b.Decls) {
		return nil, false
	}
	at := func(p token.Pos) int { return files.Position(p).Offset }
	changed = map[int]body{}
	endA, endB := 0, 0 // of what has been compared
	for i := range a.Decls {
		f, isFunc := a.Decls[i].(*ast.FuncDecl)
		g, still := b.Decls[i].(*ast.FuncDecl)
		if !isFunc || !still || f.Body == nil || g.Body == nil {
			continue // compared as text, with what stands before the next function
		}
		if before[endA:at(f.Body.Lbrace)] != after[endB:at(g.Body.Lbrace)] {
			return nil, false
		}
		endA, endB = at(f.Body.Rbrace), at(g.Body.Rbrace)
		was, is := before[at(f.Body.Lbrace)+1:endA], after[at(g.Body.Lbrace)+1:endB]
		if was == is {
			continue
		}
		if labelled(f) || labelled(g) { // labels are known in all of a function
			return nil, false
		}
		changed[i] = body{from: at(f.Body.Lbrace) + 1, text: is, returns: f.Type.Results.NumFields() > 0}
	}
	return changed, before[endA:] == after[endB:]
}

func labelled(f *ast.FuncDecl) (found bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		_, label := n.(*ast.LabeledStmt)
		found = found || label
		return !found
	})
	return found
}

// batches puts mutants that can share a binary together, and each of the others alone.
func batches(root string, all []*mutant) (out []*batch, err error) {
	together := map[string]*batch{}
	for _, m := range all {
		b := &batch{pkg: m.test[0], core: m.inCore(), mutants: []*mutant{m}}
		if b.sources, err = m.sources(root); err != nil {
			return nil, err
		}
		can, err := b.canBeSwitched(root)
		if err != nil {
			return nil, err
		}
		key := fmt.Sprint(b.pkg, b.core)
		switch first := together[key]; {
		case !can:
			out = append(out, b)
		case first == nil:
			together[key] = b
		default:
			first.mutants = append(first.mutants, m)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(together)) {
		b := together[key]
		if err := b.combine(root); err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// canBeSwitched reports whether all that a batch of one mutant changes stands in bodies of functions. The switch of the
// assertions is the same for all mutants of the core.
func (b *batch) canBeSwitched(root string) (bool, error) {
	for p, text := range b.sources {
		right, err := read(root, p)
		if err != nil {
			return false, err
		}
		if _, ok := bodies(right, text); !ok && p != switchOff.path {
			return false, nil
		}
	}
	return true, nil
}

// combine writes the sources in which each mutant is alive when it is chosen.
func (b *batch) combine(root string) error {
	type place struct {
		path string
		decl int
	}
	versions := map[place][]string{}
	edges := map[place]body{}
	b.sources, b.switched = map[string]string{}, true
	for i, m := range b.mutants {
		sources, err := m.sources(root)
		if err != nil {
			return err
		}
		for p, text := range sources {
			if p == switchOff.path {
				b.sources[p] = text
				continue
			}
			if b.sources[p], err = read(root, p); err != nil {
				return err
			}
			changed, _ := bodies(b.sources[p], text)
			for decl, c := range changed {
				end := "return"
				if c.returns {
					end = `panic("a mutant does not return")`
				}
				at := place{p, decl}
				versions[at] = append(versions[at], fmt.Sprintf("case %d:\n%s\n%s\n", i+1, c.text, end))
				edges[at] = c
			}
		}
	}
	// From the last function of a file to its first, so that what has not been changed yet stays where it was.
	places := slices.SortedFunc(maps.Keys(edges), func(x, y place) int { return edges[y].from - edges[x].from })
	for _, at := range places {
		text, from := b.sources[at.path], edges[at].from
		cases := strings.Join(versions[at], "")
		b.sources[at.path] = text[:from] + "\nswitch chosenMutant {\n" + cases + "}\n" + text[from:]
	}
	for p := range maps.Clone(b.sources) {
		f, err := parser.ParseFile(token.NewFileSet(), p, b.sources[p], parser.PackageClauseOnly)
		if err != nil {
			return err
		}
		b.sources[path.Join(path.Dir(p), "chosen_mutant.go")] = "package " + f.Name.Name + `

import (
	"os"
	"strconv"
)

var chosenMutant, _ = strconv.Atoi(os.Getenv(` + strconv.Quote(chosen) + `))
`
	}
	return nil
}

// Only bodies of functions can stand behind a switch: not what is declared outside of them, and no labels, which are
// known in all of a function.
func TestOnlyBodiesAreSwitched(t *testing.T) {
	t.Parallel()
	right := "package p\n\nconst c = 1\n\nfunc f() int {\n\treturn c\n}\n\nfunc g() {\n}\n"
	for _, c := range []struct {
		before, after string
		want          map[int]body
		ok            bool
	}{
		{"return c", "return 2", map[int]body{1: {from: 38, text: "\n\treturn 2\n", returns: true}}, true},
		{"func g() {\n", "func g() {\n\tf()\n", map[int]body{2: {from: 62, text: "\n\tf()\n"}}, true},
		{"", "", map[int]body{}, true},
		{"c = 1", "c = 2", nil, false},
		{"func f() int", "func f() int64", nil, false},
		{"func g() {\n}", "func g() {\n}\n\nfunc h() {}", nil, false},
		{"func g() {\n", "func g() {\nagain:\n\tgoto again\n", nil, false},
	} {
		got, ok := bodies(right, strings.Replace(right, c.before, c.after, 1))
		if ok != c.ok || ok && !maps.Equal(got, c.want) {
			t.Errorf("%q instead of %q: %+v, %t", c.after, c.before, got, ok)
		}
	}
}
