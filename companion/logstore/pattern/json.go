package pattern

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/fault"
)

// expression is a condition on a JSON value.
type expression interface{ holds(document any) bool }

type (
	both   struct{ left, right expression }
	either struct{ left, right expression }

	// comparison is true when a value at path is in the relation op to the operand.
	comparison struct {
		path    []step
		op      string
		operand operand
	}

	// state is IS NULL, IS TRUE, IS FALSE, EXISTS or NOT EXISTS.
	state struct {
		path []step
		is   string
	}

	// step is a member by name, or an element by number; every element when number is -1.
	step struct {
		name   string
		number int
		list   bool
	}

	operand struct {
		text   string
		number float64
		isNum  bool // an unquoted number
	}
)

func (e both) holds(d any) bool   { return e.left.holds(d) && e.right.holds(d) }
func (e either) holds(d any) bool { return e.left.holds(d) || e.right.holds(d) }

func (e comparison) holds(d any) bool {
	return slices.ContainsFunc(find(d, e.path), func(v any) bool { return compare(v, e.op, e.operand) })
}

func (e state) holds(d any) bool {
	values := find(d, e.path)
	switch e.is {
	case "NOT EXISTS":
		return len(values) == 0
	case "EXISTS":
		return len(values) > 0
	}
	return slices.ContainsFunc(values, func(v any) bool {
		switch e.is {
		case "NULL":
			return v == nil
		case "TRUE":
			return v == true
		}
		return v == false
	})
}

// find returns the values at a path.
func find(d any, path []step) []any {
	values := []any{d}
	for _, s := range path {
		var next []any
		for _, v := range values {
			switch v := v.(type) {
			case map[string]any:
				if m, ok := v[s.name]; ok && !s.list {
					next = append(next, m)
				}
			case []any:
				switch {
				case !s.list:
				case s.number < 0:
					next = append(next, v...)
				case s.number < len(v):
					next = append(next, v[s.number])
				}
			}
		}
		values = next
	}
	return values
}

func compare(v any, op string, to operand) bool {
	var text string
	switch v := v.(type) {
	case string:
		text = v
	case bool:
		text = strconv.FormatBool(v)
	case json.Number:
		text = v.String()
		if n, err := v.Float64(); err == nil && to.isNum {
			return ordered(n, op, to.number)
		}
	default:
		return false // an object, a list or null has no value to compare
	}
	switch op {
	case "=":
		return wild(to.text, text)
	case "!=":
		return !wild(to.text, text)
	}
	n, err := strconv.ParseFloat(text, 64)
	return err == nil && to.isNum && ordered(n, op, to.number)
}

func ordered(n float64, op string, m float64) bool {
	switch op {
	case "=":
		return n == m
	case "!=":
		return n != m
	case "<":
		return n < m
	case "<=":
		return n <= m
	case ">":
		return n > m
	}
	return n >= m
}

// wild matches text against a pattern in which * stands for any text.
func wild(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	last := len(parts) - 1
	text, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	for _, p := range parts[1:last] {
		if _, text, ok = strings.Cut(text, p); !ok {
			return false
		}
	}
	return strings.HasSuffix(text, parts[last])
}

func matchJSON(e expression, message string) bool {
	message = strings.TrimSpace(message)
	if !strings.HasPrefix(message, "{") {
		return false
	}
	d := json.NewDecoder(strings.NewReader(message))
	d.UseNumber()
	var document map[string]any
	if err := d.Decode(&document); err != nil || d.More() {
		return false
	}
	return e.holds(document)
}

// parser reads { expression }. A text has at most MaxLength characters, which bounds how deep parentheses nest.
type parser struct{ rest string }

func parseJSON(text string) (expression, error) {
	p := &parser{text}
	p.take("{")
	e, err := p.either()
	if err != nil {
		return nil, err
	}
	if !p.take("}") {
		return nil, wrong("expected && or || or } at %q", clip(p.rest))
	}
	if p.space(); p.rest != "" {
		return nil, wrong("there is something behind the closing }: %q", clip(p.rest))
	}
	return e, nil
}

func clip(s string) string {
	if s == "" {
		return "the end"
	}
	return fault.Clip(s, 30)
}

func (p *parser) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// take consumes token if it comes next.
func (p *parser) take(token string) bool {
	p.space()
	rest, ok := strings.CutPrefix(p.rest, token)
	if ok {
		p.rest = rest
	}
	return ok
}

