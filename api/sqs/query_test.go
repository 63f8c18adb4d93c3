package sqs

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/api/wire"
)

const (
	requestID = "5f0b6f0e-0000-4000-8000-000000000000"
	xmlHead   = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	metadata  = `<ResponseMetadata><RequestId>` + requestID + `</RequestId></ResponseMetadata>`
)

// form sends a form to a path, as SDKs of the query protocol do, and returns the body with varying parts replaced.
func (e *endpoint) form(path, fields string) (int, string) {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(fields))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return e.send(r)
}

var changing = regexp.MustCompile(`<(MessageId|ReceiptHandle)>[^<]+|<Value>1[0-9]{9,12}<`)

func (e *endpoint) send(r *http.Request) (int, string) {
	e.t.Helper()
	r = r.WithContext(wire.WithCaller(e.t.Context(), wire.Caller{
		Account: "111122223333", Region: "eu-west-1", RequestID: requestID, Endpoint: "http://127.0.0.1:4566",
	}))
	w := httptest.NewRecorder()
	e.handler.ServeHTTP(w, r)
	if got := w.Header().Get("Content-Type"); got != "text/xml" {
		e.t.Errorf("content type %q", got)
	}
	return w.Code, changing.ReplaceAllStringFunc(w.Body.String(), func(s string) string {
		if name, _, ok := strings.Cut(s[1:], ">"); ok && name != "Value" {
			return "<" + name + ">…"
		}
		return "<Value>…<"
	})
}

func answered(action, result string) string {
	if result != "" {
		result = "<" + action + "Result>" + result + "</" + action + "Result>"
	}
	return xmlHead + "<" + action + `Response xmlns="http://queue.amazonaws.com/doc/2012-11-05/">` + result + metadata +
		"</" + action + "Response>"
}

func refusedWith(kind, code, message string) string {
	return xmlHead + `<ErrorResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/"><Error><Type>` + kind +
		"</Type><Code>" + code + "</Code><Message>" + message + "</Message></Error><RequestId>" +
		requestID + "</RequestId></ErrorResponse>"
}

// Requests as botocore before 1.30 writes them, to the queue's own URL, and the answers that it parses, one after the
// other on one queue.
func TestQueryRequestsAndAnswers(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	const q = "/111122223333/orders"
	const v = "&Version=2012-11-05"
	for _, c := range []struct{ path, fields, want string }{
		{
			"/",
			"Action=CreateQueue" + v +
				"&QueueName=orders&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=0&Attribute.2.Name=DelaySeconds&Attribute.2.Value=0",
			answered("CreateQueue", "<QueueUrl>http://127.0.0.1:4566/111122223333/orders</QueueUrl>"),
		},
		{
			"/", "Action=GetQueueUrl" + v + "&QueueName=orders",
			answered("GetQueueUrl", "<QueueUrl>http://127.0.0.1:4566/111122223333/orders</QueueUrl>"),
		},
		{
			"/", "Action=ListQueues" + v,
			answered("ListQueues", "<QueueUrl>http://127.0.0.1:4566/111122223333/orders</QueueUrl>"),
		},
		{"/", "Action=ListQueues" + v + "&QueueNamePrefix=x", xmlHead +
			`<ListQueuesResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/"><ListQueuesResult></ListQueuesResult>` +
			metadata + "</ListQueuesResponse>"},
		{
			q, "Action=GetQueueAttributes" + v + "&AttributeName.1=VisibilityTimeout&AttributeName.2=QueueArn",
			answered(
				"GetQueueAttributes",
				"<Attribute><Name>QueueArn</Name><Value>arn:aws:sqs:eu-west-1:111122223333:orders</Value></Attribute><Attribute><Name>VisibilityTimeout</Name><Value>0</Value></Attribute>",
			),
		},
		{
			q, "Action=SendMessage" + v + "&MessageBody=a%26b+%3Cc%3E%0A&DelaySeconds=0" +
				"&MessageAttribute.1.Name=n&MessageAttribute.1.Value.DataType=Number&MessageAttribute.1.Value.StringValue=7" +
				"&MessageAttribute.2.Name=b&MessageAttribute.2.Value.DataType=Binary&MessageAttribute.2.Value.BinaryValue=AQI%3D",
			answered(
				"SendMessage",
				"<MessageId>…</MessageId><MD5OfMessageBody>c8ae8d263bb77492afbfe3ad48ac8c3a</MD5OfMessageBody><MD5OfMessageAttributes>SUM</MD5OfMessageAttributes>",
			),
		},
		{
			q,
			"Action=ReceiveMessage" + v +
				"&MaxNumberOfMessages=10&WaitTimeSeconds=0&AttributeName.1=All&MessageAttributeName.1=All",
			answered("ReceiveMessage",
				"<Message><MessageId>…</MessageId><ReceiptHandle>…</ReceiptHandle><MD5OfBody>c8ae8d263bb77492afbfe3ad48ac8c3a</MD5OfBody><Body>a&amp;b &lt;c&gt;&#xA;</Body>"+
					"<Attribute><Name>ApproximateFirstReceiveTimestamp</Name><Value>…</Value></Attribute><Attribute><Name>ApproximateReceiveCount</Name><Value>1</Value></Attribute>"+
					"<Attribute><Name>SenderId</Name><Value>…</Value></Attribute><Attribute><Name>SentTimestamp</Name><Value>…</Value></Attribute>"+
					"<MD5OfMessageAttributes>SUM</MD5OfMessageAttributes>"+
					"<MessageAttribute><Name>b</Name><Value><BinaryValue>AQI=</BinaryValue><DataType>Binary</DataType></Value></MessageAttribute>"+
					"<MessageAttribute><Name>n</Name><Value><StringValue>7</StringValue><DataType>Number</DataType></Value></MessageAttribute></Message>"),
		},
		{q, "Action=PurgeQueue" + v, answered("PurgeQueue", "")},
		{
			q, "Action=TagQueue" + v + "&Tag.1.Key=b&Tag.1.Value=x%2By&Tag.2.Key=a&Tag.2.Value=",
			answered("TagQueue", ""),
		},
		{q, "Action=TagQueue" + v + "&Tags.1.Key=c&Tags.1.Value=of+the+Java+SDK+v1", answered("TagQueue", "")},
		{q, "Action=UntagQueue" + v + "&TagKey.1=a&TagKey.2=none", answered("UntagQueue", "")},
		{
			q, "Action=ListQueueTags" + v, answered("ListQueueTags", "<Tag><Key>b</Key><Value>x+y</Value></Tag>"+
				"<Tag><Key>c</Key><Value>of the Java SDK v1</Value></Tag>"),
		},
		{
			"/", "Action=DeleteQueue" + v + "&QueueUrl=http%3A%2F%2Flocalhost%2F111122223333%2Forders",
			answered("DeleteQueue", ""),
		},
	} {
		status, got := e.form(c.path, c.fields)
		got = regexp.MustCompile(`<MD5OfMessageAttributes>[0-9a-f]{32}<`).ReplaceAllString(
			got, "<MD5OfMessageAttributes>SUM<",
		)
		if status != 200 || got != c.want {
			t.Errorf("%s %s: %d\n got %s\nwant %s", c.path, c.fields, status, got, c.want)
		}
	}
}

