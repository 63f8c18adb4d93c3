package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
)

// install creates a benchmark function on a server.
func (l *lab) install(ctx context.Context, a api, handler, ledger string) error {
	env := map[string]string{"BENCH_LEDGER": ledger}
	if isPython(handler) {
		if l.python == "" {
			return errors.New("there is no python3 on PATH")
		}
		return a.createFunction(
			ctx, "bench", "python3.12", handler, map[string]string{"handler.py": l.source + "/handler.py"}, env,
		)
	}
	return a.createFunction(ctx, "bench", "provided.al2023", handler, map[string]string{"bootstrap": l.handler}, env)
}

// streaming starts a server with one stream, and a ledger for the function that will read it.
func (l *lab) streaming(
	ctx context.Context, c *cleanup, start func(context.Context, *cleanup) (*process, error), stream string,
) (*ledger, api, error) {
	g, err := newLedger(c)
	if err != nil {
		return nil, api{}, err
	}
	server, err := start(ctx, c)
	if err != nil {
		return nil, api{}, err
	}
	a := api{server.addr}
	return g, a, a.createStream(ctx, stream, shards)
}

// payload returns a batch, byte for byte as shardmill encodes it.
func payload(n int, data func(i int) []byte) []byte {
	const arn = "arn:aws:kinesis:us-east-1:000000000000:stream/bench"
	f := source.NewKinesisFormat(0, arn, "us-east-1", "arn:aws:iam::000000000000:role/bench", func(
		dst []byte, p record.Position, m record.Millis,
	) []byte {
		return fmt.Appendf(dst, "49%050d%04d", p, m%10000)
	})
	records := make([]record.Record, n)
	for i := range records {
		records[i] = record.Record{
			Pos: record.Position(i + 1), Arrival: record.MillisOf(time.Now()), Key: fmt.Sprintf("key-%06d", i),
			Data: data(i),
		}
	}
	return f.AppendPayload(nil, records, nil)
}

// backlog measures draining a full stream into a function, from the first invocation to the last saved checkpoint.
type backlog struct {
	batch, records int
	handler        string
}

func (b backlog) build(ctx context.Context, l *lab, c *cleanup) (*stage, error) {
	const stream, size = "bench", 1024
	g, a, err := l.streaming(ctx, c, l.durable, stream)
	if err != nil {
		return nil, err
	}
	if err := fill(ctx, a.addr, stream, b.records, size); err != nil {
		return nil, err
	}
	if err := l.install(ctx, a, b.handler, g.addr()); err != nil {
		return nil, err
	}
	ref, err := l.bare(c)
	if err != nil {
		return nil, err
	}
	theirs, err := newLedger(c)
	if err != nil {
		return nil, err
	}
	if err := l.loop(ref, theirs, c, shards, b.handler); err != nil {
		return nil, err
	}
	data := random(size * b.batch)
	ready := payload(b.batch, func(i int) []byte { return data[i*size : (i+1)*size] })
	batches := b.records / b.batch
	s := &stage{
		refs: []side{{"bare", func(ctx context.Context) ([]float64, error) {
			theirs.reset()
			if err := ref.post(ctx, fmt.Sprintf("/batches?n=%d", batches), ready); err != nil {
				return nil, err
			}
			ended := time.Now()
			if err := theirs.wait(ctx, int64(batches*b.batch)); err != nil {
				return nil, err
			}
			began, _ := theirs.span()
			return []float64{float64(b.records) / ended.Sub(began).Seconds()}, nil
		}}},
		ours: side{"ours", func(ctx context.Context) ([]float64, error) {
			g.reset()
			uuid, err := a.createMapping(ctx, stream, "bench", "TRIM_HORIZON", b.batch)
			if err != nil {
				return nil, err
			}
			if err := g.wait(ctx, int64(b.records)); err != nil {
				return nil, err
			}
			if err := a.disable(ctx, uuid); err != nil {
				return nil, err
			}
			ended := time.Now()
			began, _ := g.span()
			if err := g.exactly(int64(b.records)); err != nil {
				return nil, err
			}
			return []float64{float64(b.records) / ended.Sub(began).Seconds()}, a.deleteMapping(ctx, uuid)
		}},
	}
	if _, err := s.ours.measure(ctx); err != nil { // environments start, the page cache fills
		return nil, fmt.Errorf("warming up: %w", err)
	}
	_, err = s.refs[0].measure(ctx)
	return s, err
}

// latency measures the time from the instant at which a record is due until the function has the last byte of its
// payload, or for Python until its first line runs. Records are sent at a fixed rate whatever the server does, so a
// slow response does not delay the clock of later records.
type latency struct {
	handler            string
	perSecond, records int
	memory             bool // not durable
}

