package server

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/api/wire/wiretest"
)

// page sends a request as a page of an origin has a browser send it, over HTTP/1.1 or HTTP/2.
func (b *bench) page(two bool, origin, method, path, body string, headers ...string) (*http.Response, string) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, b.s.Endpoint()+path, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	req.Header.Set("Origin", origin)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!two)
	protocols.SetUnencryptedHTTP2(two)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	return resp, string(text)
}

// W-03: OPTIONS / with Origin: x, Access-Control-Request-Headers: a, b, Access-Control-Request-Method: POST · 200,
// Content-Length: 0, Allow-Origin *, Allow-Headers a, b, Allow-Methods POST, Max-Age 172800, x-amzn-RequestId present,
// no x-amz-id-2.
func TestPreflightsOfKinesisAreAnswered(t *testing.T) {
	t.Parallel()
	b := start(t, Config{Dev: true, KinesisCORS: "*"})
	for _, two := range []bool{false, true} {
		r, body := b.page(two, "x", "OPTIONS", "/", "",
			"Access-Control-Request-Headers", "a, b", "Access-Control-Request-Method", "POST")

		if r.StatusCode != 200 || body != "" || len(r.Header["X-Amzn-Requestid"]) != 1 {
			t.Errorf("%s: %d %q %v", r.Proto, r.StatusCode, body, r.Header)
		}
		for name, want := range map[string]string{
			"Content-Length": "0", "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "a, b",
			"Access-Control-Allow-Methods": "POST", "Access-Control-Max-Age": "172800",
			"X-Amz-Id-2": "", "Content-Type": "", "Access-Control-Expose-Headers": "", "Vary": "",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", r.Proto, name, got, want)
			}
		}
	}
	r, _ := b.page(false, "x", "OPTIONS", "/", "")
	if r.StatusCode != 200 || r.Header["Access-Control-Allow-Headers"] != nil {
		t.Errorf("nothing was asked for: %d %v", r.StatusCode, r.Header)
	}
}

// 1.3, step 3: a page that is let in reads every answer of Kinesis, refusals among them.
func TestAPageReadsWhatKinesisAnswers(t *testing.T) {
	t.Parallel()
	b := start(t, Config{Dev: true, KinesisCORS: "http://localhost:3000"})
	signed := []string{
		"X-Amz-Target", "Kinesis_20131202.ListStreams", "Content-Type", "application/x-amz-json-1.1",
		"X-Amz-Date", "20260101T000000Z", "Authorization",
		"AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=0",
	}
	for _, two := range []bool{false, true} {
		for want, headers := range map[int][]string{200: signed, 400: signed[:6]} {
			r, body := b.page(two, "http://localhost:3000", "POST", "/", "{}", headers...)

			if r.StatusCode != want || r.Header.Get("X-Amz-Id-2") == "" ||
				r.Header.Get("Access-Control-Allow-Origin") != "http://localhost:3000" || r.Header.Get("Vary") != "Origin" ||
				r.Header.Get("Access-Control-Expose-Headers") !=
					"x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date" {
				t.Errorf("%s: %d %q %v", r.Proto, r.StatusCode, body, r.Header)
			}
		}
	}
	for _, origin := range []string{
		"http://localhost:3001", "https://localhost:3000", "http://localhost:3000.example.com", "http://LOCALHOST:3000",
		"null",
	} {
		for _, method := range []string{"POST", "OPTIONS"} {
			r, body := b.page(false, origin, method, "/", "{}", signed...)
			if r.StatusCode != 403 || r.Header["Access-Control-Allow-Origin"] != nil {
				t.Errorf("%s of %s: %d %q %v", method, origin, r.StatusCode, body, r.Header)
			}
		}
	}
}

// Pages that Kinesis lets in get nothing of any other service, nor of ours, and no preflight for one; without the flag
// none is let in.
func TestOnlyKinesisLetsPagesIn(t *testing.T) {
	t.Parallel()
	b := start(t, Config{Dev: true, KinesisCORS: "*"})
	for _, v := range wiretest.Victims {
		b.made(v)
	}
	before := b.holdings()
	for _, s := range b.s.services(b.s.rooms) {
		for _, a := range wiretest.Acts[s.Name] {
			r, body := b.page(false, "http://example.com", a.Method, a.Path, a.Body, "Content-Type", a.ContentType)
			if r.StatusCode < 400 {
				t.Errorf("%s %s %s: %d %s", s.Name, a.Method, a.Path, r.StatusCode, body)
			}
		}
	}
	for _, path := range []string{
		"/2015-03-31/functions/f/invocations", "/_shardmill/reset", "/bucket/key",
		"/service/GraniteServiceVersion20100801/x",
	} {
		r, _ := b.page(false, "http://example.com", "OPTIONS", path, "", "Access-Control-Request-Method", "POST")
		if r.StatusCode < 400 || r.Header["Access-Control-Allow-Methods"] != nil {
			t.Errorf("a preflight for %s: %d %v", path, r.StatusCode, r.Header)
		}
	}
	if r, body := b.page(false, "http://example.com", "PUT", "/bucket/key", "x"); r.StatusCode != 403 {
		t.Errorf("an object is put: %d %s", r.StatusCode, body)
	}
	if after := b.holdings(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}

	closed := start(t, Config{Dev: true})
	r, _ := closed.page(false, "x", "OPTIONS", "/", "")
	if r.StatusCode != 403 || r.Header["Access-Control-Allow-Origin"] != nil {
		t.Errorf("without the flag: %d %v", r.StatusCode, r.Header)
	}
}
