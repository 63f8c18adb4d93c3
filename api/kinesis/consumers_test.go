package kinesis

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const streamARN = "arn:aws:kinesis:us-east-1:000000000000:stream/s"

// register registers a consumer of stream s and returns its ARN.
func (w *world) register(name string) string {
	w.Helper()
	return w.ok("RegisterStreamConsumer", `{"StreamARN":%q,"ConsumerName":%q}`, streamARN, name).get(
		"Consumer", "ConsumerARN",
	)
}

// O-40: RegisterStreamConsumer c at epoch T gives .../consumer/c:T, status CREATING; then ACTIVE by Describe. O-42:
// DescribeStreamConsumer by StreamARN and name, and by ConsumerARN, are equal, and both contain StreamARN.
func TestAConsumerIsRegistered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // at 2000-01-01T00:00:00Z
		w := setup(t)
		w.create("s", 1)

		r := w.ok("RegisterStreamConsumer", `{"StreamARN":%q,"ConsumerName":"c","Tags":{"team":"a"}}`, streamARN)

		const arn = streamARN + "/consumer/c:946684800"
		if want := `{"Consumer":{"ConsumerARN":"` + arn + `","ConsumerCreationTimestamp":946684800,"ConsumerName":"c",` +
			`"ConsumerStatus":"CREATING"}}`; r.body != want {
			t.Errorf("registered %s, want %s", r.body, want)
		}
		byARN := w.ok("DescribeStreamConsumer", `{"ConsumerARN":%q}`, arn)
		if want := `{"ConsumerDescription":{"ConsumerARN":"` + arn + `","ConsumerCreationTimestamp":946684800,` +
			`"ConsumerName":"c","ConsumerStatus":"ACTIVE","StreamARN":"` + streamARN + `"}}`; byARN.body != want {
			t.Errorf("described as %s, want %s", byARN.body, want)
		}
		for _, body := range []string{
			`{"StreamARN":%[1]q,"ConsumerName":"c"}`,
			`{"StreamARN":%[1]q,"ConsumerName":"c","ConsumerARN":%[2]q}`,
			`{"ConsumerName":"c","ConsumerARN":%[2]q,"StreamId":"ignored"}`,
		} {
			if r := w.ok("DescribeStreamConsumer", fmt.Sprintf(body, streamARN, arn)); r.body != byARN.body {
				t.Errorf("%s gives %s", body, r.body)
			}
		}
		w.ok("DescribeStreamSummary", `{"StreamName":"s"}`).want("1", "StreamDescriptionSummary", "ConsumerCount")
		w.streams.Stop()
	})
}

// O-41: the same name again is ResourceInUseException, the 21st consumer LimitExceededException.
func TestConsumersHaveOneNameEachAndAQuota(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	w.register("c")
	register := func(name string) reply {
		return w.call("RegisterStreamConsumer", `{"StreamARN":%q,"ConsumerName":%q}`, streamARN, name)
	}

	register("c").fails("ResourceInUseException", "Consumer c under stream s and account 000000000000 already exists.")
	for i := range 19 {
		w.register(fmt.Sprint("c", i))
	}
	register("c20").fails("LimitExceededException",
		"This request would exceed the limit of 20 consumers for stream s under account 000000000000.")
	w.ok("DeregisterStreamConsumer", `{"StreamARN":%q,"ConsumerName":"c7"}`, streamARN)
	w.register("c20")
}

// O-43: c deregistered and registered again: the ARNs differ in the timestamp, even within one second, and the old ARN
// gives ResourceNotFoundException.
func TestAConsumerThatIsRegisteredAgainIsAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		w.create("s", 1)
		before := w.register("c")
		for range 3 {
			if r := w.ok("DeregisterStreamConsumer", `{"ConsumerARN":%q}`, before); r.body != "" {
				t.Errorf("the answer is %s", r.body)
			}
			again := w.register("c")
			if again == before {
				t.Fatalf("both are %s", again)
			}
			w.call("DescribeStreamConsumer", `{"ConsumerARN":%q}`, before).fails(
				"ResourceNotFoundException", "Consumer c under stream s and account 000000000000 not found.",
			)
			w.ok("DescribeStreamConsumer", `{"ConsumerARN":%q}`, again)
			before = again
		}
		w.ok("DeregisterStreamConsumer", `{"ConsumerARN":%q}`, before)
		time.Sleep(time.Minute) // of the bubble
		if arn := w.register("c"); arn != streamARN+"/consumer/c:946684860" {
			t.Errorf("a minute later it is %s", arn)
		}
		w.streams.Stop()
	})
}

