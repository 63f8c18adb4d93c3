package engine_test

import (
	"sync/atomic"
	"testing"

	"github.com/shardmill/shardmill/companion/queue"
	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/destination/destinationtest"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/source/sourcetest"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

// What stands between a source and the engine in these tests is a source itself, but for the one fault that it is made
// for.
func TestSourcesOfTestsKeepTheContract(t *testing.T) {
	t.Parallel()
	var visited atomic.Int64
	for name, wrap := range map[string]func(source.Source) source.Source{
		"counting":       func(s source.Source) source.Source { return counting{s, &visited} },
		"counting reads": func(s source.Source) source.Source { return countedReads{s, &visited} },
		"unlistable, when its time is over": func(s source.Source) source.Source {
			return unlistable{s, new(atomic.Int64)}
		},
		"miscounting, in the shard it is told": func(s source.Source) source.Source { return miscounting{s, 1} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sourcetest.Run(t, func(t *testing.T) *sourcetest.Bench {
				c := clock.New(0)
				b := sourcetest.Kinesis(t, memory.New(memory.Options{Clock: c}), c)
				b.Source = wrap(b.Source)
				return b
			})
		})
	}
}

// The suite sees the bug that miscounting stands for.
func TestMiscountingSourceMiscounts(t *testing.T) {
	t.Parallel()
	c := clock.New(0)
	b := sourcetest.Kinesis(t, memory.New(memory.Options{Clock: c}), c)
	b.Put(record.Record{Key: "k", Data: []byte("d")})
	_, err := b.Shards(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	records := []record.Record{{Pos: 1, Key: "k", Data: []byte("d")}}

	if err := sourcetest.CheckFormat(b.Format(0, ""), records, nil, sourcetest.Items); err != nil {
		t.Errorf("the source itself: %v", err)
	}
	if err := sourcetest.CheckFormat(
		(miscounting{b.Source, 0}).Format(0, ""), records, nil, sourcetest.Items,
	); err == nil {
		t.Error("the payloads of a source that miscounts are as long as it says")
	}
}

// So is the bucket behind notices.
func TestBucketOfTestsIsADestination(t *testing.T) {
	t.Parallel()
	destinationtest.Run(t, destinationtest.FakeBucket)
}

// The queue behind notices is wired here as the server wires it.
func TestQueuesOfTestsAreADestination(t *testing.T) {
	t.Parallel()
	destinationtest.Run(t, func(t *testing.T) *destinationtest.Bench {
		fresh := func() storage.Local { return memory.New(memory.Options{}).Local() }
		return destinationtest.Queue(t, fresh, func(qs *queue.Queues) destination.Queues { return testQueues{qs} })
	})
}
