package kinesis

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/api/wire/wiretest"
)

// W-04
func TestOnlyPostIsAuthorised(t *testing.T) {
	t.Parallel()
	w := setup(t)

	r := w.send(w.request(http.MethodGet, "", ""))

	if r.status != 403 ||
		r.body != "<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be authorized</Message>\n</AccessDeniedException>\n" ||
		r.header.Get("Content-Type") != "" {
		t.Errorf("%d %v %q", r.status, r.header, r.body)
	}
}

// The checks that come before an operation, with AWS's bodies to the byte.
func TestRequestsThatReachNoOperation(t *testing.T) {
	t.Parallel()
	const cbor = typeCBOR
	const denied = "<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be authorized" +
		"</Message>\n</AccessDeniedException>\n"
	for _, c := range []struct {
		name                      string // begins with the scenario, if there is one
		target, contentType, body string
		status                    int
		answerType, answer        string
	}{
		{"W-05: an empty body", "ListStreams", typeJSON, "", 400, typeJSON, `{"__type":"SerializationException"}`},
		{
			"an empty body for an unknown operation", "Nope", typeJSON, "", 400, typeJSON,
			`{"__type":"UnknownOperationException"}`,
		},
		{
			"W-06: an empty body without content type", "ListStreams", "", "", 400, cbor,
			"\xbf\x66__type\x76SerializationException\xff",
		},
		{
			"an empty body of another type for an unknown operation", "Nope", "text/plain", "", 400, cbor,
			"\xbf\x66__type\x78\x19UnknownOperationException\xff",
		},
		{
			"W-07: an operation that no model has", "Nope", typeJSON, "{}", 400, typeJSON,
			`{"__type":"UnknownOperationException"}`,
		},
		{
			"W-08: plain JSON reaches no operation", "ListStreams", typePlain, "{}", 404, typePlain,
			`{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}`,
		},
		{
			"plain JSON that is none", "ListStreams", typePlain, "x", 400, typePlain,
			`{"Output":{"__type":"com.amazon.coral.service#SerializationException"},"Version":"1.0"}`,
		},
		{"W-09: another content type", "ListStreams", "text/plain", "{}", 404, "", "<UnknownOperationException/>\n"},
		{"another content type and no target", "", "text/plain", "{}", 403, "", denied},
		{"not JSON", "ListStreams", typeJSON, "{", 400, typeJSON, `{"__type":"SerializationException"}`},
		{"a list", "ListStreams", typeJSON, "[]", 400, typeJSON, `{"__type":"SerializationException"}`},
		{"two objects", "PutRecord", typeJSON, "{}{}", 400, typeJSON, `{"__type":"SerializationException"}`},
		{
			"not JSON, to an unknown operation", "Nope", typeJSON, "{", 400, typeJSON,
			`{"__type":"SerializationException"}`,
		},
		{"no target", "", typeJSON, "{}", 400, typeJSON, `{"__type":"UnknownOperationException"}`},
		{
			"parameters of the content type do not count", "Nope", typeJSON + " ; charset=UTF-8", "{}", 400, typeJSON,
			`{"__type":"UnknownOperationException"}`,
		},
	} {
		w := setup(t)
		req := w.request(http.MethodPost, c.target, c.body)
		req.Header.Set("Content-Type", c.contentType)

		r := w.send(req)

		if r.status != c.status || r.header.Get("Content-Type") != c.answerType || r.body != c.answer {
			t.Errorf(
				"%s: %d %s %q\nwant %d %s %q", c.name, r.status, r.header.Get("Content-Type"), r.body, c.status,
				c.answerType, c.answer,
			)
		}
		if r.header.Get("Content-Length") != fmt.Sprint(len(r.body)) {
			t.Errorf("%s: Content-Length is %s", c.name, r.header.Get("Content-Length"))
		}
		// what an SDK prints of an answer whose body has no text for it
		if code := r.header.Get("x-amzn-ErrorType"); r.status != 501 &&
			(!strings.HasSuffix(code, "Exception") || r.header.Get("x-amzn-error-message") == "") {
			t.Errorf("%s: the header says %q %q", c.name, code, r.header.Get("x-amzn-error-message"))
		}
	}
}

