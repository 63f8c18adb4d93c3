package kinesis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/fxamacker/cbor/v2"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// subscriber reads the answer of one SubscribeToShard as it comes. It is for bubbles.
type subscriber struct {
	*testing.T
	header http.Header
	head   chan int // the status
	body   *io.PipeReader
	leave  context.CancelFunc
	over   chan struct{} // the server has done with it
	cut    *time.Timer   // the deadline of writes
}

// answerWriter is the server's side.
type answerWriter struct {
	*subscriber
	w *io.PipeWriter
}

func (a answerWriter) Header() http.Header         { return a.header }
func (a answerWriter) WriteHeader(status int)      { a.head <- status }
func (a answerWriter) Write(p []byte) (int, error) { return a.w.Write(p) }
func (a answerWriter) Flush()                      {}

func (a answerWriter) SetWriteDeadline(t time.Time) error {
	a.cut.Stop()
	if !t.IsZero() {
		a.cut.Reset(time.Until(t))
	}
	return nil
}

// subscribe sends a SubscribeToShard.
func (w *world) subscribe(arn, shard, start string) *subscriber {
	return w.follow(w.request("POST", "SubscribeToShard",
		fmt.Sprintf(`{"ConsumerARN":%q,"ShardId":%q,"StartingPosition":%s}`, arn, shard, start)))
}

// follow sends a request and reads the answer as it comes.
func (w *world) follow(r *http.Request) *subscriber {
	body, end := io.Pipe()
	ctx, leave := context.WithCancel(w.Context())
	cut := time.AfterFunc(time.Hour, func() { _ = body.CloseWithError(os.ErrDeadlineExceeded) })
	s := &subscriber{w.T, http.Header{}, make(chan int, 1), body, leave, make(chan struct{}), cut}
	r = r.WithContext(wire.WithCaller(ctx, wire.ReadCaller(r, nil)))
	go func() {
		defer close(s.over)
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				panic(p)
			}
			_ = end.CloseWithError(io.ErrUnexpectedEOF)
		}()
		w.handler.ServeHTTP(answerWriter{s, end}, r)
		_ = end.Close()
	}()
	w.Cleanup(func() {
		leave()
		_ = body.Close()
		<-s.over
		cut.Stop()
	})
	return s
}

// begun is subscribe for one that must succeed: it reads the first message.
func (w *world) begun(arn, shard, start string) *subscriber {
	w.Helper()
	s := w.subscribe(arn, shard, start)
	if status := <-s.head; status != 200 {
		text, _ := io.ReadAll(s.body)
		w.Fatalf("%d %s", status, text)
	}
	if got := s.message(); got != "event initial-response {}" {
		w.Fatal(got)
	}
	return s
}

// refused checks that a subscription does not begin.
func (w *world) refused(arn, shard, start, code, text string) {
	w.Helper()
	s := w.subscribe(arn, shard, start)
	status := <-s.head
	body, _ := io.ReadAll(s.body)
	if want := fmt.Sprintf(`{"__type":%q,"message":%q}`, code, text); status != 400 || string(body) != want {
		w.Errorf("%d %s, want %s", status, body, want)
	}
}

// message returns the next message as text: its type, its kind and its payload; "end" after the last one.
func (s *subscriber) message() string {
	s.Helper()
	m, err := eventstream.NewDecoder().Decode(s.body, nil)
	if errors.Is(err, io.EOF) {
		return "end"
	}
	if err != nil {
		return "cut: " + err.Error()
	}
	kind := ""
	for _, name := range []string{":event-type", ":exception-type", ":error-code"} {
		if v := m.Headers.Get(name); v != nil {
			kind += v.String()
		}
	}
	return m.Headers.Get(":message-type").String() + " " + kind + " " + string(m.Payload)
}

