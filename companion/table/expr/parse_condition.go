package expr

import (
	"fmt"
	"slices"
)

// part is a condition or an operand within a condition: only later does the parser know which was needed.
type part struct {
	condition Condition
	operand   Operand
	call      string // the function, when it is a call
	parens    bool   // it was in parentheses
}

// wholeCondition reads a condition up to the end of the text.
func (p *parser) wholeCondition() Condition {
	return p.must(p.or(0))
}

// must returns the condition of a part; an operand in its place is an error.
func (p *parser) must(x part) Condition {
	if x.condition == nil && p.syntax == nil {
		if x.call != "" {
			p.complain(
				misusedFunction, "The function is not allowed to be used this way in an expression; function: "+x.call,
			)
			return Not{}
		}
		p.unexpected()
	}
	return x.condition
}

// operandOf returns the operand of a part; a condition in its place is an error.
func (p *parser) operandOf(x part) Operand {
	if x.operand == nil && p.syntax == nil {
		if x.call != "" {
			p.complain(
				misusedFunction, "The function is not allowed to be used this way in an expression; function: "+x.call,
			)
			return Literal{}
		}
		p.unexpected()
	}
	return x.operand
}

func (p *parser) or(depth int) part {
	x := p.and(depth)
	for p.syntax == nil && p.peek().keyword("OR") {
		left := p.must(x)
		p.next()
		x = part{condition: Or{left, p.must(p.and(depth))}}
	}
	return x
}

func (p *parser) and(depth int) part {
	x := p.not(depth)
	for p.syntax == nil && p.peek().keyword("AND") {
		left := p.must(x)
		p.next()
		x = part{condition: And{left, p.must(p.not(depth))}}
	}
	return x
}

func (p *parser) not(depth int) part {
	if depth > maxDepth {
		p.unexpected()
		return part{}
	}
	if p.acceptWord("NOT") {
		return part{condition: Not{p.must(p.not(depth + 1))}}
	}
	return p.comparison(depth)
}

var comparators = []string{"=", "<>", "<", "<=", ">", ">="}

// comparison reads one part, or several with a comparator, BETWEEN or IN.
func (p *parser) comparison(depth int) part {
	x := p.atom(depth)
	if p.syntax != nil {
		return x
	}
	switch t := p.peek(); {
	case t.kind == tokenSymbol && slices.Contains(comparators, t.text):
		left := p.operandOf(x)
		p.next()
		right := p.operandOf(p.atom(depth))
		p.checkCompare(t.text, left, right)
		return part{condition: Compare{t.text, left, right}}
	case t.keyword("BETWEEN"):
		of := p.operandOf(x)
		p.next()
		low := p.operandOf(p.atom(depth))
		if !p.acceptWord("AND") {
			p.unexpected()
		}
		high := p.operandOf(p.atom(depth))
		p.checkBetween(of, low, high)
		return part{condition: Between{of, low, high}}
	case t.keyword("IN"):
		of := p.operandOf(x)
		p.next()
		p.expect("(")
		list := p.arguments(depth)
		if len(list) > 100 {
			p.complain(
				wrongCount,
				fmt.Sprintf(
					"Incorrect number of operands for operator or function; operator or function: IN, number of operands: %d",
					len(list)+1,
				),
			)
		}
		return part{condition: In{of, list}}
	}
	return x
}

// atom reads a path, a value, a call, or something in parentheses.
func (p *parser) atom(depth int) part {
	if depth > maxDepth || p.syntax != nil {
		p.unexpected()
		return part{}
	}
	switch t := p.peek(); {
	case t.is("("):
		p.next()
		x := p.or(depth + 1)
		p.expect(")")
		if x.parens {
			p.complain(redundantParens, "The expression has redundant parentheses;")
		}
		x.parens = true
		return x
	case t.kind == tokenValue:
		return part{operand: p.literal()}
	case t.kind == tokenWord && attributeInCondition(t) && p.look(1).is("("):
		return p.call(depth)
	}
	return part{operand: p.path(attributeInCondition)}
}

// attributeInCondition keeps operators from being taken for attributes.
func attributeInCondition(t token) bool {
	return !t.keyword("AND") && !t.keyword("OR") && !t.keyword("NOT") && !t.keyword("BETWEEN") && !t.keyword("IN")
}

// arguments reads operands up to the closing parenthesis.
func (p *parser) arguments(depth int) []Operand {
	list := []Operand{p.operandOf(p.atom(depth + 1))}
	for p.syntax == nil && p.accept(",") {
		list = append(list, p.operandOf(p.atom(depth+1)))
	}
	p.expect(")")
	return list
}

// arity maps each function of conditions to how many operands it takes.
var arity = map[string]int{
	"attribute_exists": 1, "attribute_not_exists": 1, "attribute_type": 2, "begins_with": 2, "contains": 2, "size": 1,
}

