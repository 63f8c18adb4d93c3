package server

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/shardmill/shardmill/auth"
)

// guarded is a server that verifies signatures, and keys of every role.
type guarded struct {
	*bench
	keys map[auth.Role]aws.Credentials
}

// startGuarded runs a server with a key for each role, which has the role's name.
func startGuarded(t *testing.T, cfg Config) *guarded {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.yaml")
	g := &guarded{keys: map[auth.Role]aws.Credentials{}}
	for _, role := range auth.Roles {
		k := auth.New(string(role), "", auth.Rights{Role: role})
		if err := auth.Add(path, k); err != nil {
			t.Fatal(err)
		}
		g.keys[role] = aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret}
	}
	var err error
	if cfg.Auth, err = auth.Open(path, nil); err != nil {
		t.Fatal(err)
	}
	g.bench = start(t, cfg)
	return g
}

// request returns a request to a server, in the way of a protocol.
func (b *bench) request(p own) *http.Request {
	b.Helper()
	r, err := http.NewRequestWithContext(
		context.Background(), p.method, b.s.Endpoint()+p.path, strings.NewReader(p.body),
	)
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; i < len(p.headers); i += 2 {
		r.Header.Set(p.headers[i], p.headers[i+1])
	}
	return r
}

func digestOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// sign signs a request with AWS's own signer.
func (b *bench) sign(r *http.Request, k aws.Credentials, service, body string, at time.Time) {
	b.Helper()
	if service == "s3" {
		r.Header.Set("X-Amz-Content-Sha256", digestOf(body))
	}
	if err := v4.NewSigner(raw(service)).SignHTTP(
		context.Background(), k, r, digestOf(body), service, "us-east-1", at,
	); err != nil {
		b.Fatal(err)
	}
}

// raw are the options of AWS's signer for a service.
func raw(service string) func(*v4.SignerOptions) {
	return func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" }
}

// send sends a request over a client.
func (b *bench) send(client *http.Client, r *http.Request) (status int, answer string) {
	b.Helper()
	resp, err := client.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	return resp.StatusCode, string(text) + " " + resp.Header.Get("X-Amzn-Errortype")
}

// refusals are the codes by which the protocols refuse a signature.
type refusals struct{ missing, unknown, wrong, old, denied string }

func refusalsOf(p own) refusals {
	switch {
	case p.service == "s3":
		return refusals{
			"<Code>AccessDenied<", "<Code>InvalidAccessKeyId<", "<Code>SignatureDoesNotMatch<",
			"<Code>RequestTimeTooSkewed<", "<Code>AccessDenied<",
		}
	case strings.HasPrefix(p.body, "Action="):
		return refusals{
			"<Code>MissingAuthenticationToken<", "<Code>InvalidClientTokenId<", "<Code>SignatureDoesNotMatch<",
			"<Code>SignatureDoesNotMatch<", "<Code>AccessDenied<",
		}
	}
	return refusals{
		"MissingAuthenticationTokenException", "UnrecognizedClientException", "InvalidSignatureException",
		"InvalidSignatureException", "AccessDeniedException",
	}
}

