// Package tags holds what tags of Lambda's resources have in common: what their model allows and how many a resource
// may have. Source: Lambda API Reference, TagResource.
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

const (
	longestKey   = 128 // code points
	longestValue = 256
	pattern      = `([\p{L}\p{Z}\p{N}_.:/=+\-@]*)`
)

// Check records violations of the model: the length of keys and values, and their characters.
func Check(v *fault.Violations, tags map[string]string) {
	keyLength, keyForm, valueLength, valueForm := false, false, false, false
	for key, value := range tags {
		n := utf8.RuneCountInString(key)
		keyLength = keyLength || n < 1 || n > longestKey
		valueLength = valueLength || utf8.RuneCountInString(value) > longestValue
		keyForm = keyForm || strings.ContainsFunc(key, foreign)
		valueForm = valueForm || strings.ContainsFunc(value, foreign)
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
		if n := utf8.RuneCountInString(key); n < 1 || n > longestKey {
			v.Add("tagKeys", fault.Clip("["+strings.Join(keys, ", ")+"]", 200),
				"Member must satisfy constraint: [Member must have length less than or equal to 128, "+
					"Member must have length greater than or equal to 1]")
			return
		}
	}
}

// foreign reports whether r is outside the model's pattern.
func foreign(r rune) bool {
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

// Change returns old with more added or replaced and without the keys of gone; old stays as it is. nil is a resource
// without tags. Fault: InvalidParameterValueException when there would be more than Most.
func Change(old, more map[string]string, gone []string) (map[string]string, error) {
	out := make(map[string]string, len(old)+len(more))
	maps.Copy(out, old)
	maps.Copy(out, more)
	for _, key := range gone {
		delete(out, key)
	}
	if len(out) > Most {
		return nil, fault.New(fault.CodeInvalidParameter, "Number of tags exceeds resource tag limit.")
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}
