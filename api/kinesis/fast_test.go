package kinesis

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
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

// agree fails unless the full decoder of an encoding reads body as the fast one did. It returns for which of the two
// operations the fast one accepted it.
func agree(t interface {
	Fatalf(string, ...any)
	Helper()
}, in encoding, body []byte,
) (record, records bool) {
	t.Helper()
	d := in.decoder()
	defer d.release()
	if one, ok := d.putRecord(body); ok {
		record = true
		got := plainRecord(&one)
		full, err := decodePutRecord(&call{in: in, body: body})
		if !in.object(body) || err != nil {
			t.Fatalf("PutRecord: the fast decoder takes %q, the full one says %v", body, err)
		}
		if diff := cmp.Diff(plainRecord(&full), got); diff != "" {
			t.Fatalf("PutRecord %q: %s", body, diff)
		}
	}
	if many, ok := d.putRecords(body); ok {
		records = true
		got := plainRecords(&many)
		full, err := decodePutRecords(&call{in: in, body: body})
		if !in.object(body) || err != nil {
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
		record, records := agree(t, asJSON{}, []byte(body))
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
		if record, records := agree(t, asJSON{}, []byte(body)); record || records {
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
	f.Fuzz(func(t *testing.T, body []byte) { agree(t, asJSON{}, body) })
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
			t, asJSON{},
			[]byte(object(
				"members", "StreamName", "Data", "PartitionKey", "ExplicitHashKey", "SequenceNumberForOrdering",
				"StreamARN", "X",
			)),
		)
		var records []string
		for range rapid.IntRange(0, 3).Draw(t, "records") {
			records = append(records, object("entry", "Data", "PartitionKey", "ExplicitHashKey"))
		}
		many := `{"Records":[` + strings.Join(records, ",") + `],"StreamName":` + value.Draw(t, "stream") + "}"
		agree(t, asJSON{}, []byte(many))
	})
}

// The same puts in CBOR take the fast way there, and what they say is what they say in JSON.
func TestUsualPutsInCBORTakeTheFastWay(t *testing.T) {
	t.Parallel()
	for i, body := range putBodies {
		record, records := agree(t, asCBOR{}, inCBOR(t, body))
		if wantRecords := i >= 2; records != wantRecords || record == (i >= 2 && i < 6) {
			t.Errorf("%s: PutRecord %v, PutRecords %v", body, record, records)
		}
	}
}

// Puts in CBOR whose members are in another form than SDKs send, or wrong.
var unusualCBOR = []string{
	"\xa2\x64Data\x40\x64Data\x40", "\xa1\x64Data\x60", "\xa1\x64Data\xf6", "\xa1\x64Data\x5f\xff",
	"\xa1\x64Data\x5b\x00\x00\x00\x00\x00\x00\x00\x00", "\xa1\x64Data\xd8\x16\x40", "\xa1\x64Data\x41",
	"\xa1\x6cPartitionKey\x61\xff", "\xa1\x6cPartitionKey\x62\xc3", "\xa1\x6cPartitionKey\x7f\xff", "\xa1\x61x\x00",
	"\xa1\x67Records\x81\x00", "\xa1\x67Records\x80\x00", "\xa2\x67Records\x80\x67Records\x80", "\xbf", "\xa1",
	"\xd9\xd9\xf7\xa0", "\xa1\x7f\x64Data\xff\x40", "\x80", "", "\xff", "\xa1\x67Records\x9f\xa0",
	"\xa1\x64Data\x40\x00", "\xa0\xff", "\xbb\x00\x00\x00\x00\x00\x00\x00\x00", "\xba\x00\x00\x00", "\xb9\x00", "\xb8", "\xbc", "\xa1\x01\x02",
	"\xa1\x64Data\x5a\xff\xff\xff\xff", "\xa1\x67Records\x9a\xff\xff\xff\xff\xa0", "\xba\xff\xff\xff\xff",
}

func TestUnusualPutsInCBORTakeTheFullWay(t *testing.T) {
	t.Parallel()
	for _, body := range unusualCBOR {
		if record, records := agree(t, asCBOR{}, []byte(body)); record || records {
			t.Errorf("the fast decoder takes %q", body)
		}
	}
}

func FuzzCBORDecoderAgreesWithTheFullOne(f *testing.F) {
	for _, body := range putBodies {
		f.Add(inCBOR(f, body))
	}
	for _, body := range unusualCBOR {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) { agree(t, asCBOR{}, body) })
}

// Whatever a put says in JSON, it says in CBOR, to both decoders there: the same input or the same fault.
func FuzzPutsInCBORAreThoseInJSON(f *testing.F) {
	for _, body := range slices.Concat(putBodies, unusualPuts) {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !(asJSON{}).object(body) || !translatable(body) {
			t.Skip()
		}
		other := inCBOR(t, string(body))
		one, oneErr := decodePutRecord(&call{in: asJSON{}, body: body})
		sameOne, sameOneErr := decodePutRecord(&call{in: asCBOR{}, body: other})
		many, manyErr := decodePutRecords(&call{in: asJSON{}, body: body})
		sameMany, sameManyErr := decodePutRecords(&call{in: asCBOR{}, body: other})
		for _, c := range []struct {
			json, cbor       plain
			jsonErr, cborErr error
		}{
			{plainRecord(&one), plainRecord(&sameOne), oneErr, sameOneErr},
			{plainRecords(&many), plainRecords(&sameMany), manyErr, sameManyErr},
		} {
			if fmt.Sprint(c.jsonErr) != fmt.Sprint(c.cborErr) || c.jsonErr == nil && !cmp.Equal(c.json, c.cbor) {
				t.Fatalf("%q: %+v %v\n%+v %v", body, c.json, c.jsonErr, c.cbor, c.cborErr)
			}
		}
		agree(t, asCBOR{}, other)
	})
}

// translatable reports whether inCBOR can say the same: no number is beyond what a float holds, and nothing lies deeper
// than CBOR may.
func translatable(body []byte) bool {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	for depth := 0; ; {
		token, err := d.Token()
		if err != nil {
			return errors.Is(err, io.EOF)
		}
		switch token := token.(type) {
		case json.Number:
			if _, err := token.Float64(); err != nil {
				return false
			}
		case json.Delim:
			if depth++; token == '}' || token == ']' {
				depth -= 2
			}
			if depth > nestingCBOR/2 {
				return false
			}
		}
	}
}

// The rest of this file guards the full decoder: any body for any operation, in either encoding, gets an answer in that
// encoding or none, and never a server fault.
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
	for name := range model.Served {
		f.Add(name, []byte("\xa3\x6aStreamName\x61s\x65Limit\x01\x6bShardFilter\xa1\x64Type\x69AT_LATEST"))
	}
	f.Add("ListShards", []byte(`{"NextToken":"AAAA"}`))
	f.Add("DescribeStream", []byte(`[{"a":"}"}]`))
	f.Fuzz(func(t *testing.T, op string, body []byte) {
		w := setup(t)
		w.create("s", 1)
		if (asCBOR{}).object(body) {
			r := w.raw(op, string(body))
			if r.status != 200 && r.status != 400 && r.status != 501 {
				t.Fatalf("%d %q", r.status, r.body)
			}
			if r.header.Get("Content-Type") == typeCBOR && r.body != "" && cbor.Wellformed([]byte(r.body)) != nil {
				t.Fatalf("the answer is no CBOR: %q", r.body)
			}
			return
		}
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
