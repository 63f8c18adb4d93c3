package sigv4

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"
)

// signedRequest is a request of AWS's suite as it was signed.
type signedRequest struct {
	request *http.Request
	path    string // as the suite has it, not encoded: it is encoded once where it is signed
	body    string
}

// parseSigned reads a request of the suite. net/http would refuse some of them: their paths are not encoded.
func parseSigned(t *testing.T, text string) signedRequest {
	t.Helper()
	head, body, _ := strings.Cut(strings.TrimPrefix(text, "\n"), "\n\n")
	lines := strings.Split(head, "\n")
	method, rest, _ := strings.Cut(lines[0], " ")
	target := strings.TrimSuffix(rest, " HTTP/1.1")
	sent, query, _ := strings.Cut(target, "?")
	s := signedRequest{
		path: sent, body: strings.TrimSuffix(body, "\n"),
		request: &http.Request{Method: method, URL: &url.URL{Path: "/", RawQuery: query}, Header: http.Header{}},
	}
	name := ""
	for _, line := range lines[1:] {
		if strings.HasPrefix(line, " ") { // goes on: servers put a space in its place
			values := s.request.Header[name]
			values[len(values)-1] += " " + strings.TrimSpace(line)
			continue
		}
		n, value, ok := strings.Cut(line, ":")
		if !ok {
			t.Fatalf("%q is no header", line)
		}
		if name = http.CanonicalHeaderKey(n); name == "Host" {
			s.request.Host = value
			continue
		}
		s.request.Header.Add(name, strings.TrimSpace(value))
	}
	return s
}

type suiteContext struct {
	Credentials struct {
		ID     string `json:"access_key_id"`
		Secret string `json:"secret_access_key"`
		Token  string `json:"token"`
	} `json:"credentials"`
	Expires   int64 `json:"expiration_in_seconds"`
	Normalize bool
	Timestamp time.Time
	Body      bool `json:"sign_body"`
}

// Every request of AWS's public test suite passes, signed in its header and presigned, and none passes once anything
// that is signed is another.
func TestTheRequestsOfAWSsSuitePass(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("testdata/aws-signing-test-suite.txtar")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]map[string]string{}
	for _, f := range txtar.Parse(content).Files {
		name, part := path.Split(f.Name)
		if cases[name] == nil {
			cases[name] = map[string]string{}
		}
		cases[name][part] = string(f.Data)
	}
	if len(cases) != 38 {
		t.Fatalf("the suite has %d requests", len(cases))
	}
	var v Verifier
	for name, files := range cases {
		var c suiteContext
		if err := json.Unmarshal([]byte(files["context.json"]), &c); err != nil {
			t.Fatal(err)
		}
		for _, way := range []string{"header", "query"} {
			s := parseSigned(t, files[way+"-signed-request.txt"])
			g, err := Read(s.request, Claims{}, false)
			if err != nil {
				t.Errorf("%s%s: %v", name, way, err)
				continue
			}
			if g.KeyID != c.Credentials.ID || !g.At.Equal(c.Timestamp) || g.Presigned != (way == "query") ||
				g.Presigned && g.Expires != time.Duration(c.Expires)*time.Second || g.Session != c.Credentials.Token {
				t.Errorf("%s%s: read %+v", name, way, g)
			}
			if err := g.Check(s.request, "service", c.Timestamp.Add(14*time.Minute)); err != nil {
				t.Errorf("%s%s: %v", name, way, err)
			}
			s3 := !c.Normalize // S3's way with paths is to leave them as they are
			canonical := string(g.appendCanonical(nil, s.request, pathOf(s.path, s3), []byte(Digest([]byte(s.body))),
				!strings.Contains(name, "sts-header-after")))
			if want := strings.TrimSuffix(files[way+"-canonical-request.txt"], "\n"); canonical != want {
				t.Errorf("%s%s: canonical\n%s\nwant\n%s", name, way, canonical, want)
			}
			judge := func(r *http.Request, g Given, digest, secret string) bool {
				return v.matches(&scratch{digest: []byte(digest)}, r, &g, pathOf(s.path, s3), secret)
			}
			digest := Digest([]byte(s.body))
			if !judge(s.request, g, digest, c.Credentials.Secret) {
				t.Errorf("%s%s does not match", name, way)
			}
			falsify(t, name+way, s.request, g, digest, c.Credentials.Secret, judge)
		}
	}
}