// shardEvent is the payload of an event.
type shardEvent struct {
	Records []struct {
		Data, PartitionKey, SequenceNumber string
		ApproximateArrivalTimestamp        json.Number
		EncryptionType                     *string
	}
	ContinuationSequenceNumber *string
	MillisBehindLatest         *int64
	ChildShards                []struct {
		ShardID      string `json:"ShardId"`
		ParentShards []string
	}
}

// event returns the next event with records, or the last one; then it is the payload of that.
func (s *subscriber) event() (e shardEvent) {
	s.Helper()
	payload, ok := strings.CutPrefix(s.message(), "event SubscribeToShardEvent ")
	err := json.Unmarshal([]byte(payload), &e)
	if !ok || err != nil || e.Records == nil || e.MillisBehindLatest == nil {
		s.Fatalf("%s is no event: %v", payload, err)
	}
	return e
}

// keys returns the partition keys of the next event.
func (s *subscriber) keys() string {
	s.Helper()
	var keys []string
	for _, r := range s.event().Records {
		keys = append(keys, r.PartitionKey)
	}
	return strings.Join(keys, " ")
}

func (s *subscriber) ends(want string) {
	s.Helper()
	if got := s.message(); got != want {
		s.Fatalf("%s, want %s", got, want)
	}
	if want != "end" {
		s.ends("end")
	}
	<-s.over
}

const (
	fromHorizon = `{"Type":"TRIM_HORIZON"}`
	fromLatest  = `{"Type":"LATEST"}`
	shard0      = "shardId-000000000000"
)

func after(sequence string) string {
	return fmt.Sprintf(`{"Type":"AFTER_SEQUENCE_NUMBER","SequenceNumber":%q}`, sequence)
}

func at(sequence string) string {
	return fmt.Sprintf(`{"Type":"AT_SEQUENCE_NUMBER","SequenceNumber":%q}`, sequence)
}

// pass lets time of the bubble pass.
func (w *world) pass(d time.Duration) { <-time.After(d) }

// number parses a sequence number.
func (s *subscriber) number(text string) *big.Int {
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		s.Fatalf("%s is no number", text)
	}
	return n
}

// fanOut runs a test in a bubble, with stream s of some shards and consumer c.
func fanOut(t *testing.T, shards int, test func(w *world, arn string)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		w.create("s", shards)
		test(w, w.register("c"))
	})
}

// F-01: one record, SubscribeToShard TRIM_HORIZON: initial-response, then a first event with that record,
// MillisBehindLatest 0, ContinuationSequenceNumber at or above its number.
func TestWhatIsThereComesWithTheFirstEvent(t *testing.T) {
	fanOut(t, 1, func(w *world, arn string) {
		_, seq := w.put("s", "a", "one")

		s := w.begun(arn, shard0, fromHorizon)

		e := s.event()
		if len(e.Records) != 1 || e.Records[0].Data != b64("one") || e.Records[0].SequenceNumber != seq ||
			e.Records[0].EncryptionType != nil || *e.MillisBehindLatest != 0 || e.ChildShards != nil {
			w.Errorf("the first event is %+v", e)
		}
		if s.number(*e.ContinuationSequenceNumber).Cmp(s.number(seq)) < 0 {
			w.Errorf("it continues from %s, below %s", *e.ContinuationSequenceNumber, seq)
		}
		if h := s.header; h.Get("Content-Type") != "application/vnd.amazon.eventstream" ||
			h.Get("X-Amzn-Requestid") == "" || h.Get("Content-Length") != "" {
			w.Errorf("the header is %v", h)
		}
	})
}

// W-26: the first message has :event-type initial-response; with its three headers and the payload {} it is 114 bytes,
// 00000072 00000060 ab820d9e … e16e66e4.
func TestTheFirstMessageHasTheKnownBytes(t *testing.T) {
	fanOut(t, 1, func(w *world, arn string) {
		s := w.subscribe(arn, shard0, fromLatest)
		var first [114]byte
		if _, err := io.ReadFull(s.body, first[:]); err != nil {
			w.Fatal(err)
		}
		if got := fmt.Sprintf("%x", first); !strings.HasPrefix(got, "0000007200000060ab820d9e") ||
			!strings.HasSuffix(got, "e16e66e4") || !strings.Contains(string(first[:]), "initial-response") {
			w.Errorf("%s", got)
		}
	})
}

