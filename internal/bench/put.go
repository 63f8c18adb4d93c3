package main

import (
	"context"
	"fmt"
)

// puts measures PutRecord or PutRecords over HTTP.
type puts struct {
	conns, records, size int
	durable              bool
}

func (p puts) build(ctx context.Context, l *lab, c *cleanup) (*stage, error) {
	const stream = "bench"
	start := l.memory
	if p.durable {
		start = l.durable
	}
	server, err := start(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := (api{server.addr}).createStream(ctx, stream, shards); err != nil {
		return nil, err
	}
	ours := &putter{records: p.records}
	if ours.conns, err = dialAll(server.addr, p.conns, c); err != nil {
		return nil, err
	}
	b, err := l.bare(c)
	if err != nil {
		return nil, err
	}
	bareConns, err := dialAll(b.addr, p.conns, c)
	if err != nil {
		return nil, err
	}
	var bareRequests [][]byte
	for i := range p.conns {
		body, operation := putRecord(stream, i, random(p.size)), "PutRecord"
		if p.records > 1 {
			body, operation = putRecords(stream, p.records, p.size), "PutRecords"
		}
		ours.requests = append(ours.requests, request(server.addr, operation, body))
		bareRequests = append(bareRequests, b.request("/sink", body))
	}
	s := &stage{
		refs: []side{{"bare", func(context.Context) ([]float64, error) {
			return timed(p.conns, l.opt.each, func(i int) (int, error) {
				status, _, err := bareConns[i].call(bareRequests[i])
				if err == nil && status != 200 {
					err = fmt.Errorf("answered %d", status)
				}
				return p.records, err
			})
		}}},
		ours: side{"ours", func(context.Context) ([]float64, error) {
			return timed(p.conns, l.opt.each, ours.put)
		}},
		check: func(ctx context.Context) error {
			delivered, err := drained(ctx, server.addr, stream, shards)
			if err != nil {
				return err
			}
			return same(ours.acknowledged.Load(), delivered, "records in the stream")
		},
	}
	if p.durable {
		app, err := rawSide(l, c, "app", true, p.conns, p.records, p.size)
		if err != nil {
			return nil, err
		}
		s.refs = append(s.refs, app)
	}
	return s, nil
}
