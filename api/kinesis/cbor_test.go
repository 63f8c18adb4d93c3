package kinesis

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// inCBOR says the same as a JSON text that a test has written, in the same order: blobs of records become bytes,
// timestamps milliseconds under tag 1. Nothing of our own encoder is used.
func inCBOR(t testing.TB, text string) []byte {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return appendSent(t, nil, "", d)
}

// appendSent appends what a client sends for the value of a member that d reads next.
func appendSent(t testing.TB, to []byte, member string, d *json.Decoder) []byte {
	t.Helper()
	token, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	var v any = token
	switch token := token.(type) {
	case json.Delim:
		open := map[json.Delim]byte{'{': 0xbf, '[': 0x9f}[token]
		for to = append(to, open); d.More(); {
			name := ""
			if token == '{' {
				of, err := d.Token()
				if err != nil {
					t.Fatal(err)
				}
				name = of.(string)
				to = append(to, marshalled(t, name)...)
			}
			to = appendSent(t, to, name, d)
		}
		if _, err := d.Token(); err != nil {
			t.Fatal(err)
		}
		return append(to, 0xff)
	case string:
		data, err := base64.StdEncoding.DecodeString(token)
		if member == "Data" && err == nil && base64.StdEncoding.EncodeToString(data) == token {
			v = data
		}
	case json.Number:
		x, _ := token.Float64()
		if n, err := token.Int64(); err == nil {
			v = n
		} else {
			v = x
		}
		if strings.HasSuffix(member, "Timestamp") {
			v = cbor.Tag{Number: 1, Content: int64(math.Round(x * 1000))}
		}
	}
	return append(to, marshalled(t, v)...)
}

