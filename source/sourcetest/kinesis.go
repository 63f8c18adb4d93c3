package sourcetest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/storagetest"
	"github.com/shardmill/shardmill/stream"
	"github.com/shardmill/shardmill/stream/streamtest"
)

// Kinesis returns a stream of one shard as a source, in a store with clock c. The store is closed when the test ends.
func Kinesis(t *testing.T, store storage.Store, c *clock.Clock) *Bench {
	return kinesis(t, store, c, func(s *stream.Streams, of *stream.Info) source.Source {
		return source.NewKinesis(s, of.ID, of.ARN, of.Name.Region)
	})
}

// Consumer is Kinesis, read by a registered consumer.
func Consumer(t *testing.T, store storage.Store, c *clock.Clock) *Bench {
	return kinesis(t, store, c, func(s *stream.Streams, of *stream.Info) source.Source {
		made, err := s.RegisterConsumer(t.Context(), of.Name, "reader", nil)
		if err != nil {
			t.Fatal(err)
		}
		return source.NewConsumer(s, of.ID, made.ARN(), of.Name.Region, "owner")
	})
}

func kinesis(
	t *testing.T, store storage.Store, c *clock.Clock, open func(*stream.Streams, *stream.Info) source.Source,
) *Bench {
	name := stream.Name{Account: "000000000000", Region: "us-east-1", Name: "orders"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err) // a put may come from another goroutine
		}
	}
	values := &storagetest.SlowCoord{Coord: store.Coord()}
	s := stream.New(stream.Options{Store: storagetest.With(store, values), Clock: c})
	must(s.Start(t.Context()))
	t.Cleanup(func() {
		s.Stop()
		must(store.Close())
	})
	create := func() { must(s.Create(t.Context(), name, stream.CreateInput{Shards: 1})) }
	create()
	info, err := s.Lookup(t.Context(), name)
	must(err)
	return &Bench{
		Source: open(s, info),
		Put: func(records ...record.Record) {
			_, err := s.PutRecords(t.Context(), name, records)
			must(err)
		},
		Split: func(id record.ShardID) { streamtest.Split(t, s, name, id) },
		HalfSplit: func(id record.ShardID) (finish func()) {
			done := make(chan struct{})
			reached, release := values.Hold(2) // the first commits the intent, the second the result
			go func() {
				defer close(done)
				streamtest.Split(t, s, name, id)
			}()
			<-reached
			return func() {
				release()
				<-done
			}
		},
		Delete:    func() { must(s.DeleteWithConsumers(t.Context(), name)) },
		Again:     create,
		Now:       func() record.Millis { return record.MillisOf(c.Now()) },
		Advance:   func(d time.Duration) { c.SetOffset(c.Offset() + d) },
		Retention: 24 * time.Hour,
		Items:     Items,
	}
}

// Items returns the sequence numbers in a Kinesis event, which must also be in the eventIDs.
func Items(payload []byte) (ids []string, err error) {
	var event struct {
		Records []struct {
			EventID string
			Kinesis struct{ SequenceNumber string }
		}
	}
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, err
	}
	for _, r := range event.Records {
		if !strings.HasSuffix(r.EventID, ":"+r.Kinesis.SequenceNumber) {
			return nil, errors.New("the eventID is " + r.EventID)
		}
		ids = append(ids, r.Kinesis.SequenceNumber)
	}
	return ids, nil
}
