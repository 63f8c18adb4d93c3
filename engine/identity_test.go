package engine

import (
	"reflect"
	"testing"

	"github.com/shardmill/shardmill/esm"
)

// A function and a destination tell a repeat by its id. So whatever makes two batches different makes their ids
// different: the lane map, the lane, from where to where they reach, and the filter that cut them.
func TestWhateverTellsBatchesApartIsInTheirIDs(t *testing.T) {
	t.Parallel()
	who := Identity{Mapping: "m", Stream: 1}
	batch := esm.BatchID{Generation: 1, Factor: 2, Lane: 1, First: 3, Last: 9, Filter: 5}
	id := who.requestID(batch)
	for i := range reflect.TypeFor[esm.BatchID]().NumField() {
		other := batch
		member := reflect.ValueOf(&other).Elem().Field(i)
		if member.CanInt() {
			member.SetInt(member.Int() + 1)
		} else {
			member.SetUint(member.Uint() + 1)
		}
		if who.requestID(other) == id {
			t.Errorf("%+v and %+v have one id", batch, other)
		}
	}
}