// The operations of 2013-12-02 that streams have are served. Those of queues and channels, which AWS has added since,
// are refused by name.
func TestThirtyNineOperationsAreServed(t *testing.T) {
	t.Parallel()
	others := strings.Fields(model.Others)
	if n := len(model.Served); n != 39 {
		t.Errorf("%d operations are served", n)
	}
	wiretest.Listed(t, "kinesis", slices.Collect(maps.Keys(model.Served)), others)
	w := setup(t)
	for _, op := range others {
		want := `{"__type":"NotImplementedException","message":"shardmill does not implement kinesis ` + op +
			` yet; see docs/compat/kinesis.md."}`
		if r := w.call(op, "{}"); r.status != 501 || r.body != want {
			t.Errorf("%s: %d %s", op, r.status, r.body)
		}
	}
}

// A call that asks whether it would succeed must not be carried out.
func TestADryRunIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	for op, body := range map[string]string{
		"PutRecord":        `{"StreamName":"s","PartitionKey":"a","Data":"","DryRun":%s}`,
		"PutRecords":       `{"StreamName":"s","Records":[{"PartitionKey":"a","Data":""}],"DryRun":%s}`,
		"GetShardIterator": `{"StreamName":"s","ShardId":"0","ShardIteratorType":"LATEST","DryRun":%s}`,
		"GetRecords":       `{"ShardIterator":"` + w.iterator("s", "0", "LATEST", "") + `","DryRun":%s}`,
		"SubscribeToShard": `{"ConsumerARN":"x","ShardId":"0","StartingPosition":{"Type":"LATEST"},"DryRun":%s}`,
	} {
		w.call(op, body, "true").fails(
			codeInvalid, "shardmill does not support DryRun yet; see docs/compat/kinesis.md.",
		)
		w.call(op, body, `"x"`).fails("SerializationException", "'X' can not be converted to an Boolean")
		if op != "SubscribeToShard" {
			w.ok(op, body, "false")
		}
	}
	if keys := w.readKeys(w.iterator("s", "0", "TRIM_HORIZON", "")); keys != "a a" {
		t.Errorf("with DryRun false both puts are carried out, with true none: %s", keys)
	}
}

// Records find their shard by their partition key, which is all that is supported.
func TestRecordsAreDistributedByTheirKeys(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const create = `{"StreamName":"d","RecordDistributionStrategy":%q}`

	w.call("CreateStream", create, "AUTO").fails(
		codeInvalid, "shardmill does not support RecordDistributionStrategy AUTO yet; see docs/compat/kinesis.md.",
	)
	w.call("CreateStream", create, "X").fails("ValidationException",
		"1 validation error detected: Value 'X' at 'recordDistributionStrategy' failed to satisfy constraint: "+
			"Member must satisfy enum value set: [AUTO, USER_PARTITION_KEY]")
	w.ok("CreateStream", create, "USER_PARTITION_KEY")
}

func TestBodiesAboveTheLimitAreNotRead(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, known := range []bool{true, false} {
		req := w.request(http.MethodPost, "PutRecords", strings.Repeat(" ", maxBody+1))
		if !known {
			req.ContentLength = -1
		}

		r := w.send(req)

		why := r.header.Get("x-amzn-error-message")
		if r.status != 413 || r.body != "" || !strings.Contains(why, "20971520 bytes") {
			t.Errorf("%d %q", r.status, r.body)
		}
		if r.header.Get("Connection") != "close" { // what of the body has not been read is no request
			t.Errorf("the connection goes on: %v", r.header)
		}
	}
	req := w.request(http.MethodPost, "ListStreams", "{}"+strings.Repeat(" ", maxBody-2))
	if r := w.send(req); r.status != 200 {
		t.Errorf("a body of exactly the limit: %d %s", r.status, r.body)
	}
}

