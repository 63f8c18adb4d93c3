package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/api/wire"
)

// act is a request that changes something, if it is served.
type act struct{ method, path, contentType, body string }

// acts are what a page can send to each service without a preflight: images, links and frames (GET), and forms and beacons (POST) of the three types of forms.
// Every service of the table must be here.
var acts = map[string][]act{
	"kinesis": {
		{"POST", "/", "text/plain", `{"StreamName":"page","ShardCount":1}`},
		{"POST", "/?X-Amz-Target=Kinesis_20131202.CreateStream", "text/plain", `{"StreamName":"page","ShardCount":1}`},
		{"GET", "/?Action=CreateStream&StreamName=page&ShardCount=1&Version=2013-12-02", "", ""},
		{"POST", "/", "application/x-www-form-urlencoded", "Action=CreateStream&StreamName=page&ShardCount=1&Version=2013-12-02"},
	},
	"lambda": {
		{"POST", "/2015-03-31/functions", "text/plain", `{"FunctionName":"page"}`},
		{"POST", "/2015-03-31/functions/victim/invocations", "text/plain", `{}`},
		{"GET", "/2015-03-31/functions/victim", "", ""},
		{"POST", "/2015-03-31/event-source-mappings", "application/x-www-form-urlencoded", `{"FunctionName":"victim"}`},
	},
	"sqs": {
		{"GET", "/?Action=CreateQueue&QueueName=page&Version=2012-11-05", "", ""},
		{"HEAD", "/?Action=CreateQueue&QueueName=page&Version=2012-11-05", "", ""},
		{"POST", "/", "application/x-www-form-urlencoded", "Action=CreateQueue&QueueName=page&Version=2012-11-05"},
		{"POST", "/?Action=CreateQueue&QueueName=page&Version=2012-11-05", "text/plain", "x"},
		{"POST", "/?Action=CreateQueue&QueueName=page&Version=2012-11-05", "multipart/form-data; boundary=x", "--x--"},
		{"GET", "/000000000000/victim?Action=DeleteQueue", "", ""},
		{"POST", "/000000000000/victim", "application/x-www-form-urlencoded", "Action=DeleteQueue"},
		{"GET", "/000000000000/victim?Action=DeleteQueue&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=k/20260101/us-east-1/sqs/aws4_request&X-Amz-Signature=0", "", ""},
		{"POST", "/", "text/plain", `{"QueueName":"page"}`},
	},
	"dynamodb": {
		{"POST", "/", "text/plain", `{"TableName":"page","AttributeDefinitions":[{"AttributeName":"k","AttributeType":"S"}],"KeySchema":[{"AttributeName":"k","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST"}`},
		{"GET", "/?Action=CreateTable&TableName=page&Version=2012-08-10&X-Amz-Credential=k/20260101/us-east-1/dynamodb/aws4_request&X-Amz-Algorithm=AWS4-HMAC-SHA256", "", ""},
	},
	"monitoring": {
		{"GET", "/?Action=PutMetricData&Version=2010-08-01&Namespace=page&MetricData.member.1.MetricName=m&MetricData.member.1.Value=1", "", ""},
		{"POST", "/", "application/x-www-form-urlencoded", "Action=PutMetricData&Version=2010-08-01&Namespace=page&MetricData.member.1.MetricName=m&MetricData.member.1.Value=1"},
		{"POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData", "text/plain", "\xa1iNamespacedpage"},
	},
	"logs": {
		{"POST", "/", "text/plain", `{"logGroupName":"page"}`},
		{"POST", "/?Action=CreateLogGroup&logGroupName=page&Version=2014-03-28&X-Amz-Credential=k/20260101/us-east-1/logs/aws4_request&X-Amz-Algorithm=AWS4-HMAC-SHA256", "text/plain", `{"logGroupName":"page"}`},
	},
	"iam": {
		{"GET", "/?Action=CreateRole&Version=2010-05-08&RoleName=page&AssumeRolePolicyDocument=%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%5D%7D", "", ""},
		{"POST", "/", "application/x-www-form-urlencoded", "Action=DeleteRole&Version=2010-05-08&RoleName=victim"},
		{"POST", "/?Action=DeleteRole&Version=2010-05-08&RoleName=victim", "text/plain", "x"},
	},
	"sts": {
		{"GET", "/?Action=GetCallerIdentity&Version=2011-06-15", "", ""},
		{"GET", "/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=k/20260101/us-east-1/sts/aws4_request&X-Amz-Signature=0", "", ""},
		{"POST", "/", "application/x-www-form-urlencoded", "Action=GetCallerIdentity&Version=2011-06-15"},
	},
}

