package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/fxamacker/cbor/v2"
)

// encodings measures PutRecords × 500 in CBOR beside the same in JSON, on one server.
type encodings struct{ conns, size int }

func (p encodings) build(ctx context.Context, l *lab, c *cleanup) (*stage, error) {
	const stream, records = "bench", 500
	server, err := l.memory(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := (api{server.addr}).createStream(ctx, stream, shards); err != nil {
		return nil, err
	}
	inJSON := &putter{records: records}
	inCBOR := &putter{records: records, success: []byte("FailedRecordCount\x00")}
	for _, putter := range []*putter{inJSON, inCBOR} {
		if putter.conns, err = dialAll(server.addr, p.conns, c); err != nil {
			return nil, err
		}
	}
	for range p.conns {
		inJSON.requests = append(
			inJSON.requests, request(server.addr, "PutRecords", putRecords(stream, records, p.size)),
		)
		body, err := putRecordsCBOR(stream, records, p.size)
		if err != nil {
			return nil, err
		}
		inCBOR.requests = append(inCBOR.requests, bytes.Replace(
			request(server.addr, "PutRecords", body), []byte("x-amz-json-1.1"), []byte("x-amz-cbor-1.1"), 1,
		))
	}
	timedPuts := func(of *putter) func(context.Context) ([]float64, error) {
		return func(context.Context) ([]float64, error) { return timed(p.conns, l.opt.each, of.put) }
	}
	return &stage{
		refs: []side{{"json", timedPuts(inJSON)}},
		ours: side{"ours", timedPuts(inCBOR)},
		check: func(ctx context.Context) error {
			delivered, err := drained(ctx, server.addr, stream, shards)
			if err != nil {
				return err
			}
			return same(inJSON.acknowledged.Load()+inCBOR.acknowledged.Load(), delivered, "records in the stream")
		},
	}, nil
}

// putRecordsCBOR returns the body of a PutRecords in CBOR as the SDKs for Java write it: maps and lists without a
// count.
func putRecordsCBOR(stream string, n, size int) ([]byte, error) {
	var b bytes.Buffer
	e := cbor.NewEncoder(&b)
	var failed error
	do := func(err error) {
		if failed == nil {
			failed = err
		}
	}
	value := func(v any) { do(e.Encode(v)) }
	data := random(n * size)
	do(e.StartIndefiniteMap())
	value("StreamName")
	value(stream)
	value("Records")
	do(e.StartIndefiniteArray())
	for i := range n {
		do(e.StartIndefiniteMap())
		value("Data")
		value(data[i*size : (i+1)*size])
		value("PartitionKey")
		value(fmt.Sprintf("key-%06d", rand.IntN(1_000_000)))
		do(e.EndIndefinite())
	}
	do(e.EndIndefinite())
	do(e.EndIndefinite())
	return b.Bytes(), failed
}
