// Package pattern implements the filter patterns of CloudWatch Logs: terms for lines of text, expressions for JSON.
//
// A text goes in, a Pattern comes out, and a Pattern says whether a message matches. Nothing here does I/O, and every
// text is either understood or refused with the reason. Space-delimited patterns ([a, b, ...]) and regular expressions
// (%...%) are refused. Source: CloudWatch Logs User Guide, "Filter pattern syntax".
package pattern

import (
	"fmt"
	"strings"
)

// MaxLength is the longest pattern in code points, as AWS has it.
const MaxLength = 1024

// Pattern is a parsed filter pattern. The zero value matches everything. Safe for concurrent use.
type Pattern struct {
	required, excluded, optional []string // terms of text
	json                         expression
}

// SyntaxError says why a text is not a pattern.
type SyntaxError struct{ Reason string }

func (e *SyntaxError) Error() string { return e.Reason }

func wrong(format string, args ...any) error { return &SyntaxError{fmt.Sprintf(format, args...)} }

// Parse reads a pattern. An empty one matches every message. The error is a *SyntaxError.
func Parse(text string) (Pattern, error) {
	if len([]rune(text)) > MaxLength {
		return Pattern{}, wrong("the pattern is longer than %d characters", MaxLength)
	}
	text = strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(text, "{"):
		e, err := parseJSON(text)
		return Pattern{json: e}, err
	case strings.HasPrefix(text, "["):
		return Pattern{}, wrong("space-delimited patterns, [a, b, ...], are not supported by shardmill")
	case strings.HasPrefix(text, "%"):
		return Pattern{}, wrong("regular expressions, %%...%%, are not supported by shardmill")
	}
	return parseTerms(text)
}

// parseTerms reads terms and quoted phrases, each with an optional ? or - before it.
func parseTerms(text string) (p Pattern, err error) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		list := &p.required
		switch text[0] {
		case '?':
			list, text = &p.optional, text[1:]
		case '-':
			list, text = &p.excluded, text[1:]
		}
		var term string
		if strings.HasPrefix(text, `"`) {
			if term, text, err = quoted(text); err != nil {
				return Pattern{}, err
			}
		} else {
			end := strings.IndexAny(text, " \t\r\n")
			if end < 0 {
				end = len(text)
			}
			term, text = text[:end], text[end:]
			if strings.HasPrefix(term, "%") {
				return Pattern{}, wrong("regular expressions, %%...%%, are not supported by shardmill")
			}
		}
		if term == "" {
			return Pattern{}, wrong("a term is empty")
		}
		*list = append(*list, term)
	}
	return p, nil
}

// quoted splits a quoted text off the front; \" and \\ stand for " and \.
func quoted(text string) (value, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), text[i+1:], nil
		case c == '\\' && i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\'):
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", wrong("a quotation mark is not closed")
}

// Match reports whether a message matches. Terms match anywhere in the message, case-sensitively; a JSON expression
// matches only messages that are one JSON object. Optional terms count only if there is no required one, as on AWS.
func (p Pattern) Match(message string) bool {
	if p.json != nil {
		return matchJSON(p.json, message)
	}
	for _, t := range p.required {
		if !strings.Contains(message, t) {
			return false
		}
	}
	for _, t := range p.excluded {
		if strings.Contains(message, t) {
			return false
		}
	}
	if len(p.optional) == 0 || len(p.required) > 0 {
		return true
	}
	for _, t := range p.optional {
		if strings.Contains(message, t) {
			return true
		}
	}
	return false
}