// overHTTP2 speaks HTTP/2 with prior knowledge, which net/http serves; plain requests over HTTP/1.1 go to the front.
func overHTTP2(t *testing.T) *http.Client {
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// Every protocol of every service, on both fronts: a request that is signed with a key of the file is served, one that
// is not, or whose signature is wrong, is refused in AWS's words.
func TestEveryServiceVerifiesSignatures(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, Config{})
	now := time.Now()
	k := g.keys[auth.Admin]
	wrong, unknown, token := k, k, k
	wrong.SecretAccessKey += "x"
	unknown.AccessKeyID = "AKIANOBODYHASTHISKEY"
	token.SessionToken = "x"
	for name, client := range map[string]*http.Client{"HTTP/1.1": g.client, "HTTP/2": overHTTP2(t)} {
		for _, p := range protocols() {
			codes := refusalsOf(p)
			refusedStatus := http.StatusForbidden
			if p.service == "kinesis" { // where every error of the model is 400
				refusedStatus = http.StatusBadRequest
			}
			try := func(what, want string, change func(*http.Request)) {
				t.Helper()
				r := g.request(p)
				change(r)
				status, answer := g.send(client, r)
				if want == "" {
					if status == http.StatusForbidden || strings.Contains(answer, "Signature") {
						t.Errorf("%s %s %s%s: %s: %d %s", name, p.service, p.method, p.path, what, status, answer)
					}
				} else if status != refusedStatus && status != http.StatusBadRequest ||
					!strings.Contains(answer, want) {
					t.Errorf("%s %s %s%s: %s: %d %s", name, p.service, p.method, p.path, what, status, answer)
				}
			}
			signed := func(k aws.Credentials, at time.Time) func(*http.Request) {
				return func(r *http.Request) { g.sign(r, k, p.service, p.body, at) }
			}
			try("signed", "", signed(k, now))
			try("signed, a little late", "", signed(k, now.Add(-14*time.Minute)))
			try("not signed", codes.missing, func(*http.Request) {})
			try("unknown key", codes.unknown, signed(unknown, now))
			try("wrong secret", codes.wrong, signed(wrong, now))
			try("old", codes.old, signed(k, now.Add(-16*time.Minute)))
			try("early", codes.old, signed(k, now.Add(16*time.Minute)))
			try("a token that belongs to no key", tokenCode(p, codes), signed(token, now))
			try("another header", codes.wrong, func(r *http.Request) {
				r.Header.Set("X-Amz-Meta-A", "1")
				g.sign(r, k, p.service, p.body, now)
				r.Header.Set("X-Amz-Meta-A", "2")
			})
			try("another body", bodyCode(p, codes), func(r *http.Request) {
				g.sign(r, k, p.service, p.body, now)
				other := p.body + " "
				switch {
				case p.service == "s3": // whose length is signed
					other = strings.ToUpper(p.body)
				case p.body == "\xa0": // an empty map in CBOR
					other = "\xbf\xff"
				}
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(other)), int64(len(other))
			})
			if p.method == http.MethodPost && strings.HasPrefix(p.body, "Action=") {
				presignedGet(g, client, p, k, codes)
			}
		}
	}
}

func tokenCode(p own, codes refusals) string {
	if p.service == "s3" {
		return "<Code>InvalidToken<"
	}
	return codes.unknown
}

func bodyCode(p own, codes refusals) string {
	if p.service == "s3" { // which holds the body to the digest that was signed
		return "<Code>XAmzContentSHA256Mismatch<"
	}
	return codes.wrong
}

// presignedGet calls an action of the query protocol by a presigned URL, which without keys no service serves, because
// any page could hold one.
func presignedGet(g *guarded, client *http.Client, p own, k aws.Credentials, codes refusals) {
	g.Helper()
	r, err := http.NewRequestWithContext(
		context.Background(), "GET", g.s.Endpoint()+"/?"+p.body+"&X-Amz-Expires=60", nil,
	)
	if err != nil {
		g.Fatal(err)
	}
	signed, _, err := v4.NewSigner().PresignHTTP(
		context.Background(), k, r, digestOf(""), p.service, "us-east-1", time.Now(),
	)
	if err != nil {
		g.Fatal(err)
	}
	get := func(u string) (int, string) {
		r, err := http.NewRequestWithContext(context.Background(), "GET", u, nil)
		if err != nil {
			g.Fatal(err)
		}
		return g.send(client, r)
	}
	if status, answer := get(signed); status != http.StatusOK {
		g.Errorf("%s by a presigned URL: %d %s", p.service, status, answer)
	}
	if status, answer := get(signed + "&x=y"); status != http.StatusForbidden ||
		!strings.Contains(answer, codes.wrong) {
		g.Errorf("%s by another presigned URL: %d %s", p.service, status, answer)
	}
}

