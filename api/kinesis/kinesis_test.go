package kinesis

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/stream"
	"github.com/shardmill/shardmill/stream/streamtest"
)

const maxHash = "340282366920938463463374607431768211455"

// world is a Kinesis with a client in front of it. Account 000000000000, region us-east-1, unless said otherwise.
type world struct {
	*testing.T
	clock   *clock.Clock
	store   storage.Store
	streams *stream.Streams
	handler http.Handler
	access  string // access key id
	region  string
	cbor    bool // what the client speaks; its answers are shown in JSON all the same
}

func setup(t *testing.T) *world {
	c := clock.New(0)
	w := &world{T: t, clock: c, store: memory.New(memory.Options{Clock: c}), access: "AKIDEXAMPLE", region: "us-east-1"}
	w.cbor = strings.HasPrefix(t.Name(), "TestOperationsInCBOR/")
	w.restart(20000)
	return w
}

// restart opens the same store in a new process.
func (w *world) restart(quota int) { w.reopen(stream.Options{ShardQuota: quota}) }

// reopen is restart with other options, of which the store and the clock are the world's.
func (w *world) reopen(o stream.Options) {
	o.Store, o.Clock = w.store, w.clock
	w.streams = stream.New(o)
	if err := w.streams.Start(w.Context()); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(w.streams.Stop)
	w.handler = New(Options{Streams: w.streams})
}

// reply is an answer; JSON members are reached with get.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	body   string
	parsed *any // of body, once get has needed it
}

func (w *world) request(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, "http://127.0.0.1:4566/", strings.NewReader(body))
	if target != "" {
		r.Header.Set("X-Amz-Target", "Kinesis_20131202."+target)
	}
	r.Header.Set("Content-Type", typeJSON)
	r.Header.Set("X-Amz-Date", "20260101T000000Z")
	r.Header.Set(
		"Authorization",
		"AWS4-HMAC-SHA256 Credential="+w.access+"/20260101/"+w.region+
			"/kinesis/aws4_request, SignedHeaders=host, Signature=00",
	)
	return r
}

func (w *world) send(r *http.Request) reply {
	rec := httptest.NewRecorder()
	r = r.WithContext(wire.WithCaller(r.Context(), wire.ReadCaller(r, nil)))
	w.handler.ServeHTTP(rec, r)
	return reply{w.T, rec.Code, rec.Result().Header, rec.Body.String(), new(any)}
}

// call sends an operation.
func (w *world) call(op, body string, args ...any) reply {
	if len(args) > 0 {
		body = fmt.Sprintf(body, args...)
	}
	r := w.request(http.MethodPost, op, body)
	if !w.cbor || !json.Valid([]byte(body)) {
		return w.send(r)
	}
	r.Body = io.NopCloser(bytes.NewReader(inCBOR(w, body)))
	r.Header.Set("Content-Type", typeCBOR)
	reply := w.send(r)
	if got := reply.header.Get("Content-Type"); got != typeCBOR {
		w.Errorf("%s in CBOR is answered as %s", op, got)
	}
	if reply.body != "" {
		reply.body = inJSON(w, []byte(reply.body))
	}
	return reply
}

// ok sends an operation that must succeed.
func (w *world) ok(op, body string, args ...any) reply {
	w.Helper()
	r := w.call(op, body, args...)
	if r.status != http.StatusOK {
		w.Fatalf("%s: %d %s", op, r.status, r.body)
	}
	return r
}

// fails asserts the whole answer of a fault.
func (r reply) fails(code, message string) {
	r.t.Helper()
	r.failsLike(code, message, func(got string) bool { return got == message })
}

func (r reply) failsLike(code, want string, matches func(string) bool) {
	r.t.Helper()
	var f map[string]string
	if err := json.Unmarshal([]byte(r.body), &f); err != nil {
		r.t.Errorf("the answer is %d %q", r.status, r.body)
		return
	}
	member := "message"
	if code == "SerializationException" {
		member = "Message"
	}
	if r.status != 400 || f["__type"] != code || !matches(f[member]) || len(f) != 2 {
		r.t.Errorf("the answer is %d %s\nwant 400 %s: %s", r.status, r.body, code, want)
	}
}