// The checksums are those of the JSON protocol, and a handle from one protocol works in the other.
func TestBothProtocolsSeeOneQueue(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.ok("CreateQueue", `{"QueueName":"orders"}`)
	sent := e.ok(
		"SendMessage",
		withURL(`"MessageBody":"Test","MessageAttributes":{"a":{"DataType":"String","StringValue":"x"}}`),
	)

	r := httptest.NewRequest(
		http.MethodGet,
		"/111122223333/orders?Action=ReceiveMessage&Version=2012-11-05&MessageAttributeName.1=a&VisibilityTimeout=0",
		nil,
	)
	w := httptest.NewRecorder()
	e.handler.ServeHTTP(
		w,
		r.WithContext(wire.WithCaller(t.Context(), wire.Caller{
			Account: "111122223333", Region: "eu-west-1", Endpoint: "http://127.0.0.1:4566",
		})),
	)

	var got struct {
		Message struct {
			Body, MD5OfBody, MD5OfMessageAttributes, ReceiptHandle string
		} `xml:"ReceiveMessageResult>Message"`
	}
	if err := xml.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if m := got.Message; m.Body != "Test" || m.MD5OfBody != "0cbc6611f5540bd0809a388dc95a615b" ||
		m.MD5OfMessageAttributes != sent["MD5OfMessageAttributes"] {
		t.Errorf("received %+v", m)
	}
	e.ok("DeleteMessage", withURL(`"ReceiptHandle":"`+got.Message.ReceiptHandle+`"`))
}

