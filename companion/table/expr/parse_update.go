package expr

import (
	"fmt"
)

var sections = []string{"SET", "REMOVE", "ADD", "DELETE"}

// attributeInUpdate keeps section keywords from being taken for attributes.
func attributeInUpdate(t token) bool { return sectionOf(t) == "" }

func sectionOf(t token) string {
	for _, s := range sections {
		if t.keyword(s) {
			return s
		}
	}
	return ""
}

// wholeUpdate reads sections up to the end of the text.
func (p *parser) wholeUpdate() *Update {
	u := &Update{}
	seen := map[string]bool{}
	for {
		section := sectionOf(p.peek())
		if section == "" {
			p.unexpected()
			return u
		}
		p.next()
		if seen[section] {
			p.complain(repeatedSection, `The "`+section+`" section can only be used once in an update expression;`)
		}
		seen[section] = true
		p.action(u, section)
		for p.syntax == nil && p.accept(",") {
			p.action(u, section)
		}
		if p.syntax != nil || p.peek().kind == tokenEnd {
			return u
		}
	}
}

// action reads one element of a section.
func (p *parser) action(u *Update, section string) {
	path := p.path(attributeInUpdate)
	if p.syntax != nil {
		return
	}
	p.checkOverlap(u.paths, path)
	u.paths = append(u.paths, path)
	switch section {
	case "SET":
		p.expect("=")
		if p.syntax == nil {
			u.Sets = append(u.Sets, SetAction{path, p.setValue(0)})
		}
	case "REMOVE":
		u.Removes = append(u.Removes, path)
	default:
		if p.peek().kind != tokenValue {
			p.unexpected()
			return
		}
		l := p.literal()
		k := l.Value.Kind
		if k != 0 && !k.Set() && (section != "ADD" || k != N) {
			p.complain(wrongType,
				fmt.Sprintf("Incorrect operand type for operator or function; operator: %s, operand type: %s, "+
					"typeSet: ALLOWED_FOR_%[1]s_OPERAND", section, longNames[k]))
		}
		u.Adds = append(u.Adds, AddAction{Path: path, Value: l, Delete: section == "DELETE"})
	}
}

// longNames are the names of kinds in the texts about ADD and DELETE.
var longNames = map[Kind]string{
	S: "STRING", N: "NUMBER", B: "BINARY", NULL: "NULL", BOOL: "BOOLEAN", L: "LIST", M: "MAP",
}

// setValue reads an operand, or the sum or difference of two, with or without parentheses.
func (p *parser) setValue(depth int) Operand {
	left := p.updateOperand(depth)
	minus := p.peek().is("-")
	if p.syntax != nil || !minus && !p.peek().is("+") {
		return left
	}
	sign := p.next().text
	right := p.updateOperand(depth)
	p.checkKind(sign, left, false, N)
	p.checkKind(sign, right, false, N)
	return Arithmetic{minus, left, right}
}

func (p *parser) updateOperand(depth int) Operand {
	if depth > maxDepth {
		p.unexpected()
	}
	if p.syntax != nil {
		return Literal{}
	}
	switch t := p.peek(); {
	case t.is("("):
		p.next()
		o := p.setValue(depth + 1)
		p.expect(")")
		return o
	case t.kind == tokenValue:
		return p.literal()
	case t.kind == tokenWord && attributeInUpdate(t) && p.look(1).is("("):
		return p.updateCall(depth)
	}
	return p.path(attributeInUpdate)
}

func (p *parser) updateCall(depth int) Operand {
	name := p.next().text
	p.next()
	args := []Operand{p.updateOperand(depth + 1)}
	for p.syntax == nil && p.accept(",") {
		args = append(args, p.updateOperand(depth+1))
	}
	p.expect(")")
	switch {
	case p.syntax != nil:
	case name != "if_not_exists" && name != "list_append":
		text := "Invalid function name; function: " + clip(name)
		if _, condition := arity[name]; condition {
			text = "The function is not allowed in an update expression; function: " + name
		}
		p.complain(unknownFunction, text)
	case len(args) != 2:
		p.complain(
			wrongCount,
			fmt.Sprintf(
				"Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d",
				name, len(args),
			),
		)
	case name == "list_append":
		p.checkKind(name, args[0], false, L)
		p.checkKind(name, args[1], false, L)
		return ListAppend{args[0], args[1]}
	default:
		path, ok := args[0].(Path)
		if !ok {
			p.complain(wrongType, "Operator or function requires a document path; operator or function: "+name)
		}
		return IfNotExists{path, args[1]}
	}
	return Literal{} // a complaint was recorded
}
