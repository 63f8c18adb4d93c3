package queue

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

// crashable is the memory backend made to lose what was not synced, and to fail or wait on demand.
type crashable struct {
	storage.Local               // what reads see
	synced        storage.Local // what a kill leaves

	mu   sync.Mutex
	soon []storage.LocalOp // applied since the last sync
	fail error             // answer of the next applies
	gate chan struct{}     // when set, applies that begin with writing a key of the family held wait for it
	held string
}

func newCrashable() *crashable {
	return &crashable{Local: memory.New(memory.Options{}).Local(), synced: memory.New(memory.Options{}).Local()}
}

func (c *crashable) Apply(ctx context.Context, d storage.Durability, ops ...storage.LocalOp) error {
	c.mu.Lock()
	gate := c.gate
	held := gate != nil && len(ops) > 0 && ops[0].Value != nil && strings.HasPrefix(string(ops[0].Key), c.held)
	c.mu.Unlock()
	if held {
		<-gate
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return c.fail
	}
	if err := c.Local.Apply(ctx, d, ops...); err != nil {
		return err
	}
	c.soon = append(c.soon, ops...)
	if d != storage.Sync {
		return nil
	}
	ops, c.soon = c.soon, nil
	return c.synced.Apply(ctx, d, ops...)
}

// kill is the store as a new process finds it after kill -9 and the loss of everything not synced.
func (c *crashable) kill() *crashable {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ops []storage.LocalOp
	_ = c.synced.Scan(nil, nil, false, func(k, v []byte) bool {
		ops = append(ops, storage.LocalOp{Key: slices.Clone(k), Value: append([]byte{}, v...)})
		return true
	})
	next := newCrashable()
	if err := next.Apply(context.Background(), storage.Sync, ops...); err != nil {
		panic(err)
	}
	return next
}

// failWith makes applies fail; nil: no more.
func (c *crashable) failWith(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = err
}

// hold keeps applies that begin with writing a key of the family waiting until the gate is closed.
func (c *crashable) hold(family string) (gate chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held, c.gate = family, make(chan struct{})
	return c.gate
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
