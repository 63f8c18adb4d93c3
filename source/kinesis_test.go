package source_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/source/sourcetest"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/storage/pebble"
	"github.com/shardmill/shardmill/stream"
	"github.com/shardmill/shardmill/stream/streamtest"
)

func TestKinesisInMemoryKeepsTheContract(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, func(t *testing.T) *sourcetest.Bench {
		c := clock.New(0)
		return sourcetest.Kinesis(t, memory.New(memory.Options{Clock: c}), c)
	})
}

func TestKinesisOnDiskKeepsTheContract(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, func(t *testing.T) *sourcetest.Bench {
		c, disk := clock.New(0), &slowDisk{}
		s, err := pebble.Open(pebble.Options{
			Dir: "store", FS: errorfs.Wrap(vfs.NewMem(), disk), Clock: c,
			Fatal: func(err error) { t.Errorf("fatal: %v", err) },
		})
		if err != nil {
			t.Fatal(err)
		}
		b := sourcetest.Kinesis(t, s, c)
		b.Hold = disk.hold
		return b
	})
}

// The child of a merge names both of its parents, so that it waits for both.
func TestMergedShardsHaveTwoParents(t *testing.T) {
	t.Parallel()
	c := clock.New(0)
	store := memory.New(memory.Options{Clock: c})
	streams := stream.New(stream.Options{Store: store, Clock: c})
	if err := streams.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(streams.Stop)
	name := stream.Name{Account: "000000000000", Region: "us-east-1", Name: "orders"}
	if err := streams.Create(t.Context(), name, stream.CreateInput{Shards: 2}); err != nil {
		t.Fatal(err)
	}
	info, err := streams.Lookup(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	streamtest.Merge(t, streams, name, 0, 1)

	shards, err := source.NewKinesis(streams, info.ID, name.ARN(), name.Region).Shards(t.Context())

	if err != nil || len(shards) != 3 || !slices.Equal(shards[2].Parents, []record.ShardID{0, 1}) {
		t.Errorf("%+v, %v", shards, err)
	}
}

// slowDisk is a disk whose syncs wait while it is held.
type slowDisk struct {
	mu      sync.Mutex
	gate    chan struct{} // nil: not held
	reached func()
}

func (d *slowDisk) String() string { return "slow" }

func (d *slowDisk) MaybeError(op errorfs.Op) error {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
	default:
		return nil
	}
	d.mu.Lock()
	gate, reached := d.gate, d.reached
	d.mu.Unlock()
	if gate != nil {
		reached()
		<-gate
	}
	return nil
}

func (d *slowDisk) hold() (<-chan struct{}, func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	came, gate := make(chan struct{}), make(chan struct{})
	d.gate, d.reached = gate, sync.OnceFunc(func() { close(came) })
	return came, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.gate = nil
		close(gate)
	}
}
