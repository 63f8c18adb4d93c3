package arch

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// sentences are the members and methods whose texts are for people: code uses the error code, class or value beside
// them.
var sentences = []string{"Error", "Message", "Reason", "Detail", "Hint", "LastResult", "StateReason", "UpdateReason"}

// codes are the members and functions whose values are named constants.
var codes = []string{"Code", "CodeOf", "Reason", "ErrorKind", "FunctionError", "StateCode", "UpdateCode"}

// name returns the last name of a call or a selector.
func name(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.CallExpr:
		return name(e.Fun)
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.Ident:
		return e.Name
	}
	return ""
}

func literal(e ast.Expr) bool {
	l, ok := e.(*ast.BasicLit)
	return ok && l.Kind == token.STRING && l.Value != `""`
}

// No text is searched for its meaning: a new wording would silently change behaviour.
func TestTextsOfErrorsAreNotSearched(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		if f.test {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			c, ok := n.(*ast.CallExpr)
			if !ok || len(c.Args) == 0 {
				return true
			}
			fun, ok := c.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := fun.X.(*ast.Ident)
			if !ok || pkg.Name != "strings" && pkg.Name != "regexp" || strings.HasPrefix(fun.Sel.Name, "Trim") ||
				strings.HasPrefix(fun.Sel.Name, "To") {
				return true
			}
			if slices.Contains(sentences, name(c.Args[0])) {
				t.Errorf(
					"%s searches a text for its meaning with %s.%s; let who wrote it say it with a code or an error value",
					f.path, pkg.Name, fun.Sel.Name,
				)
			}
			return true
		})
	}
}

// Codes and classes are named constants: a misspelt one does not compile, and every use is found by its name.
func TestCodesAreNamed(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		if f.test {
			continue
		}
		complain := func(what string) {
			t.Errorf("%s: %s; name the code in package fault or in its room", f.path, what)
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if (n.Op == token.EQL || n.Op == token.NEQ) &&
					(slices.Contains(codes, name(n.X)) && literal(n.Y) ||
						slices.Contains(codes, name(n.Y)) && literal(n.X)) {
					complain("compares " + name(n.X) + " with a literal")
				}
			case *ast.SwitchStmt:
				if n.Tag == nil || !slices.Contains(codes, name(n.Tag)) {
					break
				}
				for _, s := range n.Body.List {
					if slices.ContainsFunc(s.(*ast.CaseClause).List, literal) {
						complain("compares " + name(n.Tag) + " with a literal")
					}
				}
			case *ast.CallExpr:
				switch name(n.Fun) {
				case "New":
					if s, ok := n.Fun.(*ast.SelectorExpr); ok && name(s.X) == "fault" && literal(n.Args[0]) {
						complain("makes a fault from a literal")
					}
				case "isCode":
					if literal(n.Args[1]) {
						complain("asks for a literal code")
					}
				}
			case *ast.CompositeLit:
				if s, ok := n.Type.(*ast.SelectorExpr); ok && s.Sel.Name == "Error" && name(s.X) == "fault" {
					for _, e := range n.Elts {
						if kv, ok := e.(*ast.KeyValueExpr); ok && name(kv.Key) == "Code" && literal(kv.Value) {
							complain("makes a fault from a literal")
						}
					}
				}
			}
			return true
		})
	}
}
