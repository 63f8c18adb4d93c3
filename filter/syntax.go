package filter

import (
	"encoding/json"
	"errors"
	"strings"
)

// node is a JSON value of a pattern, and where it stands.
type node struct {
	kind    byte     // { [ " 0 (a number) t f n
	raw     string   // its text
	text    string   // of a string, decoded; of a number, as it is written
	at      int      // offset of raw in the pattern, in bytes
	members []member // of an object; a name that stands twice is there once, with its last value
	items   []node   // of an array
}

type member struct {
	name  string
	value node
}

// what names the kind of a value in a message.
func (n *node) what() string {
	switch n.kind {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "the string " + shown(n.raw)
	case '0':
		return "the number " + shown(n.raw)
	default:
		return n.raw
	}
}

// parse reads a pattern's JSON.
func parse(text string) (node, *Error) {
	var syntax *json.SyntaxError
	if err := json.Unmarshal([]byte(text), new(json.RawMessage)); errors.As(err, &syntax) {
		return node{}, &Error{Offset: max(0, int(syntax.Offset)-1), Why: "it is not JSON: " + syntax.Error()}
	} else if err != nil {
		return node{}, &Error{Why: "it is not JSON: " + err.Error()}
	}
	p := parser{text: text}
	p.space()
	return p.value(), nil
}

// parser reads a text that is known to be JSON.
type parser struct {
	text string
	at   int
}

func (p *parser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// value reads the value at hand and the space behind it.
func (p *parser) value() node {
	n := node{at: p.at, kind: p.text[p.at]}
	switch n.kind {
	case '{':
		p.list('}', func() {
			name := p.value()
			p.at++ // the colon
			p.space()
			n.set(member{name.text, p.value()})
		})
	case '[':
		p.list(']', func() { n.items = append(n.items, p.value()) })
	case '"':
		for p.at++; p.text[p.at] != '"'; p.at++ {
			if p.text[p.at] == '\\' {
				p.at++
			}
		}
		p.at++
		_ = json.Unmarshal([]byte(p.text[n.at:p.at]), &n.text) // a string, as is known
	case 't', 'f', 'n':
		for p.at < len(p.text) && p.text[p.at] >= 'a' && p.text[p.at] <= 'z' {
			p.at++
		}
	default:
		n.kind = '0'
		for p.at < len(p.text) && strings.IndexByte("+-.0123456789eE", p.text[p.at]) >= 0 {
			p.at++
		}
		n.text = p.text[n.at:p.at]
	}
	n.raw = p.text[n.at:p.at]
	p.space()
	return n
}

// list reads the elements of an object or an array, whose bracket is at hand.
func (p *parser) list(end byte, one func()) {
	p.at++
	p.space()
	for p.text[p.at] != end {
		one()
		if p.text[p.at] == ',' {
			p.at++
			p.space()
		}
	}
	p.at++
}

// set adds a member, or replaces the one of the same name.
func (n *node) set(m member) {
	for i := range n.members {
		if n.members[i].name == m.name {
			n.members[i] = m
			return
		}
	}
	n.members = append(n.members, m)
}
