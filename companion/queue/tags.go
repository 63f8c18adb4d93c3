package queue

import (
	"context"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/tags"
	"github.com/shardmill/shardmill/storage"
)

// Tag adds tags to a queue, or changes their values, and returns when that is durable. Faults: QueueDoesNotExist;
// InvalidParameterValueException.
func (qs *Queues) Tag(ctx context.Context, name Name, more map[string]string) error {
	return qs.retag(ctx, name, func(have map[string]string) (map[string]string, error) {
		if err := checkTags(more); err != nil {
			return nil, err
		}
		return merge(name, have, more)
	})
}

// Untag removes tags of a queue, and returns when that is durable; those that are not there do not matter. Faults:
// QueueDoesNotExist; InvalidParameterValueException.
func (qs *Queues) Untag(ctx context.Context, name Name, keys []string) error {
	return qs.retag(ctx, name, func(have map[string]string) (map[string]string, error) {
		for _, key := range keys {
			if err := checkKey(key); err != nil {
				return nil, err
			}
		}
		return tags.Merge(have, nil, keys), nil
	})
}

// Tags returns the tags of a queue; the caller owns the map. Faults: QueueDoesNotExist.
func (qs *Queues) Tags(_ context.Context, name Name) (map[string]string, error) {
	_, leave, err := qs.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	if !validName(name) {
		return nil, noSuchQueue()
	}
	q, err := qs.find(name)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return maps.Clone(q.meta.tags), nil
}

// retag stores other tags of a queue.
func (qs *Queues) retag(
	ctx context.Context, name Name, change func(have map[string]string) (map[string]string, error),
) error {
	q, release, err := qs.own(ctx, name)
	if err != nil {
		return err
	}
	defer release()
	m := q.meta
	if m.tags, err = change(m.tags); err != nil || maps.Equal(m.tags, q.meta.tags) {
		return err
	}
	op := storage.LocalOp{Key: metaKey(name), Value: encodeMeta(m), Refusable: len(m.tags) > len(q.meta.tags)}
	if err := qs.local.Apply(context.WithoutCancel(ctx), storage.Sync, op); err != nil {
		return storageFault("tag queue "+name.ARN(), err)
	}
	q.mu.Lock()
	q.meta.tags = m.tags
	q.mu.Unlock()
	return nil
}

// merge returns the tags of a queue with others added or changed, within the quota.
func merge(name Name, have, more map[string]string) (map[string]string, error) {
	all := tags.Merge(have, more, nil)
	if len(all) > tags.Most {
		return nil, invalid(textTooManyTags, name.Name)
	}
	return all, nil
}

// checkTags refuses what SQS does not allow in tags. Source: SQS Developer Guide, "Quotas related to queues".
func checkTags(given map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(given)) {
		value := given[key]
		if err := checkKey(key); err != nil {
			return err
		}
		switch {
		case utf8.RuneCountInString(value) > tags.LongestValue:
			return invalid(textTagValueLength)
		case strings.ContainsFunc(value, tags.Foreign):
			return invalid(textTagValueCharacters)
		}
		for _, s := range []string{key, value} {
			if reserved(s) {
				return invalid(textReservedTag, fault.Clip(s, 100))
			}
		}
	}
	return nil
}

func checkKey(key string) error {
	switch n := utf8.RuneCountInString(key); {
	case n < 1 || n > tags.LongestKey:
		return invalid(textTagKeyLength)
	case strings.ContainsFunc(key, tags.Foreign):
		return invalid(textTagKeyCharacters)
	}
	return nil
}

// reserved reports whether a key or value begins as AWS's own do, in whatever case.
func reserved(s string) bool {
	lead, _, ok := strings.Cut(s, ":")
	return ok && strings.EqualFold(lead, "aws")
}