// O-09: DeleteStream without the flag is ResourceInUseException while a consumer is registered. O-10: with it, stream
// and consumer are gone.
func TestConsumersKeepTheirStream(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	arn := w.register("c")
	const text = "DeleteStream can't delete 000000000000:s because there are consumers associated with this data stream. " +
		"To delete s anyway, set the EnforceConsumerDeletion parameter to true to force the deletion of all the " +
		"consumers that are associated with it."

	w.call("DeleteStream", `{"StreamName":"s"}`).fails("ResourceInUseException", text)
	w.call("DeleteStream", `{"StreamName":"s","EnforceConsumerDeletion":false}`).fails("ResourceInUseException", text)
	w.ok("DeleteStream", `{"StreamName":"s","EnforceConsumerDeletion":true}`)

	w.call("DescribeStreamConsumer", `{"ConsumerARN":%q}`, arn).fails(
		"ResourceNotFoundException", "Stream s under account 000000000000 not found.",
	)
	w.create("s", 1)
	w.call("DescribeStreamConsumer", `{"StreamARN":%q,"ConsumerName":"c"}`, streamARN).fails(
		"ResourceNotFoundException", "Consumer c under stream s and account 000000000000 not found.",
	)
	w.ok("DeleteStream", `{"StreamName":"s"}`)
}

// 3.11: consumers are listed by name, MaxResults at a time; a token belongs to its stream and lives for 300 s.
func TestListStreamConsumersPages(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	w.create("t", 1)
	for _, name := range []string{"c", "a", "b"} {
		w.register(name)
	}

	first := w.ok("ListStreamConsumers", `{"StreamARN":%q,"MaxResults":2}`, streamARN)
	if got := strings.Join(first.each("Consumers", "ConsumerName"), " "); got != "a b" {
		t.Errorf("the first page has %s", got)
	}
	token := first.get("NextToken")
	last := w.ok("ListStreamConsumers", `{"StreamARN":%q,"NextToken":%q}`, streamARN, token)
	if names := strings.Join(last.each("Consumers", "ConsumerName"), " "); names != "c" ||
		strings.Contains(last.body, "NextToken") {
		t.Errorf("the last page is %s", last.body)
	}
	w.ok("DeregisterStreamConsumer", `{"StreamARN":%q,"ConsumerName":"b"}`, streamARN)
	left := w.ok("ListStreamConsumers", `{"StreamARN":%q}`, streamARN)
	if got := strings.Join(left.each("Consumers", "ConsumerName"), " "); got != "a c" {
		t.Errorf("without the one that went there are %s", got)
	}
	if r := w.ok("ListStreamConsumers", `{"StreamARN":"%s"}`, strings.TrimSuffix(streamARN, "s")+"t"); r.body !=
		`{"Consumers":[]}` {
		t.Errorf("a stream without consumers lists %s", r.body)
	}

	w.call("ListStreamConsumers", `{"StreamARN":"%s","NextToken":%q}`, strings.TrimSuffix(streamARN, "s")+"t",
		token).fails("InvalidArgumentException", "Invalid NextToken.")
	w.call("ListStreamConsumers", `{"StreamARN":%q,"NextToken":"x"}`, streamARN).fails(
		"InvalidArgumentException", "Invalid NextToken.",
	)
	w.call("ListStreamConsumers", `{"StreamARN":%q,"NextToken":%q,"StreamCreationTimestamp":1}`, streamARN, token).fails(
		"InvalidArgumentException", "NextToken and StreamCreationTimestamp cannot be provided together.",
	)
	w.call("ListStreamConsumers", `{"StreamARN":%q,"StreamCreationTimestamp":1}`, streamARN).fails(
		"ResourceNotFoundException", "Stream s under account 000000000000 not found.",
	)
	w.advance(301 * time.Second)
	r := w.call("ListStreamConsumers", `{"StreamARN":%q,"NextToken":%q}`, streamARN, token)
	r.failsLike("ExpiredNextTokenException", "NextToken expired.", func(s string) bool {
		return strings.HasPrefix(s, "NextToken expired.")
	})
}

