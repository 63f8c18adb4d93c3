package mapping

import (
	"context"
	"errors"
	"fmt"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/tags"
	"github.com/shardmill/shardmill/storage"
)

// Tags returns the tags of a mapping of the caller, nil without any. They are not to be changed. Fault:
// ResourceNotFoundException in the words of the tag operations.
func (m *Mappings) Tags(ctx context.Context, c Caller, uuid string) (map[string]string, error) {
	mp, _, err := m.find(ctx, c, uuid)
	if err != nil {
		return nil, taggable(c, uuid, err)
	}
	return mp.Tags, nil
}

// ChangeTags adds or replaces the tags of more and removes those of gone, whether they exist or not. It is possible in
// every state and changes neither State nor LastModified. Faults: ResourceNotFoundException;
// InvalidParameterValueException beyond 50 tags.
func (m *Mappings) ChangeTags(
	ctx context.Context, c Caller, uuid string, more map[string]string, gone []string,
) error {
	for race := (storage.Race{}); ; {
		old, rev, err := m.find(ctx, c, uuid)
		if err != nil {
			return taggable(c, uuid, err)
		}
		mp := *old
		if mp.Tags, err = tags.Change(old.Tags, more, gone); err != nil {
			return err
		}
		err = m.store.replace(ctx, rev, old, &mp)
		if !errors.Is(err, storage.ErrConflict) {
			return err
		}
		if err := race.Lost(rev, err); err != nil {
			return fmt.Errorf("tag mapping %s: %w", uuid, err)
		}
	}
}

// taggable says in the words of the tag operations that a mapping does not exist.
func taggable(c Caller, uuid string, err error) error {
	if fault.CodeOf(err) != fault.CodeNotFound {
		return err
	}
	return fault.New(
		fault.CodeNotFound, "Event source mapping not found: %s",
		arn.New("lambda", c.Region, c.Account, "event-source-mapping:"+uuid),
	)
}
