package kinesis

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// plain is the result of either decoder, in comparable form.
type plain struct {
	Entries             []string
	Present             bool
	Count               int
	Name, ARN, Ordering string
}

func plainEntry(e *entry) string { return fmt.Sprintf("%#v %#v %#v", e.data, e.key, e.hash) }

func plainText(s *string) string {
	if s == nil {
		return "absent"
	}
	return "given " + *s
}

func plainRecords(in *putRecordsInput) plain {
	p := plain{Present: in.present, Count: in.count, Name: plainText(in.name), ARN: plainText(in.arn)}
	for i := range in.entries {
		p.Entries = append(p.Entries, plainEntry(&in.entries[i]))
	}
	return p
}

func plainRecord(in *putRecordInput) plain {
	return plain{
		Entries: []string{plainEntry(&in.entry)}, Name: plainText(in.name), ARN: plainText(in.arn),
		Ordering: plainText(in.ordering),
	}
}

// agree fails unless the full decoder reads body as the fast one did. It returns which of the two fast decoders
// accepted it.
func agree(t interface {
	Fatalf(string, ...any)
	Helper()
}, body []byte,
) (record, records bool) {
	t.Helper()
	var d fastDecoder
	if one, ok := d.putRecord(body); ok {
		record = true
		got := plainRecord(&one)
		full, err := decodePutRecord(&call{body: body})
		if !isObject(body) || err != nil {
			t.Fatalf("PutRecord: the fast decoder takes %q, the full one says %v", body, err)
		}
		if diff := cmp.Diff(plainRecord(&full), got); diff != "" {
			t.Fatalf("PutRecord %q: %s", body, diff)
		}
	}
	if many, ok := d.putRecords(body); ok {
		records = true
		got := plainRecords(&many)
		full, err := decodePutRecords(&call{body: body})
		if !isObject(body) || err != nil {
			t.Fatalf("PutRecords: the fast decoder takes %q, the full one says %v", body, err)
		}
		if diff := cmp.Diff(plainRecords(&full), got); diff != "" {
			t.Fatalf("PutRecords %q: %s", body, diff)
		}
	}
	return record, records
}

var putBodies = []string{
	`{"StreamName":"s","PartitionKey":"a","Data":"QQ=="}`,
	`{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s","PartitionKey":"é","Data":"","ExplicitHashKey":"0","SequenceNumberForOrdering":"5"}`,
	`{"StreamName":"s","Records":[{"PartitionKey":"a","Data":"QQ=="},{"Data":"QUI=","PartitionKey":"b","ExplicitHashKey":"1"},{"Data":"QUJD","PartitionKey":""}]}`,
	`{"Records":[],"StreamName":"s"}`,
	`{"Records":[{}]}`,
	` { "Records" : [ { "Data" : "" } , { } ] , "StreamName" : "s" } `,
	`{}`,
}

// The shapes that SDKs send take the fast way; without this the agreement below would prove nothing.
func TestUsualPutsTakeTheFastWay(t *testing.T) {
	t.Parallel()
	for i, body := range putBodies {
		record, records := agree(t, []byte(body))
		if wantRecords := i >= 2; records != wantRecords || record == (i >= 2 && i < 6) {
			t.Errorf("%s: PutRecord %v, PutRecords %v", body, record, records)
		}
	}
}

var unusualPuts = []string{
	`{"StreamName":"s","PartitionKey":"a","Data":"QQ==","Data":"QUI="}`,
	`{"StreamName":"s","PartitionKey":"a\u0041","Data":"QQ=="}`,
	`{"StreamName":"s","PartitionKey":"a","Data":"Q\/=="}`,
	`{"StreamName":null,"PartitionKey":"a","Data":"QQ=="}`,
	`{"PartitionKey":"` + "\xff" + `","Data":""}`,
	`{"PartitionKey":"` + "\x01" + `","Data":""}`,
	`{"Data":"QQ=\n="}`, "{\"Data\":\"QUJD\nQUJD\"}", "{\"Data\":\"QUJ\nDQUJ\r\"}", `{"Data":"QR=="}`,
	`{"Data":"=QQ="}`, `{"Data":"===="}`, `{"Data":"QQQ"}`,
	`{"Records":[{"Data":""},]}`, `{"Records":[{"Data":""}`, `{"Records":[1]}`, `{"Records":[],"Records":[]}`,
	`{"Data":""}x`, `{"Data":""},`, `{"Data"}`, `{,}`, `{"Data":"" "PartitionKey":""}`, ``, ` `, `"`, `{"`, `[]`,
	`null`,
}