func marshalled(t testing.TB, v any) []byte {
	t.Helper()
	b, err := cbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// inJSON shows an answer in CBOR as JSON, with members in their order.
func inJSON(t testing.TB, body []byte) string {
	t.Helper()
	var v any
	if err := cbor.Unmarshal(body, &v); err != nil { // by another reader than ours
		t.Fatalf("%v in %q", err, body)
	}
	return string(appendShown(t, nil, body))
}

func appendShown(t testing.TB, to, raw []byte) []byte {
	t.Helper()
	in := asCBOR{}
	if h, content, tag := untag(raw); tag == tagTimestamp {
		if h.major != majorUnsigned {
			t.Fatalf("a timestamp is %x", content)
		}
		return appendSeconds(to, in.millis(raw))
	}
	switch in.kind(raw) {
	case kindMap:
		to = asJSON{}.beginMap(to)
		for name, of := range in.members(raw) {
			to = appendShown(t, asJSON{}.name(to, name), of)
		}
		return asJSON{}.endMap(to)
	case kindList:
		to = asJSON{}.beginList(to)
		for of := range in.elements(raw) {
			to = appendShown(t, asJSON{}.element(to), of)
		}
		return asJSON{}.endList(to)
	case kindBytes:
		return asJSON{}.string(to, base64.StdEncoding.EncodeToString(in.blob(raw)))
	case kindText:
		return asJSON{}.string(to, in.text(raw))
	case kindBool:
		return strconv.AppendBool(to, in.truth(raw))
	case kindNumber:
		return asJSON{}.number(to, in.integer(raw))
	case kindNull:
	}
	return append(to, "null"...)
}

// What holds in JSON holds in CBOR: these tests are written in JSON, run once more by a client that speaks CBOR, and
// read its answers as if they were JSON.
func TestOperationsInCBOR(t *testing.T) {
	t.Parallel()
	for _, test := range []func(*testing.T){
		TestACommitmentLastsForADay, TestAMergeNamesBothParents, TestAReadMayNameItsStream,
		TestAShardIsSplitInTheMiddle,
		TestAccountsDoNotSeeEachOther, TestAggregatesAreNotOpened, TestAnswersStandInRequestOrder,
		TestAtMostTenViolationsAreNamed, TestBothKindsOfTagOperationsShareOneSet, TestChaosRefusesEntries,
		TestConstraintsOfTheModel,
		TestConsumersHaveTagsOfTheirOwn, TestDeletedStreamsAreGone,
		TestDescribeStreamShowsTheWholeStream, TestEveryAnswerCarriesItsIds, TestExpiredShardsAreNotListed,
		TestIteratorsAreRefused, TestIteratorsBeginWhereTheirTypeSays, TestIteratorsSurviveQuotesAndRestarts,
		TestKeysAreChecked, TestKeysOfEncryptionAreChecked, TestKeysOfTagsAreChecked, TestLimitsAreDescribed,
		TestPoliciesAreKeptAsTheyWerePut, TestRecordsShowTheEncryptionThatTheyArrivedUnder,
		TestWarmThroughputGivesShards,
		TestListShardsPages, TestMergedShardsEndWithOneChild, TestNamesAreTakenOnce,
		TestOneBadHashKeyRefusesTheCall, TestReadingStepByStep, TestRecordsHaveExactlyTheirMembers,
		TestRequestsLeaveNothingBehind, TestRetentionPeriodsAreChecked, TestSequenceNumberForOrdering,
		TestShardFilters, TestShardIdsAreReadLeniently, TestShardLevelMetricsAreSettings, TestSplitsAreChecked,
		TestStreamCreationTimestampTellsNamesakesApart, TestStreamsAreAddressedByNameOrARN,
		TestSuccessWithoutOutputHasNoBody, TestTagsAreChecked, TestTagsAreListedInOrder,
		TestTheModeChangesAndTheShardsStay, TestTheShardCountDecidesTheMode,
		TestTimestampsAreSecondsAndStreamIdIsAbsent,
		TestTimestampsBeginAtTheFirstLaterRecord, TestUnknownAndNullMembersAreDropped,
		TestUpdateShardCountSweepsFromLeftToRight, TestValuesOfAWrongType,
	} {
		t.Run(runtime.FuncForPC(reflect.ValueOf(test).Pointer()).Name(), test)
	}
}

// raw sends a body in CBOR as it is.
func (w *world) raw(op, body string) reply {
	r := w.request(http.MethodPost, op, body)
	r.Header.Set("Content-Type", typeCBOR)
	return w.send(r)
}

// W-22: a record with arrival 1787036486.712 · timestamp bytes c1 1b 000001a013accc38; Data is a byte string.
// W-23: Timestamp under tag 1 with integer milliseconds · read as milliseconds.
func TestTimestampsInCBORAreMilliseconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		w.advance(time.UnixMilli(1787036486000).Sub(w.clock.Now()))
		w.create("s", 1)
		w.advance(712 * time.Millisecond)
		w.put("s", "a", "x")
		w.advance(time.Millisecond)
		w.put("s", "b", "later")
		at := func(timestamp string) string {
			r := w.raw("GetShardIterator", "\xa4\x6aStreamName\x61s\x67ShardId\x610\x71ShardIteratorType\x6cAT_TIMESTAMP"+
				"\x69Timestamp"+timestamp)
			return r.body // {ShardIterator: …} is what GetRecords takes
		}
		first := w.raw("GetRecords", at("\xc1\x1b\x00\x00\x01\xa0\x13\xac\xcc\x38")).body
		for _, want := range []string{
			"\x78\x1bApproximateArrivalTimestamp\xc1\x1b\x00\x00\x01\xa0\x13\xac\xcc\x38", "\x64Data\x41x",
		} {
			if !strings.Contains(first, want) {
				t.Errorf("%q has no %q", first, want)
			}
		}
		half := binary.BigEndian.AppendUint64(nil, math.Float64bits(1787036486712.5))
		for timestamp, data := range map[string]string{
			"\xc1\x1b\x00\x00\x01\xa0\x13\xac\xcc\x39": "\x45later", // one millisecond later
			"\x1b\x00\x00\x01\xa0\x13\xac\xcc\x39":     "\x45later", // without a tag
			"\xc1\xfb" + string(half):                  "\x41x",
			"\xc1\x20":                                 "\x41x", // before 1970
		} {
			got := w.raw("GetRecords", at(timestamp)).body
			if at := strings.Index(got, "\x64Data"); at < 0 || !strings.HasPrefix(got[at+5:], data) {
				t.Errorf("from %x: %q", timestamp, got)
			}
		}
		w.streams.Stop()
	})
}

