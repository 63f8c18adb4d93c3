package e2e_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/shardmill/shardmill/e2e"
	"github.com/shardmill/shardmill/internal/eventually"
)

// A backlog of which a shard with one lane may not hold its half in memory: its reads are cut short by what payloads
// may hold, which is known only when records are there, and what was left out must come with the next.
const (
	backlogRecords = 20_000
	backlogBytes   = 1024
	backlogKeys    = 500
)

// backlog returns the records, each with its number and that within its key, and a kilobyte in all.
func backlog() []entry {
	out := make([]entry, backlogRecords)
	for i := range out {
		data := fmt.Sprintf("%d/%d ", i%backlogKeys, i/backlogKeys)
		out[i] = entry{fmt.Sprintf("customer-%d", i%backlogKeys), data + strings.Repeat("x", backlogBytes-len(data))}
	}
	return out
}

// Whatever lies in a stream when a mapping begins at TRIM_HORIZON is delivered, each record once, those of a key in
// order: with one lane and with five to a shard, side by side.
func TestEveryRecordOfABacklogIsDeliveredOnce(t *testing.T) {
	s := start(t, newHome(t), "dev")
	c := s.clients()
	const shards = 2
	c.createStream(t, "orders", shards)
	c.putAll(t, "orders", backlog())

	for _, m := range []struct {
		name   string
		factor int32
		batch  int32
	}{{"one-lane", 1, 100}, {"five-lanes", 5, 70}} {
		l := newLedger(t, nil)
		c.createFunction(t, m.name, l.url)
		c.mapOrders(t, m.name, m.factor, m.batch)
		eventually.Reaches(t, "the backlog processed by "+m.name, func() (bool, string) {
			n := l.processed()
			return n >= backlogRecords, fmt.Sprintf("%d of %d records", n, backlogRecords)
		})
		all := l.invocations()
		checkOrder(t, all, backlogRecords/backlogKeys)
		if n := len(lanesOf(all)); n != shards*int(m.factor) {
			t.Errorf("%s: %d lanes were at work, want %d", m.name, n, shards*m.factor)
		}
	}
}

// The same through kill -9 in the middle: nothing is missing, and what comes again is what the lanes had done since
// their last checkpoints, which is bounded.
func TestNothingOfABacklogIsLostInAKill(t *testing.T) {
	const (
		shards, factor, batch = 1, 1, 50
		killAt                = backlogRecords / 2 // records begun
		ahead                 = 64                 // batches that a lane may settle beyond its shard's last checkpoint
		repeats               = shards * factor * (ahead + 1) * batch
	)
	h := newHome(t)
	args := []string{"serve", "--data", h.path("data")}
	s := start(t, h, args...)
	c := s.clients()
	k := &killing{left: killAt, reached: make(chan struct{}), over: make(chan struct{})}
	l := newLedger(t, k.decide)
	c.createStream(t, "orders", shards)
	c.createFunction(t, "orders", l.url)
	c.putAll(t, "orders", backlog())
	c.mapOrders(t, "orders", factor, batch)

	eventually.Comes(t, "the middle of the backlog", k.reached)
	s.kill()
	before := l.invocations()
	close(k.over)
	s = start(t, h, args...)
	eventually.Reaches(t, "the backlog processed", func() (bool, string) {
		n := l.processed()
		return n >= backlogRecords && s.running(), fmt.Sprintf("%d of %d records", n, backlogRecords)
	})

	first := map[string]bool{}
	for _, inv := range before {
		for _, r := range inv.records {
			first[r.Sequence] = true
		}
	}
	if n := len(first); n < killAt || n > backlogRecords*3/5 {
		t.Errorf("%d records were delivered before the kill: it was not in the middle", n)
	}
	again := map[string]int{}
	for _, inv := range l.invocations()[len(before):] {
		for _, r := range inv.records {
			if again[r.Sequence]++; again[r.Sequence] > 1 {
				t.Errorf("%s came twice after the kill", r.Sequence)
			}
		}
	}
	n := 0
	for sequence := range again {
		if first[sequence] {
			n++
		}
	}
	if n > repeats {
		t.Errorf("%d records came again, want at most %d", n, repeats)
	}
	t.Logf("%d records delivered before the kill, %d of them again", len(first), n)
}

// killing lets so many records begin, and holds every invocation from then on until the kill is over.
type killing struct {
	mu      sync.Mutex
	left    int
	reached chan struct{} // closed when they have begun
	over    chan struct{} // closed when the server is gone
}

func (k *killing) decide(inv invocation) e2e.Order {
	k.mu.Lock()
	was := k.left
	k.left -= len(inv.records)
	if was > 0 && k.left <= 0 {
		close(k.reached)
	}
	held := k.left <= 0
	k.mu.Unlock()
	if held {
		<-k.over
	}
	return e2e.Order{}
}

// mapOrders maps the stream orders to a function, from its beginning.
func (c clients) mapOrders(t *testing.T, function string, factor, batch int32) {
	t.Helper()
	_, err := c.lambda.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{
		EventSourceArn: aws.String(streamARN("orders")), FunctionName: &function, BatchSize: &batch,
		ParallelizationFactor: &factor, StartingPosition: lambdatypes.EventSourcePositionTrimHorizon,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// lanesOf returns a key of each set of keys that were delivered together.
func lanesOf(all []invocation) map[string]bool {
	lane := lanesByKey(all)
	out := map[string]bool{}
	for _, inv := range all {
		out[lane(inv.records[0].Key)] = true
	}
	return out
}
