package wire

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// testRouter returns a router with today's services; each handler answers its name and what reached it.
func testRouter() *Router {
	named := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("Reached", name)
			_, _ = w.Write(body)
		})
	}
	return &Router{
		Services: []Service{
			{Name: "kinesis", Target: "Kinesis_20131202", Needs: OwnOrder, Handler: named("kinesis")},
			{Name: "sqs", Target: "AmazonSQS", Needs: Header, Handler: named("sqs")},
			{
				Name: "lambda", Paths: []string{"/2015-03-31/", "/2017-03-31/"}, Needs: Signature,
				Open: "/2015-03-31/packages/", Handler: named("lambda"),
			},
			{Name: "logs", Target: "Logs_20140328", Needs: Header, Handler: named("logs")},
			{Name: "iam", Needs: Header, Handler: named("iam")},
			{Name: "sts", Needs: Header, Handler: named("sts")},
		},
		Fallback: Service{Needs: OwnOrder, Handler: named("fallback")}, Control: named("control"),
		Unknown: NotHere("iam", "kinesis", "lambda", "logs", "sqs", "sts"),
	}
}

func request(method, target, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:4566"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func scope(service string) string {
	return "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-west-1/" + service +
		"/aws4_request, SignedHeaders=host, Signature=00"
}

const form = "application/x-www-form-urlencoded; charset=utf-8"

