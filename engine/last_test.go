package engine

import (
	"testing"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
)

// After a machine's last effect nothing comes, also when a read has waited for memory and there is some now.
func TestNothingComesAfterTheLastEffect(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	budget := NewBudget(20_000_000)
	sequence := func(b []byte, _ record.Position, _ record.Millis) []byte { return append(b, '1') }
	x := NewExecutor(
		Identity{Mapping: "m"}, esm.Config{BatchSize: 1, Factor: 1}.WithDefaults(),
		record.HashKeyRange{End: record.MaxHashKey}, source.NewKinesisFormat(0, "stream", "region", "role", sequence),
		esm.Checkpoint{}, 1, nil,
	)
	x.Share(budget)
	read, ok := x.Step(now, esm.Tick{})[0].(Fetch)
	if !ok {
		t.Fatal("it does not read")
	}
	_, others := budget.Reserve(storage.Limit{Bytes: 19_000_000}, storage.Limit{})
	one := []record.Record{{Pos: 1, Arrival: 1, Key: "k", Data: []byte("d")}}
	for _, e := range x.Step(now, x.Fetched(read.Seq, one, 2, storage.End{Kind: storage.Tail})) {
		if _, reads := e.(Fetch); reads {
			t.Fatal("it reads on without memory")
		}
	}
	budget.Return(others)

	effects := x.Step(now, esm.Release{Abandon: true})

	if _, ok := effects[len(effects)-1].(Done); !ok {
		t.Errorf("the last of %+v is not Done", effects)
	}
	if x.Close(); budget.Used() != 0 {
		t.Errorf("%d bytes are taken", budget.Used())
	}
}