func TestAuthenticationMustBePresent(t *testing.T) {
	t.Parallel()
	const (
		date    = "20260101T000000Z"
		missing = "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. " +
			"Authorization header requires 'SignedHeaders' parameter. "
		undated  = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
		complete = "AWS4- Signature=b Credential=a SignedHeaders=c"
	)
	for _, c := range []struct {
		name, header, date, query string
		code, text                string
	}{
		{"W-10: nothing", "", "", "", "MissingAuthenticationTokenException", "Missing Authentication Token"},
		{
			"W-11: a header of nothing", "X", "", "", "IncompleteSignatureException",
			missing + undated + "Authorization=X",
		},
		{"a header of nothing, dated", "X", date, "", "IncompleteSignatureException", missing + "Authorization=X"},
		{
			"a complete header without a date", complete, "", "", "IncompleteSignatureException",
			undated + "Authorization=" + complete,
		},
		{
			"W-12: both ways", "X", "", "X-Amz-Algorithm=y", "InvalidSignatureException",
			"Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
		},
		{
			"a query that lacks parts", "", "", "X-Amz-Algorithm=y&X-Amz-Date=z", "IncompleteSignatureException",
			"AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string parameters must include 'X-Amz-Signature'. " +
				"AWS query-string parameters must include 'X-Amz-SignedHeaders'. Re-examine the query-string parameters.",
		},
		{"spaces", complete, date, "", "", ""},
		{"commas", "AWS4- Signature=b,Credential=a,SignedHeaders=c", date, "", "", ""},
		{"commas and spaces", "AWS4- Signature=b, Credential=a, SignedHeaders=c", date, "", "", ""},
		{
			"a query", "", "",
			"X-Amz-Algorithm=a&X-Amz-Credential=k/d/r/s/t&X-Amz-Signature=b&X-Amz-SignedHeaders=c&X-Amz-Date=d", "", "",
		},
	} {
		w := setup(t)
		req := w.request(http.MethodPost, "ListStreams", "{}")
		req.URL.RawQuery = c.query
		for name, value := range map[string]string{"Authorization": c.header, "X-Amz-Date": c.date} {
			if req.Header.Del(name); value != "" {
				req.Header.Set(name, value)
			}
		}

		r := w.send(req)

		if c.code == "" {
			if r.status != 200 {
				t.Errorf("%s: %d %s", c.name, r.status, r.body)
			}
			continue
		}
		want := fmt.Sprintf(`{"__type":"%s","message":"%s"}`, c.code, c.text)
		if r.status != 400 || r.body != want {
			t.Errorf("%s: %d %s\nwant %s", c.name, r.status, r.body, want)
		}
	}
}

func TestARegionMustLookLikeOne(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, region := range []string{"US_EAST", strings.Repeat("a", 33)} {
		w.region = region
		w.call("ListStreams", "{}").fails("InvalidSignatureException", "Credential should be scoped to a valid region.")
	}
	w.region = "mars-north-1"
	w.ok("ListStreams", "{}")
}

// W-13, W-14
func TestEveryAnswerCarriesItsIds(t *testing.T) {
	t.Parallel()
	w := setup(t)
	uuid := regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	for _, r := range []reply{
		w.call("ListStreams", "{}"), w.call("DescribeStream", `{"StreamName":"q"}`), w.call("Nope", "{}"),
	} {
		if id := r.header.Get("x-amzn-RequestId"); !uuid.MatchString(id) {
			t.Errorf("x-amzn-RequestId is %q", id)
		}
		b, err := base64.StdEncoding.DecodeString(r.header.Get("x-amz-id-2"))
		if err != nil || len(b) < 64 || len(b) > 80 {
			t.Errorf("x-amz-id-2 is %q", r.header.Get("x-amz-id-2"))
		}
		if code := r.header.Get("x-amzn-ErrorType"); code != "" && r.get("message") != "" {
			t.Errorf("x-amzn-ErrorType %s is sent with %s", code, r.body)
		}
	}
}

