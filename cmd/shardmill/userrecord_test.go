package main

import (
	"bytes"
	"compress/gzip"
	"slices"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/internal/kpl"
	"github.com/shardmill/shardmill/record"
)

func gzipped(t *testing.T, data string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// K-02: user records have sub-sequence numbers from 0 and the number of the record around them; what gzip has packed is
// unpacked within them, too.
func TestAnAggregateIsShownAsItsUserRecords(t *testing.T) {
	t.Parallel()
	var p kpl.Packer
	p.Add(record.Record{Key: "a", Data: []byte("A")}, 1<<20)
	p.Add(record.Record{Key: "e", Hash: record.HashKey{15: 7}, Explicit: true, Data: gzipped(t, `{"n": 1}`)}, 1<<20)
	r := tailRecord{Shard: "shardId-000000000000", SequenceNumber: "49", PartitionKey: "a", Data: p.Record().Data}

	got := slices.Collect(opened(r))

	if len(got) != 2 {
		t.Fatalf("%d records, want 2", len(got))
	}
	one, two := got[0], got[1]
	if *one.SubSequenceNumber != 0 || one.PartitionKey != "a" || string(one.Data) != "A" || one.SequenceNumber != "49" {
		t.Errorf("the first is %+v", one)
	}
	if *two.SubSequenceNumber != 1 || two.PartitionKey != "e" || two.ExplicitHashKey != "7" || two.Encoding != "gzip" ||
		string(two.JSON) != `{"n": 1}` {
		t.Errorf("the second is %+v", two)
	}
}

// K-05, and the like of it with gzip: what only looks like something is shown as it is.
func TestWhatCannotBeOpenedIsShownAsItIs(t *testing.T) {
	t.Parallel()
	cut := gzipped(t, strings.Repeat("text", 100))
	var empty kpl.Packer
	for name, data := range map[string][]byte{
		"the beginning of an aggregate": {0xf3, 0x89, 0x9a, 0xc2},
		"gzip without its end":          cut[:len(cut)-5],
		"the beginning of gzip":         {0x1f, 0x8b},
		"half an object":                []byte(`{"n":`),
		"an object that is no Unicode":  []byte("{\"n\":\"\xff\"}"),
		"a number":                      []byte("7"),
		"nothing":                       empty.Record().Data,
		"too much":                      gzipped(t, strings.Repeat("\x00", gunzipMost+1)),
	} {
		got := slices.Collect(opened(tailRecord{Data: data}))
		if len(got) != 1 || !bytes.Equal(got[0].Data, data) || got[0].JSON != nil || got[0].Encoding != "" {
			t.Errorf("%s: %d records, the first %.100v", name, len(got), got[0])
		}
	}
}