// W-24: DescribeStreamSummary of an unknown stream in CBOR · 400, the map {__type, message}.
func TestFaultsInCBOR(t *testing.T) {
	t.Parallel()
	w := setup(t)

	r := w.raw("DescribeStreamSummary", "\xa1\x6aStreamName\x61q")

	const want = "\xbf\x66__type\x78\x19ResourceNotFoundException\x67message\x78\x2eStream q under account 000000000000 not found.\xff"
	if r.status != 400 || r.header.Get("Content-Type") != typeCBOR || r.body != want {
		t.Errorf("%d %v %q", r.status, r.header, r.body)
	}
}

// Values that only CBOR has, or can write in several ways.
func TestValuesOfCBOR(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for body, want := range map[string]string{
		// numbers: floored, saturating, of every length
		"\xa1\x65Limit\x1a\x00\x00\x27\x11":                         "Value '10001'",
		"\xa1\x65Limit\x1b\xff\xff\xff\xff\xff\xff\xff\xff":         "Value '2147483647'",
		"\xa1\x65Limit\x3b\xff\xff\xff\xff\xff\xff\xff\xff":         "Value '-2147483648'",
		"\xa1\x65Limit\x20":                                         "Value '-1'",
		"\xa1\x65Limit\xf9\xc1\x40":                                 "Value '-3'", // half of -2.5
		"\xa1\x65Limit\xf9\x7c\x00":                                 "Value '2147483647'",
		"\xa1\x65Limit\xf9\x7e\x00":                                 "Value '0'", // no number
		"\xa1\x65Limit\xfa\x47\x00\x00\x00":                         "Value '32768'",
		"\xa1\x65Limit\xfb\xc1\xe0\x00\x00\x00\x20\x00\x00":         "Value '-2147483648'",
		"\xa1\x65Limit\xc2\x42\x27\x11":                             "Value '10001'", // a big one
		"\xa1\x65Limit\xc2\x49\x01\x00\x00\x00\x00\x00\x00\x00\x00": "Value '2147483647'",
		"\xa1\x65Limit\xc3\x41\x04":                                 "Value '-5'",
		// members: the last counts, undefined is null, unknown ones are dropped, tags say nothing
		"\xbf\x65Limit\x00\x65Limit\x20\xff":                  "Value '-1'",
		"\xa2\x65Limit\xf7\x61x\xbf\x61y\x9f\xc6\x00\xff\xff": "",
		"\xd9\xd9\xf7\xa1\x7f\x63Lim\x62it\xff\xd8\x2a\x20":   "Value '-1'",
		// texts in pieces
		"\xa1\x78\x18ExclusiveStartStreamName\x7f\x61a\x60\x61!\xff": "Value 'a!'",
		// types
		"\xa1\x65Limit\xf5":                            "class java.lang.Boolean can not be converted to an Integer",
		"\xa1\x65Limit\x80":                            "Start of list found where not expected",
		"\xa1\x65Limit\xbf\xff":                        "Start of structure or map found where not expected.",
		"\xa1\x65Limit\x41x":                           "class java.nio.HeapByteBuffer can not be converted to an Integer",
		"\xa1\x78\x18ExclusiveStartStreamName\x41a":    "class java.nio.HeapByteBuffer can not be converted to an String",
		"\xa1\x78\x18ExclusiveStartStreamName\xc1\x00": "TruncatingBigNumber can not be converted to an String",
	} {
		r := w.raw("ListStreams", body)
		if want == "" && r.status != 200 || want != "" && (r.status != 400 || !strings.Contains(r.body, want)) {
			t.Errorf("%q: %d %q, want %q", body, r.status, r.body, want)
		}
	}
}

