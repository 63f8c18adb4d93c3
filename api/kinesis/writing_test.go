package kinesis

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/stream"
)

// entries returns a list of n equal records of data bytes under a key.
func entries(n int, key string, data int) string {
	e := fmt.Sprintf(`{"PartitionKey":%q,"Data":%q}`, key, b64(strings.Repeat("x", data)))
	return "[" + strings.TrimSuffix(strings.Repeat(e+",", n), ",") + "]"
}

// L-01
func TestRecordSizesCountTheKey(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	const tooLong = "1 validation error detected: Value at '%s' failed to satisfy constraint: Member must have length less than or equal to 1048576"
	fits, above := b64(strings.Repeat("x", 1048573)), b64(strings.Repeat("x", 1048574))

	w.ok("PutRecord", `{"StreamName":"s","PartitionKey":"abc","Data":"%s"}`, fits)
	w.call("PutRecord", `{"StreamName":"s","PartitionKey":"abc","Data":"%s"}`, above).fails(
		"ValidationException", fmt.Sprintf(tooLong, "data"),
	)
	w.call(
		"PutRecords",
		`{"StreamName":"s","Records":[{"PartitionKey":"a","Data":""},{"PartitionKey":"abc","Data":"%s"}]}`, above,
	).
		fails("ValidationException", fmt.Sprintf(tooLong, "records.2.member.data"))
	w.ok("CreateStream", `{"StreamName":"l","ShardCount":1,"MaxRecordSizeInKiB":2048}`)
	w.ok("PutRecord", `{"StreamName":"l","PartitionKey":"abc","Data":"%s"}`, b64(strings.Repeat("x", 1_500_000)))
	w.call(
		"PutRecord", `{"StreamName":"l","PartitionKey":"a","Data":"%s"}`, b64(strings.Repeat("x", 2<<20)),
	).fails("ValidationException",
		"1 validation error detected: Value at 'data' failed to satisfy constraint: Member must have length less than or equal to 2097152")
	w.call(
		"PutRecord", `{"StreamName":"l","PartitionKey":"a","Data":"%s"}`, b64(strings.Repeat("x", 10<<20+1)),
	).fails("ValidationException",
		"1 validation error detected: Value at 'data' failed to satisfy constraint: Member must have length less than or equal to 10485760")
}

// L-02
func TestACallHasAtMost500Records(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)

	w.call("PutRecords", `{"StreamName":"s","Records":%s}`, entries(501, "k", 1)).fails("ValidationException",
		"1 validation error detected: Value at 'records' failed to satisfy constraint: Member must have length less than or equal to 500")
	w.ok("PutRecords", `{"StreamName":"s","Records":%s}`, entries(500, "k", 1))
}

// L-03; that exactly 10 MiB are accepted is seen at P-17.
func TestACallHasAtMost10MiB(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)

	w.call("PutRecords", `{"StreamName":"s","Records":%s}`, entries(11, "k", 1_000_000)).fails(
		"InvalidArgumentException", "Records size exceeds 10 MB limit",
	)

	if got := w.readKeys(w.iterator("s", "0", "TRIM_HORIZON", "")); got != "" {
		t.Errorf("written: %q", got)
	}
}

// L-04
func TestAnswersStandInRequestOrder(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 3)

	r := w.ok(
		"PutRecords",
		`{"StreamName":"s","Records":[{"PartitionKey":"a","Data":"QQ=="},{"PartitionKey":"b","Data":"Qg=="},{"PartitionKey":"e","Data":"RQ=="},{"PartitionKey":"a","Data":"YQ=="}]}`,
	)

	r.want("0", "FailedRecordCount")
	r.want("", "EncryptionType")
	for i, shard := range []int{0, 1, 2, 0} {
		want := fmt.Sprintf(
			`{"SequenceNumber":%q,"ShardId":"shardId-%012d"}`, r.get("Records", i, "SequenceNumber"), shard,
		)
		r.want(want, "Records", i)
	}
	got := w.read(w.iterator("s", "0", "TRIM_HORIZON", ""))
	got.want("QQ==", "Records", 0, "Data")
	got.want("YQ==", "Records", 1, "Data")
	got.want(r.get("Records", 3, "SequenceNumber"), "Records", 1, "SequenceNumber")
}

// L-05
func TestOneBadHashKeyRefusesTheCall(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	body := `{"StreamName":%q,"Records":[{"PartitionKey":"a","Data":""},{"PartitionKey":"b","Data":"","ExplicitHashKey":"340282366920938463463374607431768211456"}]}`

	w.call("PutRecords", body, "s").fails("InvalidArgumentException",
		"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was 340282366920938463463374607431768211456")
	w.call("PutRecords", body, "q").fails("ResourceNotFoundException", "Stream q under account 000000000000 not found.")

	if got := w.readKeys(w.iterator("s", "0", "TRIM_HORIZON", "")); got != "" {
		t.Errorf("written: %q", got)
	}
}

// L-06
func TestNumbersAscendInEntryOrder(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)

	numbers := w.ok("PutRecords", `{"StreamName":"s","Records":%s}`, entries(500, "k", 1)).each(
		"Records", "SequenceNumber",
	)

	for i := 1; i < len(numbers); i++ {
		if compareNumbers(numbers[i], numbers[i-1]) <= 0 {
			t.Fatalf("%s follows %s", numbers[i], numbers[i-1])
		}
	}
	if len(numbers) != 500 {
		t.Errorf("%d numbers", len(numbers))
	}
}

