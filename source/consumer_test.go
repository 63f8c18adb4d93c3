package source_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/source/sourcetest"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/stream"
)

// A registered consumer keeps the contract, too; and so does what reads again beside it.
func TestAConsumerKeepsTheContract(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, func(t *testing.T) *sourcetest.Bench {
		c := clock.New(0)
		return sourcetest.Consumer(t, memory.New(memory.Options{Clock: c}), c)
	})
	t.Run("again", func(t *testing.T) {
		t.Parallel()
		sourcetest.Run(t, func(t *testing.T) *sourcetest.Bench {
			c := clock.New(0)
			b := sourcetest.Consumer(t, memory.New(memory.Options{Clock: c}), c)
			b.Source = source.Again(b.Source)
			return b
		})
	})
}

// fanOut is a stream of one shard with a consumer, and the consumer as a source.
type fanOut struct {
	*testing.T
	log     bytes.Buffer // of the streams
	clock   *clock.Clock
	streams *stream.Streams
	made    stream.Consumer
	source  *source.Consumer
}

// consumed tests a consumer in a bubble. Nothing sweeps, so that the timers of the clock are those of subscriptions.
func consumed(t *testing.T, pace stream.Pace, test func(f *fanOut)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := clock.New(0)
		f := &fanOut{T: t, clock: c}
		f.streams = stream.New(stream.Options{
			Store: memory.New(memory.Options{Clock: c}), Clock: c, Pace: pace,
			Log: slog.New(slog.NewTextHandler(&f.log, nil)),
		})
		name := stream.Name{Account: "000000000000", Region: "us-east-1", Name: "orders"}
		f.must(f.streams.Create(t.Context(), name, stream.CreateInput{Shards: 1}))
		info, err := f.streams.Lookup(t.Context(), name)
		f.must(err)
		f.made, err = f.streams.RegisterConsumer(t.Context(), name, "c", nil)
		f.must(err)
		f.source = source.NewConsumer(f.streams, info.ID, f.made.ARN(), name.Region, "owner")
		test(f)
		f.streams.Stop()
	})
}

func (f *fanOut) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// read reads by a source from a position on.
func (f *fanOut) read(s source.Source, from record.Position) error {
	_, _, err := s.Read(f.Context(), 0, from, storage.Limit{}, func(record.Record) {})
	return err
}

// client subscribes as a client does, which waits for its turn.
func (f *fanOut) client() *stream.Subscription {
	f.Helper()
	f.clock.SetOffset(f.clock.Offset() + stream.DefaultTakeOver)
	sub, err := f.streams.Subscribe(f.Context(), f.made.ID, stream.IteratorInput{Shard: "0", Type: stream.IterLatest})
	f.must(err)
	f.Cleanup(sub.Close)
	return sub
}

// A consumer that is DELETING is gone for its mapping, as its subscriptions are, although it is still described.
func TestAConsumerThatIsLeavingIsGone(t *testing.T) {
	consumed(t, stream.Pace{Deleting: time.Minute}, func(f *fanOut) {
		if _, err := f.source.Shards(f.Context()); err != nil {
			f.Error(err)
		}
		f.must(f.streams.DeregisterConsumer(f.Context(), f.made.ID))
		if _, err := f.source.Shards(f.Context()); fault.CodeOf(err) != fault.CodeNotFound {
			f.Errorf("while it is DELETING: %v", err)
		}
	})
}

// S-43: the subscription is renewed over more than five minutes without a gap: no read fails, wherever it begins.
func TestASubscriptionIsRenewedByTheRead(t *testing.T) {
	consumed(t, stream.Pace{}, func(f *fanOut) {
		for from := range record.Position(3) {
			f.must(f.read(f.source, from+1))
			f.clock.SetOffset(f.clock.Offset() + stream.SubscriptionLife)
			synctest.Wait()
		}
	})
}

// What is read again is read beside whoever has the place of the consumer, and takes it from nobody.
func TestReadingAgainTakesNoSeat(t *testing.T) {
	consumed(t, stream.Pace{}, func(f *fanOut) {
		sub := f.client()
		f.clock.SetOffset(f.clock.Offset() + stream.DefaultTakeOver) // from now on it can be taken over
		f.must(f.read(source.Again(f.source), 1))
		if err := sub.Ended(); err != nil {
			f.Errorf("the client's subscription has ended with %v", err)
		}
	})
}

// A reader that waits is told when its place is taken: it competes for it again instead of sleeping.
func TestALostSeatWakes(t *testing.T) {
	consumed(t, stream.Pace{}, func(f *fanOut) {
		changed := f.source.Changed(0)
		f.must(f.read(f.source, 1))
		f.client()
		synctest.Wait()
		select {
		case <-changed:
		default:
			f.Error("the reader sleeps")
		}
		if err := f.read(f.source, 1); fault.CodeOf(err) != "ResourceInUseException" {
			f.Errorf("its next read: %v", err)
		}
	})
}

// Each try of a mapping that is kept out is one attempt to subscribe, as its metrics count them and the log tells.
func TestATryIsOneAttempt(t *testing.T) {
	consumed(t, stream.Pace{}, func(f *fanOut) {
		f.client()
		for tries := 1; tries <= 3; tries++ {
			f.source.Changed(0)
			if err := f.read(f.source, 1); fault.CodeOf(err) != "ResourceInUseException" {
				f.Errorf("try %d: %v", tries, err)
			}
			if n := strings.Count(f.log.String(), "a subscription is refused"); n != tries {
				f.Errorf("%d attempts in %d tries", n, tries)
			}
		}
		f.clock.SetOffset(f.clock.Offset() + stream.DefaultTakeOver)
		f.source.Changed(0)
		f.must(f.read(f.source, 1))
		f.source.Release(0)
	})
}

// A shard that is released keeps no subscription, and nothing of one.
func TestAReleasedShardKeepsNoSubscription(t *testing.T) {
	consumed(t, stream.Pace{}, func(f *fanOut) {
		f.must(f.read(f.source, 1))
		f.source.Release(0)
		f.source.Release(0)
		before := f.clock.Fired()
		f.clock.SetOffset(2 * stream.SubscriptionLife)
		synctest.Wait()
		if n := f.clock.Fired() - before; n != 0 {
			f.Errorf("%d timers have fired", n)
		}
		f.must(f.read(f.source, 1))
	})
}
