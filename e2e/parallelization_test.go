package e2e_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/shardmill/shardmill/e2e"
	"github.com/shardmill/shardmill/internal/eventually"
)

// 4 shards with ParallelizationFactor 5 run 20 invocations at once: not 19, not 21. Every invocation of the first five
// of each lane waits until 20 are in flight, so with fewer lanes at work the barrier never opens; a lane too many shows
// as the 21st. A partition key stays in its lane: in order, and never twice at once. Source: Lambda Developer Guide,
// Kinesis, "Concurrent batches"; "up to 20 concurrent Lambda invocations".
func TestParallelizationFactorFiveOnFourShardsRunsExactlyTwentyInvocations(t *testing.T) {
	const shards, factor, lanes, rounds, keys, perKey = 4, 5, 20, 5, 500, 6
	s := start(t, newHome(t), "dev")
	c := s.clients()
	b := newBarrier(lanes, rounds)
	l := newLedger(t, func(invocation) e2e.Order {
		b.wait(t)
		return e2e.Order{}
	})
	c.createStream(t, "orders", shards)
	c.createFunction(t, "orders", l.url)
	order := rand.New(rand.NewPCG(1, 2)) // fixed: the same lanes and batches in every run
	var entries []entry
	for i := range perKey {
		for _, k := range order.Perm(keys) {
			entries = append(entries, entry{fmt.Sprintf("customer-%d", k), fmt.Sprintf("%d/%d", k, i)})
		}
	}
	c.putAll(t, "orders", entries)

	c.createMapping(t, "orders", lambda.CreateEventSourceMappingInput{
		BatchSize: aws.Int32(7), ParallelizationFactor: aws.Int32(factor),
	})
	eventually.Reaches(t, "every record delivered", func() (bool, string) {
		begun, ended, peak := l.counts()
		done := 0
		for _, inv := range l.invocations() {
			if inv.ended {
				done += len(inv.records)
			}
		}
		return done >= len(entries), fmt.Sprintf(
			"%d of %d records; %d invocations begun, %d ended, %d at once at most, %d at the barrier", done,
			len(entries), begun, ended, peak, b.waiting(),
		)
	})

	if _, _, peak := l.counts(); peak != lanes {
		t.Errorf("at most %d invocations were in flight at once, want exactly %d", peak, lanes)
	}
	all := l.invocations()
	laneOf := lanesByKey(all)
	batches := map[string]int{}
	for _, inv := range all {
		batches[laneOf(inv.records[0].Key)]++
		if len(inv.records) > 7 {
			t.Errorf("a batch holds %d records, want at most 7", len(inv.records))
		}
	}
	if len(batches) != lanes {
		t.Errorf("partition keys that were delivered together form %d lanes, want %d", len(batches), lanes)
	}
	for lane, n := range batches {
		if n < rounds {
			t.Errorf("the lane of %s had %d batches, want at least %d", lane, n, rounds)
		}
	}
	checkOrder(t, all, perKey)
	if keys := l.overlapping(); len(keys) > 0 {
		t.Errorf("these keys were in two invocations at once: %v", keys)
	}
}

// checkOrder: every record came once, and those of one key in order of their sequence numbers.
func checkOrder(t *testing.T, all []invocation, perKey int) {
	t.Helper()
	last, seen := map[string]string{}, map[string]int{}
	for _, inv := range all {
		for _, r := range inv.records {
			if compareSequence(r.Sequence, last[r.Key]) <= 0 {
				t.Errorf("key %s: %s (%s) came after %s", r.Key, r.Data, r.Sequence, last[r.Key])
			}
			last[r.Key] = r.Sequence
			data, _, _ := strings.Cut(r.Data, " ") // what follows makes it large
			if want := fmt.Sprintf("%s/%d", r.Key[len("customer-"):], seen[r.Key]); data != want {
				t.Errorf("key %s: got %s, want %s", r.Key, data, want)
			}
			seen[r.Key]++
		}
	}
	for key, n := range seen {
		if n != perKey {
			t.Errorf("key %s was delivered %d times, want %d", key, n, perKey)
		}
	}
}

// compareSequence orders sequence numbers, which are decimal numbers without leading zeros; "" is before all.
func compareSequence(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// lanesByKey joins keys that were delivered in one invocation, and returns the name of the set that a key is in.
func lanesByKey(all []invocation) func(key string) string {
	parent := map[string]string{}
	var find func(string) string
	find = func(k string) string {
		p, ok := parent[k]
		if !ok || p == k {
			return k
		}
		r := find(p)
		parent[k] = r
		return r
	}
	for _, inv := range all {
		for _, r := range inv.records {
			a, b := find(inv.records[0].Key), find(r.Key)
			low, high := min(a, b), max(a, b)
			parent[high], parent[low] = low, low
		}
	}
	return find
}

// barrier lets invocations go on in groups of size: none before the last has come. After a number of rounds it is
// open.
type barrier struct {
	size int

	mu     sync.Mutex
	rounds int
	here   int
	gate   chan struct{}
}

func newBarrier(size, rounds int) *barrier {
	return &barrier{size: size, rounds: rounds, gate: make(chan struct{})}
}

// grace is how long the full barrier stays closed, so that an invocation too many has time to show itself.
const grace = 100 * time.Millisecond

func (b *barrier) wait(t *testing.T) {
	b.mu.Lock()
	if b.rounds == 0 {
		b.mu.Unlock()
		return
	}
	gate := b.gate
	b.here++
	if b.here == b.size {
		b.here = 0
		b.rounds--
		b.gate = make(chan struct{})
		time.AfterFunc(grace, func() { close(gate) })
	}
	b.mu.Unlock()
	select {
	case <-gate:
	case <-t.Context().Done():
	}
}

func (b *barrier) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.here
}

// The union of lanes is itself checked, so that it cannot make twenty out of fewer.
func TestLanesByKeyJoinsOnlyWhatWasTogether(t *testing.T) {
	t.Parallel()
	of := func(keys ...string) (inv invocation) {
		for _, k := range keys {
			inv.records = append(inv.records, e2e.Record{Key: k})
		}
		return inv
	}
	find := lanesByKey([]invocation{of("c", "a"), of("d"), of("b", "c"), of("e", "d")})
	got := []string{find("a"), find("b"), find("c"), find("d"), find("e")}
	if want := []string{"a", "a", "a", "d", "d"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