// W-15
func TestSuccessWithoutOutputHasNoBody(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)

	r := w.ok("AddTagsToStream", `{"StreamName":"s","Tags":{"a":"b"}}`)

	want := typeJSON
	if w.cbor {
		want = typeCBOR
	}
	if r.body != "" || r.header.Get("Content-Length") != "0" || r.header.Get("Content-Type") != want {
		t.Errorf("%q %v", r.body, r.header)
	}
}

// W-16, W-17, W-18 and the rest of the coercion table.
func TestValuesOfAWrongType(t *testing.T) {
	t.Parallel()
	const (
		number    = "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to "
		boolean   = "class java.lang.Boolean can not be converted to "
		str       = "class java.lang.String can not be converted to "
		list      = "Start of list found where not expected"
		structure = "Start of structure or map found where not expected."
	)
	w := setup(t)
	for _, c := range []struct{ op, body, message string }{
		{
			"PutRecord", `{"StreamName":"s","PartitionKey":"a","Data":"23456"}`,
			"'23456' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: 5",
		}, // W-16
		{
			"PutRecord", `{"StreamName":"s","PartitionKey":"a","Data":"ééé😀"}`,
			"'ééé😀' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: 5",
		},
		{"DescribeStream", `{"StreamName":true}`, boolean + "an String"},            // W-17
		{"CreateStream", `{"StreamName":"x","ShardCount":"1"}`, str + "an Integer"}, // W-18
		{"DescribeStream", `{"StreamName":1}`, number + "an String"},
		{"DescribeStream", `{"StreamName":[]}`, list},
		{"DescribeStream", `{"StreamName":{}}`, structure},
		{"DescribeStream", `{"Limit":true}`, boolean + "an Integer"},
		{"DescribeStream", `{"Limit":[]}`, list},
		{"DescribeStream", `{"Limit":{}}`, structure},
		{"DeleteStream", `{"EnforceConsumerDeletion":"abc"}`, "'ABC' can not be converted to an Boolean"},
		{"DeleteStream", `{"EnforceConsumerDeletion":"23"}`, "'23' can not be converted to an Boolean"},
		{"DeleteStream", `{"EnforceConsumerDeletion":23}`, number + "an Boolean"},
		{"PutRecord", `{"Data":true}`, boolean + "a Blob"},
		{"PutRecord", `{"Data":3}`, number + "a Blob"},
		{"PutRecord", `{"Data":[]}`, list},
		{"PutRecord", `{"Data":{}}`, structure},
		{"PutRecord", `{"Data":"=+/="}`, "'=+/=' can not be converted to a Blob: Invalid Base64 character: '='"},
		{
			"PutRecord", `{"Data":"+/+="}`,
			"'+/+=' can not be converted to a Blob: Invalid last non-pad Base64 character dectected",
		},
		{
			"PutRecord", `{"Data":"a==="}`,
			"'a===' can not be converted to a Blob: Invalid last non-pad Base64 character dectected",
		},
		{"PutRecord", `{"Data":"a\nbc"}`, "'a\nbc' can not be converted to a Blob: Invalid Base64 character: '\n'"},
		{"GetShardIterator", `{"Timestamp":"1"}`, str + "milliseconds since epoch"},
		{"GetShardIterator", `{"Timestamp":false}`, boolean + "milliseconds since epoch"},
		{"PutRecords", `{"Records":1}`, "Expected list or null"},
		{"PutRecords", `{"Records":{}}`, structure},
		{"PutRecords", `{"Records":["x"]}`, "Expected null"},
		{"PutRecords", `{"Records":[[]]}`, list},
		{"PutRecords", `{"Records":[{"Data":"AAAA"},{"Data":1}]}`, number + "a Blob"},
		{"AddTagsToStream", `{"Tags":"x"}`, "Expected map or null"},
		{"AddTagsToStream", `{"Tags":[]}`, list},
		{"AddTagsToStream", `{"Tags":{"a":1}}`, number + "an String"},
		{"CreateStream", `{"StreamModeDetails":1}`, "Expected null"},
		{"CreateStream", `{"StreamModeDetails":[]}`, list},
		{"ListShards", `{"ShardFilter":{"Type":1}}`, number + "an String"},
		// the first of the model, not of the body
		{"CreateStream", `{"ShardCount":"x","StreamName":true}`, boolean + "an String"},
	} {
		w.call(c.op, c.body).fails("SerializationException", c.message)
	}
}

