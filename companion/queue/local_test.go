package queue

import (
	"slices"
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/storage/storagetest"
)

// newCrashable returns a memory backend that can lose what was not synced, and fail or wait on demand.
func newCrashable() *storagetest.Crashable {
	return storagetest.NewCrashable(func() storage.Local { return memory.New(memory.Options{}).Local() })
}

// bench is a running Queues with one queue, orders.
type bench struct {
	t     *testing.T
	local *storagetest.Crashable
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
func open(t *testing.T, local *storagetest.Crashable) *bench {
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