func (y latency) build(ctx context.Context, l *lab, c *cleanup) (*stage, error) {
	const stream, conns = "bench", 16
	start := l.durable
	if y.memory {
		start = l.memory
	}
	g, a, err := l.streaming(ctx, c, start, stream)
	if err != nil {
		return nil, err
	}
	if err := l.install(ctx, a, y.handler, g.addr()); err != nil {
		return nil, err
	}
	if _, err := a.createMapping(ctx, stream, "bench", "TRIM_HORIZON", 100); err != nil {
		return nil, err
	}
	ref, err := l.bare(c)
	if err != nil {
		return nil, err
	}
	if err := l.loop(ref, g, c, shards, y.handler); err != nil {
		return nil, err
	}
	ourConns, err := dialAll(a.addr, conns, c)
	if err != nil {
		return nil, err
	}
	refConns, err := dialAll(ref.addr, conns, c)
	if err != nil {
		return nil, err
	}
	filler := random(1024)
	timed := func(
		conns []*connection, make func(key int, data []byte) []byte,
	) func(context.Context) ([]float64, error) {
		return func(ctx context.Context) ([]float64, error) {
			g.reset()
			err := paced(ctx, y.perSecond, y.records, len(conns), func(conn, i int, due time.Time) error {
				data := fmt.Appendf(nil, "%d ", due.UnixNano())
				status, body, err := conns[conn].call(make(i, append(data, filler[len(data):]...)))
				if err == nil && status != 200 {
					err = fmt.Errorf("a put was answered with %d: %.200s", status, body)
				}
				return err
			})
			if err == nil {
				err = g.wait(ctx, int64(y.records))
			}
			if err != nil {
				return nil, err
			}
			took := g.latencies()
			return []float64{quantile(took, .5), quantile(took, .99)}, same(
				int64(y.records), int64(len(took)), "records in functions",
			)
		}
	}
	s := &stage{
		refs: []side{{"bare", timed(refConns, func(key int, data []byte) []byte {
			return ref.request("/put", payload(1, func(int) []byte { return data }))
		})}},
		ours: side{"ours", timed(ourConns, func(key int, data []byte) []byte {
			return request(a.addr, "PutRecord", putRecord(stream, key, data))
		})},
	}
	for _, side := range append(s.refs, s.ours) {
		if _, err := side.measure(ctx); err != nil {
			return nil, fmt.Errorf("warming up %s: %w", side.name, err)
		}
	}
	return s, nil
}

// paced calls send n times at a fixed rate, on parallel connections. If all are busy a call waits, and the clock of its
// record runs on.
func paced(ctx context.Context, perSecond, n, conns int, send func(conn, i int, due time.Time) error) error {
	type turn struct {
		i   int
		due time.Time
	}
	turns := make(chan turn, n)
	go func() {
		defer close(turns)
		began := time.Now().Add(time.Millisecond)
		for i := range n {
			due := began.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
			pause(time.Until(due))
			if ctx.Err() != nil {
				return
			}
			turns <- turn{i, due}
		}
	}()
	return together(conns, func(conn int) error {
		for t := range turns {
			if err := send(conn, t.i, t.due); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// invokes measures synchronous Invoke of a warm function over the API, beside a bare server that hands the same body to
// a bare loop.
func invokes(clients int) builder {
	return func(ctx context.Context, l *lab, c *cleanup) (*stage, error) {
		return buildInvokes(ctx, l, c, clients)
	}
}

func buildInvokes(ctx context.Context, l *lab, c *cleanup, clients int) (*stage, error) {
	g, err := newLedger(c)
	if err != nil {
		return nil, err
	}
	server, err := l.memory(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := l.install(ctx, api{server.addr}, "handler.echo", g.addr()); err != nil {
		return nil, err
	}
	ref, err := l.bare(c)
	if err != nil {
		return nil, err
	}
	if err := l.loop(ref, g, c, clients, "handler.echo"); err != nil {
		return nil, err
	}
	body := []byte(`{"orderId": "o-1042", "amount": 12.5, "items": [1, 2, 3]}`)
	calls := func(addr string, request []byte) (func(context.Context) ([]float64, error), error) {
		conns, err := dialAll(addr, clients, c)
		return func(context.Context) ([]float64, error) {
			r, _, err := rate(clients, l.opt.each, func(i int) (int, error) {
				status, answer, err := conns[i].call(request)
				if err == nil && (status != 200 || !bytes.Equal(answer, body)) {
					err = fmt.Errorf("an invocation was answered with %d: %.200s", status, answer)
				}
				return 1, err
			})
			return []float64{r}, err
		}, err
	}
	invoke := post(server.addr, "/2015-03-31/functions/bench/invocations", "lambda", "", body)
	s := &stage{refs: []side{{name: "bare"}}, ours: side{name: "ours"}}
	if s.ours.measure, err = calls(server.addr, invoke); err != nil {
		return nil, err
	}
	if s.refs[0].measure, err = calls(ref.addr, ref.request("/invoke", body)); err != nil {
		return nil, err
	}
	for _, side := range append(s.refs, s.ours) {
		if _, err := side.measure(ctx); err != nil {
			return nil, fmt.Errorf("warming up %s: %w", side.name, err)
		}
	}
	return s, nil
}
