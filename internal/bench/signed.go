package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/shardmill/shardmill/internal/sigv4"
)

// signed measures PutRecord where signatures are verified beside the same requests to a server that only parses them.
type signed struct{ conns, size int }

// benchKey is the one key of the server that verifies signatures.
var benchKey = sigv4.Key{ID: "BENCHBENCHBENCHBENCH", Secret: "not-a-secret-not-a-secret"}

func (m signed) build(ctx context.Context, l *lab, c *cleanup) (*stage, error) {
	const stream = "bench"
	keys := l.fresh("keys") + ".yaml"
	text := "keys:\n  " + benchKey.ID + ": {name: bench, secret: " + benchKey.Secret + ", role: admin}\n"
	if err := os.WriteFile(keys, []byte(text), 0o600); err != nil {
		return nil, err
	}
	verifying, err := l.server(ctx, c, "dev", "--auth", "static:"+keys)
	if err != nil {
		return nil, err
	}
	parsing, err := l.memory(ctx, c)
	if err != nil {
		return nil, err
	}
	by := func(name string, server *process) (side, *putter, error) {
		p := &putter{records: 1}
		err := api{server.addr}.createStream(ctx, stream, shards)
		if err == nil {
			p.conns, err = dialAll(server.addr, m.conns, c)
		}
		for i := range m.conns {
			p.requests = append(p.requests, signedRequest(server.addr, putRecord(stream, i, random(m.size))))
		}
		return side{name, func(context.Context) ([]float64, error) { return timed(m.conns, l.opt.each, p.put) }}, p, err
	}
	plain, _, err := by("parsed", parsing)
	if err != nil {
		return nil, err
	}
	ours, put, err := by("ours", verifying)
	if err != nil {
		return nil, err
	}
	return &stage{refs: []side{plain}, ours: ours, check: func(ctx context.Context) error {
		delivered, err := api{verifying.addr}.count(ctx, stream)
		if err != nil {
			return err
		}
		return same(put.acknowledged.Load(), delivered, "records in the stream")
	}}, nil
}

// signedRequest returns a whole PutRecord that benchKey has signed, with the headers of an SDK.
func signedRequest(host string, body []byte) []byte {
	r, err := http.NewRequest(http.MethodPost, "http://"+host+"/", http.NoBody)
	if err != nil {
		panic(err) // an address that a server has told
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "Kinesis_20131202.PutRecord")
	sigv4.Sign(
		r, sigv4.Digest(body), benchKey, sigv4.Scope{Region: "us-east-1", Service: "kinesis"}, time.Now(),
	)
	var head strings.Builder
	for _, name := range []string{"X-Amz-Date", "X-Amz-Content-Sha256"} {
		head.WriteString(name + ": " + r.Header.Get(name) + "\r\n")
	}
	return posted(host, "/", "kinesis", "X-Amz-Target: Kinesis_20131202.PutRecord\r\n"+head.String(),
		r.Header.Get("Authorization"), body)
}

// count returns how many records a stream has.
func (a api) count(ctx context.Context, stream string) (n int64, err error) {
	for shard := range shards {
		next, err := a.iterator(ctx, stream, shard, "TRIM_HORIZON")
		if err != nil {
			return 0, err
		}
		for behind := int64(1); behind > 0; {
			var out struct {
				Records            []json.RawMessage
				NextShardIterator  string
				MillisBehindLatest int64
			}
			if err := a.kinesis(ctx, "GetRecords", object{"ShardIterator": next}, &out); err != nil {
				return 0, err
			}
			n += int64(len(out.Records))
			next, behind = out.NextShardIterator, out.MillisBehindLatest
		}
	}
	return n, nil
}
