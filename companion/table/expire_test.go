package table

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/companion/table/expr"
	"github.com/shardmill/shardmill/storage"
)

// idle does nothing: the clock itself waits for the sweeps that it starts.
func idle(context.Context) error { return nil }

func (b *bench) advance(d time.Duration) {
	b.t.Helper()
	_, err := b.clock.Advance(b.t.Context(), d, idle)
	b.must(err)
}

func (b *bench) expiring(id string, in time.Duration) expr.Item {
	return with(key(id, 1), expr.Item{"ttl": num(int(b.clock.Now().Add(in).Unix())), "g": expr.Text("u")})
}

// Items vanish at the second in their attribute, from the table and from its indexes; others stay.
func TestItemsExpire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.put(b.expiring("before", time.Hour))
		b.must(b.SetExpiry(t.Context(), orders, "ttl", true))
		b.put(b.expiring("after", time.Hour))
		b.put(b.expiring("later", 3*time.Hour))
		b.put(with(key("text", 1), expr.Item{"ttl": expr.Text("1")}))
		b.put(b.expiring("renewed", time.Hour))
		b.put(b.expiring("renewed", 3*time.Hour))
		b.put(b.expiring("ancient", -6*365*24*time.Hour))

		b.advance(59 * time.Minute)
		if p := b.page(Range{}); p.Read != 6 {
			t.Errorf("%d items before the hour", p.Read)
		}
		b.advance(2 * time.Minute)
		if b.get(key("before", 1)) != nil || b.get(key("after", 1)) != nil {
			t.Error("items are left that should be gone")
		}
		if p := b.page(Range{Index: "byG"}); p.Read != 3 {
			t.Errorf("the index shows %d items: %v", p.Read, p.Items)
		}
		b.advance(2 * time.Hour)
		if p := b.page(Range{}); p.Read != 2 || b.local.Count(prefixDying) != 0 {
			t.Errorf("%d items, %d still to expire: %v", p.Read, b.local.Count(prefixDying), p.Items)
		}
		b.Stop()
	})
}

// A new process continues where the old one ended, before the table is used.
func TestItemsExpireAfterARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.must(b.SetExpiry(t.Context(), orders, "ttl", true))
		b.put(b.expiring("a", time.Hour))
		b.Stop()
		b = open(t, b.local.Kill())
		b.advance(time.Hour + time.Second)
		if n := b.local.Count(prefixItem); n != 0 {
			t.Errorf("%d keys are left", n)
		}
		b.Stop()
	})
}

// After UpdateTimeToLive with Enabled false nothing expires; entries of a deleted table are harmless.
func TestWhatNoLongerExpiresStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.must(b.SetExpiry(t.Context(), orders, "ttl", true))
		refused(t, b.SetExpiry(t.Context(), orders, "ttl", true), CodeValidation, "TimeToLive is already enabled")
		refused(
			t, b.SetExpiry(t.Context(), orders, "other", true), CodeValidation,
			"TimeToLive is active on a different AttributeName: current AttributeName is ttl",
		)
		b.put(b.expiring("a", time.Hour))
		b.must(b.SetExpiry(t.Context(), orders, "ttl", false))
		refused(t, b.SetExpiry(t.Context(), orders, "ttl", false), CodeValidation, "TimeToLive is already disabled")
		b.advance(2 * time.Hour)
		if b.get(key("a", 1)) == nil || b.local.Count(prefixDying) != 0 {
			t.Errorf("the item is gone, or %d entries are left", b.local.Count(prefixDying))
		}

		b.must(b.SetExpiry(t.Context(), orders, "ttl", true))
		b.put(b.expiring("b", time.Hour))
		_, err := b.Delete(t.Context(), orders)
		b.must(err)
		_, err = b.Create(t.Context(), orders, definition())
		b.must(err)
		b.put(b.expiring("b", time.Hour))
		b.advance(2 * time.Hour)
		if b.get(key("b", 1)) == nil || b.local.Count(prefixDying) != 0 {
			t.Errorf("the new table's item is gone, or %d entries are left", b.local.Count(prefixDying))
		}
		b.Stop()
	})
}

// More items than one sweep handles at once all expire.
func TestManyItemsExpireTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.must(b.SetExpiry(t.Context(), orders, "ttl", true))
		for i := range 2*sweepAtOnce + 10 {
			b.put(with(key("a", i), expr.Item{"ttl": num(int(b.clock.Now().Add(time.Minute).Unix()))}))
		}
		b.advance(time.Hour)
		if n := b.local.Count(prefixItem) + b.local.Count(prefixDying); n != 0 {
			t.Errorf("%d keys are left", n)
		}
		b.Stop()
	})
}

// Without a table that uses expiry, no timer is set.
func TestNothingIsArmedWithoutExpiry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put(b.expiring("a", time.Hour))
	if b.timer != nil {
		t.Error("a timer is set")
	}
}

// An unreadable entry is logged and tried again later; it neither keeps the process busy nor stops other items from
// expiring.
func TestDamagedEntryDoesNotSpin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.must(b.local.Apply(t.Context(), storage.Sync, storage.LocalOp{Key: dyingKey(1, 1, nil), Value: []byte{9}}))
		b.must(b.SetExpiry(t.Context(), orders, "ttl", true))
		b.put(b.expiring("a", -time.Second))
		b.Stop()
		b = open(t, b.local.Kill())
		b.advance(time.Second)
		if b.get(key("a", 1)) != nil {
			t.Error("an item behind the damaged entry is still there")
		}
		if now := b.clock.Now().Unix(); b.armed < now+30 {
			t.Errorf("the next sweep is at %d, now it is %d", b.armed, now)
		}
		b.Stop()
	})
}
