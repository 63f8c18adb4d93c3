package server

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// shown returns what an SDK makes of a refusal: code and text, from the header before the body, and from the form of
// body that its protocol has and no other. Source: the error parsers of the SDKs for Java v2 and Go v2 and of botocore.
func shown(t *testing.T, sent *http.Request, w *httptest.ResponseRecorder) (code, text string) {
	t.Helper()
	var in struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
		Capital string `json:"Message"`
	}
	contentType := w.Header().Get("Content-Type")
	var err error
	switch asked := sent.Header.Get("Content-Type"); {
	case strings.HasSuffix(asked, "cbor") || strings.HasSuffix(asked, "cbor-1.1"):
		var members map[string]string
		err = cbor.Unmarshal(w.Body.Bytes(), &members)
		in.Type, in.Message, in.Capital = members["__type"], members["message"], members["Message"]
		if contentType != asked {
			t.Errorf("%s is answered in %s", asked, contentType)
		}
	case strings.HasSuffix(asked, "urlencoded"):
		var answer struct {
			Code    string `xml:"Error>Code"`
			Message string `xml:"Error>Message"`
		}
		err = xml.Unmarshal(w.Body.Bytes(), &answer)
		in.Type, in.Message = answer.Code, answer.Message
	case asked == "": // S3 and Lambda, whose protocols are told by the body
		if err = json.Unmarshal(w.Body.Bytes(), &in); err != nil {
			var answer struct {
				XMLName xml.Name `xml:"Error"`
				Code    string
				Message string
			}
			err = xml.Unmarshal(w.Body.Bytes(), &answer)
			in.Type, in.Message = answer.Code, answer.Message
		}
	default:
		err = json.Unmarshal(w.Body.Bytes(), &in)
	}
	if err != nil {
		t.Errorf("%v in %q", err, w.Body)
	}
	if code = w.Header().Get("x-amzn-ErrorType"); code == "" {
		code = in.Type
	}
	if text = w.Header().Get("x-amzn-error-message"); text == "" {
		text = in.Message + in.Capital
	}
	return code[strings.LastIndexByte(code, '#')+1:], text
}

// Whoever is refused, for whatever reason and by whichever part of the server, reads why: in the protocol that it
// speaks, in the members or headers that its SDK prints. So say all services in all their protocols.
func TestRefusalsReachTheirReaders(t *testing.T) {
	t.Parallel()
	b := start(t, Config{Dev: true})
	replace := func(s string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(s) }
	for _, why := range []struct {
		name   string
		text   string // part of it
		change func(p *own, r *http.Request)
	}{
		{"another host", "the Host header says", func(_ *own, r *http.Request) { r.Host = "evil.example" }},
		{"a page", "refuses requests from web pages", func(_ *own, r *http.Request) {
			r.Header.Set("Origin", "https://evil.example")
		}},
		{"no region", "scoped to a valid region", func(_ *own, r *http.Request) {
			r.Header.Set("Authorization", replace(r.Header.Get("Authorization"), "us-east-1", "US_EAST"))
		}},
		{"no such operation", "", func(p *own, r *http.Request) {
			r.Header.Set("X-Amz-Target", replace(r.Header.Get("X-Amz-Target"), ".List", ".Nope", ".Desc", ".Nope"))
			r.URL.Path = replace(r.URL.Path, "operation/List", "operation/Nope")
			p.body = replace(p.body, "Action=List", "Action=Nope", "Action=Get", "Action=Nope")
		}},
		{"an unreadable body", "", func(p *own, _ *http.Request) {
			p.body = replace(p.body, "{}", "{", "\xa0", "\xa1", "&Version", "&%&Version")
		}},
		{"a service that is not here", "does not have the service", func(p *own, r *http.Request) {
			r.Header.Set("Authorization", fmt.Sprintf(signature, "states"))
			switch {
			case p.headers == nil:
				r.URL.Path = "/"
			case strings.HasPrefix(p.body, "Action="):
				p.body = "Action=DescribeStacks&Version=2010-05-15"
			case r.Header.Get("Smithy-Protocol") != "":
				r.URL.Path = "/service/AWSStepFunctions/operation/ListStateMachines"
			default:
				r.Header.Set("X-Amz-Target", "AWSStepFunctions.ListStateMachines")
			}
		}},
		{"a server that starts", "is starting", nil},
	} {
		for _, p := range protocols() {
			r := httptest.NewRequest(p.method, "http://127.0.0.1:4566"+p.path, nil)
			for i := 0; i < len(p.headers); i += 2 {
				r.Header.Set(p.headers[i], p.headers[i+1])
			}
			r.Header.Set("Authorization", fmt.Sprintf(signature, p.service))
			r.Header.Set("X-Amz-Date", "20260101T000000Z")
			serving := b.s
			if why.change == nil {
				serving = &Server{}
			} else {
				why.change(&p, r)
			}
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(p.body)), int64(len(p.body))
			w := httptest.NewRecorder()

			serving.answer(w, r)

			code, text := shown(t, r, w)
			if w.Code < 400 || code == "" || text == "" || !strings.Contains(text, why.text) {
				t.Errorf(
					"%s, %s %v: %d %q %q; %v %q",
					why.name, p.service, p.headers, w.Code, code, text, w.Header(), w.Body,
				)
			}
		}
	}
}

// W-04, W-09: refusals in XML of a kind come without a Content-Type, on every way into the server: net/http makes one
// up for what has none.
func TestOddRefusalsHaveNoContentType(t *testing.T) {
	t.Parallel()
	b := start(t, Config{Dev: true})
	plain := httptest.NewServer(http.HandlerFunc(b.s.answer)) // by net/http
	defer plain.Close()
	var two http.Protocols
	two.SetUnencryptedHTTP2(true)
	overTwo := &http.Transport{Protocols: &two}
	defer overTwo.CloseIdleConnections()
	for name, way := range map[string]struct {
		client *http.Client
		url    string
	}{
		"HTTP/1.1":             {b.client, b.s.Endpoint()},
		"HTTP/1.1 of net/http": {plain.Client(), plain.URL},
		"HTTP/2":               {&http.Client{Transport: overTwo}, b.s.Endpoint()},
	} {
		for _, r := range []struct{ method, body, answer string }{
			{"GET", "", "<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be authorized"},
			{"POST", "{}", "<UnknownOperationException/>\n"},
		} {
			req, err := http.NewRequestWithContext(t.Context(), r.method, way.url, strings.NewReader(r.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "text/plain")
			req.Header.Set("X-Amz-Target", "Kinesis_20131202.ListStreams")

			resp, err := way.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close() // read to its end
			_, there := resp.Header["Content-Type"]
			if there || err != nil || !strings.HasPrefix(string(body), r.answer) {
				t.Errorf("%s, %s: %v %q %v", name, r.method, resp.Header, body, err)
			}
		}
	}
}
