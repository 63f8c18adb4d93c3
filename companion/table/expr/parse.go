package expr

import (
	"slices"
	"strconv"

	"github.com/shardmill/shardmill/fault"
)

// complaint is a class of errors in an expression that parses. AWS reports only one: the first class in this order.
type complaint uint8

const (
	redundantParens complaint = iota
	reservedWord
	unknownFunction
	repeatedSection
	misusedFunction
	undefinedName
	overlappingPaths
	conflictingPaths
	wrongCount
	sameOperand
	wrongType
	complaints
)

// parser reads one expression. A syntax error ends it at once; of other complaints the first of each class is kept.
type parser struct {
	scope     *Scope
	parameter string
	text      string
	tokens    []token // the last is tokenEnd
	at        int
	syntax    error
	wrong     [complaints]string
}

// maxDepth bounds nesting of parentheses and functions, far above what 4 KB of sensible text needs.
const maxDepth = 300

func (p *parser) peek() token { return p.tokens[p.at] }

// look returns the token n places ahead.
func (p *parser) look(n int) token { return p.tokens[min(p.at+n, len(p.tokens)-1)] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != tokenEnd {
		p.at++
	}
	return t
}

// accept consumes symbol if it comes next.
func (p *parser) accept(symbol string) bool {
	if p.peek().is(symbol) {
		p.at++
		return true
	}
	return false
}

// acceptWord consumes the keyword if it comes next.
func (p *parser) acceptWord(word string) bool {
	if p.peek().keyword(word) {
		p.at++
		return true
	}
	return false
}

func (p *parser) expect(symbol string) {
	if !p.accept(symbol) {
		p.unexpected()
	}
}

// unexpected records a syntax error at the next token, and moves to the end so that parsing stops.
func (p *parser) unexpected() {
	if p.syntax != nil {
		return
	}
	t := p.peek()
	shown, from, to := t.text, t.start, t.end()
	if t.kind == tokenEnd {
		shown = "<EOF>"
	} else if after := p.tokens[p.at+1]; after.kind != tokenEnd {
		to = after.end()
	}
	if p.at > 0 {
		from = p.tokens[p.at-1].start
	}
	p.syntax = invalid(
		"Invalid %s: Syntax error; token: \"%s\", near: \"%s\"", p.parameter, clip(shown), clip(p.text[from:to]),
	)
	p.at = len(p.tokens) - 1
}

// complain records the first complaint of a class.
func (p *parser) complain(c complaint, text string) {
	if p.wrong[c] == "" {
		p.wrong[c] = text
	}
}

// err returns the error that AWS would report; nil if nothing is wrong.
func (p *parser) err() error {
	if p.syntax == nil && p.peek().kind != tokenEnd {
		p.unexpected()
	}
	if p.syntax != nil {
		return p.syntax
	}
	for _, text := range p.wrong {
		if text != "" {
			return &fault.Error{Code: CodeValidation, Message: "Invalid " + p.parameter + ": " + text}
		}
	}
	return nil
}

// maxIndex caps the index of a list; lists in an item are shorter.
const maxIndex = 1 << 30

// path reads attribute, .attribute and [n]. word reports whether a keyword may stand for an attribute.
func (p *parser) path(word func(token) bool) Path {
	path := Path{p.attribute(word)}
	for p.syntax == nil {
		switch {
		case p.accept("."):
			path = append(path, p.attribute(word))
		case p.accept("["):
			t := p.peek()
			if t.kind != tokenNumber {
				p.unexpected()
				return path
			}
			p.next()
			n, err := strconv.Atoi(t.text)
			if err != nil || n > maxIndex {
				n = maxIndex
			}
			path = append(path, Step{Index: n, InList: true})
			p.expect("]")
		default:
			return path
		}
	}
	return path
}

func (p *parser) attribute(word func(token) bool) Step {
	switch t := p.peek(); {
	case t.kind == tokenName:
		p.next()
		name, ok := p.scope.names[t.text]
		if !ok {
			p.complain(
				undefinedName,
				"An expression attribute name used in the document path is not defined; attribute name: "+t.text,
			)
		}
		p.scope.used[t.text] = true
		return Step{Name: name}
	case t.kind == tokenWord && word(t):
		p.next()
		if isReserved(t.text) {
			p.complain(reservedWord, "Attribute name is a reserved keyword; reserved keyword: "+t.text)
		}
		return Step{Name: t.text}
	}
	p.unexpected()
	return Step{}
}

// literal reads :value.
func (p *parser) literal() Literal {
	t := p.next()
	v, ok := p.scope.values[t.text]
	if !ok {
		p.complain(
			undefinedName, "An expression attribute value used in expression is not defined; attribute value: "+t.text,
		)
	}
	p.scope.used[t.text] = true
	return Literal{t.text, v}
}

// wholeProjection reads path, path, …
func (p *parser) wholeProjection() Projection {
	var paths Projection
	for {
		path := p.path(anyWord)
		p.checkOverlap(paths, path)
		paths = append(paths, path)
		if !p.accept(",") {
			return paths
		}
	}
}

func anyWord(token) bool { return true }

// checkOverlap complains if one path lies within another, or if two take the same place for a map and for a list.
func (p *parser) checkOverlap(paths []Path, path Path) {
	if p.syntax != nil || p.wrong[overlappingPaths] != "" {
		return
	}
	for _, other := range paths {
		n := 0
		for n < min(len(path), len(other)) && path[n] == other[n] {
			n++
		}
		switch {
		case n == min(len(path), len(other)):
			p.complain(overlappingPaths,
				"Two document paths overlap with each other; must remove or rewrite one of these paths; path one: "+
					other.shown()+", path two: "+path.shown())
		case path[n].InList != other[n].InList:
			p.complain(conflictingPaths,
				"Two document paths conflict with each other; must remove or rewrite one of these paths; path one: "+
					other.shown()+", path two: "+path.shown())
		}
	}
}

// samePath reports whether two operands are the same path.
func samePath(a, b Operand) bool {
	x, ok := a.(Path)
	y, also := b.(Path)
	return ok && also && slices.Equal(x, y)
}