const roleDocument = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22lambda.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D"

// signedForm sends a form as an AWS client does.
func (b *bench) signedForm(service, form string) (int, string) {
	b.Helper()
	return b.do("POST", "/", form, "Content-Type", "application/x-www-form-urlencoded", "Authorization", fmt.Sprintf(signature, service))
}

// holdings is all that clients have made, as text.
func (b *bench) holdings() string {
	b.Helper()
	var all strings.Builder
	target := func(service, operation, body string) {
		all.WriteString(b.ok(b.do("POST", "/", body, "X-Amz-Target", operation, "Content-Type", "application/x-amz-json-1.1", "X-Amz-Date", "20260101T000000Z", "Authorization", fmt.Sprintf(signature, service))) + "\n")
	}
	target("kinesis", "Kinesis_20131202.ListStreams", "{}")
	target("dynamodb", "DynamoDB_20120810.ListTables", "{}")
	target("logs", "Logs_20140328.DescribeLogGroups", "{}")
	target("monitoring", "GraniteServiceVersion20100801.ListMetrics", `{"Namespace":"page"}`)
	all.WriteString(b.ok(b.lambda("GET", "/2015-03-31/functions", "")))
	all.WriteString(b.ok(b.signedForm("sqs", "Action=ListQueues&Version=2012-11-05")))
	all.WriteString(b.ok(b.signedForm("iam", "Action=ListRoles&Version=2010-05-08")))
	return regexp.MustCompile("<RequestId>[^<]*</RequestId>").ReplaceAllString(all.String(), "")
}

