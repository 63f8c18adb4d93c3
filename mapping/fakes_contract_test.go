package mapping_test

import (
	"testing"

	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/mapping/mappingtest"
)

// The fakes of streams and functions in this room's tests keep the contract of what the server wires.
func TestFakesKeepTheContract(t *testing.T) {
	t.Parallel()
	me := mapping.Caller{Account: "000000000000", Region: "us-east-1"}
	const orders = "arn:aws:kinesis:us-east-1:000000000000:stream/orders"
	mappingtest.RunSources(t, func(*testing.T) *mappingtest.Streams {
		s := mapping.NewFakeStreams()
		return &mappingtest.Streams{
			Sources: s, ARN: orders, Caller: me, Create: func() { s.Add(orders) }, Put: func() { s.Put(orders) },
			Delete: func() { s.Drop(orders) },
		}
	})
	mappingtest.RunFunctions(t, mappingtest.Names{
		Functions: mapping.NewFakeFunctions(), Name: "f", ARN: "arn:aws:lambda:us-east-1:000000000000:function:f",
		Absent: "absent", Caller: me,
	})
}
