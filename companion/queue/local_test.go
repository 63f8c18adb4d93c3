package queue

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage"
)

// crashable is a storage.Local in memory that can lose what was not synced, and fail on demand.
type crashable struct {
	mu     sync.Mutex
	now    map[string][]byte // what reads see
	synced map[string][]byte // what a kill leaves
	fail   error             // answer of the next applies
	gate   chan struct{}     // when set, applies wait for it
}

func newCrashable() *crashable {
	return &crashable{now: map[string][]byte{}, synced: map[string][]byte{}}
}

func (c *crashable) Get(key []byte) ([]byte, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.now[string(key)]
	return slices.Clone(v), ok, nil
}

func (c *crashable) Scan(lo, hi []byte, reverse bool, visit func(k, v []byte) bool) error {
	c.mu.Lock()
	now := maps.Clone(c.now)
	c.mu.Unlock()
	keys := slices.Sorted(maps.Keys(now))
	if reverse {
		slices.Reverse(keys)
	}
	for _, k := range keys {
		if k < string(lo) || hi != nil && k >= string(hi) {
			continue
		}
		if !visit([]byte(k), now[k]) {
			break
		}
	}
	return nil
}

func (c *crashable) Apply(_ context.Context, d storage.Durability, ops ...storage.LocalOp) error {
	c.mu.Lock()
	gate := c.gate
	c.mu.Unlock()
	if gate != nil {
		<-gate
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return c.fail
	}
	for _, op := range ops {
		switch {
		case op.Until != nil:
			maps.DeleteFunc(c.now, func(k string, _ []byte) bool { return k >= string(op.Key) && k < string(op.Until) })
		case op.Value == nil:
			delete(c.now, string(op.Key))
		default:
			c.now[string(op.Key)] = bytes.Clone(op.Value)
		}
	}
	if d == storage.Sync {
		c.synced = maps.Clone(c.now)
	}
	return nil
}

// kill is the store as a new process finds it after kill -9 and the loss of everything not synced.
func (c *crashable) kill() *crashable {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &crashable{now: maps.Clone(c.synced), synced: maps.Clone(c.synced)}
}

func (c *crashable) set(fail error, gate chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail, c.gate = fail, gate
}

// count is how many keys begin with prefix.
func (c *crashable) count(prefix string) int {
	n := 0
	_ = c.Scan([]byte(prefix), []byte(prefix+"\xff"), false, func(_, _ []byte) bool { n++; return true })
	return n
}

// bench is a running Queues with one queue, orders.
type bench struct {
	t     *testing.T
	local *crashable
	clock *clock.Clock
	*Queues
}

var orders = Name{Account: "111122223333", Region: "eu-west-1", Name: "orders"}

func setup(t *testing.T, given Given) *bench {
	b := open(t, newCrashable())
	b.must(b.Create(t.Context(), orders, given))
	return b
}

// open starts Queues over a store, as a new process would.
func open(t *testing.T, local *crashable) *bench {
	t.Helper()
	c := clock.New(0)
	qs, err := New(Options{Local: local, Clock: c})
	if err == nil {
		err = qs.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(qs.Stop)
	return &bench{t: t, local: local, clock: c, Queues: qs}
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) send(body string) Sent { return b.sendMessage(Message{Body: body}) }

func (b *bench) sendMessage(m Message) Sent {
	b.t.Helper()
	s, err := b.Send(b.t.Context(), orders, m)
	b.must(err)
	return s
}

// receive takes up to ten messages without waiting.
func (b *bench) receive() []Received {
	b.t.Helper()
	return b.poll(0)
}

func (b *bench) poll(wait time.Duration) []Received {
	b.t.Helper()
	got, err := b.Receive(b.t.Context(), orders, ReceiveInput{Max: 10, Wait: &wait})
	b.must(err)
	return got
}

func (b *bench) expect(got []Received, bodies ...string) {
	b.t.Helper()
	if g := bodiesOf(got); !slices.Equal(g, bodies) {
		b.t.Fatalf("received %q, want %q", g, bodies)
	}
}

func bodiesOf(got []Received) []string {
	var out []string
	for _, r := range got {
		out = append(out, r.Body)
	}
	return out
}

func (b *bench) counts() [3]int {
	b.t.Helper()
	a, err := b.Attributes(b.t.Context(), orders)
	b.must(err)
	return [3]int{a.Visible, a.InFlight, a.Delayed}
}
