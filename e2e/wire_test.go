package e2e_test

import (
	"net/http"
	"strings"
	"testing"
)

const signature = "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=00"

func listStreams(more map[string]string) map[string]string {
	h := map[string]string{
		"X-Amz-Target": "Kinesis_20131202.ListStreams", "Content-Type": "application/x-amz-json-1.1",
		"Authorization": signature, "X-Amz-Date": "20260101T000000Z",
	}
	for k, v := range more {
		h[k] = v
	}
	return h
}

// W-01: one plain-text port speaks HTTP/2 with prior knowledge, as the Kinesis clients of some SDKs insist on, and
// HTTP/1.1 beside it.
func TestOnePortSpeaksHTTP2WithPriorKnowledgeAndHTTP1(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev")
	for _, c := range []struct {
		proto string
		set   func(*http.Protocols)
	}{
		{"HTTP/2.0", func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }},
		{"HTTP/1.1", func(p *http.Protocols) { p.SetHTTP1(true) }},
	} {
		tr := &http.Transport{Protocols: new(http.Protocols)}
		c.set(tr.Protocols)
		t.Cleanup(tr.CloseIdleConnections)

		got := send(t, &http.Client{Transport: tr}, "POST", s.Endpoint+"/", `{}`, listStreams(nil))

		if got.status != 200 || got.proto != c.proto || !strings.Contains(got.body, `"StreamNames":[]`) {
			t.Errorf("got %s %d %s, want %s 200 and no streams", got.proto, got.status, got.body, c.proto)
		}
	}
}

// A browser is the attacker on loopback: neither another name for this machine nor a page's request gets through, and
// the control API wants its token.
func TestRequestsOfBrowsersAndStrangersAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev")
	token := map[string]string{"Authorization": "Bearer " + s.Token}
	with := func(base map[string]string, k, v string) map[string]string {
		h := map[string]string{k: v}
		for k, v := range base {
			h[k] = v
		}
		return h
	}
	for _, c := range []struct {
		name         string
		method, path string
		header       map[string]string
		status       int
		text         string // part of the message
	}{
		{
			"a foreign Host, as after DNS rebinding", "POST", "/",
			listStreams(map[string]string{"Host": "evil.example:4566"}), 421,
			`shardmill answers only to its own addresses; the Host header says "evil.example:4566". ` +
				`Use 127.0.0.1 or localhost, or start it with --allow-host evil.example.`,
		},
		{
			"a foreign Host at the control API", "GET", "/_shardmill/health/live",
			map[string]string{"Host": "evil.example"},
			421, "shardmill answers only to its own address",
		},
		{
			"a page's Origin", "POST", "/", listStreams(map[string]string{"Origin": "https://evil.example"}), 403,
			"shardmill refuses requests from web pages",
		},
		{
			"a page's cross-site fetch", "POST", "/", listStreams(map[string]string{"Sec-Fetch-Site": "cross-site"}),
			403, "shardmill refuses requests from web pages",
		},
		{
			"a preflight", "OPTIONS", "/2015-03-31/functions",
			map[string]string{"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
			403,
			"shardmill refuses requests from web pages",
		},
		{
			"the clock without a token", "GET", "/_shardmill/clock", nil, 401,
			"the control API needs the token of this start: it is in the ready file, and the command line finds it by itself",
		},
		{
			"a reset with another token", "POST", "/_shardmill/reset",
			map[string]string{"Authorization": "Bearer 00"},
			401, "the control API needs the token of this start",
		},
		{
			"the clock from a page, though with the token", "GET", "/_shardmill/clock", with(token, "Origin", "null"),
			403, "the control API does not answer web pages",
		},
		{
			"health from a page", "GET", "/_shardmill/health/ready",
			map[string]string{"Sec-Fetch-Site": "cross-site"},
			403, "the control API does not answer web pages",
		},
		{"Lambda without Authorization", "GET", "/2015-03-31/functions", nil, 403, "Missing Authentication Token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := send(t, http.DefaultClient, c.method, s.Endpoint+c.path, "{}", c.header)

			if got.status != c.status {
				t.Fatalf("got %d %s, want %d", got.status, got.body, c.status)
			}
			if m := got.message(t); !strings.Contains(m, c.text) {
				t.Errorf("the message is %q, want %q in it", m, c.text)
			}
			if h := got.header.Get("Access-Control-Allow-Origin"); h != "" {
				t.Errorf("Access-Control-Allow-Origin is %q, want none", h)
			}
		})
	}
}

