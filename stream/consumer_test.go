package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/storage"
)

func (b *bench) register(name string) Consumer {
	b.Helper()
	c, err := b.s.RegisterConsumer(b.ctx, orders, name, nil)
	b.must(err)
	return c
}

// consumerIs checks the status of a consumer; "": there is none.
func (b *bench) consumerIs(id ConsumerID, want Status) {
	b.Helper()
	c, err := b.s.Consumer(b.ctx, id)
	if want == "" {
		wantCode(b.T, err, "ResourceNotFoundException")
		return
	}
	b.must(err)
	if c.Status != want {
		b.Errorf("%s is %s, want %s", id.Name, c.Status, want)
	}
}

// Consumers, their tags and their policies are there again after a restart, and change no other setting of the stream.
func TestConsumersOutliveARestart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(orders, 1)
	b.must(b.s.AddTags(b.ctx, orders, map[string]string{"of": "the stream"}))
	c, err := b.s.RegisterConsumer(b.ctx, orders, "c", map[string]string{"team": "a"})
	b.must(err)
	gone := b.register("gone")
	b.must(b.s.SetConsumerTags(b.ctx, c.ID, func(tags map[string]string) error { tags["x"] = "y"; return nil }))
	b.must(b.s.SetConsumerPolicy(b.ctx, c.ID, func(string) (string, error) { return `{"a":"b"}`, nil }))
	b.must(b.s.DeregisterConsumer(b.ctx, gone.ID))

	b.reopen()

	b.consumerIs(c.ID, Active)
	b.consumerIs(gone.ID, "")
	if again := b.register("gone"); again.ID == gone.ID {
		t.Errorf("a consumer registered again within the second is %v, as before", again.ID)
	}
	tags, err := b.s.ConsumerTags(b.ctx, c.ID)
	b.must(err)
	if want := map[string]string{"team": "a", "x": "y"}; !maps.Equal(tags, want) {
		t.Errorf("its tags are %v, want %v", tags, want)
	}
	if policy, err := b.s.ConsumerPolicy(b.ctx, c.ID); err != nil || policy != `{"a":"b"}` {
		t.Errorf("its policy is %s, %v", policy, err)
	}
	if tags, _, err := b.s.Tags(b.ctx, orders, "", 50); err != nil || len(tags) != 1 { // O-37
		t.Errorf("the tags of the stream are %v, %v", tags, err)
	}
	b.split(orders, 0)
	b.consumerIs(c.ID, Active)
	b.must(b.s.DeleteWithConsumers(b.ctx, orders))
	entries, err := b.store.Coord().List(b.ctx, prefixConsumer, "", 0)
	b.must(err)
	if len(entries) > 0 {
		t.Errorf("%v is left of the consumers of a stream that is gone", entries)
	}
}

// What another process registers, changes and deregisters is seen, and counts against name and quota at once.
func TestConsumersOfAnotherProcessAreSeen(t *testing.T) {
	t.Parallel()
	two(t, func(t *testing.T, a, b *bench) {
		a.create(orders, 1)
		synctest.Wait()
		c := a.register("c")
		_, err := b.s.RegisterConsumer(b.ctx, orders, "c", nil)
		wantCode(t, err, "ResourceInUseException")
		b.must(b.s.SetConsumerTags(b.ctx, c.ID, func(tags map[string]string) error { tags["x"] = "y"; return nil }))
		for i := range ConsumerQuota - 1 {
			[]*bench{a, b}[i%2].register(fmt.Sprint("c", i))
		}
		_, err = b.s.RegisterConsumer(b.ctx, orders, "more", nil)
		wantCode(t, err, "LimitExceededException")
		wantCode(t, b.s.Delete(b.ctx, orders), "ResourceInUseException") // O-09

		synctest.Wait()

		if tags, err := a.s.ConsumerTags(a.ctx, c.ID); err != nil || tags["x"] != "y" {
			t.Errorf("the tags are %v, %v", tags, err)
		}
		if n, err := a.s.CountConsumers(a.ctx, orders); n != ConsumerQuota || err != nil {
			t.Errorf("%d consumers are known, %v", n, err)
		}
		b.must(b.s.DeregisterConsumer(b.ctx, c.ID))
		synctest.Wait()
		a.consumerIs(c.ID, "")
	})
}