// W-19, W-20, W-21 and other constraints of the model.
func TestConstraintsOfTheModel(t *testing.T) {
	t.Parallel()
	const (
		name = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
		arn  = `Member must satisfy regular expression pattern: arn:aws.*:kinesis:.*:\d{12}:stream/\S+`
	)
	long := strings.Repeat("a", 129)
	w := setup(t)
	for _, c := range []struct {
		op, body string
		items    []string
	}{
		{"DescribeStream", `{"StreamName":""}`, []string{ // W-19
			"Value '' at 'streamName' failed to satisfy constraint: " + name,
			"Value '' at 'streamName' failed to satisfy constraint: Member must have length greater than or equal to 1",
		}},
		// W-20
		{
			"ListStreams", `{"Limit":10001}`,
			[]string{
				"Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000",
			},
		},
		{"PutRecords", `{"StreamName":"s","Records":[{"Data":"","PartitionKey":"a"},{"Data":""}]}`, []string{ // W-21
			"Value null at 'records.2.member.partitionKey' failed to satisfy constraint: Member must not be null"}},
		{"DescribeStream", `{"StreamName":"` + long + `"}`, []string{
			"Value '" + long +
				"' at 'streamName' failed to satisfy constraint: Member must have length less than or equal to 128",
		}},
		{"DescribeStream", `{"StreamARN":"arn:aws:sqs:us-east-1:000000000000:s","Limit":0}`, []string{
			"Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
			"Value 'arn:aws:sqs:us-east-1:000000000000:s' at 'streamARN' failed to satisfy constraint: " + arn,
		}},
		{"CreateStream", `{"ShardCount":-100000000000}`, []string{
			"Value null at 'streamName' failed to satisfy constraint: Member must not be null",
			"Value '-2147483648' at 'shardCount' failed to satisfy constraint: Member must have value greater than or equal to 1",
		}},
		{"CreateStream", `{"StreamName":"x","StreamModeDetails":{},"MaxRecordSizeInKiB":10241}`, []string{
			"Value null at 'streamModeDetails.streamMode' failed to satisfy constraint: Member must not be null",
			"Value '10241' at 'maxRecordSizeInKiB' failed to satisfy constraint: Member must have value less than or equal to 10240",
		}},
		{"CreateStream", `{"StreamName":"x","Tags":{"":"b"}}`, []string{
			"Value '{=b}' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1]",
		}},
		{"AddTagsToStream", `{"StreamName":"s","Tags":{}}`, []string{
			"Value '{}' at 'tags' failed to satisfy constraint: Member must have length greater than or equal to 1",
		}},
		{"AddTagsToStream", `{"StreamName":"s","Tags":{"a":"1","b":"` + strings.Repeat("x", 257) + `"}}`, []string{
			"Value '{a=1, b=" + strings.Repeat("x", 257) +
				"}' at 'tags' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 256, Member must have length greater than or equal to 0]",
		}},
		{
			"AddTagsToStream", `{"StreamName":"s"}`,
			[]string{"Value null at 'tags' failed to satisfy constraint: Member must not be null"},
		},
		{"ListTagsForStream", `{"StreamName":"s","Limit":51,"ExclusiveStartTagKey":""}`, []string{
			"Value '' at 'exclusiveStartTagKey' failed to satisfy constraint: Member must have length greater than or equal to 1",
			"Value '51' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 50",
		}},
		{"PutRecord", `{"StreamName":"s"}`, []string{
			"Value null at 'data' failed to satisfy constraint: Member must not be null",
			"Value null at 'partitionKey' failed to satisfy constraint: Member must not be null",
		}},
		{"PutRecord", `{"StreamName":"s","Data":"","PartitionKey":"","SequenceNumberForOrdering":"x"}`, []string{
			"Value '' at 'partitionKey' failed to satisfy constraint: Member must have length greater than or equal to 1",
			`Value 'x' at 'sequenceNumberForOrdering' failed to satisfy constraint: Member must satisfy regular expression pattern: 0|([1-9]\d{0,128})`,
		}},
		{
			"PutRecords", `{"StreamName":"s"}`,
			[]string{"Value null at 'records' failed to satisfy constraint: Member must not be null"},
		},
		{
			"PutRecords", `{"StreamName":"s","Records":[]}`,
			[]string{
				"Value at 'records' failed to satisfy constraint: Member must have length greater than or equal to 1",
			},
		},
		{"PutRecords", `{"StreamName":"s","Records":[null]}`, []string{
			"Value null at 'records.1.member.data' failed to satisfy constraint: Member must not be null",
			"Value null at 'records.1.member.partitionKey' failed to satisfy constraint: Member must not be null",
		}},
		{
			"GetRecords", `{}`,
			[]string{"Value null at 'shardIterator' failed to satisfy constraint: Member must not be null"},
		},
		{"GetRecords", `{"ShardIterator":"","Limit":0}`, []string{
			"Value '' at 'shardIterator' failed to satisfy constraint: Member must have length greater than or equal to 1",
			"Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
		}},
		{"GetRecords", `{"ShardIterator":"` + strings.Repeat("a", 513) + `"}`, []string{
			"Value '" + strings.Repeat("a", 513) +
				"' at 'shardIterator' failed to satisfy constraint: Member must have length less than or equal to 512",
		}},
		{"ListShards", `{"StreamName":"s","ShardFilter":{"Type":"X"}}`, []string{
			"Value 'X' at 'shardFilter.type' failed to satisfy constraint: Member must satisfy enum value set: " +
				"[AFTER_SHARD_ID, AT_TRIM_HORIZON, FROM_TRIM_HORIZON, AT_LATEST, AT_TIMESTAMP, FROM_TIMESTAMP]",
		}},
	} {
		plural := "s"
		if len(c.items) == 1 {
			plural = ""
		}
		w.call(c.op, c.body).fails(
			"ValidationException",
			fmt.Sprintf("%d validation error%s detected: %s", len(c.items), plural, strings.Join(c.items, "; ")),
		)
	}
}

