package wire

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/sigv4"
)

// asked returns the answer to a request that the key K has signed at a time, of a router whose gate knows its holder.
func asked(t *testing.T, s Service, who Holder, body string, at time.Time) *httptest.ResponseRecorder {
	t.Helper()
	who.Account, who.Secret = "111111111111", "secret"
	rt := &Router{
		Services: []Service{s}, Fallback: s, Control: http.NotFoundHandler(), Unknown: NotHere(s.Name),
		Gate: &Gate{
			Now:  func() time.Time { return gateAt },
			Find: func(id string) (Holder, bool) { return who, id == "K" },
		},
	}
	r := httptest.NewRequest("POST", "http://127.0.0.1/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", s.Target+".Do")
	sigv4.Sign(r, sigv4.Digest([]byte(body)), sigv4.Key{ID: "K", Secret: "secret"}, sigv4.Scope{
		Region: "eu-west-1", Service: s.Name,
	}, at)
	w := httptest.NewRecorder()
	rt.ServeHTTP(w, r)
	return w
}

// A holder with a clock of its own, as functions have where it is steered, may date a request by that or by real time,
// and by nothing else.
func TestAHolderMayHaveAClock(t *testing.T) {
	t.Parallel()
	steered := gateAt.AddDate(0, 1, 0)
	s := Service{Name: "toys", Target: "Toys", Needs: Header, Handler: http.HandlerFunc(echo)}
	for _, c := range []struct {
		clock bool
		at    time.Time
		want  int
	}{
		{true, gateAt, 200}, {true, steered, 200}, {true, gateAt.AddDate(0, 0, 7), 403},
		{false, gateAt, 200}, {false, steered, 403},
	} {
		who := Holder{}
		if c.clock {
			who.Clock = func() time.Time { return steered }
		}
		if w := asked(t, s, who, "x", c.at); w.Code != c.want {
			t.Errorf("with a clock: %v, at %s: %d %s", c.clock, c.at, w.Code, w.Body)
		}
	}
}

// Of an answer of which nobody has asked whether the caller may have it nothing is left, with whatever success it would
// have come: no body, and no header.
func TestNothingIsLeftOfAnAnswerThatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 201, 204, 206, 299} {
		s := Service{Name: "toys", Target: "Toys", Needs: Header, Handler: http.HandlerFunc(
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Secret", "1")
				w.WriteHeader(status)
				_, _ = w.Write([]byte("secret"))
			},
		)}

		w := asked(t, s, Holder{}, "", gateAt)

		h := w.Header()
		if w.Code != 500 || w.Body.Len() > 0 || h.Get("X-Secret") != "" || h.Get("Content-Length") != "0" {
			t.Errorf("%d became %d %v %q", status, w.Code, h, w.Body)
		}
	}
}

// A body that was read to verify a signature is held to the operation's own limit all the same.
func TestAVerifiedBodyKeepsToItsLimit(t *testing.T) {
	t.Parallel()
	s := Service{Name: "toys", Target: "Toys", Needs: Header, Handler: http.HandlerFunc(echo)} // which takes 100 bytes
	for n, want := range map[int]int{100: 200, 101: 500} {
		if w := asked(t, s, Holder{}, strings.Repeat("x", n), gateAt); w.Code != want {
			t.Errorf("%d bytes: %d %s", n, w.Code, w.Body)
		}
	}
}

// Headers that come twice are judged by all that they say: one value with which nothing is wrong covers no other.
func TestHeadersThatComeTwice(t *testing.T) {
	t.Parallel()
	rt := testRouter()
	for i := range rt.Services {
		rt.Services[i].Pages = "http://page.example"
	}
	for name, c := range map[string]struct {
		header string
		values []string
		want   int
	}{
		"a page that is let in":          {"Origin", []string{"http://page.example"}, 200},
		"and another one":                {"Origin", []string{"http://page.example", "http://evil.example"}, 403},
		"another one, and a page":        {"Origin", []string{"http://evil.example", "http://page.example"}, 403},
		"an address that somebody types": {"Sec-Fetch-Site", []string{"none"}, 200},
		"and another site":               {"Sec-Fetch-Site", []string{"none", "cross-site"}, 403},
	} {
		r := request("POST", "/", "", "X-Amz-Target", "AmazonSQS.X")
		r.Header[c.header] = c.values
		w := httptest.NewRecorder()
		if rt.ServeHTTP(w, r); w.Code != c.want {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// People who see no headers are told of each hint once, with whose request it was.
func TestHintsAreTold(t *testing.T) {
	t.Parallel()
	rt := testRouter()
	var told []string
	rt.Hinted = func(c Caller, hint string) { told = append(told, c.Account+" "+c.Region+" "+hint) }
	rt.Services[1].Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			Hint(w.Header(), "try again")
		}
		w.WriteHeader(http.StatusOK)
	})
	for _, target := range []string{"/", "/?hint", "/"} {
		rt.ServeHTTP(httptest.NewRecorder(), request("POST", target, "", "X-Amz-Target", "AmazonSQS.X", "Authorization",
			strings.Replace(scope("sqs"), "AKIDEXAMPLE", "111122223333", 1)))
	}
	if len(told) != 1 || told[0] != "111122223333 eu-west-1 try again" {
		t.Errorf("told %q", told)
	}
}

// A service that does not speak CBOR says so in CBOR, in either kind of it; one that does speak it gets the request.
func TestCBORIsRefusedInCBOR(t *testing.T) {
	t.Parallel()
	const older = "application/x-amz-cbor-1.1"
	for _, c := range []struct {
		target, contentType string
		want                int
	}{
		{"Logs_20140328.X", older, 501}, {"AmazonSQS.X", older + "; charset=utf-8", 501},
		{"Kinesis_20131202.X", older, 200}, {"Logs_20140328.X", "application/x-amz-json-1.1", 200},
	} {
		rt := testRouter()
		rt.Services[0].CBOR = older
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, request("POST", "/", "", "X-Amz-Target", c.target, "Content-Type", c.contentType))
		if w.Code != c.want || c.want == 501 && (w.Header().Get("Content-Type") != older ||
			!strings.Contains(w.Body.String(), "in "+older+" yet")) {
			t.Errorf("%s as %s: %d %v %q", c.target, c.contentType, w.Code, w.Header(), w.Body)
		}
	}
}

// Our own API speaks its own JSON, also where a request does not come as far as to it.
func TestOurOwnAPIIsRefusedInItsWords(t *testing.T) {
	t.Parallel()
	for status, r := range map[int]*http.Request{
		421: request("POST", "/_shardmill/reset", ""),
		403: request("POST", "/_shardmill/reset", "", "Origin", "http://evil.example"),
	} {
		rt := testRouter()
		if status == 421 {
			r.Host = "evil.example"
		} else {
			rt.Open = true
		}
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, r)
		if w.Code != status || !strings.HasPrefix(w.Body.String(), `{"message":"shardmill `) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}
