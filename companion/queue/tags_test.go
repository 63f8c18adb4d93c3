package queue

import (
	"errors"
	"maps"
	"strconv"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/tags"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/storage/storagetest"
)

func (b *bench) tags() map[string]string {
	b.t.Helper()
	got, err := b.Tags(b.t.Context(), orders)
	b.must(err)
	return got
}

// Tags are on disk when the call returns, as settings are, and a queue with the name of a deleted one has none.
func TestTagsSurviveACrashAndEndWithTheirQueue(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{Tags: map[string]string{"team": "orders"}})
	b.send("a")
	b.must(b.Tag(t.Context(), orders, map[string]string{"cost": "7", "old": ""}))
	b = open(t, b.local.Kill())
	b.must(b.Untag(t.Context(), orders, []string{"old"}))

	b = open(t, b.local.Kill())

	if got := b.tags(); !maps.Equal(got, map[string]string{"team": "orders", "cost": "7"}) {
		t.Errorf("after a crash: %v", got)
	}
	b.expect(b.receive(), "a")
	b.must(b.DeleteQueue(t.Context(), orders))
	if _, err := b.Tags(t.Context(), orders); fault.CodeOf(err) != CodeNoSuchQueue {
		t.Errorf("tags of a deleted queue: %v", err)
	}
	b.must(b.Create(t.Context(), orders, Given{}))
	if got := b.tags(); len(got) != 0 {
		t.Errorf("the new queue has tags %v", got)
	}
}

// What is returned is the caller's, and what is given stays the caller's.
func TestTagsAreCopied(t *testing.T) {
	t.Parallel()
	given := map[string]string{"team": "orders"}
	b := setup(t, Given{Tags: given})
	given["team"] = "others"
	b.tags()["team"] = "nobody"
	if got := b.tags(); got["team"] != "orders" {
		t.Errorf("tags %v", got)
	}
}

// Of changes that are made at once none undoes another, in memory or in the store.
func TestChangesOfTagsDoNotUndoEachOther(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{})
	var changes errgroup.Group
	for i := range tags.Most {
		changes.Go(func() error {
			return b.Tag(t.Context(), orders, map[string]string{strconv.Itoa(i): "7"})
		})
	}
	b.must(changes.Wait())

	shown := len(b.tags())
	b = open(t, b.local.Kill())

	if stored := len(b.tags()); shown != tags.Most || stored != tags.Most {
		t.Errorf("%d tags, %d after a crash, of %d", shown, stored, tags.Most)
	}
}

func TestTagsThatAreNotStoredAreNotShown(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{Tags: map[string]string{"team": "orders"}})

	b.local.FailWith(storage.ErrFull)
	err := b.Tag(t.Context(), orders, map[string]string{"cost": "7"})
	again := b.Tag(t.Context(), orders, map[string]string{"team": "orders"})
	b.local.FailWith(nil)

	if got := b.tags(); !errors.Is(err, storage.ErrFull) || !maps.Equal(got, map[string]string{"team": "orders"}) {
		t.Errorf("tags %v: %v", got, err)
	}
	if again != nil {
		t.Errorf("tags that are there were written again: %v", again)
	}
}

// Without space tags are refused like messages, with a queue or without, and can be removed.
func TestAFullStoreTakesNoTags(t *testing.T) {
	t.Parallel()
	full := memory.New(memory.Options{Limit: 1}).Local()
	b := open(t, storagetest.NewCrashable(func() storage.Local { return full }))
	tagged := encodeMeta(meta{id: 1, settings: Defaults(), tags: map[string]string{"team": "orders"}})
	b.must(b.local.Apply(t.Context(), storage.Sync, storage.LocalOp{Key: metaKey(orders), Value: tagged}))

	more := map[string]string{"cost": "7"}
	tagErr := b.Tag(t.Context(), orders, more)
	createErr := b.Create(t.Context(), Name{orders.Account, orders.Region, "other"}, Given{Tags: more})
	untagErr := b.Untag(t.Context(), orders, []string{"team"})

	for _, err := range []error{tagErr, createErr} {
		if !errors.Is(err, storage.ErrFull) {
			t.Errorf("got %v, want no space", err)
		}
	}
	if got := b.tags(); untagErr != nil || len(got) != 0 {
		t.Errorf("tags %v: %v", got, untagErr)
	}
}

func TestStoppedQueuesHaveNoTags(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{})
	b.Stop()
	_, listErr := b.Tags(t.Context(), orders)
	for _, err := range []error{listErr, b.Tag(t.Context(), orders, nil), b.Untag(t.Context(), orders, nil)} {
		if !errors.Is(err, ErrStopped) {
			t.Errorf("got %v", err)
		}
	}
}