// A page of any site can make a browser send requests to loopback. None of them is served, whatever the browser says about the page: a page of another site, of
// another port of this machine, or a browser that says nothing at all.
func TestNoServiceServesWhatAPageCanSend(t *testing.T) {
	t.Parallel()
	b := start(t, Config{Dev: true})
	b.ok(b.signedForm("sqs", "Action=CreateQueue&Version=2012-11-05&QueueName=victim"))
	b.ok(b.signedForm("iam", "Action=CreateRole&Version=2010-05-08&RoleName=victim&AssumeRolePolicyDocument="+roleDocument))
	before := b.holdings()

	for _, s := range b.s.services(b.s.rooms) {
		if len(acts[s.Name]) == 0 {
			t.Errorf("the table of services has %s, and no act of a page is tried on it", s.Name)
		}
		for _, a := range acts[s.Name] {
			for _, says := range [][]string{
				{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, {"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors"}, {"Sec-Fetch-Site", "same-origin"},
				{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"}, {"Origin", "null"}, {"Origin", "http://127.0.0.1:3000"}, {"Referer", "http://127.0.0.1:3000/"}, nil,
			} {
				headers := says
				if a.contentType != "" {
					headers = append(slices.Clone(says), "Content-Type", a.contentType)
				}

				status, answer := b.do(a.method, a.path, a.body, headers...)

				if status < 400 {
					t.Errorf("%s %s %s, with %v: %d %s", s.Name, a.method, a.path, says, status, answer)
				}
			}
		}
	}
	if after := b.holdings(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// own is one way to call a service, and the code by which its protocol says that it is unavailable and that it is at fault itself.
type own struct {
	service               string
	method, path          string
	headers               []string
	body                  string
	unavailable, internal string // in the answer
}

// protocols are all ways in which a client speaks with the services of the table.
func protocols() []own {
	json10, json11, form := []string{"Content-Type", "application/x-amz-json-1.0"}, []string{"Content-Type", "application/x-amz-json-1.1"}, []string{"Content-Type", "application/x-www-form-urlencoded"}
	target := func(t string, of []string) []string { return append(slices.Clone(of), "X-Amz-Target", t) }
	return []own{
		{"kinesis", "POST", "/", target("Kinesis_20131202.ListStreams", json11), "{}", `{"__type":"ServiceUnavailable","message":"The request`, `{"__type":"InternalFailure"}`},
		{"lambda", "POST", "/2015-03-31/functions", nil, "{}", `{"message":"The request`, `{"Type":"Service","Message":"An error occurred`},
		{"lambda", "POST", "/2015-03-31/event-source-mappings", nil, "{}", `{"message":"The request`, `{"Type":"Service","Message":"An error occurred`},
		{"sqs", "POST", "/", target("AmazonSQS.ListQueues", json10), "{}", `"__type":"com.amazon.coral.service#ServiceUnavailable"`, `"__type":"com.amazon.coral.service#InternalFailure"`},
		{"sqs", "POST", "/", form, "Action=ListQueues&Version=2012-11-05", "<Type>Receiver</Type><Code>ServiceUnavailable</Code>", "<Type>Receiver</Type><Code>InternalError</Code>"},
		{"dynamodb", "POST", "/", target("DynamoDB_20120810.ListTables", json10), "{}", `"__type":"com.amazon.coral.service#ServiceUnavailable"`, `#InternalServerError"`},
		{"monitoring", "POST", "/", target("GraniteServiceVersion20100801.ListMetrics", json10), "{}", `"__type":"com.amazonaws.cloudwatch#ServiceUnavailable"`, `#InternalServiceFault"`},
		{"monitoring", "POST", "/", form, "Action=ListMetrics&Version=2010-08-01", "<Type>Receiver</Type><Code>ServiceUnavailable</Code>", "<Type>Receiver</Type><Code>InternalServiceError</Code>"},
		{"monitoring", "POST", "/service/GraniteServiceVersion20100801/operation/ListMetrics", []string{"Content-Type", "application/cbor", "Smithy-Protocol", "rpc-v2-cbor"}, "\xa0", "#ServiceUnavailable", "#InternalServiceFault"},
		{"logs", "POST", "/", target("Logs_20140328.DescribeLogGroups", json11), "{}", `{"__type":"ServiceUnavailableException"`, `{"__type":"InternalFailure"}`},
		{"iam", "POST", "/", form, "Action=ListRoles&Version=2010-05-08", "<Type>Receiver</Type><Code>ServiceUnavailable</Code>", "<Type>Receiver</Type><Code>InternalFailure</Code>"},
		{"sts", "POST", "/", form, "Action=GetCallerIdentity&Version=2011-06-15", "<Type>Receiver</Type><Code>ServiceUnavailable</Code>", "<Type>Receiver</Type><Code>InternalFailure</Code>"},
	}
}

// Beyond --body-memory every service says so in its own words, with 503, which SDKs try again. So does the control API. Requests without a body are served.
func TestEveryServiceIsUnavailableInItsOwnWords(t *testing.T) {
	t.Parallel()
	b := start(t, Config{Dev: true, BodyMemory: 1})
	tried := map[string]bool{}
	for _, p := range protocols() {
		tried[p.service] = true
		headers := append(slices.Clone(p.headers), "Authorization", fmt.Sprintf(signature, p.service), "X-Amz-Date", "20260101T000000Z")

		status, answer := b.do(p.method, p.path, p.body+strings.Repeat(" ", 10), headers...)

		if status != 503 || !strings.Contains(answer, p.unavailable) {
			t.Errorf("%s %v: %d %q, want 503 %s", p.service, p.headers, status, answer, p.unavailable)
		}
	}
	for _, s := range b.s.services(b.s.rooms) {
		if !tried[s.Name] {
			t.Errorf("%s was not tried", s.Name)
		}
	}
	if status, answer := b.control("POST", PathClock, `{"advanceMillis":1}`); status != 503 || !strings.Contains(answer, "--body-memory") {
		t.Errorf("the control API: %d %s", status, answer)
	}
	b.ok(b.control("GET", PathClock, ""))
	b.ok(b.lambda("GET", "/2015-03-31/functions", ""))
	if status, page := b.do("GET", PathMetrics, ""); status != 200 || !strings.Contains(page, "shardmill_requests_refused_total{reason=\"memory\"} ") || strings.Contains(page, "reason=\"memory\"} 0\n") {
		t.Errorf("metrics: %d %s", status, page)
	}
}

// A panic in a service is its own internal error, in the protocol of the request and with the request's id.
func TestAPanicIsTheServicesOwnFault(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	services := b.s.services(b.s.rooms)
	for i := range services {
		services[i].Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(services[i].Name) })
	}
	intake := &wire.Intake{}
	rt := &wire.Router{Services: services, Fallback: services[0], Intake: intake}
	for n, p := range protocols() {
		r := httptest.NewRequest(p.method, "http://127.0.0.1"+p.path, strings.NewReader(p.body))
		for i := 0; i < len(p.headers); i += 2 {
			r.Header.Set(p.headers[i], p.headers[i+1])
		}
		r.Header.Set("Authorization", fmt.Sprintf(signature, p.service))
		w := httptest.NewRecorder()

		rt.ServeHTTP(w, r)

		if w.Code != 500 || !strings.Contains(w.Body.String(), p.internal) || w.Header().Get("X-Amzn-Requestid") == "" {
			t.Errorf("%s %v: %d %q, want 500 %s", p.service, p.headers, w.Code, w.Body, p.internal)
		}
		if u := intake.Usage(); u.Panics != int64(n+1) || u.Requests != 0 {
			t.Errorf("%s: counted %+v", p.service, u)
		}
	}
}