// A presigned URL of an object serves it until it expires, and serves no other object.
func TestPresignedObjects(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, Config{})
	k := g.keys[auth.Admin]
	put := func(path, body string) {
		t.Helper()
		r := g.request(own{method: "PUT", path: path, body: body})
		g.sign(r, k, "s3", body, time.Now())
		g.ok(g.send(g.client, r))
	}
	put("/bucket", "")
	put("/bucket/a%20b%2B/%C3%A9", "hello")
	presign := func(method, path, seconds string, at time.Time) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, g.s.Endpoint()+path+"?X-Amz-Expires="+seconds, nil)
		if err != nil {
			t.Fatal(err)
		}
		u, _, err := v4.NewSigner(raw("s3")).PresignHTTP(t.Context(), k, r, "UNSIGNED-PAYLOAD", "s3", "us-east-1", at)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	ask := func(method, u, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, u, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		return g.send(g.client, r)
	}
	const key = "/bucket/a%20b%2B/%C3%A9"
	u := presign("GET", key, "60", time.Now())
	if status, answer := ask("GET", u, ""); status != 200 || !strings.HasPrefix(answer, "hello") {
		t.Errorf("presigned: %d %s", status, answer)
	}
	put("/bucket/other", "secret")
	if status, answer := ask("GET", strings.Replace(u, key, "/bucket/other", 1), ""); status != 403 ||
		!strings.Contains(answer, "SignatureDoesNotMatch") {
		t.Errorf("another object: %d %s", status, answer)
	}
	if status, answer := ask("PUT", u, "x"); status != 403 {
		t.Errorf("another method: %d %s", status, answer)
	}
	// a presigned request lives as long as it says, however far that is beyond the skew
	if status, _ := ask("GET", presign("GET", key, "3600", time.Now().Add(-50*time.Minute)), ""); status != 200 {
		t.Errorf("50 minutes later: %d", status)
	}
	if status, answer := ask("GET", presign("GET", key, "60", time.Now().Add(-2*time.Minute)), ""); status != 403 ||
		!strings.Contains(answer, "Request has expired") {
		t.Errorf("expired: %d %s", status, answer)
	}
	if status, answer := ask("GET", presign("GET", key, "604801", time.Now()), ""); status != 400 ||
		!strings.Contains(answer, "AuthorizationQueryParametersError") {
		t.Errorf("for more than a week: %d %s", status, answer)
	}
	// as boto3 and the AWS CLI sign for us-east-1 unless told otherwise; S3 takes that from old buckets alone
	older := g.s.Endpoint() + key + "?AWSAccessKeyId=" + k.AccessKeyID + "&Signature=x%3D&Expires=4000000000"
	if status, answer := ask("GET", older, ""); status != 400 ||
		!strings.Contains(answer, "<Code>InvalidRequest</Code>") ||
		!strings.Contains(answer, "Please use AWS4-HMAC-SHA256.") {
		t.Errorf("signed in version 2: %d %s", status, answer)
	}
	// the body of an upload is signed if the URL has its digest
	digest := "60&X-Amz-Content-Sha256=" + digestOf("loaded")
	r, err := http.NewRequestWithContext(
		t.Context(), "PUT", g.s.Endpoint()+"/bucket/held?X-Amz-Expires="+digest, nil,
	)
	if err != nil {
		t.Fatal(err)
	}
	held, _, err := v4.NewSigner(raw("s3")).PresignHTTP(
		t.Context(), k, r, digestOf("loaded"), "s3", "us-east-1", time.Now(),
	)
	if err != nil {
		t.Fatal(err)
	}
	if status, answer := ask("PUT", held, "Loaded"); status != 400 ||
		!strings.Contains(answer, "XAmzContentSHA256Mismatch") {
		t.Errorf("another body than was signed: %d %s", status, answer)
	}
	if status, answer := ask("PUT", held, "loaded"); status != 200 {
		t.Errorf("the body that was signed: %d %s", status, answer)
	}
	// and is not if it has none
	if status, answer := ask("PUT", presign("PUT", "/bucket/up", "60", time.Now()), "loaded"); status != 200 {
		t.Errorf("an upload: %d %s", status, answer)
	}
}