func TestAtMostTenViolationsAreNamed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	body := `{"StreamName":"s","Records":[{}` + strings.Repeat(",{}", 7) + `]}`

	w.call("PutRecords", body).failsLike("ValidationException", "ten of sixteen", func(m string) bool {
		return strings.HasPrefix(m, "10 validation errors detected: ") && strings.Count(m, "; ") == 9
	})
}

// Long values from a caller are cut in the answer.
func TestLongValuesAreCutInMessages(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, body := range []string{
		`{"StreamName":"` + strings.Repeat("a", 100_000) + `"}`,
		`{"StreamName":"s","PartitionKey":"a","Data":"` + strings.Repeat("a", 100_001) + `"}`,
	} {
		if r := w.call("PutRecord", body); r.status != 400 || len(r.body) > 4096 {
			t.Errorf("%d, %d bytes", r.status, len(r.body))
		}
	}
}

// W-25, W-27
func TestTimestampsAreSecondsAndStreamIdIsAbsent(t *testing.T) {
	t.Parallel()
	for ms, want := range map[int64]string{
		1506440188749: "1506440188.749", 1506440188740: "1506440188.74", 1506440188700: "1506440188.7",
		1506440188009: "1506440188.009", 1506440188000: "1506440188", 0: "0",
	} {
		if got, _ := seconds(ms).MarshalJSON(); string(got) != want {
			t.Errorf("%d ms print as %s, want %s", ms, got, want)
		}
		if got := millisOf(want); int64(got) != ms {
			t.Errorf("%s reads as %d ms, want %d", want, got, ms)
		}
	}
	w := setup(t)
	w.create("s", 1)
	w.put("s", "a", "x")
	plain := regexp.MustCompile(`^\d{10}(\.\d{1,3})?$`)

	for _, got := range []string{
		w.ok("DescribeStreamSummary", `{"StreamName":"s"}`).get("StreamDescriptionSummary", "StreamCreationTimestamp"),
		w.ok("DescribeStream", `{"StreamName":"s"}`).get("StreamDescription", "StreamCreationTimestamp"),
		w.ok("ListStreams", `{}`).get("StreamSummaries", 0, "StreamCreationTimestamp"),
		w.read(w.iterator("s", "0", "TRIM_HORIZON", "")).get("Records", 0, "ApproximateArrivalTimestamp"),
	} {
		if !plain.MatchString(got) {
			t.Errorf("a timestamp is %s", got)
		}
	}
	for _, op := range []string{"DescribeStreamSummary", "DescribeStream"} {
		if body := w.ok(op, `{"StreamName":"s"}`).body; strings.Contains(body, "StreamId") {
			t.Error(body)
		}
	}
}

