package engine_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/stream"
)

// consume makes a mapping that reads by a registered consumer, and waits until it is at rest.
func (w *world) consume(consumer stream.Consumer, k mapping.Knobs) string {
	w.t.Helper()
	k.FunctionName = p("f")
	m, _, err := w.mappings.Create(w.t.Context(), caller, mapping.CreateInput{
		Knobs: k, EventSourceARN: p(consumer.ARN()), StartingPosition: p("TRIM_HORIZON"),
	})
	w.must(err)
	synctest.Wait()
	return m.UUID
}

func (w *world) register(name string) stream.Consumer {
	w.t.Helper()
	c, err := w.streams.RegisterConsumer(w.t.Context(), orders, name, nil)
	w.must(err)
	return c
}

// counts returns how many values a metric of the stream has, of its consumer if one is named.
func (w *world) counts(k metric.Kind, consumer string) (n float64) {
	w.metrics.Each(func(id metric.ID, _ string, total metric.Total) {
		of := slices.ContainsFunc(id.Dimensions, func(d metric.Dimension) bool {
			return d.Name == metric.ConsumerName && d.Value == consumer
		})
		if id.Name == k.Name && of == (consumer != "") {
			n += total.Count
		}
	})
	return n
}

// S-43: given a consumer ARN as source, records arrive without GetRecords calls, latency below the 1 s poll, the
// subscription renewed over more than five minutes without gap or repeat. O14: the event has the consumer's ARN.
func TestAConsumerIsPushedWhatIsPut(t *testing.T) {
	t.Parallel()
	for _, pace := range []engine.Pace{{}, engine.AWSPace()} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1)
			defer w.close()
			w.engine.Stop(t.Context())
			w.streams.Stop()
			w.pace, w.streams = pace, stream.New(stream.Options{Store: w.store, Clock: w.clock, Metrics: w.metrics})
			w.must(w.streams.Start(t.Context()))
			w.mappings = mapping.New(mapping.Options{
				Coord: w.coord, Clock: w.clock, Sources: testSources{w.streams}, Functions: testFunctions{},
				NewUUID: counted(),
			})
			w.start()
			c := w.register("c")
			w.consume(c, mapping.Knobs{})
			var want []string
			for i := range 100 { // over 11 minutes
				want = append(want, fmt.Sprint(i))
				w.pass(7 * time.Second)
				put := time.Now()
				w.put("k", want[i])
				w.pass(0)
				if seen := w.functions.seen(); len(seen) != i+1 || !seen[i].at.Equal(put) {
					t.Fatalf("%d invocations after %d puts", len(seen), i+1)
				}
			}

			if got := w.functions.delivered(); !slices.Equal(got, want) {
				t.Errorf("delivered %v", got)
			}
			if n := w.counts(metric.GetRecordsSuccess, ""); n != 0 {
				t.Errorf("%g GetRecords", n)
			}
			if n := w.counts(metric.SubscribeSuccess, "c"); n != 3 {
				t.Errorf("%g subscriptions in 700 s", n)
			}
			if n := w.counts(metric.SubscribeRecords, "c"); n != 100 {
				t.Errorf("%g events", n)
			}
			var event struct {
				Records []struct {
					EventSourceARN string `json:"eventSourceARN"`
				}
			}
			w.must(json.Unmarshal([]byte(w.functions.seen()[0].payload), &event))
			if got := event.Records[0].EventSourceARN; got != c.ARN() {
				t.Errorf("eventSourceARN is %s", got)
			}
		})
	}
}

// 3.1, the take-over rule: a client that subscribes later takes the place of the mapping, which waits for its turn,
// says so where it is looked at, and loses nothing; one that comes within five seconds is refused.
func TestAMappingAndAClientTakeTheConsumerFromEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		c := w.register("c")
		uuid := w.consume(c, mapping.Knobs{})
		subscribe := func() (*stream.Subscription, error) {
			return w.streams.Subscribe(t.Context(), c.ID, stream.IteratorInput{Shard: "0", Type: stream.IterLatest})
		}
		if _, err := subscribe(); err == nil {
			t.Error("a client takes over at once")
		}
		w.pass(5 * time.Second)
		sub, err := subscribe()
		w.must(err)

		w.put("k", "1")
		var taken atomic.Int64
		_, err = sub.Next(t.Context(), func() int { return 1 << 20 }, func(record.Record) { taken.Add(1) })
		w.must(err)
		synctest.Wait()
		if n := len(w.functions.delivered()); n != 0 || taken.Load() != 1 {
			t.Errorf("%d records are delivered while the client reads, which has %d", n, taken.Load())
		}
		want := "PROBLEM: Another subscription of the consumer reads shardId-000000000000; "
		if got := w.state(uuid).LastResult; !strings.HasPrefix(got, want) {
			t.Errorf("while the client reads LastProcessingResult is %q", got)
		}
		w.pass(20 * time.Second)
		if got := w.functions.delivered(); !slices.Equal(got, []string{"1"}) {
			t.Errorf("delivered %v", got)
		}
		if got := w.state(uuid).LastResult; got != "OK" {
			t.Errorf("when it reads again LastProcessingResult is %q", got)
		}
		if err := sub.Ended(); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("the client's subscription ends with %v", err)
		}
		sub.Close()
	})
}

