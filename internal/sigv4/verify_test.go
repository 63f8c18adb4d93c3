package sigv4

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What this package signs it verifies, and with anything changed it does not.
func TestWhatIsSignedVerifies(t *testing.T) {
	t.Parallel()
	var v Verifier
	rapid.Check(t, func(t *rapid.T) {
		service := rapid.SampledFrom([]string{"sqs", "s3", "kinesis"}).Draw(t, "service")
		// without steps that lead nowhere, which this package does not take off where it signs
		path := "/" + rapid.StringOfN(rapid.RuneFrom([]rune("a +~*é:@!$&'()%")), 0, 8, -1).Draw(t, "path") + "/b"
		if strings.HasPrefix(path, "//") {
			path = path[1:]
		}
		r := request(t, "POST", "https://host.example:8443/")
		r.URL.Path, r.URL.RawPath = path, Escape(path)
		r.URL.RawQuery = rapid.StringMatching(`([a-c]=[a-c%+]*&?){0,3}`).Draw(t, "query")
		r.Header.Set("X-Amz-Target", rapid.StringMatching(`[A-Z][a-z ]{0,8}`).Draw(t, "target"))
		k := Key{
			ID: "K", Secret: rapid.StringMatching(`[!-~]{1,20}`).Draw(t, "secret"),
			Session: rapid.StringMatching(`x?`).Draw(t, "token"),
		}
		digest := Digest([]byte(rapid.String().Draw(t, "body")))
		Sign(r, digest, k, Scope{"us-east-1", service}, exampleAt)
		g, err := Read(r, Claims{}, service == "s3")
		if err == nil {
			err = g.Check(r, service, exampleAt)
		}
		if err != nil || !v.Matches(r, &g, digest, k.Secret) {
			t.Fatalf("%+v: %v", g, err)
		}
		if v.Matches(r, &g, digest, k.Secret+"x") || v.Matches(r, &g, Digest([]byte("another")), k.Secret) {
			t.Fatal("it matches with another secret or body")
		}
		r.Header.Set("X-Amz-Target", "Another")
		if v.Matches(r, &g, digest, k.Secret) {
			t.Fatal("it matches with another target")
		}
	})
}

// The number of keys that are kept has a bound, whatever regions a client names.
func TestDerivedKeysAreBounded(t *testing.T) {
	t.Parallel()
	var v Verifier
	for i := range 3 * maxDerived {
		v.keyed(derivation{"secret", "20260101", time.Duration(i).String(), "sqs"})
	}
	if len(v.derived) > maxDerived {
		t.Errorf("%d are kept", len(v.derived))
	}
}

// Whatever the headers and the query of a request hold, it is read or refused with a text, and no signature that nobody
// made matches.
func FuzzClaims(f *testing.F) {
	const scope = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"
	f.Add("AWS4-HMAC-SHA256 Credential="+scope+", SignedHeaders=host;x-amz-date, Signature=ab", "20150830T123600Z", "")
	f.Add("AWS4-HMAC-SHA256 Credential=a/b/c/d/e/f,SignedHeaders=;;,Signature==", "Sun, 30 Aug 2015 12:36:00 GMT", "a=b")
	f.Add("Basic x", "", presigned(scope, "20150830T123600Z", "60"))
	f.Add("", "", presigned(scope, "20150830T123600Z", "-1")+"&X-Amz-Security-Token=%zz&%")
	var v Verifier
	f.Fuzz(func(t *testing.T, authorization, date, query string) {
		r := httptest.NewRequest(http.MethodPost, "http://host/", nil)
		r.URL.RawQuery = query
		for name, value := range map[string]string{"Authorization": authorization, "X-Amz-Date": date} {
			if value != "" {
				r.Header[name] = []string{value}
			}
		}
		for _, s3 := range []bool{false, true} {
			g, err := Read(r, Claims{}, s3)
			if err == nil {
				if g.KeyID == "" || g.Signature == "" || g.Names == "" || strings.Contains(g.Service, "/") ||
					g.Expires > MaxExpires {
					t.Fatalf("read %+v", g)
				}
				err = g.Check(r, g.Service, g.At)
				if v.Matches(r, &g, Digest(nil), "a secret that no fuzzer has") {
					t.Fatalf("%+v matches", g)
				}
			}
			var refused *Refusal
			if err != nil && (!errors.As(err, &refused) || refused.Text == "" && refused.Object == "") {
				t.Fatalf("%#v", err)
			}
		}
	})
}

// BenchmarkMatches is what verifying costs beside hashing the body.
func BenchmarkMatches(b *testing.B) {
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:4566/", nil)
	r.Header.Set("X-Amz-Target", "Kinesis_20131202.PutRecord")
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	digest := Digest(nil)
	Sign(r, digest, exampleKey, Scope{"us-east-1", "kinesis"}, exampleAt)
	var v Verifier
	b.ReportAllocs()
	for b.Loop() {
		g, err := Read(r, Claims{}, false)
		if err != nil || g.Check(r, "kinesis", exampleAt) != nil || !v.Matches(r, &g, digest, exampleKey.Secret) {
			b.Fatal(err)
		}
	}
}
