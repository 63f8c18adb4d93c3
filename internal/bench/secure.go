package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// secure measures PutRecord over TLS beside the same over plain connections, of one server: on this machine its port
// takes both.
type secure struct{ conns, size int }

func (m secure) build(ctx context.Context, l *lab, c *cleanup) (*stage, error) {
	const stream = "bench"
	dir := l.fresh("tls")
	server, err := l.server(ctx, c, "dev", "--tls-self-signed="+dir)
	if err != nil {
		return nil, err
	}
	if err := (api{server.addr}).createStream(ctx, stream, shards); err != nil {
		return nil, err
	}
	plain, ours := &putter{records: 1}, &putter{records: 1}
	if plain.conns, err = dialAll(server.addr, m.conns, c); err != nil {
		return nil, err
	}
	if ours.conns, err = dialSecure(server.addr, filepath.Join(dir, "ca.pem"), m.conns, c); err != nil {
		return nil, err
	}
	for i := range m.conns {
		r := request(server.addr, "PutRecord", putRecord(stream, i, random(m.size)))
		plain.requests, ours.requests = append(plain.requests, r), append(ours.requests, r)
	}
	by := func(name string, p *putter) side {
		return side{name, func(context.Context) ([]float64, error) { return timed(m.conns, l.opt.each, p.put) }}
	}
	return &stage{
		refs: []side{by("plain", plain)}, ours: by("ours", ours),
		check: func(ctx context.Context) error {
			delivered, err := drained(ctx, server.addr, stream, shards)
			if err != nil {
				return err
			}
			return same(plain.acknowledged.Load()+ours.acknowledged.Load(), delivered, "records in the stream")
		},
	}, nil
}

// dialSecure is dialAll over TLS. The server is known by a certificate that the one in the file ca has signed.
func dialSecure(addr, ca string, n int, c *cleanup) ([]*connection, error) {
	text, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, errors.New("there is no certificate in " + ca)
	}
	plain, err := dialAll(addr, n, c)
	if err != nil {
		return nil, err
	}
	for _, p := range plain {
		t := tls.Client(p.Conn, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"})
		_ = t.SetDeadline(time.Now().Add(10 * time.Second))
		if err := t.Handshake(); err != nil {
			return nil, err
		}
		_ = t.SetDeadline(time.Time{})
		p.Conn, p.r = t, bufio.NewReaderSize(t, 64<<10)
	}
	return plain, nil
}