func TestUnusualPutsTakeTheFullWay(t *testing.T) {
	t.Parallel()
	for _, body := range unusualPuts {
		if record, records := agree(t, []byte(body)); record || records {
			t.Errorf("the fast decoder takes %q", body)
		}
	}
}

func FuzzFastDecoderAgreesWithTheFullOne(f *testing.F) {
	for _, body := range putBodies {
		f.Add([]byte(body))
	}
	for _, body := range unusualPuts {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) { agree(t, body) })
}

// The same on bodies that are nearly right far more often than a fuzzer's.
func TestFastAndFullDecoderAgree(t *testing.T) {
	t.Parallel()
	value := rapid.SampledFrom([]string{
		`"s"`, `""`, `"QQ=="`, `"QUJD"`, `"QR=="`, `"0"`, `"é"`, `"\n"`, `null`, `1`, `true`, `[]`, `{}`,
		`"` + "\xc3" + `"`, "\"QU\nJD\"",
	})
	space := rapid.SampledFrom([]string{"", "", "", " ", "\n", "x", ","})
	rapid.Check(t, func(t *rapid.T) {
		object := func(label string, names ...string) string {
			var b strings.Builder
			b.WriteString("{")
			for i := range rapid.IntRange(0, 4).Draw(t, label) {
				if i > 0 {
					b.WriteString(",")
				}
				b.WriteString(
					space.Draw(t, "space") + `"` + rapid.SampledFrom(names).Draw(t, "name") + `":` +
						value.Draw(t, "value"),
				)
			}
			return b.String() + space.Draw(t, "space") + "}"
		}
		agree(
			t,
			[]byte(object(
				"members", "StreamName", "Data", "PartitionKey", "ExplicitHashKey", "SequenceNumberForOrdering",
				"StreamARN", "X",
			)),
		)
		var records []string
		for range rapid.IntRange(0, 3).Draw(t, "records") {
			records = append(records, object("entry", "Data", "PartitionKey", "ExplicitHashKey"))
		}
		agree(t, []byte(`{"Records":[`+strings.Join(records, ",")+`],"StreamName":`+value.Draw(t, "stream")+"}"))
	})
}

// The rest of this file guards the full decoder: any body for any operation gets an answer that is JSON or empty, and
// never a server fault.
func FuzzRequests(f *testing.F) {
	for name := range model.Served {
		f.Add(
			name,
			[]byte(
				`{"StreamName":"s","ShardCount":1,"Limit":1,"Tags":{"a":"b"},"ShardFilter":{"Type":"AT_LATEST"},"StreamModeDetails":{"StreamMode":"ON_DEMAND"}}`,
			),
		)
	}
	f.Add(
		"GetShardIterator",
		[]byte(
			`{"StreamName":"s","ShardId":"0","ShardIteratorType":"AT_TIMESTAMP","Timestamp":1.5e9,"StartingSequenceNumber":"1"}`,
		),
	)
	f.Add(
		"PutRecords",
		[]byte(
			`{"Records":[{"Data":"\u0041A==","PartitionKey":"\ud800"},null,[]],"StreamARN":"arn:aws:kinesis:x:1:stream/s"}`,
		),
	)
	f.Add("ListShards", []byte(`{"NextToken":"AAAA"}`))
	f.Add("DescribeStream", []byte(`[{"a":"}"}]`))
	f.Fuzz(func(t *testing.T, op string, body []byte) {
		w := setup(t)
		w.create("s", 1)
		req := w.request("POST", "", string(body))
		req.Header.Set("X-Amz-Target", targetPrefix+"."+op)

		r := w.send(req)

		if r.status == 500 && r.body != `{"__type":"InternalFailure"}` || r.status != 200 && r.status != 400 &&
			r.status != 500 && r.status != 501 {
			t.Fatalf("%d %q", r.status, r.body)
		}
		if r.header.Get("Content-Type") == typeJSON && r.body != "" && !json.Valid([]byte(r.body)) {
			t.Fatalf("the answer is no JSON: %q", r.body)
		}
	})
}