// word consumes word, in upper or lower case, if it comes next.
func (p *parser) word(word string) bool {
	p.space()
	if len(p.rest) < len(word) || !strings.EqualFold(p.rest[:len(word)], word) {
		return false
	}
	if len(p.rest) > len(word) && !strings.ContainsRune(" \t\r\n)}&|", rune(p.rest[len(word)])) {
		return false
	}
	p.rest = p.rest[len(word):]
	return true
}

func (p *parser) either() (expression, error) {
	left, err := p.both()
	for err == nil && p.take("||") {
		var right expression
		right, err = p.both()
		left = either{left, right}
	}
	return left, err
}

func (p *parser) both() (expression, error) {
	left, err := p.one()
	for err == nil && p.take("&&") {
		var right expression
		right, err = p.one()
		left = both{left, right}
	}
	return left, err
}

func (p *parser) one() (expression, error) {
	if p.take("(") {
		e, err := p.either()
		if err == nil && !p.take(")") {
			err = wrong("a parenthesis is not closed")
		}
		return e, err
	}
	path, err := p.path()
	if err != nil {
		return nil, err
	}
	switch {
	case p.word("NOT"):
		if p.word("EXISTS") {
			return state{path, "NOT EXISTS"}, nil
		}
		return nil, wrong("expected EXISTS after NOT")
	case p.word("EXISTS"):
		return state{path, "EXISTS"}, nil
	case p.word("IS"):
		for _, is := range []string{"NULL", "TRUE", "FALSE"} {
			if p.word(is) {
				return state{path, is}, nil
			}
		}
		return nil, wrong("expected NULL, TRUE or FALSE after IS")
	}
	for _, op := range []string{"!=", "<=", ">=", "=", "<", ">"} {
		if p.take(op) {
			return p.comparison(path, op)
		}
	}
	return nil, wrong("expected a comparison at %q", clip(p.rest))
}

func (p *parser) comparison(path []step, op string) (expression, error) {
	p.space()
	var o operand
	var err error
	if strings.HasPrefix(p.rest, `"`) {
		o.text, p.rest, err = quoted(p.rest)
	} else {
		end := strings.IndexAny(p.rest, " \t\r\n)}&|")
		if end < 0 {
			end = len(p.rest)
		}
		o.text, p.rest = p.rest[:end], p.rest[end:]
		n, numErr := strconv.ParseFloat(o.text, 64)
		o.number, o.isNum = n, numErr == nil
		if o.text == "" {
			err = wrong("a value is missing after %s", op)
		} else if strings.HasPrefix(o.text, "%") {
			err = wrong("regular expressions, %%...%%, are not supported by shardmill")
		}
	}
	if err == nil && op != "=" && op != "!=" && !o.isNum {
		err = wrong("%s compares numbers; %q is none", op, clip(o.text))
	}
	return comparison{path, op, o}, err
}

// path reads a selector such as $.detail.items[0].id; a name that is more than letters, digits, - and _ is written
// ["name"].
func (p *parser) path() ([]step, error) {
	if !p.take("$") {
		return nil, wrong("expected a selector, such as $.level, at %q", clip(p.rest))
	}
	var path []step
	for {
		switch {
		case strings.HasPrefix(p.rest, "."):
			end := 1 + strings.IndexFunc(p.rest[1:], func(r rune) bool {
				return strings.ContainsRune(" \t\r\n.[]=!<>(){}&|\"", r)
			})
			if end == 0 {
				end = len(p.rest)
			}
			if end == 1 {
				return nil, wrong("a name is missing after the dot of a selector")
			}
			path = append(path, step{name: p.rest[1:end]})
			p.rest = p.rest[end:]
		case strings.HasPrefix(p.rest, `["`):
			name, rest, err := quoted(p.rest[1:])
			if err != nil {
				return nil, err
			}
			if !strings.HasPrefix(rest, "]") {
				return nil, wrong("a bracket of a selector is not closed")
			}
			path, p.rest = append(path, step{name: name}), rest[1:]
		case strings.HasPrefix(p.rest, "["):
			text, rest, ok := strings.Cut(p.rest[1:], "]")
			n, err := strconv.ParseUint(text, 10, 31)
			if !ok || err != nil && text != "*" {
				return nil, wrong("expected a number or * in the brackets of a selector")
			}
			s := step{number: int(n), list: true}
			if text == "*" {
				s.number = -1
			}
			path, p.rest = append(path, s), rest
		case len(path) == 0:
			return nil, wrong("expected a selector, such as $.level, at %q", clip("$"+p.rest))
		default:
			return path, nil
		}
	}
}
