package sns

import (
	"context"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/api/wire/wiretest"
	"github.com/shardmill/shardmill/companion/topic"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/storage/storagetest"
)

const (
	requestID = "5f0b6f0e-0000-4000-8000-000000000000"
	orders    = "arn:aws:sns:us-east-1:111122223333:orders"
	queue     = "arn:aws:sqs:us-east-1:111122223333:q"
)

// inbox is the queues of a test.
type inbox struct{ got []topic.Copy }

func (i *inbox) Deliver(_ context.Context, _, _ string, c topic.Copy) error {
	i.got = append(i.got, c)
	return nil
}

type endpoint struct {
	t       testing.TB
	handler http.Handler
	topics  *topic.Topics
	inbox   *inbox
	local   *storagetest.Crashable
	header  http.Header // of the last answer
}

func newEndpoint(t testing.TB) *endpoint {
	noon := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	e := &endpoint{t: t, inbox: &inbox{}}
	e.local = storagetest.NewCrashable(func() storage.Local { return memory.New(memory.Options{}).Local() })
	var err error
	e.topics, err = topic.New(topic.Options{Local: e.local, Queues: e.inbox, Clock: clock.New(time.Until(noon))})
	if err != nil {
		t.Fatal(err)
	}
	e.handler = New(Options{Topics: e.topics})
	return e
}

var changing = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// do sends an action with parameters as name, value, name, value; ids in the answer are replaced.
func (e *endpoint) do(action string, parameters ...string) (int, string) {
	e.t.Helper()
	form := url.Values{"Action": {action}, "Version": {Version}}
	for i := 0; i < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	w := httptest.NewRecorder()
	e.handler.ServeHTTP(w, r.WithContext(wire.WithCaller(e.t.Context(), wire.Caller{
		Account: "111122223333", Region: "us-east-1", RequestID: requestID,
	})))
	if e.header = w.Header(); e.header.Get("Content-Type") != "text/xml" ||
		e.header.Get("X-Amzn-Requestid") != requestID {
		e.t.Errorf("%s: headers %v", action, e.header)
	}
	return w.Code, w.Body.String()
}

// ok sends an action that must succeed and returns the inside of its answer, before the metadata.
func (e *endpoint) ok(action string, parameters ...string) string {
	e.t.Helper()
	status, body := e.do(action, parameters...)
	head, tail := `<?xml version="1.0" encoding="UTF-8"?>`+"\n<"+action+
		`Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/">`,
		"<ResponseMetadata><RequestId>"+requestID+"</RequestId></ResponseMetadata></"+action+"Response>"
	if status != 200 || !strings.HasPrefix(body, head) || !strings.HasSuffix(body, tail) {
		e.t.Fatalf("%s %q: %d %s", action, parameters, status, body)
	}
	return strings.TrimSuffix(strings.TrimPrefix(body, head), tail)
}

// answers sends an action that must succeed with a result; ids in it are replaced by "id".
func (e *endpoint) answers(want, action string, parameters ...string) {
	e.t.Helper()
	got := changing.ReplaceAllString(e.ok(action, parameters...), "id")
	if want != "" {
		want = "<" + action + "Result>" + want + "</" + action + "Result>"
	}
	if got != want {
		e.t.Errorf("%s %.300q:\n got %s\nwant %s", action, parameters, got, want)
	}
}

// emptyResult sends an action that must succeed with a result that has no members.
func (e *endpoint) emptyResult(action string, parameters ...string) {
	e.t.Helper()
	if got, want := e.ok(action, parameters...), "<"+action+"Result></"+action+"Result>"; got != want {
		e.t.Errorf("%s: got %s, want %s", action, got, want)
	}
}

func (e *endpoint) refused(status int, code, text, action string, parameters ...string) {
	e.t.Helper()
	gotStatus, body := e.do(action, parameters...)
	var got struct {
		Type    string `xml:"Error>Type"`
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
	}
	if err := xml.Unmarshal([]byte(body), &got); err != nil || gotStatus != status || got.Code != code ||
		got.Message != text {
		e.t.Errorf("%s %.200q:\n got %d %.400s\nwant %d %s %s", action, parameters, gotStatus, body, status, code, text)
	}
}