// W-28, W-29 and the addressing rules around them.
func TestStreamsAreAddressedByNameOrARN(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	const arn = "arn:aws:kinesis:us-east-1:000000000000:stream/"

	w.ok("PutRecord", `{"StreamName":"s","StreamARN":"%ss","PartitionKey":"a","Data":""}`, arn) // W-28
	w.ok("PutRecord", `{"StreamARN":"%ss","PartitionKey":"a","Data":""}`, arn)
	w.ok("PutRecord", `{"StreamName":"s","StreamId":"abcdefghij0123456789-abc","PartitionKey":"a","Data":""}`)
	// W-29
	w.call("DescribeStream", `{"StreamARN":"%sq"}`, arn).fails(
		"ResourceNotFoundException", "Stream q under account 000000000000 not found.",
	)
	w.call("DescribeStream", `{}`).fails(
		"InvalidArgumentException", "Either StreamName or StreamARN should be provided.",
	)
	w.call("DescribeStream", `{"StreamName":"s","StreamARN":"%sq"}`, arn).fails(
		"InvalidArgumentException", "StreamName and StreamARN do not refer to the same stream.",
	)
	w.call("DescribeStream", `{"StreamARN":"arn:aws:kinesis:eu-west-1:000000000000:stream/s"}`).fails(
		"ResourceNotFoundException", "Stream s under account 000000000000 not found.",
	)

	folded := w.ok("DescribeStream", `{"StreamARN":"arn:aws:kinesis:us-east-1:123456789:stream/s"}`)
	folded.want(arn+"s", "StreamDescription", "StreamARN")
	if got := folded.header.Get(
		"x-shardmill-hint",
	); got != "An account id has 12 digits; 123456789 was read as 000000000000." {
		t.Errorf("the hint is %q", got)
	}
	w.region = "eu-west-1"
	r := w.call("DescribeStream", `{"StreamName":"s"}`)
	r.fails("ResourceNotFoundException", "Stream s under account 000000000000 not found.")
	if got := r.header.Get(
		"x-shardmill-hint",
	); got != "A stream named s exists in us-east-1; this request was for eu-west-1." {
		t.Errorf("the hint is %q", got)
	}
}

// W-30
func TestAccountsDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.access = "111111111111"
	w.create("m", 1)
	w.access = "222222222222"

	w.ok("ListStreams", `{}`).want("[]", "StreamNames")
	w.create("m", 1)
	w.call("DescribeStream", `{"StreamName":"q"}`).fails(
		"ResourceNotFoundException", "Stream q under account 222222222222 not found.",
	)
}

// W-31
func TestUnknownAndNullMembersAreDropped(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)

	w.ok("DescribeStream", `{"StreamName":"s","Bogus":1,"Limit":null}`)
	w.ok("PutRecord", `{"StreamName":"s","Bogus":[{"a":"}"}],"PartitionKey":"a","Data":"","ExplicitHashKey":null}`)
	w.ok(
		"PutRecords",
		` { "Records" : [ { "Data" : "" , "PartitionKey" : "a" , "Bogus" : { } } ] , "StreamName" : "s" } `,
	)
}