// get returns the value at a path of members and indexes, in JSON; "" when it is absent.
func (r reply) get(path ...any) string {
	r.t.Helper()
	if *r.parsed == nil {
		d := json.NewDecoder(strings.NewReader(r.body))
		d.UseNumber()
		if err := d.Decode(r.parsed); err != nil {
			r.t.Fatalf("%v in %q", err, r.body)
		}
	}
	v := *r.parsed
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			x, ok := m[p]
			if !ok {
				return ""
			}
			v = x
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return ""
			}
			v = l[p]
		}
	}
	if s, ok := v.(string); ok {
		return s
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// want asserts the value at a path.
func (r reply) want(want string, path ...any) {
	r.t.Helper()
	if got := r.get(path...); got != want {
		r.t.Errorf("%v is %s, want %s", path, got, want)
	}
}

// each returns the value of a member in all elements of a list.
func (r reply) each(list string, member string) []string {
	r.t.Helper()
	var out []string
	r.get()
	elements, _ := (*r.parsed).(map[string]any)[list].([]any)
	for i := range elements {
		out = append(out, r.get(list, i, member))
	}
	return out
}

func (w *world) create(name string, shards int) {
	w.Helper()
	w.ok("CreateStream", `{"StreamName":%q,"ShardCount":%d}`, name, shards)
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// put puts a record and returns its shard and sequence number.
func (w *world) put(name, key, data string) (shard, seq string) {
	w.Helper()
	r := w.ok("PutRecord", `{"StreamName":%q,"PartitionKey":%q,"Data":%q}`, name, key, b64(data))
	return r.get("ShardId"), r.get("SequenceNumber")
}

// iterator gets an iterator; more continues the body after the type.
func (w *world) iterator(name, shard, kind, more string) string {
	w.Helper()
	return w.ok(
		"GetShardIterator", `{"StreamName":%q,"ShardId":%q,"ShardIteratorType":%q%s}`, name, shard, kind, more,
	).get("ShardIterator")
}

func (w *world) read(iterator string) reply {
	w.Helper()
	return w.ok("GetRecords", `{"ShardIterator":%q}`, iterator)
}

// readKeys returns the partition keys that an iterator reads in one call.
func (w *world) readKeys(iterator string) string {
	w.Helper()
	return strings.Join(w.read(iterator).each("Records", "PartitionKey"), " ")
}

func (w *world) advance(d time.Duration) { w.clock.SetOffset(w.clock.Offset() + d) }

func (w *world) name(name string) stream.Name {
	return stream.Name{Account: "000000000000", Region: w.region, Name: name}
}

func (w *world) split(name string, shard record.ShardID) {
	w.Helper()
	streamtest.Split(w, w.streams, w.name(name), shard)
}

func (w *world) merge(name string, low, high record.ShardID) {
	w.Helper()
	streamtest.Merge(w, w.streams, w.name(name), low, high)
}

// Memory that one request leaves to the next brings nothing along: neither advice, nor an answer, nor a body.
func TestRequestsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("orders", 1)
	for range 50 {
		if r := w.call(
			"DescribeStreamSummary", `{"StreamARN":"arn:aws:kinesis:us-east-1:1:stream/gone"}`,
		); r.status == 200 ||
			r.header.Get(wire.HintHeader) == "" {
			t.Fatalf("%d %v", r.status, r.header)
		}
		if r := w.call("AddTagsToStream", `{"StreamName":"orders","Tags":{"a":"b"}}`); r.status != 200 ||
			r.body != "" ||
			r.header.Get(wire.HintHeader) != "" {
			t.Fatalf("%d %q %v", r.status, r.body, r.header)
		}
		if r := w.call("ListStreams", "{}"); r.status != 200 || !strings.HasPrefix(r.body, `{"HasMoreStreams":`) {
			t.Fatalf("%d %q", r.status, r.body)
		}
		if r := w.call("ListStreams", "{"); r.status != 400 {
			t.Fatalf("half a body: %d %q", r.status, r.body)
		}
	}
}