// 1.8: a request in CBOR gets the same events in CBOR, and so is the exception; :content-type says it.
func TestEventsAreInTheEncodingOfTheRequest(t *testing.T) {
	fanOut(t, 1, func(w *world, arn string) {
		_, seq := w.put("s", "a", "one")
		body, err := cbor.Marshal(map[string]any{
			"ConsumerARN": arn, "ShardId": shard0, "StartingPosition": map[string]any{"Type": "TRIM_HORIZON"},
		})
		if err != nil {
			w.Fatal(err)
		}
		r := w.request("POST", "SubscribeToShard", string(body))
		r.Header.Set("Content-Type", typeCBOR)
		s := w.follow(r)
		payload := func(want string, into any) {
			w.Helper()
			m, err := eventstream.NewDecoder().Decode(s.body, nil)
			if err == nil {
				err = cbor.Unmarshal(m.Payload, into)
			}
			if err != nil || m.Headers.Get(want) == nil || m.Headers.Get(":content-type").String() != typeCBOR {
				w.Fatalf("%v %x, %v", m.Headers, m.Payload, err)
			}
		}

		var first struct{}
		payload(":event-type", &first)
		var e struct {
			Records []struct {
				Data                         []byte
				PartitionKey, SequenceNumber string
				ApproximateArrivalTimestamp  cbor.RawTag
			}
			ContinuationSequenceNumber string
			MillisBehindLatest         *int64
		}
		payload(":event-type", &e)
		if len(e.Records) != 1 || string(e.Records[0].Data) != "one" || e.Records[0].SequenceNumber != seq ||
			e.Records[0].ApproximateArrivalTimestamp.Number != 1 || e.ContinuationSequenceNumber != seq ||
			e.MillisBehindLatest == nil {
			w.Errorf("the event is %+v", e)
		}
		w.ok("DeregisterStreamConsumer", `{"ConsumerARN":%q}`, arn)
		var gone map[string]string
		payload(":exception-type", &gone)
		if gone["message"] != "Consumer c under stream s and account 000000000000 not found." {
			w.Errorf("the exception says %v", gone)
		}
		s.ends("end")
	})
}

// F-02: a subscription from LATEST gets a PutRecord at once, and nothing from before it.
func TestAPutIsPushed(t *testing.T) {
	fanOut(t, 1, func(w *world, arn string) {
		w.put("s", "before", "")
		s := w.begun(arn, "0", fromLatest)
		for i := range 3 {
			w.pass(time.Second)
			began := time.Now()
			w.put("s", fmt.Sprint(i), "")
			if got := s.keys(); got != fmt.Sprint(i) || time.Since(began) > 0 {
				w.Errorf("%s after %s", got, time.Since(began))
			}
		}
	})
}

// F-03: an idle shard for 20 s: at least three empty events, gaps of five seconds at most;
// ContinuationSequenceNumber never decreases and is accepted by AT and AFTER.
func TestAnIdleShardShowsThatItIsThere(t *testing.T) {
	for _, filled := range []bool{false, true} {
		t.Run(fmt.Sprint("records before: ", filled), func(t *testing.T) {
			fanOut(t, 1, func(w *world, arn string) {
				if filled {
					w.put("s", "before", "")
				}
				s := w.begun(arn, shard0, fromLatest)
				began, last := time.Now(), big.NewInt(0)
				var token string
				for range 5 {
					before := time.Now()
					e := s.event()
					if gap := time.Since(before); gap > 5*time.Second || len(e.Records) > 0 {
						w.Errorf("after %s an event with %d records", gap, len(e.Records))
					}
					token = *e.ContinuationSequenceNumber
					if n := s.number(token); n.Cmp(last) <= 0 { // the time is in it
						w.Errorf("%s follows %s", n, last)
					} else {
						last = n
					}
				}
				if d := time.Since(began); d > 25*time.Second {
					w.Errorf("five events take %s", d)
				}
				w.put("s", "next", "")
				s.event()
				if got := w.begun(arn, shard0, after(token)).keys(); got != "next" {
					w.Errorf("AFTER it comes %s", got)
				}
				w.pass(5 * time.Second)
				want := "next"
				if filled { // as with the number of the last record itself
					want = "before next"
				}
				if got := w.begun(arn, shard0, at(token)).keys(); got != want {
					w.Errorf("AT it comes %s, want %s", got, want)
				}
			})
		})
	}
}