// subscribe subscribes a queue and returns the subscription's ARN.
func (e *endpoint) subscribe(parameters ...string) string {
	e.t.Helper()
	got := e.ok("Subscribe", append([]string{"TopicArn", orders, "Protocol", "sqs"}, parameters...)...)
	_, arn, _ := strings.Cut(got, "<SubscriptionArn>")
	arn, _, _ = strings.Cut(arn, "<")
	return arn
}

func entry(key, value string) string {
	return "<entry><key>" + key + "</key><value>" + value + "</value></entry>"
}

// The life of a topic, as Terraform's aws_sns_topic and aws_sns_topic_subscription lead it, and each answer in full.
func TestLifeOfATopic(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	const made = "<TopicArn>" + orders + "</TopicArn>"
	create := []string{
		"Name", "orders", "Attributes.entry.1.key", "DisplayName", "Attributes.entry.1.value", "a & b",
		"Tags.member.1.Key", "team", "Tags.member.1.Value", "a",
	}
	e.answers(made, "CreateTopic", create...)
	e.answers(made, "CreateTopic", create...)
	e.answers(made, "CreateTopic", "Name", "orders")
	e.answers("<Topics><member>"+made+"</member></Topics>", "ListTopics")
	e.answers("", "SetTopicAttributes", "TopicArn", orders, "AttributeName", "DisplayName", "AttributeValue", "c")
	e.answers(
		"", "SetTopicAttributes", "TopicArn", orders, "AttributeName", "Policy", "AttributeValue", `{"Statement":[]}`,
	)

	arn := e.subscribe(
		"Endpoint", queue, "Attributes.entry.1.key", "RawMessageDelivery", "Attributes.entry.1.value", "true",
	)
	if again := e.subscribe("Endpoint", queue, "ReturnSubscriptionArn", "true"); again != arn {
		t.Errorf("subscribed again as %s, not %s", again, arn)
	}
	const sub = "<SubscriptionArn>" + orders + ":id</SubscriptionArn>"
	e.answers("<Attributes>"+entry("ConfirmationWasAuthenticated", "true")+entry("Endpoint", queue)+
		entry("Owner", "111122223333")+entry("PendingConfirmation", "false")+entry("Protocol", "sqs")+
		entry("RawMessageDelivery", "true")+entry("SubscriptionArn", orders+":id")+
		entry("SubscriptionPrincipal", "arn:aws:iam::111122223333:root")+entry("TopicArn", orders)+"</Attributes>",
		"GetSubscriptionAttributes", "SubscriptionArn", arn)
	const listed = "<Subscriptions><member>" + sub + "<Owner>111122223333</Owner><Protocol>sqs</Protocol><Endpoint>" +
		queue +
		"</Endpoint>" + made + "</member></Subscriptions>"
	e.answers(listed, "ListSubscriptions")
	e.answers(listed, "ListSubscriptionsByTopic", "TopicArn", orders)
	got := e.ok("GetTopicAttributes", "TopicArn", orders)
	for _, want := range []string{
		entry("DisplayName", "c"), entry("Owner", "111122223333"), entry("Policy", "{&#34;Statement&#34;:[]}"),
		entry("SubscriptionsConfirmed", "1"), entry("SubscriptionsPending", "0"), entry("TopicArn", orders),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
	e.answers(
		"", "SetSubscriptionAttributes", "SubscriptionArn", arn, "AttributeName", "RawMessageDelivery",
		"AttributeValue", "false",
	)

	const message = "<MessageId>id</MessageId>"
	e.answers(message, "Publish", "TopicArn", orders, "Message", "hello", "Subject", "s",
		"MessageAttributes.entry.1.Name", "n", "MessageAttributes.entry.1.Value.DataType", "Number",
		"MessageAttributes.entry.1.Value.StringValue", "1",
		"MessageAttributes.entry.2.Name", "b", "MessageAttributes.entry.2.Value.DataType", "Binary",
		"MessageAttributes.entry.2.Value.BinaryValue", "AP8=")
	e.answers(
		message, "Publish", "TargetArn", orders, "Message", `{"default":"d","sqs":"q"}`, "MessageStructure", "json",
	)
	if len(e.inbox.got) != 2 || !strings.Contains(e.inbox.got[0].Body, `"b" : {"Type":"Binary","Value":"AP8="}`) ||
		!strings.Contains(e.inbox.got[1].Body, `"Message" : "q"`) {
		t.Errorf("delivered %q", e.inbox.got)
	}
	e.answers("<Successful><member><Id>one</Id>"+message+
		"</member></Successful><Failed><member><Id>two</Id><Code>InvalidParameter</Code>"+
		"<Message>Invalid parameter: Empty message</Message><SenderFault>true</SenderFault></member></Failed>",
		"PublishBatch", "TopicArn", orders, "PublishBatchRequestEntries.member.1.Id", "one",
		"PublishBatchRequestEntries.member.1.Message", "m",
		"PublishBatchRequestEntries.member.2.Id", "two", "PublishBatchRequestEntries.member.2.Message", "")
	e.answers("<Successful><member><Id>two</Id>"+message+
		"</member></Successful><Failed><member><Id>one</Id><Code>InvalidParameter</Code>"+
		"<Message>Invalid parameter: Empty message</Message><SenderFault>true</SenderFault></member></Failed>",
		"PublishBatch", "TopicArn", orders, "PublishBatchRequestEntries.member.1.Id", "one",
		"PublishBatchRequestEntries.member.1.Message", "",
		"PublishBatchRequestEntries.member.2.Id", "two", "PublishBatchRequestEntries.member.2.Message", "m")

	e.emptyResult("TagResource", "ResourceArn", orders, "Tags.member.1.Key", "stage", "Tags.member.1.Value", "dev")
	const tag = "<member><Key>%s</Key><Value>%s</Value></member>"
	e.answers(
		"<Tags>"+fmt.Sprintf(tag, "stage", "dev")+fmt.Sprintf(tag, "team", "a")+"</Tags>", "ListTagsForResource",
		"ResourceArn", orders,
	)
	e.emptyResult("UntagResource", "ResourceArn", orders, "TagKeys.member.1", "team", "TagKeys.member.2", "none")
	e.answers("<Tags>"+fmt.Sprintf(tag, "stage", "dev")+"</Tags>", "ListTagsForResource", "ResourceArn", orders)

	e.answers("", "Unsubscribe", "SubscriptionArn", arn)
	e.answers("", "Unsubscribe", "SubscriptionArn", arn)
	e.answers("", "DeleteTopic", "TopicArn", orders)
	e.answers("", "DeleteTopic", "TopicArn", orders)
	e.refused(404, "NotFound", "Topic does not exist", "GetTopicAttributes", "TopicArn", orders)
	e.refused(404, "NotFound", "Subscription does not exist", "GetSubscriptionAttributes", "SubscriptionArn", arn)
}

// Each refusal with its code, status and text.
func TestRefusals(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.ok("CreateTopic", "Name", "orders", "Attributes.entry.1.key", "DisplayName", "Attributes.entry.1.value", "d",
		"Tags.member.1.Key", "k", "Tags.member.1.Value", "v")
	arn := e.subscribe("Endpoint", queue)
	const page = " yet; see docs/compat/sns.md."
	const absent = "arn:aws:sns:us-east-1:111122223333:absent"
	null := func(at ...string) string {
		s := fmt.Sprintf("%d validation error%s detected: ", len(at), map[bool]string{true: "s"}[len(at) > 1])
		for i, a := range at {
			s += map[bool]string{true: "; "}[i > 0] + "Value null at '" + a +
				"' failed to satisfy constraint: Member must not be null"
		}
		return s
	}
	batch := func(n int, id string) []string {
		p := []string{"TopicArn", orders}
		for i := range n {
			p = append(p, fmt.Sprintf(
				"PublishBatchRequestEntries.member.%d.Id", i+1,
			), strings.ReplaceAll(id, "#", fmt.Sprint(i)),
				fmt.Sprintf("PublishBatchRequestEntries.member.%d.Message", i+1), strings.Repeat("m", 100_000))
		}
		return p
	}
	for _, c := range []struct {
		status           int
		code, text, call string
		parameters       []string
	}{
		{400, "ValidationError", null("name"), "CreateTopic", nil},
		{400, "InvalidParameter", "Invalid parameter: Topic Name", "CreateTopic", []string{"Name", "a b"}},
		{
			400, "InvalidParameter",
			"Invalid parameter: Attributes Reason: Topic already exists with different attributes", "CreateTopic",
			[]string{"Name", "orders", "Attributes.entry.1.key", "DisplayName", "Attributes.entry.1.value", "e"},
		},
		{
			400, "InvalidParameter", "Invalid parameter: Tags Reason: Topic already exists with different tags",
			"CreateTopic",
			[]string{"Name", "orders", "Tags.member.1.Key", "k", "Tags.member.1.Value", "w"},
		},
		{
			400, "InvalidParameter", "shardmill does not support FIFO topics" + page, "CreateTopic",
			[]string{"Name", "t.fifo", "Attributes.entry.1.key", "FifoTopic", "Attributes.entry.1.value", "true"},
		},
		{
			400, "InvalidParameter", "shardmill does not support the attribute KmsMasterKeyId" + page, "CreateTopic",
			[]string{"Name", "t", "Attributes.entry.1.key", "KmsMasterKeyId", "Attributes.entry.1.value", "k"},
		},
		{
			400, "InvalidParameter", "shardmill does not support DataProtectionPolicy" + page, "CreateTopic",
			[]string{"Name", "t", "DataProtectionPolicy", "{}"},
		},
		{
			400, "ValidationError",
			"1 validation error detected: Value '' at 'tags.1.member.key' failed to satisfy constraint: Member must have length greater than or equal to 1",
			"TagResource",
			[]string{"ResourceArn", orders, "Tags.member.1.Key", "", "Tags.member.1.Value", "v"},
		},
		{404, "ResourceNotFound", "Resource does not exist", "ListTagsForResource", []string{"ResourceArn", absent}},
		{404, "NotFound", "Topic does not exist", "GetTopicAttributes", []string{"TopicArn", absent}},
		{404, "NotFound", "Topic does not exist", "GetTopicAttributes", []string{"TopicArn", absent + ".fifo"}},
		{404, "NotFound", "Topic does not exist", "Publish", []string{"TopicArn", absent, "Message", "m"}},
		{
			404, "NotFound", "Topic does not exist", "Subscribe",
			[]string{"TopicArn", absent, "Protocol", "sqs", "Endpoint", queue},
		},
		{404, "NotFound", "Topic does not exist", "ListSubscriptionsByTopic", []string{"TopicArn", absent}},
		{400, "ValidationError", null("topicArn"), "DeleteTopic", nil},
		{400, "ValidationError", null("topicArn", "attributeName"), "SetTopicAttributes", nil},
		{400, "ValidationError", null("topicArn", "protocol"), "Subscribe", nil},
		{
			400, "InvalidParameter", "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 1",
			"DeleteTopic",
			[]string{"TopicArn", "orders"},
		},
		{
			400, "InvalidParameter",
			"Invalid parameter: TopicArn Reason: x:aws:sns:us-east-1:111122223333:orders does not start with arn",
			"DeleteTopic",
			[]string{"TopicArn", "x:aws:sns:us-east-1:111122223333:orders"},
		},
		{
			400, "InvalidParameter", "Invalid parameter: TopicArn", "DeleteTopic",
			[]string{"TopicArn", "arn:aws:sns:eu-west-1:111122223333:orders"},
		},
		{
			400, "InvalidParameter", "Invalid parameter: TopicArn", "DeleteTopic",
			[]string{"TopicArn", "arn:aws:sqs:us-east-1:111122223333:orders"},
		},
		{
			400, "InvalidParameter", "Invalid parameter: TopicArn", "DeleteTopic",
			[]string{"TopicArn", "arn:aws-cn:sns:us-east-1:111122223333:orders"},
		},
		{
			400, "InvalidParameter", "Invalid parameter: TopicArn", "DeleteTopic",
			[]string{"TopicArn", "arn:aws:sns:us-east-1::orders"},
		},
		{
			400, "InvalidParameter", "Invalid parameter: Topic Name", "Publish",
			[]string{"TopicArn", arn, "Message", "m"},
		},
		{
			400, "InvalidParameter", "Invalid parameter: AttributeName", "SetTopicAttributes",
			[]string{"TopicArn", orders, "AttributeName", "Color", "AttributeValue", "red"},
		},
		{
			400, "InvalidParameter", "shardmill does not support the attribute FilterPolicy" + page,
			"SetSubscriptionAttributes",
			[]string{"SubscriptionArn", arn, "AttributeName", "FilterPolicy", "AttributeValue", `{"a":["b"]}`},
		},
		{
			400, "InvalidParameter", "shardmill does not support the attribute FilterPolicy" + page, "Subscribe",
			[]string{
				"TopicArn", orders, "Protocol", "sqs", "Endpoint", queue, "Attributes.entry.1.key", "FilterPolicy",
				"Attributes.entry.1.value", `{"a":["b"]}`,
			},
		},
		{
			400, "InvalidParameter", "shardmill does not support the protocol lambda" + page, "Subscribe",
			[]string{
				"TopicArn", orders, "Protocol", "lambda", "Endpoint",
				"arn:aws:lambda:us-east-1:111122223333:function:f",
			},
		},
		{
			400, "InvalidParameter", "Invalid parameter: Amazon SNS does not support this protocol string: pigeon",
			"Subscribe",
			[]string{"TopicArn", orders, "Protocol", "pigeon", "Endpoint", "x"},
		},
		{
			400, "InvalidParameter", "Invalid parameter: SQS endpoint ARN", "Subscribe",
			[]string{"TopicArn", orders, "Protocol", "sqs", "Endpoint", "http://127.0.0.1/111122223333/q"},
		},
		{
			400, "InvalidParameter",
			"Invalid parameter: Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics",
			"Subscribe",
			[]string{"TopicArn", orders, "Protocol", "sqs", "Endpoint", queue + ".fifo"},
		},
		{
			400, "InvalidParameter", "Invalid parameter: Token", "ConfirmSubscription",
			[]string{"TopicArn", orders, "Token", "x"},
		},
		{
			400, "InvalidParameter", "Invalid parameter: SubscriptionId", "Unsubscribe",
			[]string{"SubscriptionArn", orders},
		},
		{
			400, "InvalidParameter",
			"Invalid parameter: SubscriptionArn Reason: An ARN must have at least 6 elements, not 1", "Unsubscribe",
			[]string{"SubscriptionArn", "x"},
		},
		{
			404, "NotFound", "Subscription does not exist", "GetSubscriptionAttributes",
			[]string{"SubscriptionArn", orders + ":x/y"},
		},
		{400, "ValidationError", null("message"), "Publish", []string{"TopicArn", orders}},
		{
			400, "InvalidParameter", "Invalid parameter: Empty message", "Publish",
			[]string{"TopicArn", orders, "Message", ""},
		},
		{
			400, "InvalidParameter", "Invalid parameter: Message too long", "Publish",
			[]string{"TopicArn", orders, "Message", strings.Repeat("%", topic.MaxMessageBytes+1)},
		},
		{
			400, "InvalidParameter", "Invalid parameter: Subject", "Publish",
			[]string{"TopicArn", orders, "Message", "m", "Subject", ""},
		},
		{
			400, "InvalidParameter", "Invalid parameter: MessageStructure", "Publish",
			[]string{"TopicArn", orders, "Message", "m", "MessageStructure", "xml"},
		},
		{
			400, "InvalidParameter", "Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter",
			"Publish",
			[]string{"Message", "m"},
		},
		{
			400, "InvalidParameter", "Invalid parameter: TopicArn or TargetArn Reason: only one of them can be given",
			"Publish",
			[]string{"Message", "m", "TopicArn", orders, "TargetArn", orders},
		},
		{
			400, "InvalidParameter", "shardmill does not support PhoneNumber" + page, "Publish",
			[]string{"Message", "m", "PhoneNumber", "+15550100"},
		},
		{
			400, "InvalidParameter", "shardmill does not support TargetArn of an endpoint" + page, "Publish",
			[]string{"Message", "m", "TargetArn", "arn:aws:sns:us-east-1:111122223333:endpoint/GCM/app/x"},
		},
		{
			400, "InvalidParameter",
			"Invalid parameter: MessageGroupId Reason: The request includes MessageGroupId parameter that is not valid for this topic type",
			"Publish",
			[]string{"TopicArn", orders, "Message", "m", "MessageGroupId", "g"},
		},
		{
			400, "ParameterValueInvalid", "The value of the message attribute 'b' is not base64.", "Publish",
			[]string{
				"TopicArn", orders, "Message", "m", "MessageAttributes.entry.1.Name", "b",
				"MessageAttributes.entry.1.Value.DataType", "Binary", "MessageAttributes.entry.1.Value.BinaryValue",
				"!",
			},
		},
		{
			400, "ParameterValueInvalid", "The message attribute 's' with type 'String' must use field 'String'.",
			"Publish",
			[]string{
				"TopicArn", orders, "Message", "m", "MessageAttributes.entry.1.Name", "s",
				"MessageAttributes.entry.1.Value.DataType", "String", "MessageAttributes.entry.1.Value.BinaryValue",
				"eA==",
			},
		},
		{
			400, "EmptyBatchRequest", "The batch request doesn't contain any entries.", "PublishBatch",
			[]string{"TopicArn", orders},
		},
		{
			400, "TooManyEntriesInBatchRequest", "The batch request contains more entries than permissible.",
			"PublishBatch", batch(11, "#"),
		},
		{
			400, "BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.",
			"PublishBatch", batch(2, "x"),
		},
		{
			400, "InvalidBatchEntryId",
			"The Id of a batch entry in a batch request doesn't abide by the specification.", "PublishBatch",
			batch(1, "a.b"),
		},
		{
			400, "BatchRequestTooLong", "The length of all the messages put together is more than the limit.",
			"PublishBatch", batch(3, "#"),
		},
		{
			400, "InvalidParameter", "Invalid parameter: NextToken Reason: the token !! is not from this service",
			"ListTopics",
			[]string{"NextToken", "!!"},
		},
		{
			501, "NotImplementedException", "shardmill does not implement sns AddPermission" + page, "AddPermission",
			[]string{"TopicArn", orders},
		},
		{400, "InvalidAction", "Could not find operation Shout for version 2010-03-31", "Shout", nil},
	} {
		e.refused(c.status, c.code, c.text, c.call, c.parameters...)
	}
	if len(e.inbox.got) != 0 {
		t.Errorf("%d messages were delivered", len(e.inbox.got))
	}
}

// An account id of fewer than twelve digits, as tutorials print it, is the caller's, and the answer says so.
func TestShortAccountsFold(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.ok("CreateTopic", "Name", "orders")
	e.ok(
		"Subscribe", "TopicArn", "arn:aws:sns:us-east-1:123456789:orders", "Protocol", "sqs", "Endpoint",
		"arn:aws:sqs:us-east-1:123456789:q",
	)
	const hint = "account 123456789 in an ARN has fewer than 12 digits and was read as 111122223333"
	if got := e.header.Get(wire.HintHeader); got != hint+"; "+hint {
		t.Errorf("the hint is %q", got)
	}
	if got := e.ok("ListSubscriptions"); !strings.Contains(got, "<Endpoint>"+queue+"</Endpoint>") {
		t.Errorf("listed as %s", got)
	}
	e.ok("GetTopicAttributes", "TopicArn", orders)
	if got := e.header.Get(wire.HintHeader); got != "" {
		t.Errorf("a hint without a reason: %q", got)
	}
}

// 100 entries a page, as on AWS.
func TestListsHave100EntriesAPage(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	for i := range 150 {
		e.ok("CreateTopic", "Name", fmt.Sprintf("t%03d", i))
		e.ok(
			"Subscribe", "TopicArn", "arn:aws:sns:us-east-1:111122223333:t000", "Protocol", "sqs", "Endpoint",
			queue+fmt.Sprint(i),
		)
	}
	for _, call := range [][]string{
		{"ListTopics"},
		{"ListSubscriptions"},
		{"ListSubscriptionsByTopic", "TopicArn", "arn:aws:sns:us-east-1:111122223333:t000"},
	} {
		first := e.ok(call[0], call[1:]...)
		_, token, found := strings.Cut(first, "<NextToken>")
		token, _, _ = strings.Cut(token, "<")
		second := e.ok(call[0], append(call[1:], "NextToken", token)...)
		if n, m := strings.Count(first, "<member>"), strings.Count(second, "<member>"); n != 100 || m != 50 || !found ||
			strings.Contains(second, "NextToken") {
			t.Errorf("%s: %d and %d entries, a token: %t", call[0], n, m, found)
		}
	}
}

// What is our own fault is 500 with no detail but AWS's common text, after a stop 503; SDKs try both again.
func TestFaultsOfOurOwn(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.local.FailWith(fmt.Errorf("the disk is on fire"))
	e.refused(
		500, "InternalError", "The request processing has failed because of an unknown error, exception or failure; "+
			"the server has logged it under the request id.", "CreateTopic", "Name", "orders",
	)
	e.local.FailWith(nil)
	e.topics.Stop()
	e.refused(
		503, "ServiceUnavailable", "The request has failed due to a temporary failure of the server.",
		"CreateTopic", "Name", "orders",
	)
}

// docs/compat/sns.md names every operation.
func TestCompatPageListsTheOperations(t *testing.T) {
	t.Parallel()
	wiretest.Listed(t, "sns", slices.Collect(maps.Keys(model.Served)), strings.Fields(model.Others))
}

// Whatever a form holds, the answer is XML of the protocol, and no fault of ours.
func FuzzRequest(f *testing.F) {
	for action := range model.Served {
		f.Add("Action=" + action + "&Name=t&TopicArn=" + orders + "&ResourceArn=" + orders +
			"&Message=m&Protocol=sqs&Endpoint=" +
			queue + "&Attributes.entry.1.key=DisplayName&NextToken=YQ&PublishBatchRequestEntries.member.1.Id=1")
	}
	f.Add("Action=Unsubscribe&SubscriptionArn=" + orders + ":89c2f2cf-3bac-4535-a995-20c5867e67e8")
	e := newEndpoint(f)
	e.ok("CreateTopic", "Name", "orders")
	f.Fuzz(func(t *testing.T, fields string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(fields))
		w := httptest.NewRecorder()
		e.handler.ServeHTTP(
			w, r.WithContext(wire.WithCaller(t.Context(), wire.Caller{Account: "111122223333", Region: "us-east-1"})),
		)
		var any struct{ XMLName xml.Name }
		if err := xml.Unmarshal(w.Body.Bytes(), &any); err != nil || w.Code >= 500 && w.Code != 501 {
			t.Errorf("%s: %d %s: %v", fields, w.Code, w.Body, err)
		}
	})
}
