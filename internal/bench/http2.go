package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// twofold measures PutRecord over HTTP/2 and TLS: as many at a time as streams is, over one connection, as the SDK for
// JavaScript sends them. Both servers get the same client, net/http's, which takes more of the processors than either.
type twofold struct{ streams, size int }

func (m twofold) build(ctx context.Context, l *lab, c *cleanup) (*stage, error) {
	const stream = "bench"
	server, err := l.server(ctx, c, "dev", "--tls-self-signed="+l.fresh("tls"))
	if err != nil {
		return nil, err
	}
	if err := (api{server.addr}).createStream(ctx, stream, shards); err != nil {
		return nil, err
	}
	b, err := l.bare(c)
	if err != nil {
		return nil, err
	}
	var acknowledged atomic.Int64
	ours := m.caller("https://"+server.addr+"/", c)
	theirs := m.caller("https://"+b.secure+"/sink", c)
	by := func(put func(body []byte) error, count *atomic.Int64) func(context.Context) ([]float64, error) {
		return func(context.Context) ([]float64, error) {
			return timed(m.streams, l.opt.each, func(i int) (int, error) {
				if err := put(putRecord(stream, i, random(m.size))); err != nil {
					return 0, err
				}
				count.Add(1)
				return 1, nil
			})
		}
	}
	return &stage{
		refs: []side{{"bare", by(theirs, new(atomic.Int64))}}, ours: side{"ours", by(ours, &acknowledged)},
		check: func(ctx context.Context) error {
			delivered, err := drained(ctx, server.addr, stream, shards)
			if err != nil {
				return err
			}
			return same(acknowledged.Load(), delivered, "records in the stream")
		},
	}, nil
}

// caller returns a function that puts a record over HTTP/2.
func (m twofold) caller(url string, c *cleanup) func(body []byte) error {
	var two http.Protocols
	two.SetHTTP2(true)
	transport := &http.Transport{
		Protocols:       &two,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // both servers are children of this process
	}
	c.add(transport.CloseIdleConnections)
	return func(body []byte) error {
		r, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		now := time.Now()
		r.Header = http.Header{
			"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"Kinesis_20131202.PutRecord"},
			"X-Amz-Date": {now.UTC().Format("20060102T150405Z")}, "Authorization": {authorization("kinesis", now)},
		}
		res, err := transport.RoundTrip(r)
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		answer, err := io.ReadAll(res.Body)
		if err == nil && (res.StatusCode != 200 || res.ProtoMajor != 2) {
			err = fmt.Errorf("a put was answered with %d over %s: %.200s", res.StatusCode, res.Proto, answer)
		}
		return err
	}
}