func (p *parser) call(depth int) part {
	name := p.next().text
	p.next()
	args := p.arguments(depth)
	if p.syntax != nil {
		return part{}
	}
	want, known := arity[name]
	if !known {
		p.complain(unknownFunction, "Invalid function name; function: "+clip(name))
		return part{condition: Not{}, operand: Literal{}, call: name}
	}
	if len(args) != want {
		p.complain(
			wrongCount,
			fmt.Sprintf(
				"Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d",
				name, len(args),
			),
		)
		return part{condition: Not{}, operand: Literal{}, call: name} // whichever was meant
	}
	if want == 2 && samePath(args[0], args[1]) {
		p.complainSame(name, args[0])
	}
	path, isPath := args[0].(Path)
	if _, literal := args[0].(Literal); !isPath &&
		(name == "attribute_exists" || name == "attribute_not_exists" || name == "size" && !literal) {
		p.complain(wrongType, "Operator or function requires a document path; operator or function: "+name)
	}
	switch name {
	case "size":
		p.checkKind(name, args[0], false, S, B, SS, NS, BS, L, M)
		return part{operand: SizeOf{args[0]}, call: name}
	case "attribute_exists", "attribute_not_exists":
		return part{condition: Exists{path, name == "attribute_not_exists"}, call: name}
	case "attribute_type":
		p.checkTypeName(args[1])
		return part{condition: IsType{args[0], args[1]}, call: name}
	case "begins_with":
		p.checkKind(name, args[0], false, S, B)
		p.checkKind(name, args[1], false, S, B)
		return part{condition: BeginsWith{args[0], args[1]}, call: name}
	}
	return part{condition: Contains{args[0], args[1]}, call: name}
}

func (p *parser) complainSame(operator string, first Operand) {
	path, _ := first.(Path)
	p.complain(sameOperand,
		"The first operand must be distinct from the remaining operands for this operator or function; operator: "+
			operator+", first operand: "+path.shown())
}

// kindOf returns the kind that an operand has for every item; 0 if it depends on the item.
func kindOf(o Operand) Kind {
	switch o := o.(type) {
	case Literal:
		return o.Value.Kind
	case SizeOf:
		return N
	case ListAppend:
		return L
	case Arithmetic:
		return N
	case Path, IfNotExists:
	}
	return 0
}

// checkKind complains about an operand whose kind is not among kinds.
func (p *parser) checkKind(operator string, o Operand, symbol bool, kinds ...Kind) {
	k := kindOf(o)
	if k == 0 || slices.Contains(kinds, k) {
		return
	}
	what := "operator or function"
	if symbol {
		what = "operator"
	}
	p.complain(
		wrongType,
		fmt.Sprintf("Incorrect operand type for operator or function; %s: %s, operand type: %s", what, operator, k),
	)
}

func (p *parser) checkCompare(operator string, left, right Operand) {
	if samePath(left, right) {
		p.complainSame(operator, left)
	}
	if operator != "=" && operator != "<>" {
		p.checkKind(operator, left, true, S, N, B)
		p.checkKind(operator, right, true, S, N, B)
	}
}

func (p *parser) checkBetween(of, low, high Operand) {
	for _, o := range []Operand{of, low, high} {
		p.checkKind("BETWEEN", o, false, S, N, B)
	}
	l, ok := low.(Literal)
	h, also := high.(Literal)
	if !ok || !also || !l.Value.Kind.Ordered() || !h.Value.Kind.Ordered() {
		return
	}
	bounds := "; lower bound operand: AttributeValue: " + l.Value.shown() + ", upper bound operand: AttributeValue: " +
		h.Value.shown()
	switch {
	case l.Value.Kind != h.Value.Kind:
		p.complain(wrongType, "The BETWEEN operator requires same data type for lower and upper bounds"+bounds)
	case l.Value.compareScalar(h.Value) > 0:
		p.complain(
			wrongType, "The BETWEEN operator requires upper bound to be greater than or equal to lower bound"+bounds,
		)
	}
}

func (p *parser) checkTypeName(o Operand) {
	l, ok := o.(Literal)
	switch _, known := KindOf(l.Value.Text); {
	case !ok:
		p.complain(
			wrongType,
			"Incorrect operand type for operator or function; operator or function: attribute_type, operand type: {NS,SS,L,BS,N,M,B,BOOL,NULL,S}",
		)
	case l.Value.Kind == 0: // not defined, which is already reported
	case l.Value.Kind != S:
		p.checkKind("attribute_type", o, false, S)
	case !known:
		p.complain(
			wrongType,
			"Invalid attribute type name found; type: "+clip(l.Value.Text)+
				", valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
		)
	}
}