// F-73 and its like: codes as this protocol spells them, and the texts that differ.
func TestQueryFaults(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.ok("CreateQueue", `{"QueueName":"there"}`)
	for _, c := range []struct {
		path, fields        string
		status              int
		kind, code, message string
	}{
		{
			"/111122223333/nope", "Action=ReceiveMessage", 400, "Sender", "AWS.SimpleQueueService.NonExistentQueue",
			"The specified queue does not exist for this wsdl version.",
		},
		{
			"/", "Action=GetQueueUrl&QueueName=nope", 400, "Sender", "AWS.SimpleQueueService.NonExistentQueue",
			"The specified queue does not exist for this wsdl version.",
		},
		{
			"/", "Action=CreateQueue&QueueName=there&Attribute.1.Name=DelaySeconds&Attribute.1.Value=9", 400, "Sender",
			"QueueAlreadyExists",
			"A queue already exists with the same name and a different value for attribute DelaySeconds",
		},
		{
			"/111122223333/there", "Action=SendMessage", 400, "Sender", "MissingParameter",
			"The request must contain the parameter MessageBody.",
		},
		{
			"/", "Action=SendMessage&MessageBody=x", 400, "Sender", "MissingParameter",
			"The request must contain the parameter QueueUrl.",
		},
		{
			"/111122223333/there", "Action=SendMessage&MessageBody=x&DelaySeconds=soon", 400, "Sender",
			"InvalidParameterValue", "Value soon for parameter DelaySeconds is invalid. Reason: Must be an integer.",
		},
		{
			"/111122223333/there",
			"Action=SendMessage&MessageBody=x&MessageAttribute.1.Name=b&MessageAttribute.1.Value.DataType=Binary&MessageAttribute.1.Value.BinaryValue=%21",
			400, "Sender",
			"InvalidParameterValue",
			"The value of MessageAttributes does not have the type that the operation expects.",
		},
		{
			"/111122223333/there", "Action=SendMessage&MessageBody=%ff", 400, "Sender", "MalformedQueryString",
			"The request is not valid UTF-8.",
		},
		{
			"/111122223333/there", "Action=SendMessage&MessageBody=x&MessageGroupId=g", 400, "Sender",
			"AWS.SimpleQueueService.UnsupportedOperation",
			"shardmill does not support the parameter MessageGroupId yet; see docs/compat/sqs.md.",
		},
		{
			"/111122223333/there", "Action=DeleteMessage&ReceiptHandle=x", 400, "Sender", "ReceiptHandleIsInvalid",
			"The input receipt handle &#34;x&#34; is not a valid receipt handle.",
		},
		{
			"/", "Action=CreateQueue&QueueName=q&Tag.1.Key=&Tag.1.Value=b", 400, "Sender", "InvalidParameterValue",
			"Tag keys must be between 1 and 128 characters in length.",
		},
		{
			"/111122223333/there", "Action=TagQueue", 400, "Sender", "MissingParameter",
			"The request must contain the parameter Tags.",
		},
		{"/", "Action=Nobody", 400, "Sender", "InvalidAction", "The action Nobody is not valid for this endpoint."},
		{"/", "QueueName=q", 400, "Sender", "MissingAction", "The request must contain the parameter Action."},
		{
			"/", "Action=StartMessageMoveTask", 501, "Receiver", "NotImplementedException",
			"shardmill does not implement sqs StartMessageMoveTask yet; see docs/compat/sqs.md.",
		},
	} {
		status, got := e.form(c.path, c.fields+"&Version=2012-11-05")
		if want := refusedWith(c.kind, c.code, c.message); status != c.status || got != want {
			t.Errorf("%s %s: %d\n got %s\nwant %s", c.path, c.fields, status, got, want)
		}
	}
	var many strings.Builder
	for i := range maxFormFields {
		fmt.Fprintf(&many, "&A.%d.B=", i)
	}
	if status, got := e.form("/", "Action=ListQueues"+many.String()); status != 400 ||
		!strings.Contains(got, "more than 2000 parameters") {
		t.Errorf("%d %s", status, got)
	}
}

// F-74 in the query protocol: the limit is that of the message, however the form writes it.
func TestQuerySizeLimit(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.ok("CreateQueue", `{"QueueName":"there"}`)
	if status, got := e.form(
		"/111122223333/there", "Action=SendMessage&MessageBody="+strings.Repeat("%41", 1<<20),
	); status != 200 {
		t.Errorf("%d %s", status, got)
	}
	status, got := e.form("/111122223333/there", "Action=SendMessage&MessageBody="+strings.Repeat("x", 1<<20+1))
	if want := refusedWith(
		"Sender", "InvalidParameterValue",
		"One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.",
	); status != 400 ||
		got != want {
		t.Errorf("%d %.300s", status, got)
	}
}

// Whatever a form holds, the answer is XML of the protocol.
func FuzzQuery(f *testing.F) {
	f.Add(
		"/111122223333/orders",
		"Action=SendMessage&MessageBody=x&MessageAttribute.1.Name=a&MessageAttribute.1.Value.DataType=String&MessageAttribute.1.Value.StringValue=x",
	)
	f.Add("/", "Action=CreateQueue&QueueName=orders&Attribute.1.Name=DelaySeconds&Attribute.1.Value=1")
	f.Add("/", "Action=GetQueueAttributes&QueueUrl=%2F111122223333%2Forders&AttributeName.1=All")
	f.Add("/", "Action=ReceiveMessage&QueueUrl=%zz")
	h := newHandler(f)
	f.Fuzz(func(t *testing.T, path, fields string) {
		if strings.Contains(fields, "Wait") || strings.Contains(fields, "%") { // it could wait for 20 s
			return
		}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(fields))
		r.URL.Path = path
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(
			w, r.WithContext(wire.WithCaller(t.Context(), wire.Caller{Account: "111122223333", Region: "eu-west-1"})),
		)
		var any struct{ XMLName xml.Name }
		if err := xml.Unmarshal(w.Body.Bytes(), &any); err != nil || w.Code >= 500 && w.Code != 501 {
			t.Errorf("%s: %d %s: %v", fields, w.Code, w.Body, err)
		}
	})
}