// 1.6, 1.7, 1.9: members of consumer operations are judged like all others; ARNs of other things are no consumers.
func TestConsumerOperationsAreChecked(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	arn := w.register("c")
	const pattern = `^(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+`
	violation := func(path, value, text string) string {
		return "1 validation error detected: Value '" + value + "' at '" + path + "' failed to satisfy constraint: " + text
	}
	for _, c := range []struct{ op, body, code, text string }{
		{"RegisterStreamConsumer", `{}`, "ValidationException", "2 validation errors detected: " +
			"Value null at 'streamARN' failed to satisfy constraint: Member must not be null; " +
			"Value null at 'consumerName' failed to satisfy constraint: Member must not be null"},
		{"RegisterStreamConsumer", `{"StreamARN":1,"ConsumerName":"c"}`, "SerializationException",
			"class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to an String"},
		{"RegisterStreamConsumer", `{"StreamARN":"` + streamARN + `","ConsumerName":"c d"}`, "ValidationException",
			violation("consumerName", "c d", "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+")},
		{"RegisterStreamConsumer", `{"StreamARN":"` + streamARN + `x","ConsumerName":"c"}`, "ResourceNotFoundException",
			"Stream sx under account 000000000000 not found."},
		{"RegisterStreamConsumer", `{"StreamARN":"` + streamARN + `","ConsumerName":"d","Tags":{"a,":"b"}}`,
			"InvalidArgumentException",
			"Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @."},
		{"DescribeStreamConsumer", `{}`, "InvalidArgumentException",
			"Either ConsumerARN or both StreamARN and ConsumerName should be provided."},
		{"DescribeStreamConsumer", `{"StreamARN":"` + streamARN + `"}`, "InvalidArgumentException",
			"Either ConsumerARN or both StreamARN and ConsumerName should be provided."},
		{"DescribeStreamConsumer", `{"ConsumerARN":"` + arn + `","ConsumerName":"d"}`, "InvalidArgumentException",
			"ConsumerARN, StreamARN and ConsumerName do not refer to the same consumer."},
		{"DescribeStreamConsumer", `{"ConsumerARN":"` + arn + `","StreamARN":"` +
			strings.Replace(streamARN, "us-east-1", "us-west-2", 1) + `"}`, "InvalidArgumentException",
			"ConsumerARN, StreamARN and ConsumerName do not refer to the same consumer."},
		{"DeregisterStreamConsumer", `{"ConsumerARN":"` + streamARN + `"}`, "ValidationException",
			violation("consumerARN", streamARN, "Member must satisfy regular expression pattern: "+pattern)},
		{"DeregisterStreamConsumer", `{"ConsumerARN":"` + streamARN + `/consumer/c:0"}`, "ResourceNotFoundException",
			"Consumer c under stream s and account 000000000000 not found."},
		{"DeregisterStreamConsumer", `{"ConsumerARN":"` + strings.Replace(arn, "c:", "c:0", 1) + `"}`,
			"ResourceNotFoundException", "Consumer c under stream s and account 000000000000 not found."},
		{"DescribeStreamConsumer", `{"ConsumerARN":"` + streamARN + `/consumer/c:99999999999999999999"}`,
			"ResourceNotFoundException", "Consumer c under stream s and account 000000000000 not found."},
		{"ListStreamConsumers", `{"StreamARN":"` + streamARN + `","MaxResults":10001}`, "ValidationException",
			violation("maxResults", "10001", "Member must have value less than or equal to 10000")},
	} {
		w.call(c.op, c.body).fails(c.code, c.text)
	}
	w.ok("DescribeStreamConsumer", `{"ConsumerARN":%q}`, arn) // all the same
	short := strings.Replace(arn, ":000000000000:", ":123456789:", 1)
	if hint := w.ok("DescribeStreamConsumer", `{"ConsumerARN":%q}`, short).header.Get("X-Shardmill-Hint"); hint == "" {
		t.Error("an account of nine digits gets no hint")
	}
}
