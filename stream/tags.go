package stream

import (
	"context"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// tagQuota is how many tags a stream can have.
const tagQuota = 50

// A Tag is one entry of a stream's tag set.
type Tag struct{ Key, Value string }

// AddTags adds tags to a stream, overwriting existing ones, and returns when that is durable. Faults:
// ResourceNotFoundException, then InvalidArgumentException for characters that AWS refuses and for more than 50 tags in
// total. Source: Kinesis API Reference, AddTagsToStream.
func (s *Streams) AddTags(ctx context.Context, name Name, tags map[string]string) error {
	st, err := s.settled(ctx, name)
	if err != nil {
		return err
	}
	if err := checkTags(name, tags); err != nil {
		return err
	}
	if status := st.snap.Load().info.Status; status != Active && status != Updating {
		return notActive(name, status)
	}
	return s.update(ctx, st, func(r *streamRecord) ([]storage.Op, error) {
		all := maps.Clone(r.Tags)
		if all == nil {
			all = map[string]string{}
		}
		maps.Copy(all, tags)
		if len(all) > tagQuota {
			return nil, tooManyTags(name)
		}
		r.Tags = all
		return nil, nil
	}, func(r streamRecord, revision storage.Revision) *snapshot {
		return st.snap.Load().withTags(r.Tags, revision)
	})
}

// Tags returns up to limit tags whose key sorts behind after, by code point, and whether more follow. Fault:
// ResourceNotFoundException. Source: Kinesis API Reference, ListTagsForStream.
func (s *Streams) Tags(ctx context.Context, name Name, after string, limit int) (tags []Tag, more bool, err error) {
	st, err := s.find(ctx, name)
	if err != nil {
		return nil, false, err
	}
	all := st.snap.Load().tags
	for _, k := range slices.Sorted(maps.Keys(all)) { // UTF-8 in byte order is code point order
		if k <= after && after != "" {
			continue
		}
		if len(tags) == limit {
			return tags, true, nil
		}
		tags = append(tags, Tag{k, all[k]})
	}
	return tags, false, nil
}

// tooManyTags returns AWS's text, which says 10 although the limit is 50.
func tooManyTags(name Name) error {
	return fault.New(
		codeInvalid,
		"Failed to add tags to stream %s under account %s because a given stream cannot have more than 10 tags associated with it.",
		name.Name, name.Account,
	)
}

// checkTags refuses the characters that AWS refuses, in AWS's two texts: one for characters outside its list, one for a
// percent sign, which is on the list and is refused all the same.
func checkTags(name Name, tags map[string]string) error {
	percent := false
	for k, v := range tags {
		if strings.ContainsFunc(k+v, badTagRune) {
			return fault.New(
				codeInvalid,
				"Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - %% @.",
			)
		}
		percent = percent || strings.Contains(k+v, "%")
	}
	if percent {
		return fault.New(codeInvalid,
			"Failed to add tags to stream %s under account %s because some tags contained illegal characters. "+
				"The allowed characters are Unicode letters, white-spaces, '_',',','/','=','+','-','@'.", name.Name,
			name.Account)
	}
	for k := range tags {
		if strings.HasPrefix(k, "aws:") {
			return fault.New(codeInvalid, "Tag keys that begin with aws: are reserved; %s was given.", clip(k))
		}
	}
	return nil
}

// badTagRune reports whether r is neither a letter, number or separator of Unicode nor one of AWS's signs. Tabs and
// line breaks are control characters.
func badTagRune(r rune) bool {
	return !unicode.In(r, unicode.L, unicode.N, unicode.Z) && !strings.ContainsRune("_./=+-@%:", r)
}
