package server

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/api/wire/wiretest"
)

// made makes a call that must succeed.
func (b *bench) made(c wiretest.Call) string {
	b.Helper()
	var headers []string
	for k, v := range c.Header() {
		headers = append(headers, k, v)
	}
	return b.ok(b.do(c.Method, c.Path, c.Body, headers...))
}

// holdings returns all that clients have made, as text.
func (b *bench) holdings() string {
	b.Helper()
	var answers []string
	for _, c := range wiretest.Holdings {
		answers = append(answers, b.made(c))
	}
	return wiretest.Seen(answers)
}

// A page of any site can make a browser send requests to loopback. None of them is served, whatever the browser says
// about the page: a page of another site, of another port of this machine, or a browser that says nothing at all.
func TestNoServiceServesWhatAPageCanSend(t *testing.T) {
	t.Parallel()
	b := start(t, Config{Dev: true})
	for _, v := range wiretest.Victims {
		b.made(v)
	}
	before := b.holdings()

	for _, s := range b.s.services(b.s.rooms) {
		if len(wiretest.Acts[s.Name]) == 0 {
			t.Errorf("the table of services has %s, and no act of a page is tried on it", s.Name)
		}
		for _, a := range wiretest.Acts[s.Name] {
			for _, says := range [][]string{
				{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"},
				{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors"},
				{"Sec-Fetch-Site", "same-origin"},
				{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"},
				{"Origin", "null"},
				{"Origin", "http://127.0.0.1:3000"},
				{"Referer", "http://127.0.0.1:3000/"},
				nil,
			} {
				headers := says
				if a.ContentType != "" {
					headers = append(slices.Clone(says), "Content-Type", a.ContentType)
				}

				status, answer := b.do(a.Method, a.Path, a.Body, headers...)

				if status < 400 {
					t.Errorf("%s %s %s, with %v: %d %s", s.Name, a.Method, a.Path, says, status, answer)
				}
			}
		}
	}
	if after := b.holdings(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// own is one way to call a service, and the code by which its protocol says that it is unavailable and that it is at
// fault itself.
type own struct {
	service               string
	method, path          string
	headers               []string
	body                  string
	unavailable, internal string // in the answer
}

// protocols returns all protocols of the services of the table.
func protocols() []own {
	json10, json11, form := []string{"Content-Type", "application/x-amz-json-1.0"}, []string{
		"Content-Type", "application/x-amz-json-1.1",
	}, []string{"Content-Type", "application/x-www-form-urlencoded"}
	target := func(t string, of []string) []string { return append(slices.Clone(of), "X-Amz-Target", t) }
	return []own{
		{
			"kinesis", "POST", "/", target("Kinesis_20131202.ListStreams", json11), "{}",
			`{"__type":"ServiceUnavailable","message":"The request`, `{"__type":"InternalFailure"}`,
		},
		{
			"kinesis", "POST", "/", target("Kinesis_20131202.ListStreams", []string{
				"Content-Type", "application/x-amz-cbor-1.1",
			}), "\xa0",
			"\x66__type\x72ServiceUnavailable", "\xbf\x66__type\x6fInternalFailure\xff",
		},
		{
			"lambda", "POST", "/2015-03-31/functions", nil, "{}", `{"message":"The request`,
			`{"Type":"Service","Message":"An error occurred`,
		},
		{
			"lambda", "POST", "/2015-03-31/event-source-mappings", nil, "{}", `{"message":"The request`,
			`{"Type":"Service","Message":"An error occurred`,
		},
		{
			"sqs", "POST", "/", target("AmazonSQS.ListQueues", json10), "{}",
			`"__type":"com.amazon.coral.service#ServiceUnavailable"`,
			`"__type":"com.amazon.coral.service#InternalFailure"`,
		},
		{
			"sqs", "POST", "/", form, "Action=ListQueues&Version=2012-11-05",
			"<Type>Receiver</Type><Code>ServiceUnavailable</Code>", "<Type>Receiver</Type><Code>InternalError</Code>",
		},
		{
			"dynamodb", "POST", "/", target("DynamoDB_20120810.ListTables", json10), "{}",
			`"__type":"com.amazon.coral.service#ServiceUnavailable"`, `#InternalServerError"`,
		},
		{
			"monitoring", "POST", "/", target("GraniteServiceVersion20100801.ListMetrics", json10), "{}",
			`"__type":"com.amazonaws.cloudwatch#ServiceUnavailable"`, `#InternalServiceFault"`,
		},
		{
			"monitoring", "POST", "/", form, "Action=ListMetrics&Version=2010-08-01",
			"<Type>Receiver</Type><Code>ServiceUnavailable</Code>",
			"<Type>Receiver</Type><Code>InternalServiceError</Code>",
		},
		{
			"monitoring", "POST", "/service/GraniteServiceVersion20100801/operation/ListMetrics",
			[]string{"Content-Type", "application/cbor", "Smithy-Protocol", "rpc-v2-cbor"},
			"\xa0",
			"#ServiceUnavailable", "#InternalServiceFault",
		},
		{
			"logs", "POST", "/", target("Logs_20140328.DescribeLogGroups", json11), "{}",
			`{"__type":"ServiceUnavailableException"`, `{"__type":"InternalFailure"}`,
		},
		{
			"sns", "POST", "/", form, "Action=ListTopics&Version=2010-03-31",
			"<Type>Receiver</Type><Code>ServiceUnavailable</Code>", "<Type>Receiver</Type><Code>InternalError</Code>",
		},
		{
			"iam", "POST", "/", form, "Action=ListRoles&Version=2010-05-08",
			"<Type>Receiver</Type><Code>ServiceUnavailable</Code>", "<Type>Receiver</Type><Code>InternalFailure</Code>",
		},
		{
			"s3", "PUT", "/bucket?tagging", nil, "<Tagging/>", "<Code>ServiceUnavailable</Code>",
			"<Code>InternalError</Code>",
		},
		{
			"sts", "POST", "/", form, "Action=GetCallerIdentity&Version=2011-06-15",
			"<Type>Receiver</Type><Code>ServiceUnavailable</Code>", "<Type>Receiver</Type><Code>InternalFailure</Code>",
		},
	}
}

// Beyond --body-memory every service says so in its own words, with 503, which SDKs try again. So does the control API.
// Requests without a body are served.
func TestEveryServiceIsUnavailableInItsOwnWords(t *testing.T) {
	t.Parallel()
	b := start(t, Config{Dev: true, BodyMemory: 1})
	tried := map[string]bool{}
	for _, p := range protocols() {
		tried[p.service] = true
		headers := append(
			slices.Clone(p.headers), "Authorization", fmt.Sprintf(signature, p.service), "X-Amz-Date",
			"20260101T000000Z",
		)

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
	if status, answer := b.control("POST", control.PathClock, `{"advanceMillis":1}`); status != 503 ||
		!strings.Contains(answer, "--body-memory") {
		t.Errorf("the control API: %d %s", status, answer)
	}
	b.ok(b.control("GET", control.PathClock, ""))
	b.ok(b.lambda("GET", "/2015-03-31/functions", ""))
	if status, page := b.do("GET", control.PathMetrics, ""); status != 200 ||
		!strings.Contains(page, "shardmill_requests_refused_total{reason=\"memory\"} ") ||
		strings.Contains(page, "reason=\"memory\"} 0\n") {
		t.Errorf("metrics: %d %s", status, page)
	}
}

// A list of many small values takes a multiple of its text once it is decoded; that counts, too.
func TestWhatADecodedBodyTakesCounts(t *testing.T) {
	t.Parallel()
	b := start(t, Config{BodyMemory: 1 << 20})
	one, many := `{"x":"`+strings.Repeat("00", 30_000)+`"}`, `{"x":[0`+strings.Repeat(",0", 30_000)+`]}`
	for _, p := range protocols() {
		one, many, headers := one, many, append(
			slices.Clone(p.headers), "Authorization", fmt.Sprintf(signature, p.service),
		)
		switch {
		case p.service == "kinesis" || strings.HasPrefix(p.body, "Action="):
			continue // Kinesis makes no tree, and a form has so many parameters at most
		case p.service == "s3":
			one, many = "<x>"+strings.Repeat("0", 60_000)+"</x>", "<x>"+strings.Repeat("<y/>", 30_000)+"</x>"
		case slices.Contains(p.headers, "application/cbor"):
			one, many = "\xa1\x61x\x79\xea\x60"+strings.Repeat("0", 60_000), "\xa1\x61x\x99\x75\x30"+
				strings.Repeat("\x00", 30_000)
		}
		if status, answer := b.do(p.method, p.path, one, headers...); status == 503 {
			t.Errorf("%s %v, one value: %d %.200s", p.service, p.headers, status, answer)
		}
		if status, answer := b.do(p.method, p.path, many, headers...); status != 503 ||
			!strings.Contains(answer, p.unavailable) {
			t.Errorf("%s %v, many values: %d %.200s, want 503 %s", p.service, p.headers, status, answer, p.unavailable)
		}
	}
}

// A packed body counts with its unpacked size.
func TestWhatABodyIsUnpackedToCounts(t *testing.T) {
	t.Parallel()
	b := start(t, Config{BodyMemory: 1 << 20})
	for length, want := range map[int]int{100_000: 200, 1 << 20: 503} {
		var body bytes.Buffer
		z := gzip.NewWriter(&body)
		_, _ = io.WriteString(z, `{"x":"`+strings.Repeat("0", length)+`"}`) // into memory
		_ = z.Close()

		status, answer := b.do("POST", "/", body.String(), "X-Amz-Target", "GraniteServiceVersion20100801.ListMetrics", "Content-Type", "application/x-amz-json-1.0",
			"Content-Encoding", "gzip", "Authorization", fmt.Sprintf(signature, "monitoring"))

		if status != want {
			t.Errorf("%d bytes: %d %s, want %d", length, status, answer, want)
		}
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
