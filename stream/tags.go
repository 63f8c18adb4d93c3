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
	return s.changeTags(ctx, st, func(all map[string]string) error { return addTags(name, all, tags) })
}

// RemoveTags removes tags from a stream, and returns when that is durable. Keys that it does not have may be named.
// Faults: ResourceNotFoundException, then InvalidArgumentException for characters that AWS refuses,
// ResourceInUseException unless ACTIVE or UPDATING. Source: Kinesis API Reference, RemoveTagsFromStream.
func (s *Streams) RemoveTags(ctx context.Context, name Name, keys []string) error {
	st, err := s.settled(ctx, name)
	if err != nil {
		return err
	}
	if err := checkTagKeys(name, keys); err != nil {
		return err
	}
	return s.changeTags(ctx, st, func(all map[string]string) error { removeTags(all, keys); return nil })
}

// AddConsumerTags is AddTags for a consumer, which must be ACTIVE.
func (s *Streams) AddConsumerTags(ctx context.Context, id ConsumerID, tags map[string]string) error {
	if _, err := s.Consumer(ctx, id); err != nil {
		return err
	}
	if err := checkTags(id.Stream, tags); err != nil {
		return err
	}
	return s.SetConsumerTags(ctx, id, func(all map[string]string) error { return addTags(id.Stream, all, tags) })
}

// RemoveConsumerTags is RemoveTags for a consumer, which must be ACTIVE.
func (s *Streams) RemoveConsumerTags(ctx context.Context, id ConsumerID, keys []string) error {
	if _, err := s.Consumer(ctx, id); err != nil {
		return err
	}
	if err := checkTagKeys(id.Stream, keys); err != nil {
		return err
	}
	return s.SetConsumerTags(ctx, id, func(all map[string]string) error { removeTags(all, keys); return nil })
}

func addTags(name Name, all, tags map[string]string) error {
	maps.Copy(all, tags)
	if len(all) > tagQuota {
		return tooManyTags(name)
	}
	return nil
}

func removeTags(all map[string]string, keys []string) {
	for _, k := range keys {
		delete(all, k)
	}
}

// changeTags changes the tags of a stream: edit gets a copy of them, changes it, and may refuse.
func (s *Streams) changeTags(ctx context.Context, st *stream, edit func(all map[string]string) error) error {
	name := st.name
	if status := st.snap.Load().info.Status; status != Active && status != Updating {
		return notActive(name, status)
	}
	return s.update(ctx, st, func(r *streamRecord) ([]storage.Op, error) {
		all := cloneTags(r.Tags)
		if err := edit(all); err != nil {
			return nil, err
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
	tags, more = listTags(st.snap.Load().tags, after, limit)
	return tags, more, nil
}

// TagsOfConsumer returns all tags of a consumer, by code point. Fault: ResourceNotFoundException.
func (s *Streams) TagsOfConsumer(ctx context.Context, id ConsumerID) ([]Tag, error) {
	all, err := s.ConsumerTags(ctx, id)
	tags, _ := listTags(all, "", tagQuota)
	return tags, err
}

func listTags(all map[string]string, after string, limit int) (tags []Tag, more bool) {
	for _, k := range slices.Sorted(maps.Keys(all)) { // UTF-8 in byte order is code point order
		if k <= after && after != "" {
			continue
		}
		if len(tags) == limit {
			return tags, true
		}
		tags = append(tags, Tag{k, all[k]})
	}
	return tags, false
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
	texts := make([]string, 0, 2*len(tags))
	for k, v := range tags {
		texts = append(texts, k, v)
	}
	if err := checkTagTexts(name, "add tags to", texts); err != nil {
		return err
	}
	for k := range tags {
		if strings.HasPrefix(k, "aws:") {
			return fault.New(codeInvalid, "Tag keys that begin with aws: are reserved; %s was given.", clip(k))
		}
	}
	return nil
}

func checkTagKeys(name Name, keys []string) error {
	return checkTagTexts(name, "remove tags from", keys)
}

// checkTagTexts refuses characters in keys and values; doing goes before "stream" in one of the texts.
func checkTagTexts(name Name, doing string, texts []string) error {
	percent := false
	for _, text := range texts {
		if strings.ContainsFunc(text, badTagRune) {
			return fault.New(
				codeInvalid,
				"Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - %% @.",
			)
		}
		percent = percent || strings.Contains(text, "%")
	}
	if percent {
		return fault.New(codeInvalid,
			"Failed to %s stream %s under account %s because some tags contained illegal characters. "+
				"The allowed characters are Unicode letters, white-spaces, '_',',','/','=','+','-','@'.", doing, name.Name,
			name.Account)
	}
	return nil
}

// badTagRune reports whether r is neither a letter, number or separator of Unicode nor one of AWS's signs. Tabs and
// line breaks are control characters.
func badTagRune(r rune) bool {
	return !unicode.In(r, unicode.L, unicode.N, unicode.Z) && !strings.ContainsRune("_./=+-@%:", r)
}
