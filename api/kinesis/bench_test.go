package kinesis

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/stream"
)

// discard is a client that reads nothing but the status.
type discard struct {
	header http.Header
	status int
	bytes  int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { d.bytes += len(b); return len(b), nil }

// benchmark sends the same request again and again, past no network.
func benchmark(b *testing.B, in encoding, op string, body []byte, records int) {
	c := clock.New(0)
	s := stream.New(stream.Options{Store: memory.New(memory.Options{Clock: c}), Clock: c})
	h := New(Options{Streams: s})
	if err := s.Create(
		b.Context(), stream.Name{Account: wire.DefaultAccount, Region: wire.DefaultRegion, Name: "s"},
		stream.CreateInput{Shards: 4},
	); err != nil {
		b.Fatal(err)
	}
	if in == (asCBOR{}) {
		body = inCBOR(b, string(body))
	}
	w := &discard{header: http.Header{}}
	reader := bytes.NewReader(nil)
	r := benchRequest(in, op)
	r.Body, r.ContentLength = io.NopCloser(reader), int64(len(body))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		clear(w.header)
		h.ServeHTTP(w, r.WithContext(wire.WithCaller(b.Context(), wire.ReadCaller(r, nil))))
		if w.status != http.StatusOK {
			b.Fatal(w.status)
		}
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(w.bytes)/float64(b.N), "answer-B/op")
}

func benchRequest(in encoding, op string) *http.Request {
	r, err := http.NewRequest(http.MethodPost, "http://127.0.0.1:4566/", nil)
	if err != nil {
		panic(err)
	}
	r.Header.Set("X-Amz-Target", targetPrefix+"."+op)
	r.Header.Set("Content-Type", in.contentType())
	r.Header.Set("X-Amz-Date", "20260101T000000Z")
	r.Header.Set(
		"Authorization",
		"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=00",
	)
	return r
}

func putRecordsBody(n, size int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteString(`{"StreamName":"s","Records":[`)
	data := make([]byte, size)
	for i := range n {
		for j := range data {
			data[j] = byte(random.Uint32())
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"Data":%q,"PartitionKey":"key-%d"}`, b64(string(data)), random.Uint32())
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

// inBoth runs a benchmark once for each encoding.
func inBoth(b *testing.B, benchmark func(b *testing.B, in encoding)) {
	b.Run("JSON", func(b *testing.B) { benchmark(b, asJSON{}) })
	b.Run("CBOR", func(b *testing.B) { benchmark(b, asCBOR{}) })
}

func BenchmarkPutRecords500x100B(b *testing.B) {
	inBoth(b, func(b *testing.B, in encoding) { benchmark(b, in, "PutRecords", putRecordsBody(500, 100), 500) })
}

func BenchmarkPutRecords500x1KB(b *testing.B) {
	inBoth(b, func(b *testing.B, in encoding) { benchmark(b, in, "PutRecords", putRecordsBody(500, 1000), 500) })
}

// The cost of what the fast decoder gives up on: one unknown member.
func BenchmarkPutRecords500x100BFullDecoder(b *testing.B) {
	body := bytes.Replace(putRecordsBody(500, 100), []byte(`{"StreamName"`), []byte(`{"X":1,"StreamName"`), 1)
	inBoth(b, func(b *testing.B, in encoding) { benchmark(b, in, "PutRecords", body, 500) })
}

func BenchmarkPutRecord100B(b *testing.B) {
	body := fmt.Appendf(nil, `{"StreamName":"s","PartitionKey":"key-1","Data":%q}`, b64(strings.Repeat("x", 100)))
	inBoth(b, func(b *testing.B, in encoding) { benchmark(b, in, "PutRecord", body, 1) })
}

// 10,000 records of 100 bytes a call, from one shard.
func BenchmarkGetRecords(b *testing.B) { inBoth(b, benchmarkGetRecords) }

func benchmarkGetRecords(b *testing.B, in encoding) {
	var body []byte
	c := clock.New(0)
	store := memory.New(memory.Options{Clock: c})
	s := stream.New(stream.Options{Store: store, Clock: c})
	name := stream.Name{Account: wire.DefaultAccount, Region: wire.DefaultRegion, Name: "one"}
	if err := s.Create(b.Context(), name, stream.CreateInput{Shards: 1}); err != nil {
		b.Fatal(err)
	}
	put := bytes.Replace(putRecordsBody(500, 100), []byte(`"s"`), []byte(`"one"`), 1)
	h := New(Options{Streams: s})
	send := func(in encoding, op string, body []byte, w *discard) {
		r := benchRequest(in, op)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		h.ServeHTTP(w, r.WithContext(wire.WithCaller(b.Context(), wire.ReadCaller(r, nil))))
		if w.status != http.StatusOK {
			b.Fatal(w.status)
		}
	}
	w := &discard{header: http.Header{}}
	for range 20 {
		send(asJSON{}, "PutRecords", put, w)
	}
	token, err := s.Iterator(b.Context(), name, stream.IteratorInput{Shard: "0", Type: stream.IterTrimHorizon})
	if err != nil {
		b.Fatal(err)
	}
	if body = fmt.Appendf(nil, `{"ShardIterator":%q}`, token); in == (asCBOR{}) {
		body = inCBOR(b, string(body))
	}
	w.bytes = 0
	b.ReportAllocs()
	for b.Loop() {
		send(in, "GetRecords", body, w)
	}
	b.SetBytes(int64(w.bytes / b.N))
	b.ReportMetric(10000*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
