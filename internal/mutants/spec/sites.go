package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/fault"
)

// silent are the files of the core that decide nothing: they hold types, or tell what was decided.
var silent = []string{
	"advice.go", "check.go", "commands.go", "doc.go", "events.go", "names.go", "observe.go", "outcome.go", "status.go",
	"tell.go", "waits.go",
}

// site is one flip: the text of a file between two offsets is replaced.
type site struct {
	file     string // base name
	line     int
	from, to int // byte offsets
	old, new string
	code     string // the line, without blanks around it; with the line before it if it is a return
	nth      int    // of the flips of a line that exchange the same, from 1
}

func (s site) String() string {
	return fmt.Sprintf("%s:%d: %s → %s", s.file, s.line, short(s.old), short(s.new))
}

func short(text string) string { return fault.Clip(strings.Join(strings.Fields(text), " "), 60) }

// opposites are the operators that a flip exchanges: a bound that is one off, a test that is the wrong way round, a
// condition that is too strict or too lax.
var opposites = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.EQL: token.NEQ, token.NEQ: token.EQL, token.LAND: token.LOR, token.LOR: token.LAND,
}

// sites lists every flip of the package in dir, in order of file and place.
func sites(dir string) (out []site, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, path := range files {
		name := filepath.Base(path)
		if strings.HasSuffix(name, "_test.go") || slices.Contains(silent, name) {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, text, 0)
		if err != nil {
			return nil, err
		}
		f := finder{name: name, text: text, set: set}
		ast.Inspect(file, f.visit)
		out = append(out, f.found...)
	}
	slices.SortStableFunc(out, func(a, b site) int {
		return cmp.Or(strings.Compare(a.file, b.file), cmp.Compare(a.from, b.from))
	})
	count := map[string]int{}
	for i := range out {
		s := &out[i]
		same := fmt.Sprint(s.file, s.line, s.old, s.new)
		count[same]++
		s.nth = count[same]
	}
	return out, nil
}

type finder struct {
	name  string
	text  []byte
	set   *token.FileSet
	found []site
}

func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		switch name := called(n); name {
		case "broken", "panic": // what cannot happen is no policy
			return false
		case "min":
			f.flip(n.Fun.Pos(), n.Fun.End(), "max")
		case "max":
			f.flip(n.Fun.Pos(), n.Fun.End(), "min")
		}
	case *ast.BinaryExpr:
		if op, ok := opposites[n.Op]; ok {
			f.flip(n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), op.String())
		}
	case *ast.BasicLit:
		if v, err := strconv.Atoi(n.Value); n.Kind == token.INT && err == nil && v > 1 {
			f.flip(n.Pos(), n.End(), strconv.Itoa(v+1))
		}
	case *ast.IfStmt:
		if b, ok := n.Cond.(*ast.BinaryExpr); !ok || opposites[b.Op] == token.ILLEGAL {
			f.flip(n.Cond.Pos(), n.Cond.End(), "!("+f.between(n.Cond.Pos(), n.Cond.End())+")")
		}
	case *ast.IncDecStmt:
		f.flip(n.Pos(), n.End(), "_ = "+f.between(n.X.Pos(), n.X.End()))
	case *ast.ReturnStmt:
		if len(n.Results) == 1 {
			if id, ok := n.Results[0].(*ast.Ident); ok && (id.Name == "true" || id.Name == "false") {
				f.flip(id.Pos(), id.End(), strconv.FormatBool(id.Name == "false"))
			}
		}
	case *ast.ForStmt: // a loop that never ends proves nothing
		if n.Body != nil {
			ast.Inspect(n.Body, f.visit)
		}
		return false
	}
	return true
}

func called(n *ast.CallExpr) string {
	if id, ok := n.Fun.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

func (f *finder) between(from, to token.Pos) string {
	return string(f.text[f.set.Position(from).Offset:f.set.Position(to).Offset])
}

// code returns the line that holds a place. A bare return is one of many, so it comes with the line before it.
func (f *finder) code(p token.Position) string {
	lines := strings.Split(string(f.text), "\n")
	line := strings.TrimSpace(lines[p.Line-1])
	if strings.HasPrefix(line, "return ") {
		line = strings.TrimSpace(lines[p.Line-2]) + "; " + line
	}
	return line
}

func (f *finder) flip(from, to token.Pos, with string) {
	p := f.set.Position(from)
	f.found = append(f.found, site{
		file: f.name, line: p.Line, from: p.Offset, to: f.set.Position(to).Offset, old: f.between(from, to), new: with,
		code: f.code(p),
	})
}