// F-04: a consumer in CREATING is HTTP 400 ResourceInUseException, with AWS's odd punctuation.
func TestAConsumerThatIsNotActiveReadsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		w.streams = stream.New(stream.Options{Store: w.store, Clock: w.clock, Pace: stream.AWSPace()})
		w.handler = New(Options{Streams: w.streams})
		w.create("s", 1)
		w.pass(6 * time.Second)
		arn := w.register("c")

		w.refused(arn, shard0, fromLatest, "ResourceInUseException", "Consumer c with creation timestamp 946684806 "+
			"under stream: s , account 000000000000 is not in ACTIVE status.")
		w.pass(5 * time.Second)
		s := w.begun(arn, shard0, fromLatest)
		w.ok("DeregisterStreamConsumer", `{"ConsumerARN":%q}`, arn)
		s.ends(`exception ResourceNotFoundException ` +
			`{"message":"Consumer c under stream s and account 000000000000 not found."}`)
		w.refused(arn, shard0, fromLatest, "ResourceInUseException", "Consumer c with creation timestamp 946684806 "+
			"under stream: s , account 000000000000 is not in ACTIVE status.")
		w.streams.Stop()
	})
}

// F-14: one reader takes nothing while others put for 60 s: puts are unaffected, one event is held for it, other
// readers get everything. Who takes over does not wait for it, and neither does the server.
func TestAReaderThatStallsHindersNobody(t *testing.T) {
	fanOut(t, 1, func(w *world, arn string) {
		stalled := w.begun(arn, shard0, fromLatest)
		reader := w.begun(w.register("d"), shard0, fromLatest)
		began := time.Now()
		for i := range 60 {
			w.pass(time.Second)
			before := time.Now()
			w.put("s", fmt.Sprint(i), strings.Repeat("x", 100<<10))
			if got := reader.keys(); got != fmt.Sprint(i) || time.Since(before) > 0 {
				w.Fatalf("%s after %s", got, time.Since(before))
			}
		}
		synctest.Wait()
		events := &w.handler.(*wire.RPC[*handler, *call]).Of.events
		if held := events.held.Load(); held <= 0 || held > largeBuffer {
			w.Errorf("%d bytes are held for it", held)
		}
		select {
		case <-stalled.over:
			w.Error("it is cut although it may take its time")
		default:
		}
		w.begun(arn, shard0, fromLatest) // takes over
		<-stalled.over
		if d := time.Since(began); d != time.Minute+leaving {
			w.Errorf("it is gone after %s", d)
		}
	})
}

// Many readers that take nothing are held less for.
func TestManySlowReadersGetShortEvents(t *testing.T) {
	t.Parallel()
	room := new(eventRoom)
	room.held.Store(eventsHeld - 1)
	e := event{room: room}
	if most := e.limit(); most != maxEvent || e.patience() != stalled {
		t.Errorf("with room left: %d, %s", most, e.patience())
	}
	room.held.Store(eventsHeld)
	if most := e.limit(); most != shortEvent || e.patience() != 0 {
		t.Errorf("without: %d, %s", most, e.patience())
	}
	e.in = asJSON{}
	e.add(new(stream.ShardInfo), &record.Record{Key: "a"})
	if held := room.held.Load() - eventsHeld; held != shortEvent {
		t.Errorf("a short event is charged as %d bytes while it is written", held)
	}
	e.release()
}

