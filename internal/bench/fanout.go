package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"sync"
	"time"
)

// pushed measures what reaches the subscribers of a stream, and what it takes: as many consumers as said, each of which
// has subscribed to all shards, over one connection of HTTP/2.
type pushed struct {
	consumers, shards int
	perSecond, batch  int // records, and how many of them a put has
	durable           bool
}

func (v pushed) build(ctx context.Context, l *lab, c *cleanup) (*stage, error) {
	const stream = "bench"
	start := l.memory
	if v.durable {
		start = l.durable
	}
	server, err := start(ctx, c)
	if err != nil {
		return nil, err
	}
	a := api{server.addr}
	if err := a.createStream(ctx, stream, v.shards); err != nil {
		return nil, err
	}
	s, err := v.subscribe(ctx, a, stream, c)
	if err != nil {
		return nil, err
	}
	conns, err := dialAll(server.addr, 4, c)
	if err != nil {
		return nil, err
	}
	hashes := middles(v.shards)
	run := func(
		ctx context.Context, took func() ([]float64, error), acknowledged func(due time.Time),
	) ([]float64, error) {
		puts := max(int(float64(v.perSecond)*max(l.opt.each, time.Second).Seconds())/v.batch, 1)
		s.expect(puts * v.batch * v.consumers)
		pid := server.cmd.Process.Pid
		cpu, err := familyTime(pid)
		if err != nil {
			return nil, err
		}
		_, before, err := resident(pid)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		err = paced(ctx, v.perSecond/v.batch, puts, len(conns), func(conn, i int, due time.Time) error {
			body := v.put(stream, hashes, i*v.batch, due)
			p := &putter{
				conns: conns[conn : conn+1], records: v.batch,
				requests: [][]byte{request(server.addr, "PutRecords", body)},
			}
			_, err := p.put(0)
			acknowledged(due)
			return err
		})
		if err == nil {
			err = s.wait(ctx)
		}
		spent := time.Since(began)
		if err != nil {
			return nil, err
		}
		after, err := familyTime(pid)
		if err != nil {
			return nil, err
		}
		_, grown, err := resident(pid)
		if err != nil {
			return nil, err
		}
		ms, err := took()
		return []float64{
			quantile(ms, .5), quantile(ms, .99), (after - cpu).Seconds() / spent.Seconds(), grown - before,
		}, err
	}
	st := &stage{
		refs: []side{{"acknowledged", func(ctx context.Context) ([]float64, error) {
			var mu sync.Mutex
			var ms []float64
			return run(ctx, func() ([]float64, error) { return ms, nil }, func(due time.Time) {
				took := time.Since(due).Seconds() * 1000
				mu.Lock()
				ms = append(ms, took)
				mu.Unlock()
			})
		}}},
		ours: side{"ours", func(ctx context.Context) ([]float64, error) {
			return run(ctx, s.times, func(time.Time) {})
		}},
	}
	if _, err := st.ours.measure(ctx); err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	return st, nil
}

// put returns a PutRecords whose records go to one shard after the other, from the first-th on. Each of 100 B begins
// with the instant at which it is due.
func (v pushed) put(stream string, hashes []string, first int, due time.Time) []byte {
	type entry struct{ Data, PartitionKey, ExplicitHashKey string }
	entries := make([]entry, v.batch)
	data := random(100)
	binary.BigEndian.PutUint64(data, uint64(due.UnixNano()))
	text := base64.StdEncoding.EncodeToString(data)
	for i := range entries {
		entries[i] = entry{text, "key", hashes[(first+i)%len(hashes)]}
	}
	b, _ := json.Marshal(object{"StreamName": stream, "Records": entries})
	return b
}

// middles returns a hash key within each of n even ranges.
func middles(n int) (keys []string) {
	width := new(big.Int).Lsh(big.NewInt(1), 128)
	width.Div(width, big.NewInt(int64(n)))
	for i := range n {
		at := new(big.Int).Mul(width, big.NewInt(int64(i)))
		keys = append(keys, at.Add(at, big.NewInt(1)).String())
	}
	return keys
}

// subscribers count what arrives, and how long it has taken.
type subscribers struct {
	failed chan error // the first failure

	mu   sync.Mutex
	took []float64 // milliseconds
	want int
	all  chan struct{} // closed when want records have arrived
}