// falsify changes one thing after another.
func falsify(
	t *testing.T, name string, r *http.Request, g Given, digest, secret string,
	judge func(*http.Request, Given, string, string) bool,
) {
	t.Helper()
	again := func(change func(*http.Request, *Given)) (*http.Request, Given) {
		c, g := r.Clone(t.Context()), g
		change(c, &g)
		return c, g
	}
	for what, change := range map[string]func(*http.Request, *Given){
		"method":    func(r *http.Request, _ *Given) { r.Method = "PUT" },
		"host":      func(r *http.Request, _ *Given) { r.Host += "x" },
		"query":     func(r *http.Request, _ *Given) { r.URL.RawQuery += "&x=y" },
		"signature": func(_ *http.Request, g *Given) { g.Signature = g.Signature[:63] + "x" },
		"length":    func(_ *http.Request, g *Given) { g.Signature = g.Signature[:32] },
		"names":     func(_ *http.Request, g *Given) { g.Names += ";x-other" },
		"date":      func(_ *http.Request, g *Given) { g.Stamp = "20150830T123601Z" },
		"region":    func(_ *http.Request, g *Given) { g.Region = "us-east-2" },
		"service":   func(_ *http.Request, g *Given) { g.Service = "sqs" },
		"day":       func(_ *http.Request, g *Given) { g.Day = "20150831" },
	} {
		if c, g := again(change); judge(c, g, digest, secret) {
			t.Errorf("%s matches with another %s", name, what)
		}
	}
	if judge(r, g, Digest([]byte("other")), secret) || judge(r, g, digest, secret+"x") {
		t.Errorf("%s matches with another body or secret", name)
	}
}