// Chunks of an upload are verified one by one, and with a chunk that nobody has signed nothing is stored.
func TestSignedChunksAreVerified(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, Config{})
	k := g.keys[auth.Operate]
	bucket := g.request(own{method: "PUT", path: "/bucket"})
	g.sign(bucket, k, "s3", "", time.Now())
	g.ok(g.send(g.client, bucket))
	upload := func(key string, spoil func(body []byte) []byte) (int, string) {
		t.Helper()
		at := time.Now().UTC()
		r := g.request(own{method: "PUT", path: "/bucket/" + key})
		const payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
		for name, value := range map[string]string{
			"Content-Encoding": "aws-chunked", "X-Amz-Content-Sha256": payload, "X-Amz-Decoded-Content-Length": "10",
		} {
			r.Header.Set(name, value)
		}
		var body bytes.Buffer
		if err := v4.NewSigner(raw("s3")).SignHTTP(t.Context(), k, r, payload, "s3", "us-east-1", at); err != nil {
			t.Fatal(err)
		}
		signature := r.Header.Get("Authorization")
		signature = signature[strings.LastIndex(signature, "=")+1:]
		for _, chunk := range []string{"hello", "there", ""} {
			signature = chunkSignature(k.SecretAccessKey, at, signature, chunk)
			fmt.Fprintf(&body, "%x;chunk-signature=%s\r\n%s\r\n", len(chunk), signature, chunk)
		}
		spoiled := spoil(body.Bytes())
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(spoiled)), int64(len(spoiled))
		return g.send(g.client, r)
	}
	same := func(body []byte) []byte { return body }
	g.ok(upload("good", same))
	for name, spoil := range map[string]func([]byte) []byte{
		"data":  func(b []byte) []byte { return bytes.Replace(b, []byte("there"), []byte("These"), 1) },
		"order": func(b []byte) []byte { return bytes.Replace(b, []byte("hello"), []byte("there"), 1) },
		"signature": func(b []byte) []byte {
			return bytes.Replace(b, []byte("chunk-signature="), []byte("chunk-signature=0"), 1)
		},
		"none": func(b []byte) []byte { return []byte("a\r\nhellothere\r\n0\r\n\r\n") },
	} {
		if status, answer := upload(name, spoil); status != 403 || !strings.Contains(answer, "SignatureDoesNotMatch") {
			t.Errorf("%s: %d %s", name, status, answer)
		}
		r := g.request(own{method: "GET", path: "/bucket/" + name})
		g.sign(r, k, "s3", "", time.Now())
		if status, answer := g.send(g.client, r); status != 404 {
			t.Errorf("%s is stored: %d %s", name, status, answer)
		}
	}
}

// chunkSignature is S3's, written down once more.
func chunkSignature(secret string, at time.Time, before, chunk string) string {
	day := at.Format("20060102")
	key := []byte("AWS4" + secret)
	for _, part := range []string{day, "us-east-1", "s3", "aws4_request"} {
		key = hmacSHA256(key, part)
	}
	return hex.EncodeToString(hmacSHA256(key, strings.Join([]string{
		"AWS4-HMAC-SHA256-PAYLOAD", at.Format("20060102T150405Z"), day + "/us-east-1/s3/aws4_request", before,
		digestOf(""), digestOf(chunk),
	}, "\n")))
}

// Without keys nothing changes: whatever a signature says, it is believed.
func TestWithoutKeysSignaturesAreNotVerified(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	for _, p := range protocols() {
		r := b.request(p)
		b.sign(r, aws.Credentials{AccessKeyID: "000000000000", SecretAccessKey: "any"}, p.service, p.body,
			time.Now().Add(-time.Hour))
		status, answer := b.send(b.client, r)
		if status == http.StatusForbidden || strings.Contains(answer, "Signature") {
			t.Errorf("%s: %d %s", p.service, status, answer)
		}
	}
}

// A key that is taken out of the file loses its rights, one that is put in gets them, and a file that is wrong changes
// nothing.
func TestTheKeyFileIsReadAgain(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, Config{})
	call := func(k aws.Credentials) int {
		t.Helper()
		p := protocols()[0]
		r := g.request(p)
		g.sign(r, k, p.service, p.body, time.Now())
		status, _ := g.send(g.client, r)
		return status
	}
	k := g.keys[auth.View]
	if status := call(k); status != 200 {
		t.Fatalf("before: %d", status)
	}
	path := g.s.cfg.Auth.Path()
	if err := os.WriteFile(path, []byte("keys: 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.s.cfg.Auth.Reload(); err == nil || call(k) != 200 {
		t.Errorf("a wrong file: %v", err)
	}
	if err := os.WriteFile(path, []byte("keys:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.s.cfg.Auth.Reload(); err != nil || call(k) != 400 {
		t.Errorf("a file without the key: %v", err)
	}
}

func hmacSHA256(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
