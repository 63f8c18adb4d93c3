package kinesis

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// Whatever the sizes of its records, an event is whole as it goes from its small buffer to a large one and beyond that;
// the room is charged with the memory that it has, and with nothing once that is given back.
func TestEventsOfEverySizeAreWhole(t *testing.T) {
	t.Parallel()
	shard := new(stream.ShardInfo)
	for _, c := range []struct{ from, to, step, records int }{
		{0, 400, 3, 120}, {11_500, 12_500, 31, 2}, {500_000, 550_000, 25_000, 4},
	} {
		for size := c.from; size < c.to; size += c.step {
			room := new(eventRoom)
			e := event{in: asJSON{}, room: room}
			e.limit()
			data := bytes.Repeat([]byte{byte(size)}, size)
			for i := range c.records {
				e.add(shard, &record.Record{Key: fmt.Sprint("key", i), Data: data, Pos: record.Position(i + 1)})
			}
			m, err := eventstream.NewDecoder().Decode(bytes.NewReader(e.end(&stream.Event{Continuation: "1"})), nil)
			if err != nil {
				t.Fatalf("records of %d bytes: %v", size, err)
			}
			if held := room.held.Load(); held != int64(cap(e.b)) {
				t.Errorf("records of %d bytes: %d bytes are charged, %d are held", size, held, cap(e.b))
			}
			var got struct{ Records []struct{ Data []byte } }
			if err := json.Unmarshal(m.Payload, &got); err != nil || len(got.Records) != c.records {
				t.Fatalf("records of %d bytes: %d of %d, %v", size, len(got.Records), c.records, err)
			}
			for i := range got.Records {
				if !bytes.Equal(got.Records[i].Data, data) {
					t.Fatalf("records of %d bytes: the data of record %d", size, i)
				}
			}
			e.release()
			if held := room.held.Load(); held != 0 || e.b != nil {
				t.Errorf("records of %d bytes: %d bytes are charged for nothing", size, held)
			}
		}
	}
}

// A reader that leaves leaves nothing behind: neither a timer for the rest of its five minutes nor memory that counts
// as taken, also if it was cut off in the midst of an event.
func TestAReaderThatLeavesLeavesNothing(t *testing.T) {
	fanOut(t, 1, func(w *world, arn string) {
		w.streams.Stop() // whose timers fire, too
		events := &w.handler.(*wire.RPC[*handler, *call]).Of.events
		s := w.begun(arn, shard0, fromLatest)
		w.put("s", "a", strings.Repeat("x", 100<<10))
		synctest.Wait()
		if events.held.Load() == 0 {
			w.Error("nothing is held for the reader, who takes nothing")
		}
		s.leave()
		_ = s.body.Close()
		<-s.over
		if n := events.held.Load(); n != 0 {
			w.Errorf("%d bytes are held for nobody", n)
		}
		before := w.clock.Fired()
		w.clock.SetOffset(2 * stream.SubscriptionLife)
		synctest.Wait()
		if n := w.clock.Fired() - before; n != 0 {
			w.Errorf("%d timers have fired", n)
		}
	})
}

// The buffers of a subscription's request serve other requests while it lasts, and are its own no more.
func TestASubscriptionGivesItsBuffersAway(t *testing.T) {
	t.Parallel()
	c := takeCall(wire.Caller{}, asJSON{})
	c.body, c.out = make([]byte, 100), make([]byte, 0, 100)
	c.lend()
	if c.body != nil || c.out != nil {
		t.Errorf("it still has %d and %d bytes of them", cap(c.body), cap(c.out))
	}
}

// spoiler is a client in whose writes other events are written, too; after some it leaves.
type spoiler struct {
	header  http.Header
	next    func(n int) // called in the n-th write
	writes  int
	spoiled bool
}

func (s *spoiler) Header() http.Header { return s.header }
func (s *spoiler) WriteHeader(int)     {}
func (s *spoiler) Flush()              {}

func (s *spoiler) Write(p []byte) (int, error) {
	before := bytes.Clone(p)
	for range 3 {
		other := smallBuffers.Get().(*[smallBuffer]byte)
		clear(other[:])
		defer smallBuffers.Put(other)
	}
	s.spoiled = s.spoiled || !bytes.Equal(before, p)
	s.writes++
	s.next(s.writes)
	return len(p), nil
}

// An event keeps its buffer until it is sent, whatever other subscriptions write meanwhile.
func TestAnEventKeepsItsBufferUntilItIsSent(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	arn := w.register("c")
	ctx, leave := context.WithCancel(t.Context())
	client := &spoiler{header: http.Header{}, next: func(n int) {
		if n == 30 {
			leave()
		}
		w.put("s", "a", "one")
	}}
	r := w.request("POST", "SubscribeToShard",
		fmt.Sprintf(`{"ConsumerARN":%q,"ShardId":%q,"StartingPosition":%s}`, arn, shard0, fromHorizon))
	func() {
		defer func() { _ = recover() }() // as the client has left
		w.handler.ServeHTTP(client, r.WithContext(wire.WithCaller(ctx, wire.ReadCaller(r, nil))))
	}()
	if client.spoiled || client.writes != 30 {
		t.Errorf("after %d writes: spoiled %t", client.writes, client.spoiled)
	}
}

// An account of fewer than twelve digits is the caller's, and the answer says so before its first event.
func TestASubscriptionCarriesItsHint(t *testing.T) {
	fanOut(t, 1, func(w *world, arn string) {
		s := w.begun(strings.Replace(arn, ":000000000000:", ":123456789:", 1), shard0, fromLatest)
		if hint := s.header.Get(wire.HintHeader); !strings.Contains(hint, "123456789 was read as 000000000000") {
			w.Errorf("the hint is %q", hint)
		}
	})
}