// A request is refused in AWS's words before its secret matters.
func TestWhatAWSSaysOfASignature(t *testing.T) {
	t.Parallel()
	now := time.Date(2015, 8, 30, 13, 0, 0, 0, time.UTC)
	const scope = "AKIDEXAMPLE/20150830/us-east-1/kinesis/aws4_request"
	header := func(credential, names string) string {
		return "AWS4-HMAC-SHA256 Credential=" + credential + ", SignedHeaders=" + names + ", Signature=ab"
	}
	for name, c := range map[string]struct {
		header, date, query string
		why                 Reason
		text                string
	}{
		"nothing": {why: Missing, text: "Missing Authentication Token"},
		"both": {
			header: "X", query: "X-Amz-Algorithm=y", why: Doubled,
			text: "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
		},
		"another scheme": {
			header: "Basic eHg6eHg=", date: "20150830T130000Z", why: Foreign,
			text: "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' " +
				"parameter. Authorization header requires 'SignedHeaders' parameter. Authorization=Basic eHg6eHg=",
		},
		"another algorithm": {
			header: "AWS4-ECDSA-P256-SHA256" + strings.TrimPrefix(header(scope, "host"), Algorithm),
			date:   "20150830T130000Z", why: Foreign, text: "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'.",
		},
		"no date": {
			header: header(scope, "host"), why: Incomplete,
			text: "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. " +
				"Authorization=" + header(scope, "host"),
		},
		"a date in another form": {
			header: header(scope, "host"), date: "2015-08-30T13:00:00Z", why: Incomplete,
			text: "Date must be in ISO-8601 'basic format'. Got '2015-08-30T13:00:00Z'. " +
				"See http://en.wikipedia.org/wiki/ISO_8601",
		},
		"a short credential": {
			header: header("AKIDEXAMPLE/20150830/us-east-1", "host"), date: "20150830T130000Z", why: Incomplete,
			text: "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, " +
				"got 'AKIDEXAMPLE/20150830/us-east-1'",
		},
		"another end": {
			header: header(strings.Replace(scope, "aws4", "aws5", 1), "host"), date: "20150830T130000Z", why: Misscoped,
			text: "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'. ",
		},
		"another service": {
			header: header(strings.Replace(scope, "kinesis", "sqs", 1), "host"), date: "20150830T130000Z",
			why: Misscoped, text: "Credential should be scoped to correct service: 'kinesis'. ",
		},
		"another day": {
			header: header(strings.Replace(scope, "0830", "0829", 1), "host"), date: "20150830T130000Z", why: Misscoped,
			text: "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: " +
				"'20150829' != '20150830', from '20150830T130000Z'.",
		},
		"an unsigned host": {
			header: header(scope, "x-amz-date"), date: "20150830T130000Z", why: Uncovered,
			text: "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
		},
		"an unsigned target": {
			header: header(scope, "host;x-amz-date"), date: "20150830T130000Z", why: Uncovered,
			text: "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization.",
		},
		"too old": {
			header: header(scope, "host;x-amz-target"), date: "20150830T123600Z", why: Late,
			text: "Signature expired: 20150830T123600Z is now earlier than 20150830T124500Z " +
				"(20150830T130000Z - 15 min.)",
		},
		"too young": {
			header: header(scope, "host;x-amz-target"), date: "20150830T131501Z", why: Early,
			text: "Signature not yet current: 20150830T131501Z is still later than 20150830T131500Z " +
				"(20150830T130000Z + 15 min.)",
		},
		"presigned without parts": {
			query: "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20150830T130000Z", why: Incomplete,
			text: "AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string parameters must include " +
				"'X-Amz-Signature'. AWS query-string parameters must include 'X-Amz-SignedHeaders'. Re-examine the " +
				"query-string parameters.",
		},
		"presigned for too long": {
			query: presigned(scope, "20150830T130000Z", "604801"), why: Incomplete,
			text: "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less " +
				"than 604800 seconds",
		},
		"presigned until before": {
			query: presigned(scope, "20150830T125859Z", "60"), why: Late,
			text: "Signature expired: 20150830T125859Z is now earlier than 20150830T125900Z (20150830T130000Z - 1 min.)",
		},
	} {
		r := &http.Request{Method: "POST", URL: &url.URL{Path: "/", RawQuery: c.query}, Header: http.Header{
			"X-Amz-Target": {"Kinesis_20131202.ListStreams"},
		}}
		if c.header != "" {
			r.Header.Set("Authorization", c.header)
		}
		if c.date != "" {
			r.Header.Set("X-Amz-Date", c.date)
		}
		g, err := Read(r, Claims{}, false)
		if err == nil {
			err = g.Check(r, "kinesis", now)
		}
		var refused *Refusal
		if !errors.As(err, &refused) || refused.Why != c.why || refused.Text != c.text {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func presigned(scope, date, seconds string) string {
	return url.Values{
		"X-Amz-Algorithm": {Algorithm}, "X-Amz-Credential": {scope}, "X-Amz-Date": {date}, "X-Amz-Expires": {seconds},
		"X-Amz-SignedHeaders": {"host;x-amz-target"}, "X-Amz-Signature": {"ab"},
	}.Encode()
}

// Without X-Amz-Date the date of HTTP counts, in the form that is signed.
func TestADateOfHTTPCounts(t *testing.T) {
	t.Parallel()
	r := &http.Request{URL: &url.URL{Path: "/"}, Header: http.Header{
		"Authorization": {"AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request,SignedHeaders=host,Signature=b"},
		"Date":          {"Sun, 30 Aug 2015 12:36:00 GMT"},
	}}
	if g, err := Read(r, Claims{}, false); err != nil || g.Stamp != "20150830T123600Z" {
		t.Errorf("read %+v, %v", g, err)
	}
}

// In HTTP/2 the host is the pseudo-header :authority, and the SDK for JavaScript signs it under that name.
func TestTheHostMayBeSignedAsAuthority(t *testing.T) {
	t.Parallel()
	r := &http.Request{
		Method: "POST", Host: "mill.example:4566", URL: &url.URL{Path: "/"}, Header: http.Header{
			"Authorization": {
				"AWS4-HMAC-SHA256 Credential=A/20150830/r/kinesis/aws4_request,SignedHeaders=:authority,Signature=b",
			},
			"X-Amz-Date": {"20150830T123600Z"},
		},
	}
	g, err := Read(r, Claims{}, false)
	if err == nil {
		err = g.Check(r, "kinesis", time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC))
	}
	if err != nil {
		t.Fatal(err)
	}
	text := string(g.appendCanonical(nil, r, "/", []byte("digest"), true))
	if !strings.Contains(text, "\n:authority:mill.example:4566\n") {
		t.Errorf("what is signed is %q", text)
	}
}

// Of several parts of one name the last counts.
func TestAuthorizationIsSplitAtCommasAndBlanks(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]Claims{
		"": {}, " , ,": {}, "a": {}, "Credential=x": {}, "A Credential": {}, "A Credential=x": {Credential: "x"},
		"A ,  Credential=x, SignedHeaders=y;z ,Signature=0=":  {Credential: "x", Names: "y;z", Signature: "0="},
		"A Signature=0 Credential=x,Signature=1,credential=y": {Credential: "x", Signature: "1"},
		"A Credential=x,Credential=":                          {},
	} {
		want.Header = header
		if got := Claimed(header); got != want {
			t.Errorf("%q: %+v, want %+v", header, got, want)
		}
	}
}

// What was taken apart before counts for its own header alone: a header that has changed since is read again.
func TestClaimsAreThoseOfTheirHeader(t *testing.T) {
	t.Parallel()
	r := request(t, "POST", "https://host.example/")
	Sign(r, Digest(nil), exampleKey, Scope{"us-east-1", "kinesis"}, exampleAt)
	before := Claimed(r.Header.Get("Authorization"))
	other := exampleKey
	other.ID = "ANOTHERKEY"
	Sign(r, Digest(nil), other, Scope{"us-east-1", "kinesis"}, exampleAt)

	g, err := Read(r, before, false)

	if err != nil || g.KeyID != other.ID || Present(r, before) != nil {
		t.Errorf("read %+v, %v", g, err)
	}
	r.Header.Del("Authorization")
	if _, err := Read(r, before, false); err == nil || Present(r, before) == nil {
		t.Error("a request without a header counts as signed")
	}
}

// Dates are read as time.Parse reads them, whether they are in the form that all clients send or in another one.
func TestDatesAreReadAsByTimeParse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(
			rapid.StringMatching(`[0-2][0-9]{3}[01][0-9][0-3][0-9]T[0-2][0-9][0-6][0-9][0-6][0-9]Z`),
			rapid.StringMatching(`2026(02|12)(00|28|29|30|31|32)T235959([.,][0-9])?Z`),
			rapid.StringMatching(`[0-9T:.+Z-]{14,18}`),
		).Draw(t, "date")
		want, wrong := time.Parse(stampForm, s)
		got, err := stamped(s)
		if (err != nil) != (wrong != nil) || !got.Equal(want) || got.Location() != want.Location() {
			t.Fatalf("%q is %v, %v and not %v, %v", s, got, err, want, wrong)
		}
	})
}

// The keys are those of HMAC, whatever the secret.
func TestKeysAreThoseOfHMAC(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		from := derivation{rapid.String().Draw(t, "secret"), "20260102", "eu-west-1", "kinesis"}
		text := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "text")
		key := []byte("AWS4" + from.secret)
		for _, part := range []string{from.day, from.region, from.service, ending} {
			key = mac(key, part)
		}
		k := derive(from)
		s := &scratch{text: append(k.inner[:], text...)}
		if !k.made(s, hex.EncodeToString(mac(key, string(text)))) {
			t.Fatal("another text")
		}
	})
}
