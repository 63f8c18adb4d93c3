// Package tags holds what tags of resources have in common: how many a resource may have, how long they are and which
// characters they have; and what the model of Lambda's resources says about them. Source: Lambda API Reference,
// TagResource.
package tags

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/shardmill/shardmill/fault"
)

// Most is how many tags a resource may have.
const Most = 50

// How long keys and values may be, in code points. A key has at least one.
const (
	LongestKey   = 128
	LongestValue = 256
)

const pattern = `([\p{L}\p{Z}\p{N}_.:/=+\-@]*)`

// Check records violations of the model: the length of keys and values, and their characters.
func Check(v *fault.Violations, tags map[string]string) {
	keyLength, keyForm, valueLength, valueForm := false, false, false, false
	for key, value := range tags {
		n := utf8.RuneCountInString(key)
		keyLength = keyLength || n < 1 || n > LongestKey
		valueLength = valueLength || utf8.RuneCountInString(value) > LongestValue
		keyForm = keyForm || strings.ContainsFunc(key, Foreign)
		valueForm = valueForm || strings.ContainsFunc(value, Foreign)
	}
	for _, rule := range []struct {
		broken     bool
		constraint string
	}{
		{keyLength, "Map keys must satisfy constraint: [Member must have length less than or equal to 128, " +
			"Member must have length greater than or equal to 1]"},
		{keyForm, "Map keys must satisfy constraint: [Member must satisfy regular expression pattern: " + pattern + "]"},
		{valueLength, "Map value must satisfy constraint: [Member must have length less than or equal to 256, " +
			"Member must have length greater than or equal to 0]"},
		{valueForm, "Map value must satisfy constraint: [Member must satisfy regular expression pattern: " + pattern +
			"]"},
	} {
		if rule.broken {
			v.Add("tags", text(tags), rule.constraint)
		}
	}
}

// CheckKeys records violations of the model by the keys of an UntagResource.
func CheckKeys(v *fault.Violations, keys []string) {
	for _, key := range keys {
		if n := utf8.RuneCountInString(key); n < 1 || n > LongestKey {
			v.Add("tagKeys", fault.Clip("["+strings.Join(keys, ", ")+"]", 200),
				"Member must satisfy constraint: [Member must have length less than or equal to 128, "+
					"Member must have length greater than or equal to 1]")
			return
		}
	}
}

// Foreign reports whether r is neither a letter, a number or a separator of Unicode nor one of the signs that keys and
// values may have.
func Foreign(r rune) bool {
	return !unicode.In(r, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", r)
}

// text renders tags as AWS's messages do, clipped.
func text(tags map[string]string) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(key + "=" + tags[key])
	}
	return fault.Clip("{"+b.String()+"}", 200)
}

// Merge returns old with more added or replaced and without the keys of gone; old stays as it is. nil is a resource
// without tags.
func Merge(old, more map[string]string, gone []string) map[string]string {
	out := make(map[string]string, len(old)+len(more))
	maps.Copy(out, old)
	maps.Copy(out, more)
	for _, key := range gone {
		delete(out, key)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// Change is Merge within Lambda's quota. Fault: InvalidParameterValueException when there would be more than Most.
func Change(old, more map[string]string, gone []string) (map[string]string, error) {
	out := Merge(old, more, gone)
	if len(out) > Most {
		return nil, fault.New(fault.CodeInvalidParameter, "Number of tags exceeds resource tag limit.")
	}
	return out, nil
}