// The first matching rule decides which service a request means. A service that is not served here is answered with 501
// and its name, whichever rule recognised it.
func TestServiceOfARequest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request *http.Request
		reached string // a handler, or "501 name"
	}{
		"target of Kinesis": {
			request("POST", "/", "", "X-Amz-Target", "Kinesis_20131202.PutRecord"), "kinesis",
		},
		"target of SQS": {
			request("POST", "/", "", "X-Amz-Target", "AmazonSQS.SendMessage"), "sqs",
		},
		"target of SQS on a queue's path": {
			request("POST", "/000000000000/q", "", "X-Amz-Target", "AmazonSQS.SendMessage"), "sqs",
		},
		"target before scope": {
			request("POST", "/", "", "X-Amz-Target", "AmazonSQS.SendMessage", "Authorization", scope("kinesis")), "sqs",
		},
		"target of DynamoDB": {
			request("POST", "/", "", "X-Amz-Target", "DynamoDB_20120810.PutItem"), "501 dynamodb",
		},
		"target of DynamoDB streams": {
			request("POST", "/", "", "X-Amz-Target", "DynamoDBStreams_20120810.GetRecords"), "501 dynamodbstreams",
		},
		"target of CloudWatch logs": {
			request("POST", "/", "", "X-Amz-Target", "Logs_20140328.PutLogEvents"), "logs",
		},
		"target of CloudWatch": {
			request("POST", "/", "", "X-Amz-Target", "GraniteServiceVersion20100801.PutMetricData"), "501 monitoring",
		},
		"target of EventBridge": {
			request("POST", "/", "", "X-Amz-Target", "AWSEvents.PutEvents"), "501 events",
		},
		"target that nobody has": {
			request("POST", "/", "", "X-Amz-Target", "Nobody.Does"), "fallback",
		},
		"target without a service": {
			request("POST", "/", "", "X-Amz-Target", ".ListStreams", "Authorization", scope("kinesis")), "fallback",
		},
		"CBOR operation of CloudWatch": {
			request(
				"POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData", "", "Smithy-Protocol",
				"rpc-v2-cbor",
			),
			"501 monitoring",
		},
		"CBOR before target": {
			request(
				"POST", "/service/Logs_20140328/operation/X", "", "Smithy-Protocol", "rpc-v2-cbor", "X-Amz-Target",
				"AmazonSQS.X",
			),
			"501 in CBOR logs", // which does not speak it
		},
		"CBOR of a shape that nobody has": {
			request("POST", "/service/Shape/operation/X", "", "Smithy-Protocol", "rpc-v2-cbor"), "501 Shape",
		},
		"CBOR of no shape": {
			request("POST", "/service/", "", "Smithy-Protocol", "rpc-v2-cbor"), "501 unknown",
		},
		"path of Lambda": {request("GET", "/2015-03-31/functions/", ""), "lambda"},
		"path of Lambda with an ARN": {
			request("GET", "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af", ""),
			"lambda",
		},
		"path of Lambda before scope": {
			request("GET", "/2015-03-31/functions/", "", "Authorization", scope("s3")), "lambda",
		},
		"form of SQS": {
			request("POST", "/", "Action=SendMessage&MessageBody=x&Version=2012-11-05", "Content-Type", form), "sqs",
		},
		"form of SQS without its scope": {
			request(
				"POST", "/", "Action=ListQueues&Version=2012-11-05", "Content-Type", form, "Authorization",
				scope("kinesis"),
			),
			"sqs",
		},
		"form of SNS": {
			request("POST", "/", "Action=Publish&Version=2010-03-31", "Content-Type", form), "501 sns",
		},
		"form of STS": {
			request("POST", "/", "Version=2011-06-15&Action=GetCallerIdentity", "Content-Type", form), "sts",
		},
		"form of IAM": {
			request("POST", "/", "Action=CreateRole&Version=2010-05-08", "Content-Type", form), "iam",
		},
		"form of CloudWatch": {
			request("POST", "/", "Action=PutMetricData&Version=2010-08-01", "Content-Type", form), "501 monitoring",
		},
		"form of CloudFormation": {
			request("POST", "/", "Action=CreateStack&Version=2010-05-15", "Content-Type", form), "501 cloudformation",
		},
		"Action and Version in the URL": {
			request("GET", "/?Action=GetCallerIdentity&Version=2011-06-15", ""), "sts",
		},
		"form of a version that nobody has": {
			request("POST", "/", "Action=X&Version=1999-01-01", "Content-Type", form, "Authorization", scope("sns")),
			"501 sns",
		},
		"form on a queue's path": {
			request("POST", "/000000000000/orders", "Action=SendMessage&MessageBody=x", "Content-Type", form), "sqs",
		},
		"form on a queue's path for another service": {
			request(
				"POST", "/000000000000/orders", "Action=SendMessage&MessageBody=x", "Content-Type", form, "Authorization",
				scope("sns"),
			),
			"501 sns",
		},
		"form on another path": {
			request("POST", "/0000/orders", "Action=SendMessage", "Content-Type", form), "501 s3",
		},
		"scope of SQS": {request("POST", "/", "", "Authorization", scope("sqs")), "sqs"},
		"scope of Kinesis": {
			request("POST", "/", "", "Authorization", scope("kinesis")), "fallback",
		},
		"scope of Kinesis on a path": {
			request("POST", "/x", "", "Authorization", scope("kinesis")), "fallback",
		},
		"scope of CloudWatch": {
			request("POST", "/", "", "Authorization", scope("monitoring")), "501 monitoring",
		},
		"scope of S3 on the root":       {request("GET", "/", "", "Authorization", scope("s3")), "501 s3"},
		"no sign of anything":           {request("POST", "/", "{}"), "fallback"},
		"a path and no scope: a bucket": {request("GET", "/bucket/key", ""), "501 s3"},
		"a preflight of a page":         {request("OPTIONS", "/x", ""), "fallback"},
		"our own API":                   {request("GET", "/_shardmill/clock", ""), "control"},
		"our own API, whatever the target says": {
			request("POST", "/_shardmill/reset", "", "X-Amz-Target", "AmazonSQS.X"), "control",
		},
		"a region that cannot be, on SQS": {
			request(
				"POST", "/", "", "X-Amz-Target", "AmazonSQS.X", "Authorization",
				strings.Replace(scope("kinesis"), "eu-west-1", "Nowhere!", 1),
			),
			"403",
		},
		"a region that cannot be, on Kinesis": {
			request(
				"POST", "/", "", "X-Amz-Target", "Kinesis_20131202.X", "Authorization",
				strings.Replace(scope("kinesis"), "eu-west-1", "Nowhere!", 1),
			),
			"kinesis",
		},
		"a service that nobody has ever heard of": {
			request("POST", "/", "", "Authorization", scope(strings.Repeat("x", 300))),
			"501 " + strings.Repeat("x", 100) + "…",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			rt := testRouter()
			for i := range rt.Services {
				rt.Services[i].Needs = OwnOrder // whether it may is another question
			}
			rt.ServeHTTP(w, c.request)

			name, missing := strings.CutPrefix(c.reached, "501 ")
			switch {
			case c.reached == "403":
				if w.Code != 403 || w.Header().Get("X-Amzn-Requestid") == "" {
					t.Errorf("answered %d, reached %q", w.Code, w.Header().Get("Reached"))
				}
			case strings.HasPrefix(name, "in CBOR "):
				want := "shardmill does not implement " + name[len("in CBOR "):] + " in application/cbor yet"
				if w.Code != 501 || !strings.Contains(w.Body.String(), want) ||
					w.Header().Get("Content-Type") != "application/cbor" {
					t.Errorf("answered %d %v %q", w.Code, w.Header(), w.Body)
				}
			case !missing:
				if got := w.Header().Get("Reached"); got != name {
					t.Errorf("reached %q, answered %d %s", got, w.Code, w.Body)
				}
			case w.Code != 501 ||
				!strings.Contains(
					w.Body.String(),
					"shardmill does not have the service "+name+"; it has iam, kinesis, lambda, logs, sqs, sts.",
				) ||
				w.Header().Get("X-Amzn-Requestid") == "":
				t.Errorf("reached %q, answered %d %s", w.Header().Get("Reached"), w.Code, w.Body)
			}
		})
	}
}

