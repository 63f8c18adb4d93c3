package e2e_test

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/shardmill/shardmill/e2e"
	"github.com/shardmill/shardmill/internal/eventually"
)

// timeWindowOf decodes an invocation with the type that AWS's library gives functions in Go, as those do (S-97).
func timeWindowOf(t *testing.T, inv invocation) (w events.KinesisTimeWindowEvent) {
	t.Helper()
	if err := json.Unmarshal(inv.payload, &w); err != nil {
		t.Errorf("the event does not parse: %v\n%s", err, inv.payload)
	}
	return w
}

// collect returns the state with the records of the invocation appended.
func collect(t *testing.T, inv invocation) e2e.Order {
	seen := timeWindowOf(t, inv).State["seen"]
	for _, r := range inv.records {
		seen += r.Data + " "
	}
	b, err := json.Marshal(map[string]any{"state": map[string]string{"seen": seen}})
	if err != nil {
		t.Error(err)
	}
	return e2e.Order{Response: b}
}

// gate holds the invocation with a record until it opens.
type gate struct {
	data string
	open chan struct{}
}

func (inv *invocation) holds(data string) bool {
	return len(inv.records) == 1 && inv.records[0].Data == data
}

// The state of an open window outlives kill -9: it is saved with the position that it belongs to, so in the end it has
// every record once, though records in flight come again. Moving the clock ends the window.
func TestStateOfAWindowOutlivesKills(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	var held atomic.Pointer[gate]
	l := newLedger(t, func(inv invocation) e2e.Order {
		if g := held.Load(); g != nil && inv.holds(g.data) {
			<-g.open
		}
		return collect(t, inv)
	})
	s := start(t, h, "dev", "--data", h.path("data"))
	c := s.clients()
	c.createStream(t, "orders", 1)
	c.createFunction(t, "orders", l.url)
	c.createMapping(t, "orders", lambda.CreateEventSourceMappingInput{
		BatchSize: aws.Int32(1), TumblingWindowInSeconds: aws.Int32(900),
	})
	want := ""
	begun := func(data string, times int) {
		t.Helper()
		eventually.Reaches(t, data+" delivered", func() (bool, string) {
			n := 0
			for _, inv := range l.invocations() {
				if inv.holds(data) {
					n++
				}
			}
			return n >= times, fmt.Sprint(n, " times")
		})
	}
	for round := range 3 {
		g := &gate{data: fmt.Sprint("c", round), open: make(chan struct{})}
		held.Store(g)
		for _, data := range []string{fmt.Sprint("a", round), fmt.Sprint("b", round), g.data} {
			c.put(t, "orders", "k", data)
			want += data + " "
		}
		begun(g.data, 1) // so those before it are in the state

		s.kill()

		held.Store(nil)
		close(g.open)
		s = start(t, h, "dev", "--data", h.path("data"))
		c = s.clients()
		begun(g.data, 2)
	}

	s.advance(t, 16*time.Minute)

	got := ""
	for _, inv := range l.invocations() {
		w := timeWindowOf(t, inv)
		if w.Window.End.Sub(w.Window.Start.Time) != 15*time.Minute || w.Window.Start.Unix()%900 != 0 ||
			w.ShardID != "shardId-000000000000" || w.EventSourceARN != streamARN("orders") {
			t.Errorf("an invocation in the window %+v", w)
		}
		if w.IsFinalInvokeForWindow {
			got += w.State["seen"] // of one window, or of two when a quarter of an hour ended meanwhile
		}
	}
	if got != want {
		t.Errorf("the windows ended with\n%s\nwant\n%s", got, want)
	}
}
