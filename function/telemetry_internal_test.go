package function

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/function/runtimeapi"
	"github.com/shardmill/shardmill/internal/clock"
)

// receiver is the other end of a subscription: it accepts deliveries, or refuses them.
type receiver struct {
	refuses bool
	got     []string // types, records of what was dropped, sizes of bodies
	largest int
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	if r.refuses {
		return nil, errors.New("nothing listens")
	}
	r.largest = max(r.largest, len(body))
	var events []struct {
		Type   string
		Record json.RawMessage
	}
	if err := json.Unmarshal(body, &events); err != nil {
		return nil, err
	}
	for _, e := range events {
		if e.Type == "platform.logsDropped" {
			var dropped struct{ DroppedRecords, DroppedBytes int }
			if err := json.Unmarshal(e.Record, &dropped); err != nil {
				return nil, err
			}
			e.Type += fmt.Sprintf(" %d/%d", dropped.DroppedRecords, dropped.DroppedBytes)
		}
		r.got = append(r.got, e.Type)
	}
	return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
}

// subscribe returns a subscription of a function's lines that r gets.
func subscribe(r *receiver, maxItems, maxBytes int) *subscriber {
	f := &Functions{opt: Options{Clock: clock.New(0), Log: slog.New(slog.DiscardHandler)}}
	return &subscriber{
		Subscription: runtimeapi.Subscription{
			Extension: "reader", MaxItems: maxItems, MaxBytes: maxBytes, Timeout: time.Second, Path: "/", Port: 1,
		},
		e: &environment{f: f, g: &generation{f: f, conf: &Configuration{}}}, client: http.Client{Transport: r},
		begun: make(chan struct{}, 1), full: make(chan struct{}, 1),
	}
}

func line(i int) []byte { return fmt.Appendf(nil, `{"type":"line %d"}`, i) }

// Events that a subscriber never got are counted until that is reported, however often the report itself is lost;
// events beyond its queue count too.
func TestDroppedTelemetryIsCountedUntilItIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{refuses: true}
		s := subscribe(r, 2, 1000)
		size := len(line(0))
		for i := range 5 { // the queue takes four
			s.add(line(i))
		}
		<-s.begun
		for range 2 {
			if s.deliver(context.Background()) {
				t.Error("it goes on at once")
			}
		}
		s.add(line(5))
		r.refuses = false

		for s.deliver(context.Background()) {
		}

		if want := fmt.Sprintf("[platform.logsDropped 5/%d line 5]", 5*size); fmt.Sprint(r.got) != want {
			t.Errorf("got %v, want %s", r.got, want)
		}
	})
}

// Events behind a batch that was given up are delivered, even if nothing else happens.
func TestTelemetryBehindALostBatchIsDelivered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := subscribe(&receiver{refuses: true}, 2, 1000)
		for i := range 3 {
			s.add(line(i))
		}
		<-s.begun

		s.deliver(context.Background())

		select {
		case <-s.begun:
		default:
			t.Error("nothing will deliver the third line")
		}
	})
}

// A batch is no larger than the subscription says, by events and by bytes; an event that is larger by itself goes
// alone.
func TestBatchesOfTelemetryAreBounded(t *testing.T) {
	t.Parallel()
	r := &receiver{}
	s := subscribe(r, 3, 60)
	size := len(line(0)) // 17: three are within 60 bytes
	for i := range 6 {
		s.add(line(i))
	}
	for more := true; more; {
		more = s.deliver(context.Background())
		if r.largest > 60+len("[,,]") {
			t.Errorf("a body of %d bytes", r.largest)
		}
	}
	s.MaxBytes = 2*size - 1
	s.add(line(6))
	s.add(line(7))
	r.largest = 0
	for s.deliver(context.Background()) {
	}
	if r.largest != size+len("[]") || len(r.got) != 8 {
		t.Errorf("the largest body has %d bytes, %d events came", r.largest, len(r.got))
	}
}