// To find Action and Version a body is looked at, never taken away; and only so much of it as a client needs to say
// them.
func TestFormIsStillThereForItsService(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, formPeek - 60, formPeek, 10 * formPeek} {
		body := "Action=SendMessage&Version=2012-11-05&MessageBody=" + strings.Repeat("x", size)
		w := httptest.NewRecorder()
		testRouter().ServeHTTP(w, request("POST", "/", body, "Content-Type", form, "Amz-Sdk-Invocation-Id", "1"))
		if w.Header().Get("Reached") != "sqs" || w.Body.String() != body {
			t.Errorf("%d: reached %q with %d bytes", size, w.Header().Get("Reached"), w.Body.Len())
		}
	}
	late := "MessageBody=" + strings.Repeat("x", formPeek) + "&Action=SendMessage&Version=2012-11-05"
	w := httptest.NewRecorder()
	testRouter().ServeHTTP(w, request("POST", "/", late, "Content-Type", form))
	if w.Header().Get("Reached") != "fallback" || w.Body.String() != late {
		t.Errorf("reached %q", w.Header().Get("Reached"))
	}
}

// The 501 of a service that is not here is in the protocol of the request, so that its SDK shows the text.
func TestNotHereSpeaksTheCallersProtocol(t *testing.T) {
	t.Parallel()
	do := func(r *http.Request) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		testRouter().ServeHTTP(w, r)
		return w
	}

	w := do(request("POST", "/", "", "X-Amz-Target", "DynamoDB_20120810.PutItem"))
	var body struct {
		Type    string `json:"__type"`
		Message string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Type != "NotImplementedException" ||
		body.Message == "" {
		t.Errorf("JSON: %s", w.Body)
	}

	w = do(request("POST", "/", "Action=Publish&Version=2010-03-31", "Content-Type", form))
	if w.Header().Get("Content-Type") != "text/xml" ||
		!strings.Contains(
			w.Body.String(), "<ErrorResponse><Error><Type>Sender</Type><Code>NotImplementedException</Code>",
		) {
		t.Errorf("query: %s", w.Body)
	}

	w = do(request("POST", "/", "Action=DescribeVpcs&Version=2016-11-15", "Content-Type", form, "Authorization",
		scope("ec2")))
	if !strings.Contains(w.Body.String(), "<Response><Errors><Error><Code>NotImplementedException</Code><Message>") {
		t.Errorf("EC2: %s", w.Body)
	}

	w = do(request("GET", "/2013-04-01/hostedzone", "", "Authorization", scope("route53")))
	if !strings.Contains(w.Body.String(), "<ErrorResponse><Error><Type>Sender</Type><Code>NotImplementedException<") {
		t.Errorf("Route 53: %s", w.Body)
	}

	w = do(request("GET", "/bucket/key", ""))
	if !strings.Contains(w.Body.String(), "<Error><Code>NotImplemented</Code>") {
		t.Errorf("S3: %s", w.Body)
	}

	w = do(request(
		"POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData", "", "Smithy-Protocol", "rpc-v2-cbor",
	))
	want := "\xa2\x79\x00\x06__type\x79\x00\x17NotImplementedException\x79\x00\x07message\x79\x00"
	//nolint:staticcheck // some SDKs compare the case
	if len(w.Header()["smithy-protocol"]) != 1 || !strings.HasPrefix(w.Body.String(), want) {
		t.Errorf("CBOR: %q", w.Body)
	}
}

