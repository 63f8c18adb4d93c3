package book

import (
	"testing"

	"github.com/shardmill/shardmill/record"
)

// The age of a record goes by the largest arrival up to it, in whatever order records become known.
func TestArrivalIsTheLargestUpToARecord(t *testing.T) {
	t.Parallel()
	var b Book
	for _, r := range []record.Record{
		{Pos: 5, Arrival: 50}, {Pos: 9, Arrival: 40}, {Pos: 2, Arrival: 60}, {Pos: 7, Arrival: 70},
	} {
		b.Accept(&r, 0, false)
	}

	var got []record.Millis
	for _, e := range b.Records {
		got = append(got, e.Arrival)
	}

	for i, want := range []record.Millis{60, 60, 70, 70} {
		if got[i] != want {
			t.Errorf("record %d of the shard counts as arrived at %d, want %d", i, got[i], want)
		}
	}
}

// A record is settled in four ways, and in no other.
func TestUnsettledFindsTheFirstOpenPromise(t *testing.T) {
	t.Parallel()
	var b Book
	for p := record.Position(1); p <= 6; p++ {
		b.Accept(&record.Record{Pos: p, Hash: record.HashKey{byte(p % 2)}}, 0, false)
	}
	b.Succeeded([]record.Position{2}, true)
	b.Trim(2)
	b.Noticed([]record.Position{3})

	if e := b.Unsettled(record.MaxPosition, true, 0, nil); e == nil || e.Pos != 4 {
		t.Errorf("the first record that is not settled is %+v", e)
	}
	if e := b.Unsettled(record.MaxPosition, false, 1, []record.Position{5}); e != nil {
		t.Errorf("of the other key there is %+v", e)
	}
	if e := b.Unsettled(3, true, 0, nil); e != nil {
		t.Errorf("up to the third record there is %+v", e)
	}
	if e := b.At(2); !e.Windowed || e.Plain || e.Lost {
		t.Errorf("the second record is %+v", e)
	}
}