// A mapping that is disabled gives its place back, and takes it again at once: what is in between is not lost.
func TestADisabledMappingLeavesItsConsumer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		c := w.register("c")
		uuid := w.consume(c, mapping.Knobs{})
		w.put("k", "1")
		w.pass(time.Second)
		w.update(uuid, mapping.Knobs{Enabled: p(false)})
		w.pass(time.Second)
		w.put("k", "2")
		w.pass(time.Second)
		w.update(uuid, mapping.Knobs{Enabled: p(true)}) // within five seconds
		w.pass(0)
		if got := w.functions.delivered(); !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("delivered %v", got)
		}
	})
}

// released is a source that notes which shards are released.
type released struct {
	source.Source
	shards chan<- record.ShardID
}

func (r released) Release(shard record.ShardID) {
	r.Source.Release(shard)
	r.shards <- shard
}

// Each shard is released when it is no longer read: when it has ended, and when the mapping is disabled.
func TestShardsAreReleased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		shards := make(chan record.ShardID, 10)
		w.restartWith(func(s source.Source) source.Source { return released{s, shards} })
		uuid := w.consume(w.register("c"), mapping.Knobs{})
		w.put("k", "1")
		w.split(0)
		w.pass(time.Second)
		if n := len(shards); n != 1 || <-shards != 0 {
			t.Errorf("%d shards are released after the end of the first", n)
		}
		w.update(uuid, mapping.Knobs{Enabled: p(false)})
		w.pass(time.Second)
		if n := len(shards); n != 2 || <-shards+<-shards != 1+2 {
			t.Errorf("%d shards are released by the disabled mapping", n)
		}
	})
}

// A replay reads beside the consumer: its mapping keeps its place, and no subscription is counted.
func TestAReplayLeavesTheConsumerAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.engine.Stop(t.Context())
		w.streams.Stop()
		w.streams = stream.New(stream.Options{Store: w.store, Clock: w.clock, Metrics: w.metrics})
		w.must(w.streams.Start(t.Context()))
		w.mappings = mapping.New(mapping.Options{
			Coord: w.coord, Clock: w.clock, Sources: testSources{w.streams}, Functions: testFunctions{},
			NewUUID: counted(),
		})
		w.start()
		uuid := w.consume(w.register("c"), mapping.Knobs{})
		w.put("k", "1")
		w.pass(time.Second)
		before := w.counts(metric.SubscribeSuccess, "c")

		batches, _, err := w.replay(uuid, engine.ReplayRange{From: 1, To: 1})
		w.must(err)

		if n := w.counts(metric.SubscribeSuccess, "c"); n != before || before == 0 || len(batches) != 1 {
			t.Errorf("%g subscriptions before the replay of %d batches, %g after it", before, len(batches), n)
		}
	})
}

// A consumer that is deregistered is as a stream that is deleted: the mapping says so, at once, and stays.
func TestADeregisteredConsumerIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		c := w.register("c")
		uuid, kept := w.consume(c, mapping.Knobs{}), w.create(mapping.Knobs{FunctionName: p("f")})
		w.must(w.streams.DeregisterConsumer(t.Context(), c.ID))
		w.pass(time.Second)

		if m := w.state(uuid); m.LastResult != "PROBLEM: Stream consumer not found" {
			t.Errorf("LastProcessingResult is %q", m.LastResult)
		}
		w.put("k", "1")
		w.pass(time.Second)
		if m := w.state(kept); m.LastResult != "OK" || len(w.functions.delivered()) != 1 {
			t.Errorf("a mapping of the stream itself says %q and has %v", m.LastResult, w.functions.delivered())
		}
		_, _, err := w.mappings.Create(t.Context(), caller, mapping.CreateInput{
			Knobs: mapping.Knobs{FunctionName: p("f")}, EventSourceARN: p(c.ARN()), StartingPosition: p("LATEST"),
		})
		if err == nil || !strings.Contains(err.Error(), "not found") {
			t.Errorf("a consumer that is gone is a source: %v", err)
		}
	})
}

// O14: the notice names the stream, in which the records can be read again.
func TestANoticeOfAConsumerNamesTheStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = func(invocation) function.Result { return failure() }
		w.consume(w.register("c"), mapping.Knobs{
			MaxRetries: p(int64(0)), Destination: &mapping.DestinationConfig{OnFailure: dead.ARN()},
		})
		w.put("k", "1")
		w.pass(time.Second)
		if got := w.notices(); len(got) != 1 || !strings.Contains(got[0], `"streamArn":"`+orders.ARN()+`"`) {
			t.Errorf("the notices are %v", got)
		}
	})
}