// F-05: 1 s after a subscription another is refused, and the first goes on. F-06: after 6 s it is accepted, and the
// first ends with the exception ResourceInUseException. 6.3: the five seconds count from the beginning, however soon
// the first has ended.
func TestALaterSubscriptionTakesOver(t *testing.T) {
	fanOut(t, 1, func(w *world, arn string) {
		const text = "Another active subscription exists for this consumer: 000000000000:s:shardId-000000000000:c"
		first := w.begun(arn, shard0, fromLatest)
		w.pass(time.Second)

		w.refused(arn, shard0, fromLatest, "ResourceInUseException", text)
		w.put("s", "a", "")
		if got := first.keys(); got != "a" {
			w.Errorf("the first gets %s", got)
		}
		w.pass(4*time.Second - 1) // 5 s in all, but for a millisecond
		w.refused(arn, shard0, fromLatest, "ResourceInUseException", text)
		w.pass(1)
		second := w.begun(arn, shard0, fromLatest)
		first.event() // the empty one of before
		first.ends(`exception ResourceInUseException {"message":"` + text + `"}`)
		w.put("s", "b", "")
		if got := second.keys(); got != "b" {
			w.Errorf("the second gets %s", got)
		}

		second.leave()
		<-second.over
		w.pass(4 * time.Second)
		w.refused(arn, shard0, fromLatest, "ResourceInUseException", text)
		w.pass(time.Second)
		w.begun(arn, shard0, fromLatest)
	})
}

// F-07: two consumers and two shards: four subscriptions at once.
func TestSubscriptionsOfOtherShardsAndConsumersAreIndependent(t *testing.T) {
	fanOut(t, 2, func(w *world, arn string) {
		other := w.register("d")
		var all []*subscriber
		for _, shard := range []string{shard0, "shardId-000000000001"} {
			for _, consumer := range []string{arn, other} {
				all = append(all, w.begun(consumer, shard, fromHorizon))
			}
		}
		w.put("s", "a", "") // D-02: a goes to shard 0 of two, b to shard 1
		w.put("s", "b", "")
		for i, s := range all {
			if got, want := s.keys(), []string{"a", "a", "b", "b"}[i]; got != want {
				w.Errorf("subscription %d gets %s, want %s", i, got, want)
			}
		}
	})
}

// F-08: after 300 s a clean end without exception; a subscription from the last ContinuationSequenceNumber loses and
// repeats nothing, and may begin at once.
func TestASubscriptionLivesForFiveMinutes(t *testing.T) {
	fanOut(t, 1, func(w *world, arn string) {
		began := time.Now()
		s := w.begun(arn, shard0, fromHorizon)
		var got, want []string
		var token string
		put := 0
		more := func() {
			want = append(want, fmt.Sprint(put))
			w.put("s", want[put], "")
			put++
		}
		for {
			if put < 10 {
				more()
			}
			m := s.message()
			payload, ok := strings.CutPrefix(m, "event SubscribeToShardEvent ")
			if !ok {
				if m != "end" || time.Since(began) != 5*time.Minute {
					w.Fatalf("after %s: %s", time.Since(began), m)
				}
				break
			}
			var e shardEvent
			if err := json.Unmarshal([]byte(payload), &e); err != nil {
				w.Fatal(err)
			}
			token = *e.ContinuationSequenceNumber
			for _, r := range e.Records {
				got = append(got, r.PartitionKey)
			}
		}
		more()
		again := w.begun(arn, shard0, after(token))
		got = append(got, again.keys())
		more()
		got = append(got, again.keys())
		if fmt.Sprint(got) != fmt.Sprint(want) {
			w.Errorf("got %v, want %v", got, want)
		}
	})
}

