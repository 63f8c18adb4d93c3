package destination

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
)

// example is the document in the Lambda Developer Guide, "Retain discarded batch records for a Kinesis Data Streams
// event source in Lambda", without its spaces.
const example = `{
    "requestContext": {
        "requestId": "c9b8fa9f-5a7f-xmpl-af9c-0c604cde93a5",
        "functionArn": "arn:aws:lambda:us-east-2:123456789012:function:myfunction",
        "condition": "RetryAttemptsExhausted",
        "approximateInvokeCount": 1
    },
    "responseContext": {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled"
    },
    "version": "1.0",
    "timestamp": "2019-11-14T00:38:06.021Z",
    "KinesisBatchInfo": {
        "shardId": "shardId-000000000001",
        "startSequenceNumber": "49601189658422359378836298521827638475320189012309704722",
        "endSequenceNumber": "49601189658422359378836298522902373528957594348623495186",
        "approximateArrivalOfFirstRecord": "2019-11-14T00:38:04.835Z",
        "approximateArrivalOfLastRecord": "2019-11-14T00:38:05.580Z",
        "batchSize": 500,
        "streamArn": "arn:aws:kinesis:us-east-2:123456789012:stream/mystream"
    }
}`

const exampleBatch = `{"shardId":"shardId-000000000001","startSequenceNumber":"49601189658422359378836298521827638475320189012309704722",` +
	`"endSequenceNumber":"49601189658422359378836298522902373528957594348623495186","approximateArrivalOfFirstRecord":"2019-11-14T00:38:04.835Z",` +
	`"approximateArrivalOfLastRecord":"2019-11-14T00:38:05.580Z","batchSize":500,"streamArn":"arn:aws:kinesis:us-east-2:123456789012:stream/mystream"}`

func exampleNotice() Notice {
	return Notice{
		RequestID:   "c9b8fa9f-5a7f-xmpl-af9c-0c604cde93a5",
		FunctionARN: "arn:aws:lambda:us-east-2:123456789012:function:myfunction",
		Condition:   esm.RetryAttemptsExhausted, InvokeCount: 1, StatusCode: 200, Version: "$LATEST",
		FunctionError: "Unhandled",
		At:            time.Date(2019, 11, 14, 1, 38, 6, 21_999_999, time.FixedZone("CET", 3600)),
		BatchMember:   "KinesisBatchInfo", Batch: []byte(exampleBatch),
	}
}

// The document is AWS's, down to the order of its members; times are UTC with three digits, cut and not rounded. S-50,
// S-83.
func TestDocumentIsTheDocumentedExample(t *testing.T) {
	t.Parallel()
	var want bytes.Buffer
	if err := json.Compact(&want, []byte(example)); err != nil {
		t.Fatal(err)
	}
	n := exampleNotice()
	if got := string(n.Document()); got != want.String() {
		t.Errorf("got\n%s\nwant\n%s", got, want.String())
	}
}

// Records that grew too old were not given up because of a response, so there is no responseContext, but still a
// request id. S-56.
func TestExpiredRecordsHaveNoResponseContext(t *testing.T) {
	t.Parallel()
	n := exampleNotice()
	n.Condition, n.StatusCode, n.Version, n.FunctionError = esm.RecordAgeExceeded, 0, "", ""
	const want = `{"requestContext":{"requestId":"c9b8fa9f-5a7f-xmpl-af9c-0c604cde93a5","functionArn":"arn:aws:lambda:us-east-2:123456789012:function:myfunction",` +
		`"condition":"RecordAgeExceeded","approximateInvokeCount":1},"version":"1.0","timestamp":"2019-11-14T00:38:06.021Z","KinesisBatchInfo":` +
		exampleBatch + `}`
	if got := string(n.Document()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A function that reported failed items itself did not fail: functionError is null.
func TestReportedFailuresHaveNoFunctionError(t *testing.T) {
	t.Parallel()
	n := exampleNotice()
	n.FunctionError = ""
	if !bytes.Contains(
		n.Document(), []byte(`"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":null}`),
	) {
		t.Errorf("got %s", n.Document())
	}
}

// Whatever the texts, the document is JSON and contains them.
func TestDocumentIsJSONForAnyText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := exampleNotice()
		text := rapid.OneOf(
			rapid.String(), rapid.SampledFrom([]string{"\x00\x1f\x7f\a\v", "\u2028é\U0001f600", `"\\/<>&`}),
		)
		n.RequestID, n.FunctionARN, n.Version, n.FunctionError = text.Draw(t, "id"), text.Draw(t, "arn"), text.Draw(
			t, "version",
		), text.Draw(t, "error")
		var got struct {
			RequestContext  struct{ RequestID, FunctionARN string }
			ResponseContext struct {
				ExecutedVersion string
				FunctionError   *string
			}
		}
		if err := json.Unmarshal(n.Document(), &got); err != nil {
			t.Fatalf("%s: %v", n.Document(), err)
		}
		e := ""
		if got.ResponseContext.FunctionError != nil {
			e = *got.ResponseContext.FunctionError
		}
		if got.RequestContext.RequestID != n.RequestID || got.RequestContext.FunctionARN != n.FunctionARN ||
			got.ResponseContext.ExecutedVersion != n.Version || e != n.FunctionError {
			t.Fatalf("%+v became %+v", n, got)
		}
	})
}

