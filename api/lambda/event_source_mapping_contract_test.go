package lambda

import (
	"testing"

	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/mapping/mappingtest"
)

// The fakes of streams and functions in this room's tests keep the contract of what the server wires.
func TestFakesOfMappingsKeepTheContract(t *testing.T) {
	t.Parallel()
	me := mapping.Caller{Account: "000000000000", Region: "us-east-1"}
	mappingtest.RunSources(t, func(*testing.T) *mappingtest.Streams {
		return &mappingtest.Streams{Sources: streams{}, ARN: orders, Caller: me, Create: func() {}}
	})
	mappingtest.RunFunctions(t, mappingtest.Names{
		Functions: functions{}, Name: "f", ARN: lambdas + "f", Absent: "absent", Caller: me,
	})
}
