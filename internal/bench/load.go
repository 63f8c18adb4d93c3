package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
)

// random returns n bytes that do not compress.
func random(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// putRecords returns the body of a PutRecords of n records of size bytes; keys spread over all shards.
func putRecords(stream string, n, size int) []byte {
	type entry struct{ Data, PartitionKey string }
	entries := make([]entry, n)
	data := random(n * size)
	for i := range entries {
		entries[i] = entry{
			base64.StdEncoding.EncodeToString(data[i*size : (i+1)*size]), fmt.Sprintf("key-%06d", rand.IntN(1_000_000)),
		}
	}
	b, _ := json.Marshal(object{"StreamName": stream, "Records": entries})
	return b
}

// putRecord returns the body of a PutRecord.
func putRecord(stream string, key int, data []byte) []byte {
	return fmt.Appendf(
		nil, `{"StreamName":"%s","Data":"%s","PartitionKey":"key-%06d"}`, stream,
		base64.StdEncoding.EncodeToString(data), key,
	)
}

// putter sends the same requests again and again, one per connection, and counts acknowledged records.
type putter struct {
	conns        []*connection
	requests     [][]byte // by connection
	records      int      // per request
	success      []byte   // in the answer to a PutRecords; nil: that of JSON
	acknowledged atomic.Int64
}

func (p *putter) put(conn int) (int, error) {
	status, body, err := p.conns[conn].call(p.requests[conn])
	if err != nil {
		return 0, err
	}
	success := p.success
	if success == nil {
		success = []byte(`"FailedRecordCount":0`)
	}
	if status != 200 || p.records > 1 && !bytes.Contains(body, success) {
		return 0, fmt.Errorf("a put was answered with %d: %.200s", status, body)
	}
	p.acknowledged.Add(int64(p.records))
	return p.records, nil
}

// fill puts n records of size bytes, 500 at a time.
func fill(ctx context.Context, addr, stream string, n, size int) error {
	var c cleanup
	defer c.run()
	conns, err := dialAll(addr, 2, &c)
	if err != nil {
		return err
	}
	p := &putter{conns: conns, records: 500}
	for range conns {
		p.requests = append(p.requests, request(addr, "PutRecords", putRecords(stream, 500, size)))
	}
	return together(len(conns), func(i int) error {
		for at := i * 500; at < n && ctx.Err() == nil; at += len(conns) * 500 {
			if _, err := p.put(i); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

const (
	sequenceMark = `"SequenceNumber":"`
	nextMark     = `"NextShardIterator":"`
)

// reader reads one shard over one connection.
type reader struct {
	conn     *connection
	addr     string
	iterator string
	last     string // sequence number
}

func newReader(ctx context.Context, conn *connection, addr, stream string, shard int, from string) (*reader, error) {
	it, err := api{addr}.iterator(ctx, stream, shard, from)
	return &reader{conn: conn, addr: addr, iterator: it}, err
}

func text(body []byte, mark string) string {
	_, rest, ok := bytes.Cut(body, []byte(mark))
	if !ok {
		return ""
	}
	value, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(value)
}

// read does one GetRecords and returns its body and how many records it has.
func (r *reader) read() ([]byte, int, error) {
	status, body, err := r.conn.call(request(
		r.addr, "GetRecords", fmt.Appendf(nil, `{"ShardIterator":"%s"}`, r.iterator),
	))
	if err != nil {
		return nil, 0, err
	}
	if status != 200 {
		return nil, 0, fmt.Errorf("GetRecords was answered with %d: %.200s", status, body)
	}
	tail := body[max(0, len(body)-1024):]
	if r.iterator = text(tail, nextMark); r.iterator == "" {
		return nil, 0, fmt.Errorf("GetRecords gave no next iterator: %.200s", tail)
	}
	return body, bytes.Count(body, []byte(sequenceMark)), nil
}

// ordered checks that sequence numbers only grow, within a response and from one to the next.
func (r *reader) ordered(body []byte) error {
	for {
		_, rest, ok := bytes.Cut(body, []byte(sequenceMark))
		if !ok {
			return nil
		}
		value, after, _ := bytes.Cut(rest, []byte(`"`))
		if len(r.last) == len(value) && r.last >= string(value) {
			return fmt.Errorf("sequence number %s comes after %s", value, r.last)
		}
		r.last = string(value)
		body = after
	}
}

// drained counts the records of a stream from its beginning to its tip, in order and without repeats.
func drained(ctx context.Context, addr, stream string, shards int) (int64, error) {
	var c cleanup
	defer c.run()
	conns, err := dialAll(addr, shards, &c)
	if err != nil {
		return 0, err
	}
	var total atomic.Int64
	err = together(shards, func(i int) error {
		r, err := newReader(ctx, conns[i], addr, stream, i, "TRIM_HORIZON")
		for err == nil {
			var body []byte
			var n int
			if body, n, err = r.read(); err == nil {
				err = r.ordered(body)
			}
			total.Add(int64(n))
			if err == nil && (n == 0 && bytes.Contains(body, []byte(`"MillisBehindLatest":0`)) || ctx.Err() != nil) {
				return ctx.Err()
			}
		}
		return err
	})
	return total.Load(), err
}