// People read notices: what JSON need not escape is not.
func TestTextsOfANoticeStayReadable(t *testing.T) {
	t.Parallel()
	n := exampleNotice()
	n.FunctionError = "<a> & b"
	if !bytes.Contains(n.Document(), []byte(`"functionError":"<a> & b"}`)) {
		t.Errorf("got %s", n.Document())
	}
}

type sent struct{ account, region, queue, id, body string }

func (s *sent) SendNotice(_ context.Context, account, region, queue, id string, body []byte) error {
	*s = sent{account, region, queue, id, string(body)}
	return nil
}

// A notice goes to the queue that the ARN names, in its own account and region.
func TestQueueDestination(t *testing.T) {
	t.Parallel()
	var got sent
	to, err := Table{SQS(&got)}.Open("arn:aws:sqs:eu-west-1:111122223333:dead")
	if err != nil {
		t.Fatal(err)
	}
	if err := to.Send(t.Context(), Sending{ID: "the-id", Body: []byte("body")}); err != nil {
		t.Fatal(err)
	}
	if want := (sent{"111122223333", "eu-west-1", "dead", "the-id", "body"}); got != want {
		t.Errorf("got %+v", got)
	}
}

// An ARN that no kind of destination recognises is refused by name.
func TestUnknownDestinationsAreRefused(t *testing.T) {
	t.Parallel()
	table := Table{{Service: "sqs", Open: func(arn.ARN) Sender { return nil }}}
	for text, want := range map[string]string{
		"dead":                                 "The destination dead is not an ARN.",
		"":                                     "The destination  is not an ARN.",
		"arn:aws:s3:::bucket":                  "Destinations of service s3 are not supported.",
		"arn:aws:sns:us-east-1:111122223333:t": "Destinations of service sns are not supported.",
	} {
		_, err := table.Open(text)
		if fault.CodeOf(err) != "InvalidParameterValueException" ||
			err.Error() != "InvalidParameterValueException: "+want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A destination's own trouble uses up no try: a notice is given up only when the destination says no.
func TestOnlyANoIsARefusal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err     error
		refused bool
	}{
		{fault.New("QueueDoesNotExist", "The specified queue does not exist."), true},
		{fmt.Errorf("send: %w", fault.New("InvalidMessageContents", "")), true},
		{fault.New("InternalFailure", ""), false},
		{fault.New("ServiceUnavailable", ""), false},
		{
			fmt.Errorf("send: %w", fault.New("RequestThrottled", "The request was denied due to request throttling.")),
			false,
		},
		{fault.New("InternalError", "We encountered an internal error. Please try again."), false},
		{fault.New("SlowDown", "Please reduce your request rate."), false},
		{fault.New("Throttled", ""), false},
		{fault.New("NoSuchBucket", "The specified bucket does not exist"), true},
		{fault.New("NotFound", "Topic does not exist"), true},
		{context.Canceled, false},
		{errors.New("the disk is on fire"), false},
		{nil, false},
	} {
		if got := Refused(c.err); got != c.refused {
			t.Errorf("%v: refused is %t", c.err, got)
		}
	}
}