// A page that rebinds its own name to 127.0.0.1 sends that name as Host, and gets nowhere. Every name of loopback
// works.
func TestOnlyLoopbackIsAnswered(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "localhost:4566": true, "LOCALHOST:4566": true, "bucket.localhost:4566": true,
		"127.0.0.1": true, "127.0.0.1:4566": true, "127.1.2.3:80": true, "[::1]": true, "[::1]:4566": true,
		"[0:0:0:0:0:0:0:1]:1": true, "127.0.0.1:": true,
		"": false, ":4566": false, "evil.example": false, "evil.example:4566": false, "127.0.0.1.evil.example": false,
		"127.0.0.1.nip.io:4566": false, "localhost.evil.example": false,
		"notlocalhost": false, "0.0.0.0:4566": false, "[::]:4566": false, "192.168.0.1": false, "[fe80::1]:4566": false,
		"8.8.8.8": false, "2130706433": false, "0x7f.1": false,
		"[::ffff:127.0.0.1]:4566": false, "[::ffff:127.0.0.1]": false, "[::ffff:7f00:1]": false, "[::127.0.0.1]": false,
		"[::1%lo]": false, "::1": false, "[127.0.0.1]": false,
		"localhost.": false, "localhost.:4566": false, "127.0.0.1.": false, "127.0.0.1.:4566": false,
		"0177.0.0.1": false, "0177.0.0.1:4566": false, "127.1": false, "127.0.1": false,
		"0x7f000001": false, "0x7f.0.0.1": false, "017700000001": false, "0": false, "0.0.0.0": false,
		"127.0.0.1:x": false, "localhost:http": false, "[::1]x": false, "[::1]:x": false,
		"localhost.localdomain": false, "localhost,evil.example": false, "user@localhost": false, "localhost ": false,
		"①②⑦.0.0.1": false, "[": false, "]": false, "[]": false,
		"localhost..": false, "127.0.0.1:4566:4566": false, "[::1": false, "host.docker.internal": false,
	} {
		r := request("POST", "/", "", "X-Amz-Target", "AmazonSQS.X")
		r.Host = host
		w := httptest.NewRecorder()
		testRouter().ServeHTTP(w, r)
		if got := w.Code == http.StatusOK; got != want || LocalHost(host) != want {
			t.Errorf("%q: answered %d", host, w.Code)
		}
	}
}

// What a browser sends on behalf of a page is refused before any service sees it: every page of every site, those on
// other ports of this machine among them.
func TestPagesAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, header, value string
		status              int
	}{
		{"another site's page", "Origin", "https://evil.example", 403},
		{"a page of this machine", "Origin", "http://localhost:3000", 403},
		{"a sandboxed page", "Origin", "null", 403},
		{"an origin that says nothing", "Origin", "", 403},
		{"an image or a form of another site", "Sec-Fetch-Site", "cross-site", 403},
		{"one of another port of this machine", "Sec-Fetch-Site", "same-site", 403},
		{"one of this very port", "Sec-Fetch-Site", "same-origin", 403},
		{"one of a kind that does not exist yet", "Sec-Fetch-Site", "same-party", 403},
		{"an address that a person types", "Sec-Fetch-Site", "none", 200},
		{"a program whose fetch says its mode", "Sec-Fetch-Mode", "cors", 200},
		{"a program", "User-Agent", "aws-cli", 200},
	} {
		for _, service := range []string{"Kinesis_20131202", "AmazonSQS", "Logs_20140328"} {
			w := httptest.NewRecorder()
			testRouter().ServeHTTP(w, request("POST", "/", "", "X-Amz-Target", service+".X", c.header, c.value))
			if w.Code != c.status {
				t.Errorf("%s, %s: answered %d %s", c.name, service, w.Code, w.Body)
			}
		}
	}
}

