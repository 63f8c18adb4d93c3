package function

import (
	"context"

	"github.com/shardmill/shardmill/internal/tags"
)

// ChangeTags adds or replaces the tags of more and removes those of gone, whether they exist or not. Each call gives
// the function a new revision id, and is possible during a transition. Faults: ResourceNotFoundException;
// InvalidParameterValueException beyond 50 tags. Source: Lambda API Reference, TagResource and UntagResource.
func (f *Functions) ChangeTags(ctx context.Context, ref Ref, more map[string]string, gone []string) error {
	f.change.Lock()
	defer f.change.Unlock()
	e := f.entry(ref)
	if e == nil {
		return NotFound(ref, "")
	}
	next := e.conf.clone()
	var err error
	if next.Tags, err = tags.Change(e.conf.Tags, more, gone); err != nil {
		return err
	}
	f.touch(next)
	e.conf = next
	if err := f.save(ctx, e); err != nil {
		return conflict(ref, err)
	}
	f.replace(ref, e)
	return nil
}
