package identity

import (
	"slices"
	"strings"

	"github.com/shardmill/shardmill/fault"
)

// MaxTags is how many tags a role or policy may have.
const MaxTags = 50

// MergeTags returns tags with more added, in the order of their keys. A key that differs only in case is the same key,
// and is replaced.
func MergeTags(tags, more []Tag) []Tag {
	out := slices.Clone(tags)
	for _, t := range more {
		out = slices.DeleteFunc(out, func(o Tag) bool { return strings.EqualFold(o.Key, t.Key) })
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// addTags adds tags to existing ones, within the quota.
func addTags(tags *[]Tag, more []Tag) error {
	merged := MergeTags(*tags, more)
	if len(merged) > MaxTags {
		return fault.New(CodeLimit, "The number of tags has reached the maximum limit.")
	}
	*tags = merged
	return nil
}

func removeTags(tags *[]Tag, keys []string) {
	*tags = slices.DeleteFunc(slices.Clone(*tags), func(t Tag) bool {
		return slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, t.Key) })
	})
}
