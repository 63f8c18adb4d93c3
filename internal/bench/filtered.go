package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// unpaid is the pattern that takes all records of the figure but one of each shard out.
const unpaid = `{"data":{"status":["paid","shipped"],"price":[{"numeric":[">",100]}],` +
	`"country":[{"anything-but":["US"]}]}}`

// sieved measures what records that a filter takes out cost, beside the same records delivered to a function: the
// processor's time of server and function, and the time on the wall.
type sieved struct{ batch, records int }

func (v sieved) build(ctx context.Context, l *lab, c *cleanup) (*stage, error) {
	const stream = "bench"
	g, err := newLedger(c)
	if err != nil {
		return nil, err
	}
	server, err := l.durable(ctx, c)
	if err != nil {
		return nil, err
	}
	a := api{server.addr}
	if err := a.createStream(ctx, stream, shards); err != nil {
		return nil, err
	}
	if err := v.fill(server.addr, stream, c); err != nil {
		return nil, err
	}
	if err := l.install(ctx, a, "count", g.addr()); err != nil {
		return nil, err
	}
	drain := func(want int, filters ...string) func(context.Context) ([]float64, error) {
		return func(ctx context.Context) ([]float64, error) {
			g.reset()
			before, err := familyTime(server.cmd.Process.Pid)
			if err != nil {
				return nil, err
			}
			began := time.Now()
			uuid, err := a.createMapping(ctx, stream, "bench", "TRIM_HORIZON", v.batch, filters...)
			if err == nil {
				err = g.wait(ctx, int64(want))
			}
			took := time.Since(began)
			if err == nil {
				err = a.disable(ctx, uuid)
			}
			if err != nil {
				return nil, err
			}
			after, err := familyTime(server.cmd.Process.Pid)
			if err != nil {
				return nil, err
			}
			if err := g.exactly(int64(want)); err != nil {
				return nil, err
			}
			each := func(d time.Duration) float64 { return d.Seconds() * 1000 * 10_000 / float64(v.records) }
			return []float64{each(after - before), each(took)}, a.deleteMapping(ctx, uuid)
		}
	}
	s := &stage{
		refs: []side{{"delivered", drain(v.records + shards)}},
		ours: side{"ours", drain(shards, unpaid)},
	}
	for _, side := range append(s.refs, s.ours) { // environments start, the page cache fills
		if _, err := side.measure(ctx); err != nil {
			return nil, fmt.Errorf("warming up %s: %w", side.name, err)
		}
	}
	return s, nil
}

// fill puts orders of 1 KB that the filter takes out, and behind them one for each shard that passes and shows that its
// shard has been read.
func (v sieved) fill(addr, stream string, c *cleanup) error {
	type entry struct{ Data, PartitionKey, ExplicitHashKey string }
	put := func(conn *connection, entries []entry) error {
		body, _ := json.Marshal(object{"StreamName": stream, "Records": entries})
		p := &putter{
			conns: []*connection{conn}, requests: [][]byte{request(addr, "PutRecords", body)}, records: len(entries),
		}
		_, err := p.put(0)
		return err
	}
	order := func(status string) string {
		text := fmt.Sprintf(`{"id":4711,"status":%q,"price":120.5,"country":"DE","customer":{"name":"Anna"},"items":[`,
			status)
		for i := range 6 {
			text += fmt.Sprintf(`{"sku":"SKU-%05d","quantity":%d,"price":%d.99,"name":"article %d"},`, i*7919, i+1, 10*i,
				i)
		}
		text = strings.TrimSuffix(text, ",") + `],"source":"web","note":"`
		return base64.StdEncoding.EncodeToString([]byte(text + strings.Repeat(".", 1024-len(text)-2) + `"}`))
	}
	conns, err := dialAll(addr, 1, c)
	if err != nil {
		return err
	}
	open := order("open")
	for at := 0; at < v.records; at += 500 {
		entries := make([]entry, min(500, v.records-at))
		for i := range entries {
			entries[i] = entry{open, fmt.Sprintf("key-%06d", rand.IntN(1_000_000)), quarters[i%shards]}
		}
		if err := put(conns[0], entries); err != nil {
			return err
		}
	}
	var last []entry
	for i := range shards {
		last = append(last, entry{order("paid"), "last", quarters[i]})
	}
	return put(conns[0], last)
}

// quarters are the first hash keys of four shards.
var quarters = [shards]string{
	"0", "85070591730234615865843651857942052864", "170141183460469231731687303715884105728",
	"255211775190703847597530955573826158592",
}
