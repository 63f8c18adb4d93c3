package expr

import (
	"strings"
	"unicode/utf8"
)

// tokenKind is the kind of a token. Symbols are told apart by their text.
type tokenKind uint8

const (
	tokenEnd    tokenKind = iota
	tokenWord             // an attribute, a keyword or a function
	tokenName             // #name
	tokenValue            // :value
	tokenNumber           // digits, as in [0]
	tokenSymbol
	tokenWrong // what no expression contains
)

type token struct {
	kind  tokenKind
	text  string
	start int // byte offset
}

func (t token) end() int { return t.start + len(t.text) }

// is reports whether t is the symbol.
func (t token) is(symbol string) bool { return t.kind == tokenSymbol && t.text == symbol }

// keyword reports whether t is the keyword, given in capitals, in any case.
func (t token) keyword(word string) bool {
	return t.kind == tokenWord && strings.EqualFold(t.text, word)
}

// lex splits text into tokens; the last is tokenEnd.
func lex(text string) []token {
	var tokens []token
	for at := 0; at < len(text); {
		if strings.IndexByte(" \t\r\n", text[at]) >= 0 {
			at++
			continue
		}
		t := next(text[at:])
		t.start = at
		tokens = append(tokens, t)
		at = t.end()
	}
	return append(tokens, token{kind: tokenEnd, start: len(text)})
}

// next returns the token at the beginning of rest, which is not empty and does not begin with a space.
func next(rest string) token {
	switch c := rest[0]; {
	case letter(c):
		return token{kind: tokenWord, text: run(rest, 0)}
	case digit(c):
		n := 1
		for n < len(rest) && digit(rest[n]) {
			n++
		}
		return token{kind: tokenNumber, text: rest[:n]}
	case c == '#' && len(run(rest, 1)) > 1:
		return token{kind: tokenName, text: run(rest, 1)}
	case c == ':' && len(run(rest, 1)) > 1:
		return token{kind: tokenValue, text: run(rest, 1)}
	case strings.HasPrefix(rest, "<>"), strings.HasPrefix(rest, "<="), strings.HasPrefix(rest, ">="):
		return token{kind: tokenSymbol, text: rest[:2]}
	case strings.IndexByte("=<>()[].,+-", c) >= 0:
		return token{kind: tokenSymbol, text: rest[:1]}
	}
	_, n := utf8.DecodeRuneInString(rest)
	return token{kind: tokenWrong, text: rest[:n]}
}

// run returns the beginning of s: its first from bytes, then letters and digits.
func run(s string, from int) string {
	n := from
	for n < len(s) && (letter(s[n]) || digit(s[n])) {
		n++
	}
	return s[:n]
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }
func digit(c byte) bool  { return c >= '0' && c <= '9' }