// F-08 by the steered clock, and F-06: an hour's move ends the subscription, and another may begin.
func TestAMoveOfTheClockEndsSubscriptions(t *testing.T) {
	fanOut(t, 1, func(w *world, arn string) {
		s := w.begun(arn, shard0, fromLatest)
		w.advance(6 * time.Second)
		second := w.begun(arn, shard0, fromLatest)
		s.ends(`exception ResourceInUseException {"message":"Another active subscription exists for this consumer: ` +
			`000000000000:s:shardId-000000000000:c"}`)
		w.advance(time.Hour)
		second.ends("end")
	})
}

// F-09: Split 0: the last event has ChildShards 1 and 2 and no ContinuationSequenceNumber; the stream ends. F-10: a
// subscription AFTER the last number of the closed shard gets that event at once.
func TestTheEndOfAShardIsToldWithItsChildren(t *testing.T) {
	fanOut(t, 1, func(w *world, arn string) {
		s := w.begun(arn, shard0, fromLatest)
		_, seq := w.put("s", "a", "")
		if got := s.keys(); got != "a" {
			w.Errorf("the first event has %s", got)
		}
		w.split("s", 0)
		check := func(s *subscriber, records int) {
			w.Helper()
			e := s.event()
			if len(e.Records) != records || e.ContinuationSequenceNumber != nil || len(e.ChildShards) != 2 ||
				e.ChildShards[0].ShardID != "shardId-000000000001" ||
				e.ChildShards[1].ShardID != "shardId-000000000002" || e.ChildShards[1].ParentShards[0] != shard0 {
				w.Errorf("the last event is %+v", e)
			}
			s.ends("end")
		}
		check(s, 0)
		w.pass(5 * time.Second)
		check(w.begun(arn, shard0, after(seq)), 0)
		w.pass(5 * time.Second)
		check(w.begun(arn, shard0, fromHorizon), 1)
		w.pass(5 * time.Second)
		check(w.begun(arn, shard0, fromLatest), 0)
	})
}

// F-11: DeleteStream with EnforceConsumerDeletion ends a subscription with the exception ResourceNotFoundException; so
// does DeregisterStreamConsumer. 6.3: at a stop of the server it ends with an error, and none begins.
func TestSubscriptionsEndWithWhatTheyReadFrom(t *testing.T) {
	fanOut(t, 1, func(w *world, arn string) {
		s := w.begun(arn, shard0, fromLatest)
		other := w.begun(w.register("d"), shard0, fromLatest)

		w.ok("DeregisterStreamConsumer", `{"ConsumerARN":%q}`, arn)
		s.ends(`exception ResourceNotFoundException ` +
			`{"message":"Consumer c under stream s and account 000000000000 not found."}`)
		w.put("s", "a", "")
		if got := other.keys(); got != "a" {
			w.Errorf("the other consumer gets %s", got)
		}
		w.ok("DeleteStream", `{"StreamName":"s","EnforceConsumerDeletion":true}`)
		other.ends(`exception ResourceNotFoundException {"message":"Stream s under account 000000000000 not found."}`)

		w.create("s", 1)
		arn = w.register("c")
		s = w.begun(arn, shard0, fromLatest)
		w.streams.EndSubscriptions()
		s.ends("error InternalFailure ")
		late := w.subscribe(arn, shard0, fromLatest)
		if status := <-late.head; status != 500 {
			w.Errorf("a subscription begins while the server stops: %d", status)
		}
		_, _ = io.ReadAll(late.body)
	})
}