func (v pushed) subscribe(ctx context.Context, a api, stream string, c *cleanup) (*subscribers, error) {
	var h2 http.Protocols
	h2.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &h2}
	ctx, leave := context.WithCancel(ctx)
	s := &subscribers{failed: make(chan error, 1)}
	var reading sync.WaitGroup
	c.add(func() {
		leave()
		reading.Wait()
		transport.CloseIdleConnections()
	})
	arn := "arn:aws:kinesis:us-east-1:000000000000:stream/" + stream
	for i := range v.consumers {
		var made struct{ Consumer struct{ ConsumerARN string } }
		err := a.kinesis(ctx, "RegisterStreamConsumer", object{
			"StreamARN": arn, "ConsumerName": fmt.Sprint("consumer-", i),
		}, &made)
		if err != nil {
			return nil, err
		}
		for shard := range v.shards {
			body, _ := json.Marshal(object{
				"ConsumerARN": made.Consumer.ConsumerARN, "ShardId": shardID(shard),
				"StartingPosition": object{"Type": "LATEST"},
			})
			r, err := http.NewRequestWithContext(ctx, "POST", "http://"+a.addr, bytes.NewReader(body))
			if err != nil {
				return nil, err
			}
			r.Header.Set("Content-Type", "application/x-amz-json-1.1")
			r.Header.Set("X-Amz-Target", "Kinesis_20131202.SubscribeToShard")
			now := time.Now()
			r.Header.Set("X-Amz-Date", now.UTC().Format("20060102T150405Z"))
			r.Header.Set("Authorization", authorization("kinesis", now))
			res, err := transport.RoundTrip(r)
			if err != nil {
				return nil, err
			}
			if res.StatusCode != 200 {
				text, _ := io.ReadAll(res.Body)
				return nil, fmt.Errorf("SubscribeToShard: HTTP %d: %s", res.StatusCode, text)
			}
			reading.Go(func() {
				defer func() { _ = res.Body.Close() }()
				if err := s.read(res.Body); ctx.Err() == nil {
					select {
					case s.failed <- fmt.Errorf("a subscription has ended: %w", err):
					default:
					}
				}
			})
		}
	}
	return s, nil
}

// read takes the messages of one subscription.
func (s *subscribers) read(body io.Reader) error {
	var head [12]byte
	var message []byte
	for {
		if _, err := io.ReadFull(body, head[:]); err != nil {
			return err
		}
		rest := int(binary.BigEndian.Uint32(head[:])) - len(head)
		if rest < 4 || rest > 32<<20 {
			return fmt.Errorf("a message says that it has %d bytes", rest)
		}
		message = append(message[:0], make([]byte, rest)...)
		if _, err := io.ReadFull(body, message); err != nil {
			return err
		}
		if bytes.Contains(message, []byte("exception")) {
			return fmt.Errorf("%s", message)
		}
		s.count(message, time.Now())
	}
}

// count looks for records in an event.
func (s *subscribers) count(event []byte, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		_, data, found := bytes.Cut(event, []byte(`"Data":"`))
		if !found {
			return
		}
		event = data
		var due [9]byte
		if _, err := base64.StdEncoding.Decode(due[:], data[:base64.StdEncoding.EncodedLen(len(due))]); err != nil {
			continue
		}
		at := time.Unix(0, int64(binary.BigEndian.Uint64(due[:])))
		s.took = append(s.took, now.Sub(at).Seconds()*1000)
		if len(s.took) == s.want {
			close(s.all)
		}
	}
}

func (s *subscribers) expect(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took, s.want, s.all = nil, n, make(chan struct{})
}

// arrival is how long records may take before they count as lost.
const arrival = 10 * time.Second

// wait returns when all records have arrived.
func (s *subscribers) wait(ctx context.Context) error {
	late := time.NewTimer(arrival)
	defer late.Stop()
	select {
	case <-s.all:
	case <-late.C:
	case err := <-s.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return same(int64(s.want), int64(len(s.took)), "records pushed, over all subscribers")
}

// times returns how long each record has taken, in milliseconds.
func (s *subscribers) times() ([]float64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.took, same(int64(s.want), int64(len(s.took)), "records pushed, over all subscribers")
}

func pushMetrics(cores float64) []metric {
	m := []metric{
		{name: "p50", unit: "ms", lower: true, digits: 2},
		{name: "p99", unit: "ms", lower: true, at: 5, index: 1, digits: 2},
	}
	if cores > 0 {
		m = append(m,
			metric{name: "processor", unit: "cores", lower: true, at: cores, index: 2, digits: 2},
			metric{name: "growth of RssAnon", unit: "MiB", lower: true, at: 8, index: 3, digits: 1},
		)
	}
	return m
}