// What needs no authentication, and what the token opens.
func TestHealthNeedsNothingAndTheTokenOpensTheRest(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev")
	for _, path := range []string{"health/live", "health/ready"} {
		if got := send(t, http.DefaultClient, "GET", s.Endpoint+"/_shardmill/"+path, "", nil); got.status != 200 {
			t.Errorf("%s: %d %s, want 200", path, got.status, got.body)
		}
	}
	if got := s.control(t, "GET", "clock", ""); got.status != 200 || !strings.Contains(got.body, `"offsetMillis":0`) {
		t.Errorf("the clock: %d %s, want 200 and no offset", got.status, got.body)
	}
}

// A service that we do not have is named, in its own protocol, with a status that no SDK retries.
func TestAnUnknownServiceIsNamedWith501(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev")
	signed := func(service string) string { return strings.Replace(signature, "/kinesis/", "/"+service+"/", 1) }
	const form = "application/x-www-form-urlencoded"
	for _, c := range []struct {
		service            string
		method, path, body string
		header             map[string]string
		code               string // as the body has it
	}{
		{
			"secretsmanager", "POST", "/", "{}",
			map[string]string{
				"X-Amz-Target": "secretsmanager.GetSecretValue", "Content-Type": "application/x-amz-json-1.0",
			},
			`"__type":"NotImplementedException"`,
		},
		{
			"cloudformation", "POST", "/", "Action=ListStacks&Version=2010-05-15",
			map[string]string{"Authorization": signed("cloudformation"), "Content-Type": form},
			"<Code>NotImplementedException</Code>",
		},
	} {
		got := send(t, http.DefaultClient, c.method, s.Endpoint+c.path, c.body, c.header)

		if got.status != http.StatusNotImplemented {
			t.Errorf("%s %s: got %d %s, want 501", c.service, c.path, got.status, got.body)
		}
		for _, want := range []string{
			c.code, "shardmill does not have the service " + c.service + "; it has ", "kinesis, lambda",
			". See docs/compat/README.md.",
		} {
			if !strings.Contains(got.body, want) {
				t.Errorf("%s %s: the answer is %s, want %s in it", c.service, c.path, got.body, want)
			}
		}
		if got.header.Get("X-Amzn-Requestid") == "" {
			t.Errorf("%s: the answer has no request id", c.service)
		}
	}
}

// A person at the AWS CLI reads the name, at once and without retries, whatever protocol the service speaks.
func TestTheAWSCLIShowsTheNameOfAnUnknownService(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev")
	for service, args := range map[string][]string{
		"cloudformation": {"cloudformation", "list-stacks"}, "secretsmanager": {"secretsmanager", "list-secrets"},
	} {
		_, stderr, err := s.command(t, venv(t, "aws"), append(args, "--endpoint-url", s.Endpoint)...)

		if want := "shardmill does not have the service " + service + ";"; err == nil ||
			!strings.Contains(stderr, want) {
			t.Errorf("aws %v: %v %s, want %s in it", args, err, stderr, want)
		}
	}
}

// SDKs with signing switched off put headers on their requests that no page can send, so they are served; what AWS
// serves only with a signature is refused without one.
func TestAnAWSCLIThatDoesNotSignIsServed(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev")
	for _, args := range [][]string{
		{"sqs", "list-queues", "--endpoint-url", s.Endpoint}, {"iam", "list-roles"}, {"dynamodb", "list-tables"},
	} {
		if _, stderr, err := s.command(t, venv(t, "aws"), append(args, "--no-sign-request")...); err != nil {
			t.Errorf("aws %v: %v %s", args, err, stderr)
		}
	}
	if _, stderr, err := s.command(t, venv(t, "aws"), "lambda", "list-functions", "--no-sign-request"); err == nil ||
		!strings.Contains(stderr, "MissingAuthenticationTokenException") {
		t.Errorf("lambda: %v %s", err, stderr)
	}
}