// 2.6, 3.11, O-40: with a pace a consumer is CREATING for a while, five at most at once, and DELETING before it is
// gone; also across a restart. A consumer that is not ACTIVE is not changed.
func TestConsumersChangeVisibly(t *testing.T) {
	paced(t, func(b *bench) {
		b.must(b.s.Create(b.ctx, orders, CreateInput{Shards: 1}))
		_, err := b.s.RegisterConsumer(b.ctx, orders, "c", nil)
		b.refuses(err, inState+"CREATING")
		b.advance(5 * time.Second)

		c := b.register("c")

		b.consumerIs(c.ID, Creating)
		notActive := fmt.Sprintf(
			"Consumer c with creation timestamp %d under stream orders and account 000000000000 is not in ACTIVE status.",
			c.ID.Created)
		keep := func(string) (string, error) { return "{}", nil }
		b.refuses(b.s.SetConsumerPolicy(b.ctx, c.ID, keep), notActive)
		b.refuses(b.s.SetConsumerTags(b.ctx, c.ID, func(map[string]string) error { return nil }), notActive)
		for i := range creatingConsumerQuota - 1 {
			b.register(fmt.Sprint("c", i))
		}
		_, err = b.s.RegisterConsumer(b.ctx, orders, "sixth", nil)
		wantCode(b.T, err, "LimitExceededException")
		b.reopenPaced(AWSPace())
		b.consumerIs(c.ID, Creating)
		b.advance(5 * time.Second)
		b.consumerIs(c.ID, Active)
		b.must(b.s.SetConsumerPolicy(b.ctx, c.ID, keep))

		b.must(b.s.DeregisterConsumer(b.ctx, c.ID))

		b.consumerIs(c.ID, Deleting)
		b.refuses(b.s.SetConsumerPolicy(b.ctx, c.ID, keep), notActive)
		b.must(b.s.DeregisterConsumer(b.ctx, c.ID)) // again
		_, err = b.s.RegisterConsumer(b.ctx, orders, "c", nil)
		wantCode(b.T, err, "ResourceInUseException")
		b.reopenPaced(AWSPace())
		b.advance(5 * time.Second)
		b.consumerIs(c.ID, "")
		if again := b.register("c"); again.ID == c.ID {
			b.Errorf("both are %v", again.ID)
		}

		b.must(b.s.DeleteWithConsumers(b.ctx, orders))
		b.consumerIs(ConsumerNamed(orders, "c0"), Deleting)
		wantCode(b.T, b.s.DeregisterConsumer(b.ctx, ConsumerNamed(orders, "c0")), "ResourceNotFoundException")
	})
}

// A refusal of edit, and of the store, changes nothing.
func TestRefusedChangesOfConsumersChangeNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(orders, 1)
	c := b.register("c")
	no := errors.New("no")

	err := b.s.SetConsumerTags(b.ctx, c.ID, func(tags map[string]string) error { tags["x"] = "y"; return no })
	if !errors.Is(err, no) {
		t.Errorf("refused with %v", err)
	}
	f := &failing{Store: b.store}
	dying := New(Options{Store: f, Clock: b.clock})
	b.must(dying.ready(b.ctx))
	if _, err := dying.RegisterConsumer(b.ctx, orders, "d", nil); !errors.Is(err, errDied) {
		t.Errorf("a failing store registers a consumer: %v", err)
	}
	if err := dying.DeregisterConsumer(b.ctx, c.ID); !errors.Is(err, errDied) {
		t.Errorf("a failing store deregisters a consumer: %v", err)
	}

	for _, s := range []*Streams{b.s, dying} {
		if tags, err := s.ConsumerTags(b.ctx, c.ID); err != nil || len(tags) != 0 {
			t.Errorf("its tags are %v, %v", tags, err)
		}
		if n, err := s.CountConsumers(b.ctx, orders); n != 1 || err != nil {
			t.Errorf("%d consumers, %v", n, err)
		}
	}
}