// L-12, in small: by default no rate is limited.
func TestNoRateIsLimited(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	body := `{"StreamName":"s","Records":` + entries(500, "k", 1) + `}`
	for range 6 { // 3,000 records in far less than a second of the clock
		w.ok("PutRecords", body).want("0", "FailedRecordCount")
	}
}

// When storage has no room left, SDKs see a server fault, which they retry, and people see what to do; nothing that was
// acknowledged is lost.
func TestFullStorageIsToldInAHint(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.store = memory.New(memory.Options{Clock: w.clock, Limit: 1 << 20})
	w.restart(100)
	w.create("s", 1)
	taken := 0
	put := func() reply {
		return w.call(
			"PutRecord", `{"StreamName":"s","PartitionKey":"k","Data":"%s"}`, b64(strings.Repeat("x", 100_000)),
		)
	}
	r := put()
	for ; r.status == 200 && taken < 20; taken++ {
		r = put()
	}

	if r.status != 500 || r.body != `{"__type":"InternalFailure"}` ||
		!strings.Contains(r.header.Get("x-shardmill-hint"), "--memory-limit") {
		t.Errorf("%d %s %v", r.status, r.body, r.header)
	}
	many := w.ok("PutRecords", `{"StreamName":"s","Records":%s}`, entries(2, "k", 100_000))
	many.want("2", "FailedRecordCount")
	many.want(
		`[{"ErrorCode":"InternalFailure","ErrorMessage":"Internal Service Failure"},{"ErrorCode":"InternalFailure","ErrorMessage":"Internal Service Failure"}]`,
		"Records",
	)
	if !strings.Contains(many.header.Get("x-shardmill-hint"), "--memory-limit") {
		t.Error(many.header)
	}
	if n := len(w.read(w.iterator("s", "0", "TRIM_HORIZON", "")).each("Records", "Data")); n != taken {
		t.Errorf("%d records are readable, %d were acknowledged", n, taken)
	}
}

// L-10: injection, every 2nd record; PutRecords of 4: "entries 2 and 4 fail, FailedRecordCount 2, only 1 and 3
// readable". A refused entry has AWS's code and text, and nothing else.
func TestChaosRefusesEntries(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	every2nd := stream.Chaos{Throttle: stream.Share{Every: 2}}
	if _, err := w.streams.SetChaos(t.Context(), w.name("s"), every2nd); err != nil {
		t.Fatal(err)
	}
	const refused = "Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000."

	got := w.ok("PutRecords", `{"StreamName":"s","Records":[{"Data":"MQ==","PartitionKey":"a"},
		{"Data":"Mg==","PartitionKey":"b"},{"Data":"Mw==","PartitionKey":"c"},{"Data":"NA==","PartitionKey":"d"}]}`)

	got.want("2", "FailedRecordCount")
	for _, i := range []int{1, 3} {
		got.want(fmt.Sprintf(
			`{"ErrorCode":"ProvisionedThroughputExceededException","ErrorMessage":%q}`, refused,
		), "Records", i)
	}
	if hint := got.header.Get("X-Shardmill-Hint"); hint != "refused on purpose; it ends with: shardmill chaos off s" {
		t.Errorf("the hint is %q", hint)
	}
	if keys := w.readKeys(w.iterator("s", "0", "TRIM_HORIZON", "")); keys != "a c" {
		t.Errorf("readable are %s", keys)
	}
	elsewhere := stream.Name{Account: "111111111111", Region: "eu-west-1", Name: "s"}
	w.access, w.region = elsewhere.Account, elsewhere.Region
	w.create("s", 1)
	all := stream.Chaos{Throttle: stream.Share{Every: 1}}
	if _, err := w.streams.SetChaos(t.Context(), elsewhere, all); err != nil {
		t.Fatal(err)
	}
	const off = "shardmill chaos off s --account 111111111111 --region eu-west-1"
	if r := w.call("PutRecord", `{"StreamName":"s","PartitionKey":"a","Data":""}`); !strings.HasSuffix(
		r.header.Get("X-Shardmill-Hint"), off,
	) {
		t.Errorf("the hint for another account is %q", r.header.Get("X-Shardmill-Hint"))
	}
	w.access, w.region = "AKIDEXAMPLE", "us-east-1"
	w.ok("StartStreamEncryption", `{"StreamName":"s","EncryptionType":"KMS","KeyId":"alias/aws/kinesis"}`)
	w.ok("PutRecords", `{"StreamName":"s","Records":[{"Data":"","PartitionKey":"x"},{"Data":"","PartitionKey":"y"}]}`).
		want("KMS", "EncryptionType") // though the last entry was not written
	w.put("s", "e", "5")
	w.call("PutRecord", `{"StreamName":"s","PartitionKey":"f","Data":"Ng=="}`).fails(
		"ProvisionedThroughputExceededException", refused,
	)
}

// Texts with escapes take the full way and arrive as they are, also those that end in a backslash.
func TestEscapedKeysArriveAsTheyAre(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	for _, key := range []string{`a\\`, `\\`, `\"`, `\\\"`, `\u00e9`, `\/\t`} {
		w.ok("PutRecord", `{"PartitionKey":"`+key+`","Data":"","StreamName":"s"}`)
	}
	got := w.read(w.iterator("s", "0", "TRIM_HORIZON", "")).each("Records", "PartitionKey")
	if want := []string{`a\`, `\`, `"`, `\"`, "é", "/\t"}; !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
}
