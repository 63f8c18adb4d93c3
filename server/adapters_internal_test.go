package server

import (
	"archive/zip"
	"bytes"
	"testing"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/mapping/mappingtest"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/stream"
)

// What this package wires keeps the contract that the fakes of other rooms' tests are held to.
func TestAdaptersKeepTheContract(t *testing.T) {
	t.Parallel()
	me := mapping.Caller{Account: "000000000000", Region: "us-east-1"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	mappingtest.RunSources(t, func(t *testing.T) *mappingtest.Streams {
		s := stream.New(stream.Options{Store: memory.New(memory.Options{})})
		orders := stream.Name{Account: me.Account, Region: me.Region, Name: "orders"}
		return &mappingtest.Streams{
			Sources: sources{s}, ARN: orders.ARN(), Caller: me,
			Create: func() { must(s.Create(t.Context(), orders, stream.CreateInput{Shards: 1})) },
			Put: func() {
				_, err := s.PutRecords(t.Context(), orders, []record.Record{{Key: "k", Data: []byte("d")}})
				must(err)
			},
			Delete: func() { must(s.Delete(t.Context(), orders)) },
		}
	})

	var code bytes.Buffer
	z := zip.NewWriter(&code)
	_, err := z.Create("bootstrap")
	must(err)
	must(z.Close())
	f, err := function.New(function.Options{Store: memory.New(memory.Options{}), Dir: t.TempDir()})
	must(err)
	must(f.Start(t.Context()))
	defer f.Stop(t.Context())
	_, err = f.Create(t.Context(), function.CreateInput{
		Name: "f", Caller: function.Caller{Account: me.Account, Region: me.Region}, Runtime: "provided.al2023",
		Handler: "h", Role: "arn:aws:iam::000000000000:role/r", Zip: code.Bytes(),
	})
	must(err)
	mappingtest.RunFunctions(t, mappingtest.Names{
		Functions: functions{f}, Name: "f", ARN: "arn:aws:lambda:us-east-1:000000000000:function:f", Absent: "absent",
		Caller: me,
	})
}
