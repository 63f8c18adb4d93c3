package sigv4

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"pgregory.net/rapid"
)

var (
	exampleKey = Key{ID: "AKIDEXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
	exampleAt  = time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
)

// The requests of AWS's published test suite have the published signatures, once what the suite does not sign is left
// out: its requests have no X-Amz-Content-Sha256.
func TestSignaturesOfThePublishedSuite(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ method, query, want string }{
		"get-vanilla":  {"GET", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		"post-vanilla": {"POST", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		"get-vanilla-query-order-key-case": {
			"GET", "Param2=value2&Param1=value1", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
		},
	} {
		r := request(t, c.method, "https://example.amazonaws.com/?"+c.query)
		r.Header.Set("X-Amz-Date", "20150830T123600Z")
		got := signature(r, Digest(nil), exampleKey, Scope{"us-east-1", "service"}, exampleAt)
		if got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func request(t interface{ Fatal(...any) }, method, url string) *http.Request {
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Requests of any form are signed as AWS's own SDK signs them.
func TestSignaturesAreThoseOfTheSDK(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		service := rapid.SampledFrom([]string{"sqs", "s3"}).Draw(t, "service")
		path := "/" + rapid.StringOfN(rapid.RuneFrom([]rune("a /+~*é:@!$&'()%.")), 0, 8, -1).Draw(t, "path")
		method := rapid.SampledFrom([]string{"GET", "PUT", "POST"}).Draw(t, "method")
		r := request(t, method, "https://host.example:8443/")
		r.URL.Path, r.URL.RawPath = path, Escape(path)
		q := url.Values{}
		text := rapid.StringOfN(rapid.RuneFrom([]rune("ab -+~*é/=&%")), 0, 5, -1)
		for _, name := range rapid.SliceOfN(text, 0, 4).Draw(t, "query") {
			q.Add(name, text.Draw(t, "value"))
		}
		r.URL.RawQuery = q.Encode()
		r.Header.Set("Content-Type", "text/plain;  charset=utf-8")
		r.Header.Set("X-Amz-Meta-Note", rapid.SampledFrom([]string{"a  b ", "x"}).Draw(t, "header"))
		r.Header.Set("X-Amz-Content-Sha256", Unsigned) // the SDK signs it if it is there
		k := exampleKey
		k.Session = rapid.SampledFrom([]string{"", "session+token=="}).Draw(t, "session")

		theirs := r.Clone(t.Context())
		err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" }).SignHTTP(
			t.Context(), aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret, SessionToken: k.Session}, theirs,
			Unsigned, service, "eu-west-1", exampleAt,
		)
		if err != nil {
			t.Fatal(err)
		}
		Sign(r, Unsigned, k, Scope{"eu-west-1", service}, exampleAt)
		got, want := r.Header.Get("Authorization"), theirs.Header.Get("Authorization")
		if got != want || r.URL.RawQuery != theirs.URL.RawQuery {
			t.Fatalf("%s %s\n got %s %s\nwant %s %s", r.Method, path, got, r.URL.RawQuery, want, theirs.URL.RawQuery)
		}
	})
}

// A key's secret is nowhere in a signed request.
func TestTheSecretStaysHere(t *testing.T) {
	t.Parallel()
	r := request(t, "GET", "https://example.amazonaws.com/")
	Sign(r, Unsigned, exampleKey, Scope{"us-east-1", "sqs"}, exampleAt)
	for name, values := range r.Header {
		if strings.Contains(strings.Join(values, ""), exampleKey.Secret) {
			t.Errorf("%s holds the secret", name)
		}
	}
}
