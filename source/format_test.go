package source

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/shardmill/shardmill/record"
)

func appendSequence(dst []byte, p record.Position, m record.Millis) []byte {
	return fmt.Appendf(dst, "49%050d%04d", p, m%10000)
}

func sequence(p record.Position, m record.Millis) string { return string(appendSequence(nil, p, m)) }

func format() *KinesisFormat {
	return NewKinesisFormat(
		6, "arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream", "us-east-2",
		"arn:aws:iam::123456789012:role/lambda-role", appendSequence,
	)
}

// S-24: the record of the Developer Guide's example, members in AWS's order, the arrival with three decimals and no
// exponent.
func TestPayloadLooksAsAWSWritesIt(t *testing.T) {
	t.Parallel()
	f := format()

	got := string(f.AppendPayload(
		nil, []record.Record{{Pos: 5, Arrival: 1545084650987, Key: "test_0", Data: []byte("hello")}}, nil,
	))

	want := `{"Records":[{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"test_0","sequenceNumber":"` +
		sequence(5, 1545084650987) +
		`","data":"aGVsbG8=","approximateArrivalTimestamp":1545084650.987},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"shardId-000000000006:` +
		sequence(5, 1545084650987) +
		`","eventName":"aws:kinesis:record","invokeIdentityArn":"arn:aws:iam::123456789012:role/lambda-role","awsRegion":"us-east-2",` +
		`"eventSourceARN":"arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream"}]}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// S-97: the members that a tumbling window adds, in the shape of the Developer Guide's example. Both kinds of
// invocations without records have the same size.
func TestWindowMembersLookAsAWSWritesThem(t *testing.T) {
	t.Parallel()
	f := format()
	w := Window{Start: 1607497440000, End: 1607497560000, State: `{"1":282}`}
	rest := `"window":{"start":"2020-12-09T07:04:00Z","end":"2020-12-09T07:06:00Z"},"state":{"1":282},"shardId":"shardId-000000000006",` +
		`"eventSourceARN":"arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream","isFinalInvokeForWindow":`

	if got := string(f.AppendPayload(nil, []record.Record{{Pos: 5, Key: "k"}}, &w)); !strings.HasSuffix(
		got, `}],`+rest+`false,"isWindowTerminatedEarly":false}`,
	) {
		t.Errorf("with records: %s", got)
	}
	final, early := w, w
	final.Final, early.Early = true, true
	for want, w := range map[string]Window{
		`{"Records":[],` + rest + `true,"isWindowTerminatedEarly":false}`: final,
		`{"Records":[],` + rest + `false,"isWindowTerminatedEarly":true}`: early,
	} {
		got := string(f.AppendPayload(nil, nil, &w))
		if got != want || len(got) != f.Recordless()+len(w.State) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// The core keeps the payload limit by these sizes, so they must be exact for every record. S-25: data arrives
// unchanged.
func TestRecordSizesAddUpToThePayload(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := format()
		records := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) record.Record {
			return record.Record{
				Pos:     record.Position(rapid.Uint64Range(1, 1<<62).Draw(t, "pos")),
				Arrival: record.Millis(rapid.Int64Range(0, 4e12).Draw(t, "arrival")),
				Key: rapid.OneOf(
					rapid.String(), rapid.StringMatching(`["\\\x00-\x1f\x{80}-\x{ffff}]{1,8}`), rapid.Just("\xff\xc0k"),
				).Draw(t, "key"),
				Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data"),
			}
		}), 1, 5).Draw(t, "records")

		var w *Window
		if rapid.Bool().Draw(t, "in a window") {
			start := record.Millis(rapid.Int64Range(0, 4e9).Draw(t, "start") * 1000)
			w = &Window{
				Start: start, End: start + 60_000,
				State: `{"n":` + strings.Repeat("1", rapid.IntRange(1, 9).Draw(t, "digits")) + `}`,
			}
		}

		payload := f.AppendPayload(nil, records, w)

		sum := f.Envelope()
		if w != nil {
			sum += f.Windowed() + len(w.State)
		}
		for i := range records {
			sum += f.RecordSize(&records[i])
		}
		if sum != len(payload) {
			t.Fatalf("sizes say %d, the payload has %d: %s", sum, len(payload), payload)
		}
		if !utf8.Valid(payload) { // encoding/json would not mind
			t.Fatalf("a payload that is no text in UTF-8: %q", payload)
		}
		var event struct {
			Records []struct{ Kinesis struct{ Data []byte } }
		}
		if err := json.Unmarshal(payload, &event); err != nil {
			t.Fatal(err)
		}
		for i := range records {
			if string(event.Records[i].Kinesis.Data) != string(records[i].Data) {
				t.Fatalf("record %d: data changed", i)
			}
		}
	})
}

// A notice names the first and the last record, each with its own arrival.
func TestNoticeNamesBothEndsOfABatch(t *testing.T) {
	t.Parallel()
	first := record.Record{Pos: 5, Arrival: 1573691884835}
	last := record.Record{Pos: 9, Arrival: 1573691885580}

	got := format().Batch(&first, &last, 500)

	want := `{"shardId":"shardId-000000000006","startSequenceNumber":"` + sequence(first.Pos, first.Arrival) +
		`","endSequenceNumber":"` + sequence(last.Pos, last.Arrival) +
		`","approximateArrivalOfFirstRecord":"2019-11-14T00:38:04.835Z",` +
		`"approximateArrivalOfLastRecord":"2019-11-14T00:38:05.580Z","batchSize":500,` +
		`"streamArn":"arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream"}`
	if got.Member != "KinesisBatchInfo" || string(got.JSON) != want {
		t.Errorf("got  %s %s\nwant %s", got.Member, got.JSON, want)
	}
}

func BenchmarkAppendPayload100x1KB(b *testing.B) {
	f := format()
	records := make([]record.Record, 100)
	for i := range records {
		records[i] = record.Record{
			Pos: record.Position(i + 1), Arrival: 1545084650987, Key: "key-1", Data: make([]byte, 1024),
		}
	}
	dst := f.AppendPayload(nil, records, nil)
	b.SetBytes(int64(len(dst)))
	b.ReportAllocs()
	for b.Loop() {
		dst = f.AppendPayload(dst[:0], records, nil)
	}
}
