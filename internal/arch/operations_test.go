package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// operations are those of a service's model, as the code lists them.
type operations struct {
	page           string   // of docs/compat
	served, others []string // others may be empty where whatever is not served is refused
}

// A service's page in docs/compat names each operation that is served, and lists exactly those that are refused with
// 501 where it says so.
func TestPagesNameTheOperations(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob(filepath.Join(root(t), "api", "*"))
	if err != nil {
		t.Fatal(err)
	}
	all := pages(t, "docs/compat")
	word := regexp.MustCompile(`\b[A-Z]\w+\b`)
	services := 0
	for _, dir := range dirs {
		o := operationsOf(t, dir)
		if o.page == "" || len(o.served) == 0 {
			continue
		}
		services++
		name := path.Join("docs/compat", o.page+".md")
		listed := word.FindAllString(strings.TrimPrefix(refused.FindString(all[name]), "Not served"), -1)
		named := word.FindAllString(refused.ReplaceAllString(all[name], ""), -1)
		for _, op := range o.served {
			if !slices.Contains(named, op) {
				t.Errorf("%s does not name %s, which is served", name, op)
			}
			if slices.Contains(listed, op) {
				t.Errorf("%s lists %s as not served, and it is", name, op)
			}
		}
		for _, op := range o.others {
			if !slices.Contains(listed, op) {
				t.Errorf("%s does not list %s as not served", name, op)
			}
		}
		for _, op := range listed {
			if len(o.others) > 0 && !slices.Contains(o.others, op) && !slices.Contains(o.served, op) {
				t.Errorf("%s lists %s as not served, and the model does not have it", name, op)
			}
		}
	}
	if services < 10 {
		t.Errorf("only %d services with a model were found", services)
	}
}

// operationsOf reads the model of a package: a wire.Model, or rows of an operation's name, method, path and what serves
// it, if anything does.
func operationsOf(t *testing.T, dir string) (o operations) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{} // of constants
	text := func(e ast.Expr) string {
		switch e := e.(type) {
		case *ast.BasicLit:
			s, _ := strconv.Unquote(e.Value)
			return s
		case *ast.Ident:
			return texts[e.Name]
		}
		return ""
	}
	var model ast.Expr // what Others is
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				if len(n.Values) == 1 {
					texts[n.Names[0].Name] = text(n.Values[0])
				}
			case *ast.CallExpr:
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Absent" {
					o.page = text(n.Args[0])
				}
			case *ast.KeyValueExpr:
				switch key, _ := n.Key.(*ast.Ident); {
				case key == nil:
				case key.Name == "Others":
					model = n.Value
				case key.Name == "Served":
					for _, row := range n.Value.(*ast.CompositeLit).Elts {
						o.served = append(o.served, text(row.(*ast.KeyValueExpr).Key))
					}
				}
			case *ast.CompositeLit:
				if len(n.Elts) == 4 && strings.HasPrefix(text(n.Elts[2]), "/20") {
					if served, _ := n.Elts[3].(*ast.Ident); served != nil && served.Name == "nil" {
						o.others = append(o.others, text(n.Elts[0]))
					} else {
						o.served = append(o.served, text(n.Elts[0]))
					}
				}
			}
			return true
		})
	}
	if model != nil {
		o.others = append(o.others, strings.Fields(text(model))...)
	}
	return o
}
