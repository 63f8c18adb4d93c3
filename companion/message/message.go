// Package message holds the rules that queues and topics share: a topic's message goes to queues with its attributes as
// it is, and both kinds of names are made of the same characters. It is pure. Source: SQS Developer Guide, "Amazon SQS
// message metadata"; SNS Developer Guide, "Message attribute items and validation".
package message

import (
	"strconv"
	"strings"
)

// MaxAttributeName is the longest name of an attribute, in characters.
const MaxAttributeName = 256

// ValidAttributeName reports whether s can name a message attribute: up to MaxAttributeName letters, digits,
// underscores, hyphens and periods. Periods are neither first nor last nor beside each other, and AWS. and Amazon.,
// in any case, are AWS's own.
func ValidAttributeName(s string) bool {
	if s == "" || len(s) > MaxAttributeName || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	lower := strings.ToLower(s)
	if strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon.") {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return !isNameRune(r) && r != '.' })
}

// ValidNumber reports whether s is a decimal number, with sign, fraction and exponent as it likes; no hexadecimal,
// underscores, infinities.
func ValidNumber(s string) bool {
	if strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune("0123456789+-.eE", r) }) {
		return false
	}
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// ValidName reports whether s has 1 to most letters, digits, hyphens and underscores, as names of queues and topics.
func ValidName(s string, most int) bool {
	return s != "" && len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool { return !isNameRune(r) })
}

func isNameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}