// A record may come in any form that CBOR has; what is stored is the same.
func TestPutsInCBOR(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	const name = "\x6aStreamName\x61s"
	for _, entry := range []string{
		"\xa2\x64Data\x43abc\x6cPartitionKey\x61k",                         // counted
		"\xbf\x6cPartitionKey\x61k\x64Data\x58\x03abc\xff",                 // open, as Java writes it
		"\xbf\x6cPartitionKey\x7f\x61k\xff\x64Data\x5f\x41a\x42bc\xff\xff", // in pieces
		"\xa2\x64Data\x64YWJj\x6cPartitionKey\x61k",                        // base64, as in JSON
		"\xa3\x64Data\xd8\x16\x43abc\x6cPartitionKey\x61k\x6fExplicitHashKey\xf6",
	} {
		one := w.raw("PutRecord", "\xbf"+name+entry[1:])
		if entry[0] == '\xa2' {
			one = w.raw("PutRecord", "\xa3"+name+entry[1:])
		}
		if entry[0] == '\xa3' {
			one = w.raw("PutRecord", "\xa4"+name+entry[1:])
		}
		many := w.raw("PutRecords", "\xa2\x67Records\x9f"+entry+entry+"\xff"+name)
		if one.status != 200 || many.status != 200 ||
			!strings.HasSuffix(many.body, "\xff\x71FailedRecordCount\x00\xff") {
			t.Fatalf("%q: %d %q, %d %q", entry, one.status, one.body, many.status, many.body)
		}
	}

	got := w.read(w.iterator("s", "0", "TRIM_HORIZON", ""))

	data, keys := got.each("Records", "Data"), got.each("Records", "PartitionKey")
	if len(data) != 15 || slices.ContainsFunc(data, func(s string) bool { return s != "YWJj" }) ||
		slices.ContainsFunc(keys, func(s string) bool { return s != "k" }) {
		t.Errorf("%q %q", data, keys)
	}
}

// CBOR that is wrong somewhere is refused as JSON is that is none.
func TestBrokenCBOR(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, body := range []string{
		"\xa0\x00", "\x80", "\x00", "\xbf", "\xa1\x61a", "\xa1\x61a\xff", "\xa1\x01\x02", "\xa1\x61\xff\x00", "\xa1\x61a\x61\xff", "\xa2\x61a\x00",
		"\xa1\x62a", "\xbf\x61a\xff", "\xa1\x61a\x7f\x41b\xff", "\xa1\x61a\x7f\x7f\xff\xff", "\xa1\x61a\x7f\x61b", "\xa1\x61a\xf0",
		"\xa1\x61a\xf8\x20", "\xa1\x61a\x1f", "\xa1\x61a\x1c", "\xa1\x61a\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
		"\xa1\x61a\x5b\xff\xff\xff\xff\xff\xff\xff\xff", "\xa1\x61a" + strings.Repeat("\x81", 2000) + "\x00",
		"\xa1\x61a" + strings.Repeat("\xc1", 2000) + "\x00", "\xdf\xa0", "\xc1", "\xa1\x61a\x19\x00",
	} {
		got := w.raw("ListStreams", body)

		if got.status != 400 || got.header.Get("Content-Type") != typeCBOR ||
			got.body != "\xbf\x66__type\x76SerializationException\xff" {
			t.Errorf("%q: %d %q", body, got.status, got.body)
		}
	}
}

// Lengths are written in the fewest bytes, and a text that is no UTF-8 is written as JSON has it, so that what comes
// behind it can still be read. Source: RFC 8949, 3 and 5.3.1.
func TestAnswersInCBORAreWellFormed(t *testing.T) {
	t.Parallel()
	for n, want := range map[uint64]string{
		0: "\x40", 23: "\x57", 24: "\x58\x18", 255: "\x58\xff", 256: "\x59\x01\x00", 65535: "\x59\xff\xff",
		65536: "\x5a\x00\x01\x00\x00", 1<<32 - 1: "\x5a\xff\xff\xff\xff", 1 << 32: "\x5b\x00\x00\x00\x01\x00\x00\x00\x00",
	} {
		if got := string(appendHead(nil, majorBytes, n)); got != want {
			t.Errorf("%d bytes begin with %x, want %x", n, got, want)
		}
	}
	if got := string(asCBOR{}.string(nil, "a\xffb")); got != "\x65a\ufffdb" {
		t.Errorf("a text that is no UTF-8 is %x", got)
	}
}

// A text that is no UTF-8 makes no answer in JSON unreadable, also where something else in it is escaped.
func TestAnswersInJSONAreUTF8(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"a\xffb": `"a` + "\ufffd" + `b"`, "\xff\"": `"` + "\ufffd" + `\""`, "\n\xff\xfe": `"\n` + "\ufffd\ufffd" + `"`,
		"é\x01": `"é\u0001"`,
	} {
		if got := string(appendString(nil, s)); got != want {
			t.Errorf("%q is %s, want %s", s, got, want)
		}
	}
}