// Of requests that carry neither Origin nor Sec-Fetch-Site those are served that no page can send without a preflight:
// with a signature, or with a header of AWS's clients. What a page can write into a URL proves nothing, a presigned
// query least of all.
func TestWhatAPageCanSendIsNotServed(t *testing.T) {
	t.Parallel()
	const act = "Action=DeleteQueue&Version=2012-11-05&QueueUrl=q"
	const presigned = "&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID/20260101/us-east-1/sqs/aws4_request&X-Amz-Signature=00&X-Amz-SignedHeaders=host&X-Amz-Date=20260101T000000Z"
	for name, c := range map[string]struct {
		request *http.Request
		reached string // "": refused with 403
	}{
		"an image":                    {request("GET", "/?"+act, ""), ""},
		"an image of a presigned URL": {request("GET", "/?"+act+presigned, ""), ""},
		"a HEAD":                      {request("HEAD", "/?"+act, ""), ""},
		"a form":                      {request("POST", "/", act, "Content-Type", form), ""},
		"a form of a presigned URL":   {request("POST", "/?"+presigned[1:], act, "Content-Type", form), ""},
		"a form to a queue":           {request("POST", "/000000000000/q", act, "Content-Type", form), ""},
		"a form in parts, with the act in its URL": {
			request("POST", "/?"+act, "x", "Content-Type", "multipart/form-data; boundary=x"), "",
		},
		"a form of text, with the act in its URL": {request("POST", "/?"+act, "x", "Content-Type", "text/plain"), ""},
		"a beacon without a type":                 {request("POST", "/?"+act, ""), ""},
		"a form with an account of its own": {
			request("POST", "/", act, "Content-Type", form, "Authorization", "Basic dTpw"), "",
		},
		"a form with another scheme of signatures": {
			request("POST", "/", act, "Content-Type", form, "Authorization", "AWS4-HMAC-SHA256X Credential=x"), "",
		},
		"a form to IAM": {
			request("POST", "/", "Action=DeleteRole&Version=2010-05-08", "Content-Type", form), "",
		},
		"a form to STS": {
			request("POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", "Content-Type", form), "",
		},
		"a form to Lambda": {
			request("POST", "/2015-03-31/functions", "{}", "Content-Type", "text/plain"), "",
		},
		"an invocation by GET": {request("GET", "/2015-03-31/functions/f", ""), ""},
		"a signed GET":         {request("GET", "/?"+act, "", "Authorization", scope("sqs")), "sqs"},
		"a signed form": {
			request("POST", "/", act, "Content-Type", form, "Authorization", scope("sqs")), "sqs",
		},
		"a form of an SDK that does not sign": {
			request("POST", "/", act, "Content-Type", form, "Amz-Sdk-Invocation-Id", "1"), "sqs",
		},
		"a GET of an SDK that does not sign": {request("GET", "/?"+act, "", "Amz-Sdk-Invocation-Id", "1"), ""},
		"JSON of an SDK that does not sign": {
			request("POST", "/", "{}", "X-Amz-Target", "AmazonSQS.DeleteQueue"), "sqs",
		},
		"a signed call to Lambda": {
			request("GET", "/2015-03-31/functions/f", "", "Authorization", scope("lambda")), "lambda",
		},
		"an unsigned call to Lambda": {
			request("GET", "/2015-03-31/functions/f", "", "Amz-Sdk-Invocation-Id", "1"), "",
		},
		"a package by its own URL": {request("GET", "/2015-03-31/packages/x?Signature=1", ""), "lambda"},
		"a package's URL by POST":  {request("POST", "/2015-03-31/packages/x?Signature=1", ""), ""},
		// which does nothing without X-Amz-Target
		"nothing that names a service": {request("POST", "/", "{}", "Content-Type", "text/plain"), "fallback"},
	} {
		w := httptest.NewRecorder()

		testRouter().ServeHTTP(w, c.request)

		if got := w.Header().Get("Reached"); got != c.reached || c.reached == "" &&
			(w.Code != 403 || w.Header().Get("X-Amzn-Requestid") == "") {
			t.Errorf("%s: reached %q with %d %s, want %q", name, got, w.Code, w.Body, c.reached)
		}
	}
}