// forgetful is a Coord whose commits are applied and whose replies are lost.
type forgetful struct{ storage.Coord }

func (f forgetful) Commit(ctx context.Context, group string, ops ...storage.Op) (storage.Revision, error) {
	if _, err := f.Coord.Commit(ctx, group, ops...); err != nil {
		return 0, err
	}
	return 0, storage.ErrUnknown
}

type forgetfulStore struct{ storage.Store }

func (f forgetfulStore) Coord() storage.Coord { return forgetful{f.Store.Coord()} }

// A registration whose reply is lost is read back, and is no consumer of another process.
func TestALostReplyIsNoForeignConsumer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(orders, 1)
	lossy := New(Options{Store: forgetfulStore{b.store}, Clock: b.clock})

	c, err := lossy.RegisterConsumer(b.ctx, orders, "c", nil)
	b.must(err)
	b.must(lossy.DeregisterConsumer(b.ctx, c.ID))
	_, err = lossy.RegisterConsumer(b.ctx, orders, "d", nil)
	b.must(err)

	b.reopen()
	b.consumerIs(c.ID, "")
	b.consumerIs(ConsumerNamed(orders, "d"), Active)
}

// overtaken is a store whose next commit is lost, with its reply: instead of it another process does something.
type overtaken struct {
	storage.Store
	instead func()
}

func (o *overtaken) Coord() storage.Coord { return overtakenCoord{o.Store.Coord(), o} }

type overtakenCoord struct {
	storage.Coord
	o *overtaken
}

func (c overtakenCoord) Commit(ctx context.Context, group string, ops ...storage.Op) (storage.Revision, error) {
	if instead := c.o.instead; instead != nil {
		c.o.instead = nil
		instead()
		return 0, storage.ErrUnknown
	}
	return c.Coord.Commit(ctx, group, ops...)
}

// A registration that is lost is not taken for that of another process, although the stream itself looks the same after
// both: what is acknowledged is there after a restart.
func TestALostRegistrationIsRepeated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(orders, 1)
	store := &overtaken{Store: b.store}
	lossy := New(Options{Store: store, Clock: b.clock})
	b.must(lossy.ready(b.ctx))
	store.instead = func() { b.register("d") }

	c, err := lossy.RegisterConsumer(b.ctx, orders, "c", nil)
	b.must(err)

	b.reopen()
	b.consumerIs(c.ID, Active)
	b.consumerIs(ConsumerNamed(orders, "d"), Active)
}

// A mapping looks at the list of shards to see that its consumer is gone: it is woken then, and not when one comes.
func TestAConsumerThatGoesWakes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	info := b.create(orders, 1)
	changed := b.s.ShardsChanged(info.ID)
	c := b.register("c")
	if woken(changed) {
		t.Error("woken by a consumer that came")
	}
	b.must(b.s.DeregisterConsumer(b.ctx, c.ID))
	if !woken(changed) {
		t.Error("not woken by a consumer that went")
	}
}

// What is stored under a key that names no consumer stops the start, by name.
func TestADamagedConsumerIsNamed(t *testing.T) {
	t.Parallel()
	for _, e := range []storage.Op{
		{Key: prefixConsumer + "x/c", Value: []byte(`{"v":1}`)},
		{Key: prefixConsumer + "0000000001/", Value: []byte(`{"v":1}`)},
		{Key: consumerKey(1, "c"), Value: []byte(`{"v":2}`)},
		{Key: consumerKey(1, "c"), Value: []byte(`{`)},
	} {
		b := setup(t)
		b.create(orders, 1)
		_, err := b.store.Coord().Commit(b.ctx, group, e)
		b.must(err)
		err = New(Options{Store: b.store, Clock: b.clock}).Start(b.ctx)
		if !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%s %s: %v", e.Key, e.Value, err)
		}
	}
}
