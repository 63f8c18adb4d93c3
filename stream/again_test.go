package stream

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// again tests a room, in a bubble, in whose store the calls given to arm fail from then on, once each and in that
// order.
func again(t *testing.T, test func(b *bench, arm func(calls ...string))) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.s.Stop()
		h := &hooked{Store: b.store}
		b.s = New(Options{Store: h, Clock: b.clock})
		b.must(b.s.Start(b.ctx))
		test(b, func(calls ...string) {
			h.fail = func(call string) error {
				h.mu.Lock()
				defer h.mu.Unlock()
				if len(calls) == 0 || calls[0] != call {
					return nil
				}
				calls = calls[1:]
				return errDied
			}
		})
		b.s.Stop()
	})
}

// A deletion that the store has interrupted goes on by itself; the stream stays neither used nor taken.
func TestAFailedDeletionIsTriedAgain(t *testing.T) {
	again(t, func(b *bench, arm func(calls ...string)) {
		b.create(orders, 1)
		arm("delete")
		if err := b.s.Delete(b.ctx, orders); !errors.Is(err, errDied) {
			b.Fatal(err)
		}
		b.status(Deleting)
		b.pass(2 * time.Second)
		_, err := b.s.Lookup(b.ctx, orders)
		wantCode(b.T, err, "ResourceNotFoundException")
		b.create(orders, 1)
	})
}

// A creation that the store has interrupted is undone, also if that fails at first. One whose undoing cannot even begin
// is completed, as the next start of the server would: a name is never taken by a stream that cannot be used.
func TestACreationThatCannotBeUndone(t *testing.T) {
	for name, c := range map[string]struct {
		failing []string
		want    Status
	}{
		"undone at once": {[]string{"create"}, ""},
		"undone later":   {[]string{"create", "delete"}, ""},
		"completed":      {[]string{"create", "commit"}, Active},
	} {
		t.Run(name, func(t *testing.T) {
			again(t, func(b *bench, arm func(calls ...string)) {
				b.create(Name{orders.Account, orders.Region, "other"}, 1)
				arm(c.failing...)
				if err := b.s.Create(b.ctx, orders, CreateInput{Shards: 1}); !errors.Is(err, errDied) {
					b.Fatal(err)
				}
				b.pass(5 * time.Second)
				info, err := b.s.Lookup(b.ctx, orders)
				switch {
				case c.want == "" && fault.CodeOf(err) != codeNotFound:
					b.Errorf("%+v, %v", info, err)
				case c.want != "" && (err != nil || info.Status != c.want):
					b.Errorf("%+v, %v", info, err)
				case c.want == "":
					b.create(orders, 1)
				}
				b.put(orders, "k")
			})
		})
	}
}

// A transition that is visible goes on when the room is started again after a stop.
func TestAVisibleTransitionGoesOnAfterAStop(t *testing.T) {
	paced(t, func(b *bench) {
		b.must(b.s.Create(b.ctx, orders, CreateInput{Shards: 1}))
		b.s.Stop()
		b.advance(time.Second)
		b.must(b.s.Start(b.ctx))
		b.status(Creating)
		b.pass(4 * time.Second)
		b.status(Active)
	})
}

// What could not be trimmed is trimmed a minute later, not when the next record expires.
func TestAFailedSweepIsTriedAgain(t *testing.T) {
	again(t, func(b *bench, arm func(calls ...string)) {
		info := b.create(orders, 1)
		b.put(orders, "old")
		b.pass(DefaultRetention - time.Minute)
		b.put(orders, "new")
		arm("trim")
		b.pass(2 * time.Minute)
		oldest, next, _, err := b.store.Log().Bounds(b.ctx, storage.Shard{Stream: info.ID})
		b.must(err)
		b.pass(2 * time.Minute)
		after, _, _, err := b.store.Log().Bounds(b.ctx, storage.Shard{Stream: info.ID})
		if err != nil || oldest == after || after != next-1 {
			b.Errorf("the log begins at %d, then at %d of %d; %v", oldest, after, next, err)
		}
	})
}