// F-12: an unknown ConsumerARN is ResourceNotFoundException, a malformed one ValidationException. 6.1: shards and
// starts are checked like those of iterators, and nothing that is refused counts for the five seconds.
func TestSubscriptionsAreChecked(t *testing.T) {
	fanOut(t, 2, func(w *world, arn string) {
		_, foreign := w.put("s", "b", "") // on shard 1
		invalid := "InvalidArgumentException"
		w.refused(streamARN+"/consumer/x:1", shard0, fromLatest, "ResourceNotFoundException",
			"Consumer x under stream s and account 000000000000 not found.")
		w.refused(streamARN, shard0, fromLatest, "ValidationException", "1 validation error detected: Value '"+
			streamARN+"' at 'consumerARN' failed to satisfy constraint: Member must satisfy regular expression pattern: "+
			`^(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+`)
		w.refused(arn, shard0, `{"Type":"NOW"}`, "ValidationException", "1 validation error detected: Value 'NOW' at "+
			"'startingPosition.type' failed to satisfy constraint: Member must satisfy enum value set: "+
			"[AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]")
		w.refused(arn, shard0, `null`, "ValidationException", "1 validation error detected: Value null at "+
			"'startingPosition' failed to satisfy constraint: Member must not be null")
		w.refused(arn, "x", fromLatest, "ResourceNotFoundException",
			"Could not find shard x in stream s under account 000000000000.")
		w.refused(arn, "7", fromLatest, "ResourceNotFoundException",
			"Shard shardId-000000000007 in stream s under account 000000000000 does not exist")
		w.refused(arn, shard0, after(foreign), invalid, "Invalid StartingSequenceNumber. It encodes "+
			"shardId-000000000001, while it was used in a call to a shard with shardId-000000000000")
		w.refused(arn, shard0, `{"Type":"AT_TIMESTAMP"}`, invalid, "Must specify timestampInMillis parameter for "+
			"iterator of type AT_TIMESTAMP. Current request has no timestamp parameter.")
		w.refused(arn, shard0, `{"Type":"AT_SEQUENCE_NUMBER"}`, invalid, "Must either specify (1) AT_SEQUENCE_NUMBER or "+
			"AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no "+
			"StartingSequenceNumber. Request specified AT_SEQUENCE_NUMBER and no StartingSequenceNumber.")
		w.begun(arn, shard0, `{"Type":"AT_TIMESTAMP","Timestamp":946684700}`)
	})
}

// 6.2.7: an event stops at 10,000 records; what is left comes with the next ones, in order. A record larger than an
// event comes alone.
func TestALongBacklogComesInSeveralEvents(t *testing.T) {
	fanOut(t, 1, func(w *world, arn string) {
		const calls, each, size = 6, 500, 1000 // 3 MB
		for call := range calls {
			var entries []string
			for i := range each {
				entries = append(entries, fmt.Sprintf(`{"PartitionKey":"%d","Data":%q}`, call*each+i,
					b64(strings.Repeat("x", size))))
			}
			w.ok("PutRecords", `{"StreamName":"s","Records":[%s]}`, strings.Join(entries, ","))
		}
		s := w.begun(arn, shard0, fromHorizon)
		next, events := 0, 0
		for next < calls*each {
			e := s.event()
			events++
			for _, r := range e.Records {
				if r.PartitionKey != fmt.Sprint(next) {
					w.Fatalf("%s comes in the place of %d", r.PartitionKey, next)
				}
				next++
			}
		}
		if events < 3 || events > 5 {
			w.Errorf("%d events", events)
		}
		w.ok("UpdateMaxRecordSize", `{"StreamARN":%q,"MaxRecordSizeInKiB":10240}`, streamARN)
		w.put("s", "large", strings.Repeat("x", 3<<20))
		w.put("s", "small", "")
		if got := s.keys(); got != "large" {
			w.Errorf("the next event has %s", got)
		}
		if got := s.keys(); got != "small" {
			w.Errorf("the last event has %s", got)
		}
		s.leave()
		<-s.over
		if held := w.handler.(*wire.RPC[*handler, *call]).Of.events.held.Load(); held != 0 {
			w.Errorf("%d bytes of events are still counted", held)
		}
	})
}
