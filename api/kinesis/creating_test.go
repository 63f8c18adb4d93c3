package kinesis

import (
	"context"
	"testing"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// slowStore takes its time to create a shard: until start is closed.
type slowStore struct {
	storage.Store
	begun chan struct{} // capacity 1
	start chan struct{}
}

func (s slowStore) Log() storage.Log { return slowLog{s.Store.Log(), s} }

type slowLog struct {
	storage.Log
	s slowStore
}

func (l slowLog) Create(ctx context.Context, shard storage.Shard, first record.Position) error {
	select {
	case l.s.begun <- struct{}{}:
	default:
	}
	<-l.s.start
	return l.Log.Create(ctx, shard, first)
}

// O-05, O-06, O-08 and 5.1 row 3: what others see while a CreateStream is under way. The call itself returns only when
// the stream is ACTIVE.
func TestAStreamThatIsBeingCreated(t *testing.T) {
	t.Parallel()
	w := setup(t)
	slow := slowStore{w.store, make(chan struct{}, 1), make(chan struct{})}
	w.store = slow
	w.restart(100)
	created, deleted := make(chan int), make(chan int)
	go func() { created <- w.call("CreateStream", `{"StreamName":"s","ShardCount":2}`).status }()
	<-slow.begun

	r := w.ok("DescribeStream", `{"StreamName":"s"}`)
	r.want("CREATING", "StreamDescription", "StreamStatus")
	r.want("[]", "StreamDescription", "Shards")
	r.want("false", "StreamDescription", "HasMoreShards")
	w.ok("ListStreams", `{}`).want("CREATING", "StreamSummaries", 0, "StreamStatus")
	const missing = "Stream s under account 000000000000 not found."
	w.call("PutRecord", `{"StreamName":"s","PartitionKey":"a","Data":""}`).fails("ResourceNotFoundException", missing)
	w.call("PutRecords", `{"StreamName":"s","Records":[{"PartitionKey":"a","Data":""}]}`).fails(
		"ResourceNotFoundException", missing,
	)
	w.call("GetShardIterator", `{"StreamName":"s","ShardId":"0","ShardIteratorType":"LATEST"}`).
		fails(
			"ResourceNotFoundException",
			"Shard shardId-000000000000 in stream s under account 000000000000 does not exist",
		)
	w.call("ListShards", `{"StreamName":"s"}`).fails(
		"ResourceInUseException", "Stream s under account 000000000000 not ACTIVE, instead in state CREATING",
	)
	w.call("CreateStream", `{"StreamName":"s","ShardCount":2}`).fails(
		"ResourceInUseException", "Stream s under account 000000000000 already exists.",
	)
	// allowed; it waits for the creation to end
	go func() { deleted <- w.call("DeleteStream", `{"StreamName":"s"}`).status }()
	close(slow.start)

	if a, b := <-created, <-deleted; a != 200 || b != 200 {
		t.Errorf("CreateStream answers %d, DeleteStream %d", a, b)
	}
	w.call("DescribeStream", `{"StreamName":"s"}`).fails("ResourceNotFoundException", missing)
}
