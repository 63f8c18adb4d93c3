package stream

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// consumerRecord is the stored form of a consumer; stream and name are in its key.
type consumerRecord struct {
	Version int               `json:"v"`
	Created record.Millis     `json:"created"`
	Due     record.Millis     `json:"due,omitempty"`     // when its creation or deletion ends, see Pace
	Leaving bool              `json:"leaving,omitempty"` // it is being deleted, or gone
	Tags    map[string]string `json:"tags,omitempty"`
	Policy  string            `json:"policy,omitempty"`
}

func consumersPrefix(stream uint32) string { return fmt.Sprintf("%s%010d/", prefixConsumer, stream) }

func consumerKey(stream uint32, name string) string { return consumersPrefix(stream) + name }

func encodeConsumer(c *consumer) []byte {
	return encode(consumerRecord{
		Version: metaVersion, Created: c.created, Due: c.due, Leaving: c.leaving, Tags: c.tags, Policy: c.policy,
	})
}

func decodeConsumer(e storage.Entry) (stream uint32, c *consumer, err error) {
	id, name, ok := strings.Cut(strings.TrimPrefix(e.Key, prefixConsumer), "/")
	n, err := strconv.ParseUint(id, 10, 32)
	if !ok || err != nil || name == "" {
		return 0, nil, fmt.Errorf("read %s: it names no consumer: %w", e.Key, storage.ErrCorrupt)
	}
	var r consumerRecord
	if err := decode(e, &r); err != nil {
		return 0, nil, err
	}
	return uint32(n), &consumer{
		name: name, created: r.Created, due: r.Due, leaving: r.Leaving, tags: r.Tags, policy: r.Policy,
	}, nil
}

// listConsumers reads the stored consumers whose key has a prefix, by the number of their stream and then by name.
func (s *Streams) listConsumers(ctx context.Context, prefix string) (map[uint32][]*consumer, error) {
	entries, err := s.coord.List(ctx, prefix, "", 0)
	if err != nil {
		return nil, err
	}
	all := map[uint32][]*consumer{}
	for _, e := range entries {
		id, c, err := decodeConsumer(e)
		if err != nil {
			return nil, err
		}
		all[id] = append(all[id], c)
	}
	return all, nil
}

// consumerOps are the changes that make the stored consumers of sn those of all. What they replace is known from the
// record of the stream, which is committed with them.
func consumerOps(sn *snapshot, all []*consumer) (ops []storage.Op) {
	for _, c := range sn.consumers {
		if !slices.ContainsFunc(all, func(o *consumer) bool { return o.name == c.name }) {
			ops = append(ops, storage.Op{Key: consumerKey(sn.info.ID, c.name), Expect: storage.Any})
		}
	}
	for _, c := range all {
		if !slices.Contains(sn.consumers, c) {
			ops = append(ops, storage.Op{
				Key: consumerKey(sn.info.ID, c.name), Value: encodeConsumer(c), Expect: storage.Any,
			})
		}
	}
	return ops
}

// ConsumerTags returns the tags of a consumer, which the caller may change. Fault: ResourceNotFoundException.
func (s *Streams) ConsumerTags(ctx context.Context, id ConsumerID) (map[string]string, error) {
	_, c, err := s.findConsumer(ctx, id)
	if err != nil {
		return nil, err
	}
	return cloneTags(c.tags), nil
}

// cloneTags returns a copy that is never nil.
func cloneTags(tags map[string]string) map[string]string {
	if tags == nil {
		return map[string]string{}
	}
	return maps.Clone(tags)
}

// SetConsumerTags changes the tags of a consumer, and returns when that is durable. edit gets a copy of them, changes
// it, and may refuse; it may be called more than once. Which characters and how many tags are allowed is for edit to
// judge. Faults: ResourceNotFoundException, ResourceInUseException unless ACTIVE.
func (s *Streams) SetConsumerTags(
	ctx context.Context, id ConsumerID, edit func(tags map[string]string) error,
) error {
	return s.changeActive(ctx, id, func(c *consumer) error {
		tags := cloneTags(c.tags)
		if err := edit(tags); err != nil {
			return err
		}
		if maps.Equal(tags, c.tags) {
			return errUnchanged
		}
		c.tags = tags
		return nil
	})
}

// ConsumerPolicy returns the resource policy of a consumer; "": it has none. Fault: ResourceNotFoundException.
func (s *Streams) ConsumerPolicy(ctx context.Context, id ConsumerID) (string, error) {
	_, c, err := s.findConsumer(ctx, id)
	if err != nil {
		return "", err
	}
	return c.policy, nil
}

// SetConsumerPolicy replaces the resource policy of a consumer by what edit returns for the present one, and returns
// when that is durable; "" means none. edit may refuse, and may be called more than once. Faults:
// ResourceNotFoundException, ResourceInUseException unless ACTIVE.
func (s *Streams) SetConsumerPolicy(
	ctx context.Context, id ConsumerID, edit func(now string) (policy string, err error),
) error {
	return s.changeActive(ctx, id, func(c *consumer) error {
		policy, err := edit(c.policy)
		if err != nil {
			return err
		}
		if policy == c.policy {
			return errUnchanged
		}
		c.policy = policy
		return nil
	})
}

// changeActive is changeConsumer for a consumer that must be ACTIVE.
func (s *Streams) changeActive(ctx context.Context, id ConsumerID, edit func(c *consumer) error) error {
	return s.changeConsumer(ctx, id, func(c *consumer) error {
		if status := c.status(Active, s.now()); status != Active {
			return consumerNotActive(&Consumer{ID: ConsumerID{id.Stream, c.name, c.seconds()}})
		}
		return edit(c)
	})
}
