package server

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/internal/eventually"
)

// The target of these tests: another server of ours, which takes the access key for the account.
const (
	thereAccount, thereSecret, thereSession = "111122223333", "the-secret", "the/session+token=="
	thereRegion                             = "eu-west-1"
)

// gate stands in front of a server and lets through only what is signed with the key above. AWS's SDK judges.
type gate struct {
	b    *bench
	seen chan string  // operations that came through
	big  atomic.Int64 // bytes of the longest body

	mu    sync.Mutex
	wrong string // why a request was refused
}

// ServeHTTP checks one request.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if wrong := misSigned(r); wrong != "" {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.wrong = wrong
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"__type":"SignatureDoesNotMatch","message":%q}`, wrong)
		return
	}
	if r.ContentLength > g.big.Load() {
		g.big.Store(r.ContentLength)
	}
	select {
	case g.seen <- r.Header.Get("X-Amz-Target"):
	default:
	}
	g.b.s.answer(w, r)
}

// refused returns why a request was refused; "": none was.
func (g *gate) refused() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.wrong
}

// misSigned says what is wrong with a signature; "" if nothing is.
func misSigned(r *http.Request) string {
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || time.Since(at).Abs() > time.Minute {
		return "the date " + r.Header.Get("X-Amz-Date")
	}
	digest := r.Header.Get("X-Amz-Content-Sha256")
	if len(digest) == 64 && r.ContentLength < 1<<20 {
		body, err := io.ReadAll(r.Body)
		sum := sha256.Sum256(body)
		if err != nil || hex.EncodeToString(sum[:]) != digest {
			return "the digest"
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	c := wire.ReadCaller(r, nil)
	again := r.Clone(r.Context())
	again.Header = http.Header{}
	_, list, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	list, _, _ = strings.Cut(list, ",")
	again.ContentLength, again.URL.Host, again.URL.Scheme = 0, r.Host, "http"
	for name := range strings.SplitSeq(list, ";") {
		if v := r.Header.Values(name); v != nil && name != "x-amz-date" && name != "x-amz-security-token" {
			again.Header[http.CanonicalHeaderKey(name)] = v
		}
	}
	for name := range r.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") && !strings.Contains(list, name) {
			return name + " is not signed"
		}
	}
	key := aws.Credentials{AccessKeyID: thereAccount, SecretAccessKey: thereSecret, SessionToken: thereSession}
	err = v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = c.Service == "s3" }).SignHTTP(
		r.Context(), key, again, digest, c.Service, c.Region, at,
	)
	if err != nil || again.Header.Get("Authorization") != r.Header.Get("Authorization") {
		return fmt.Sprintf("got %s, want %s: %v", r.Header.Get("Authorization"), again.Header.Get("Authorization"), err)
	}
	return ""
}

// target runs another server behind a gate, and returns the values that proxy companions to it.
func target(t *testing.T, companions ...string) (there *bench, g *gate, cfg Config) {
	t.Helper()
	there = start(t, Config{})
	g = &gate{b: there, seen: make(chan string, 1000)}
	front := httptest.NewServer(g)
	t.Cleanup(front.Close)
	return there, g, proxyTo(t, front.URL, companions...)
}

// proxyTo returns a configuration that proxies companions to a URL.
func proxyTo(t *testing.T, url string, companions ...string) Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "credentials")
	text := fmt.Sprintf("[default]\naws_access_key_id = no\n\n[there]\naws_access_key_id=%s\naws_secret_access_key = %s\n"+
		"aws_session_token=%s\n[wrong]\naws_access_key_id=%s\naws_secret_access_key=other\naws_session_token=%s\n",
		thereAccount, thereSecret, thereSession, thereAccount, thereSession)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := Config{ProxyCredentials: file, Companions: map[string]string{}}
	for _, name := range companions {
		cfg.Companions[name] = "proxy:" + url + ",there,region=" + thereRegion
	}
	return cfg
}

// there calls a server as its own clients do.
func (b *bench) there(target, contentType, body string) string {
	b.Helper()
	headers := []string{
		"Content-Type", contentType, "Authorization", "AWS4-HMAC-SHA256 Credential=" + thereAccount +
			"/20260101/" + thereRegion + "/any/aws4_request, SignedHeaders=host, Signature=00",
	}
	if target != "" {
		headers = append(headers, "X-Amz-Target", target)
	}
	return b.ok(b.do("POST", "/", body, headers...))
}

// contains fails unless a text holds all others.
func contains(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%s\nlacks %s", got, w)
		}
	}
}

const jsonType = "application/x-amz-json-1.0"

// Queues of a proxied companion lie at the target and have our names here, in both protocols; messages are what was
// sent, even if they look like names.
func TestAProxiedQueueHasOurNames(t *testing.T) {
	t.Parallel()
	there, g, cfg := target(t, "queue")
	b := start(t, cfg)
	ours := b.s.Endpoint() + "/000000000000/"
	contains(t, b.ok(b.call("AmazonSQS.CreateQueue", jsonType, `{"QueueName":"dead"}`)), `"`+ours+`dead"`)
	const dead = `arn:aws:sqs:us-east-1:000000000000:dead`
	b.ok(b.call("AmazonSQS.CreateQueue", jsonType, `{"QueueName":"q"}`))

	contains(t, there.there("AmazonSQS.GetQueueAttributes", jsonType,
		`{"QueueUrl":"http://x/111122223333/q","AttributeNames":["All"]}`), `arn:aws:sqs:eu-west-1:111122223333:q"`)
	contains(t, b.ok(b.call(
		"AmazonSQS.GetQueueAttributes", jsonType, `{"QueueUrl":"`+ours+`q","AttributeNames":["All"]}`,
	)), `arn:aws:sqs:us-east-1:000000000000:q"`)
	contains(t, b.ok(b.call("AmazonSQS.ListQueues", jsonType, `{}`)), ours+"q", ours+"dead")
	contains(t, b.ok(b.call(
		"AmazonSQS.GetQueueUrl", jsonType, `{"QueueName":"q","QueueOwnerAWSAccountId":"000000000000"}`,
	)), ours)

	const body = `arn:aws:sqs:eu-west-1:111122223333:q and ` + dead
	b.ok(b.call("AmazonSQS.SendMessage", jsonType, `{"QueueUrl":"`+ours+`q","MessageBody":"`+body+`"}`))
	contains(t, there.there("AmazonSQS.ReceiveMessage", jsonType, `{"QueueUrl":"http://x/111122223333/q"}`), body)
	b.ok(b.call("AmazonSQS.SendMessage", jsonType, `{"QueueUrl":"`+ours+`q","MessageBody":"`+body+`"}`))
	status, answer := b.do("GET", "/000000000000/q?Action=ReceiveMessage&Version=2012-11-05", "", "Authorization",
		fmt.Sprintf(signature, "sqs"))
	contains(t, b.ok(status, answer), "<Body>"+body+"</Body>")
	contains(t, b.ok(b.call("", formType, "Action=GetQueueUrl&Version=2012-11-05&QueueName=q")), "<QueueUrl>"+ours+"q<")

	// What the target refuses is its own answer.
	status, answer = b.call("AmazonSQS.SendMessage", jsonType, `{"QueueUrl":"`+ours+`gone","MessageBody":"x"}`)
	if contains(t, answer, "QueueDoesNotExist", "The specified queue does not exist."); status != 400 {
		t.Errorf("a queue that does not exist: %d", status)
	}
	if wrong := g.refused(); wrong != "" {
		t.Errorf("the gate: %s", wrong)
	}
}

// Tables and roles of proxied companions have our names, too.
func TestProxiedTablesAndRolesHaveOurNames(t *testing.T) {
	t.Parallel()
	there, _, cfg := target(t, "table", "identity")
	b := start(t, cfg)
	contains(t, b.ok(b.call("DynamoDB_20120810.CreateTable", jsonType, `{"TableName":"tab","BillingMode":"PAY_PER_REQUEST",`+
		`"KeySchema":[{"AttributeName":"k","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"k","AttributeType":"S"}]}`,
	)), `"arn:aws:dynamodb:us-east-1:000000000000:table/tab"`)
	const item = `{"k":{"S":"arn:aws:dynamodb:us-east-1:000000000000:table/tab"},"TableArn":{"S":"arn:aws:dynamodb:eu-west-1:111122223333:table/tab"}}`
	b.ok(b.call("DynamoDB_20120810.PutItem", jsonType, `{"TableName":"tab","Item":`+item+`}`))
	for name, got := range map[string]string{
		"here":  b.ok(b.call("DynamoDB_20120810.Scan", jsonType, `{"TableName":"tab"}`)),
		"there": there.there("DynamoDB_20120810.Scan", jsonType, `{"TableName":"tab"}`),
	} {
		var scanned struct{ Items []json.RawMessage }
		if err := json.Unmarshal([]byte(got), &scanned); err != nil || len(scanned.Items) != 1 ||
			!sameJSON(string(scanned.Items[0]), item) {
			t.Errorf("%s: %s", name, got)
		}
	}
	contains(t, there.there("DynamoDB_20120810.DescribeTable", jsonType, `{"TableName":"tab"}`),
		"eu-west-1:111122223333:table/tab")

	contains(t, b.ok(b.call("", formType, roleForm)), "<Arn>arn:aws:iam::000000000000:role/r</Arn>")
	contains(t, there.there("", formType, rolesForm), "<Arn>arn:aws:iam::111122223333:role/r</Arn>")
	contains(t, b.ok(b.call("", formType, "Action=GetCallerIdentity&Version=2011-06-15")),
		"<Account>000000000000</Account>")
}

func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil &&
		fmt.Sprint(x) == fmt.Sprint(y)
}

// s3There signs as the target's own clients do.
const s3There = "AWS4-HMAC-SHA256 Credential=" + thereAccount + "/20260101/eu-west-1/s3/aws4_request, " +
	"SignedHeaders=host;x-amz-date, Signature=00"

// Objects pass through whatever their size, with their digests, in every way in which a body is signed. A bucket is in
// the caller's region here, and in the target's there.
func TestProxiedBucketsLetObjectsThrough(t *testing.T) {
	t.Parallel()
	there, g, cfg := target(t, "bucket")
	b := start(t, cfg)
	s3 := fmt.Sprintf(signature, "s3")
	b.ok(b.do("PUT", "/things", "", "Authorization", s3))
	contains(t, there.ok(there.do("GET", "/things?location", "", "Authorization", s3There)), ">eu-west-1<")
	if got := b.ok(b.do("GET", "/things?location", "", "Authorization", s3)); strings.Contains(got, "eu-west-1") {
		t.Errorf("the bucket lies in %s", got)
	}

	big := strings.Repeat("arn:aws:sqs:us-east-1:000000000000:q ", 9<<20/37)
	sum := sha256.Sum256([]byte(big))
	b.ok(b.do(
		"PUT", "/things/a/%C3%A9%20+.txt", big, "Authorization", s3, "X-Amz-Content-Sha256", hex.EncodeToString(sum[:]),
	))
	if g.big.Load() != int64(len(big)) {
		t.Errorf("the longest body that came there has %d bytes of %d", g.big.Load(), len(big))
	}
	if got := there.ok(there.do("GET", "/things/a/%C3%A9%20+.txt", "", "Authorization", s3There)); got != big {
		t.Errorf("%d bytes of %d are there", len(got), len(big))
	}
	status, part := b.do("GET", "/things/a/%C3%A9%20+.txt", "", "Authorization", s3, "Range", "bytes=8388608-8388617")
	if part != big[8388608:8388618] || status != http.StatusPartialContent {
		t.Errorf("a range: %d %q", status, part)
	}

	signed := "5;chunk-signature=" + strings.Repeat("0", 64) + "\r\nhello\r\n0;chunk-signature=" + strings.Repeat("0", 64) + "\r\n"
	b.ok(b.do("PUT", "/things/chunks", signed+"\r\n", "Authorization", s3, "Content-Encoding", "aws-chunked",
		"X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "X-Amz-Decoded-Content-Length", "5"))
	b.ok(b.do("PUT", "/things/trailer", signed+"x-amz-checksum-crc32:NhCmhg==\r\nx-amz-trailer-signature:00\r\n\r\n",
		"Authorization", s3, "Content-Encoding", "aws-chunked", "X-Amz-Trailer", "x-amz-checksum-crc32",
		"X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "X-Amz-Decoded-Content-Length", "5"))
	for _, key := range []string{"chunks", "trailer"} {
		if got := b.ok(b.do("GET", "/things/"+key, "", "Authorization", s3)); got != "hello" {
			t.Errorf("%s: %q", key, got)
		}
	}
	status, answer := b.do("PUT", "/things/bad", signed+"x-amz-checksum-crc32:AAAAAA==\r\nx-amz-trailer-signature:00\r\n\r\n",
		"Authorization", s3, "Content-Encoding", "aws-chunked", "X-Amz-Trailer", "x-amz-checksum-crc32",
		"X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "X-Amz-Decoded-Content-Length", "5")
	if status != 400 {
		t.Errorf("a checksum in a trailer is not compared there: %d %s", status, answer)
	}
	status, answer = b.do("PUT", "/things/cut", "5\r\nhel", "Authorization", s3, "X-Amz-Content-Sha256",
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "X-Amz-Decoded-Content-Length", "5")
	if contains(t, answer, "IncompleteBody"); status != 400 {
		t.Errorf("a body that ends early: %d", status)
	}

	b.ok(b.do("PUT", "/key", "hosted", "Host", "things.localhost:4566", "Authorization", s3))
	contains(t, there.ok(there.do("GET", "/things/key", "", "Authorization", s3There)), "hosted")
	answer = b.ok(b.do("POST", "/things/parts?uploads", "", "Authorization", s3))
	_, id, _ := strings.Cut(answer, "<UploadId>")
	id, _, _ = strings.Cut(id, "<")
	b.ok(b.do("PUT", "/things/parts?partNumber=1&uploadId="+id, "one", "Authorization", s3))
	contains(t, b.ok(b.do("POST", "/things/parts?uploadId="+id,
		`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"f97c5d29941bfb1b2fdab0874906ab82"</ETag></Part></CompleteMultipartUpload>`,
		"Authorization", s3)), "<Location>"+b.s.Endpoint()+"/things/parts</Location>")
}

// A key that the target does not know gets the target's own refusal.
func TestAWrongSecretIsRefusedByTheTarget(t *testing.T) {
	t.Parallel()
	_, g, cfg := target(t, "queue")
	cfg.Companions["queue"] = strings.Replace(cfg.Companions["queue"], ",there,", ",wrong,", 1)
	b := start(t, cfg)
	status, answer := b.call("AmazonSQS.ListQueues", jsonType, `{}`)
	if status != 403 || !strings.Contains(answer, "SignatureDoesNotMatch") || !strings.HasPrefix(g.refused(), "got") {
		t.Errorf("answered %d %s; the gate says %s", status, answer, g.refused())
	}
}

// wordings are requests to every service of a companion, and what its refusals look like.
var wordings = []struct{ companion, method, path, target, contentType, body, service string }{
	{"queue", "POST", "/", "AmazonSQS.ListQueues", jsonType, "{}", "sqs"},
	{"queue", "POST", "/", "", formType, "Action=ListQueues&Version=2012-11-05", "sqs"},
	{"table", "POST", "/", "DynamoDB_20120810.ListTables", jsonType, "{}", "dynamodb"},
	{"topic", "POST", "/", "", formType, "Action=ListTopics&Version=2010-03-31", "sns"},
	{"bucket", "GET", "/things/key", "", "", "", "s3"},
	{"bucket", "PUT", "/things/key", "", "", "body", "s3"},
	{"logs", "POST", "/", "Logs_20140328.DescribeLogGroups", "application/x-amz-json-1.1", "{}", "logs"},
	{"identity", "POST", "/", "", formType, rolesForm, "iam"},
	{"identity", "POST", "/", "", formType, "Action=GetCallerIdentity&Version=2011-06-15", "sts"},
}

// says sends one of the wordings and returns status and answer, with the hint.
func (b *bench) says(i int) (int, string) {
	b.Helper()
	w := wordings[i]
	headers := []string{"Authorization", fmt.Sprintf(signature, w.service)}
	if w.contentType != "" {
		headers = append(headers, "Content-Type", w.contentType)
	}
	if w.target != "" {
		headers = append(headers, "X-Amz-Target", w.target)
	}
	return b.do(w.method, w.path, w.body, headers...)
}

// A companion that is off is refused by name in the protocol of every service, and nothing of it is opened.
func TestCompanionsThatAreOffAreRefusedByName(t *testing.T) {
	t.Parallel()
	cfg := Config{Data: t.TempDir(), Companions: map[string]string{}}
	for _, name := range CompanionNames() {
		cfg.Companions[name] = "off"
	}
	b := start(t, cfg)
	for i, w := range wordings {
		status, answer := b.says(i)
		if status != http.StatusNotImplemented {
			t.Errorf("%s %s: %d", w.companion, w.service, status)
		}
		contains(t, answer, "The companion "+w.companion+" is off: the server was started with --"+w.companion+" off.",
			"NotImplemented")
		if w.contentType == formType || w.service == "s3" {
			contains(t, answer, "<Code>NotImplemented")
		}
	}
	for _, query := range []string{"?function=f", "?function=f&follow=1"} {
		status, answer := b.control("GET", control.PathLogs+query, "")
		if contains(t, answer, "The companion logs is off"); status != http.StatusNotImplemented {
			t.Errorf("what a function has printed: %d %s", status, answer)
		}
	}
	for _, name := range []string{"logs", "objects"} {
		if _, err := os.Stat(filepath.Join(cfg.Data, name)); err == nil {
			t.Errorf("%s has been opened", name)
		}
	}
}

// A target that cannot be reached is named, with what to do, in the protocol of every service; so is one that sends us
// elsewhere, where nobody goes.
func TestATargetThatDoesNotAnswerIsNamed(t *testing.T) {
	t.Parallel()
	followed := make(chan string, 10)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		followed <- r.URL.Path
	}))
	defer elsewhere.Close()
	redirecting := httptest.NewServer(http.RedirectHandler(elsewhere.URL+"/x", http.StatusTemporaryRedirect))
	defer redirecting.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	for url, says := range map[string]string{
		gone.URL: "which does not answer: ", redirecting.URL: "which redirects to another place (307)",
	} {
		b := start(t, proxyTo(t, url, CompanionNames()...))
		for i, w := range wordings {
			status, answer := b.says(i)
			if status != http.StatusServiceUnavailable {
				t.Errorf("%s %s: %d", w.companion, w.service, status)
			}
			contains(t, answer, "the companion "+w.companion+" is proxied to "+url+", "+says)
		}
	}
	select {
	case path := <-followed:
		t.Errorf("a redirect was followed to %s", path)
	default:
	}
}

// A companion that is proxied to this very server, by whatever way, is no endless loop.
func TestAProxyThatLeadsBackIsNoLoop(t *testing.T) {
	t.Parallel()
	var b *bench
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.s.answer(w, r) }))
	defer front.Close()
	b = start(t, proxyTo(t, front.URL, "queue", "bucket"))
	for i, w := range wordings {
		if w.companion == "queue" || w.companion == "bucket" {
			_, answer := b.says(i)
			contains(t, answer, "which leads back to this server")
		}
	}
}

// Notices of a mapping go through the proxy, to the target's queue, topic or bucket; S-50, and S-82 for the last.
func TestNoticesGoThroughTheProxy(t *testing.T) {
	t.Parallel()
	there, g, cfg := target(t, "queue", "topic", "bucket")
	there.there("AmazonSQS.CreateQueue", jsonType, `{"QueueName":"dead"}`)
	there.there("AmazonSQS.CreateQueue", jsonType, `{"QueueName":"copies"}`)
	there.there("", formType, "Action=CreateTopic&Version=2010-03-31&Name=gone")
	there.there("", formType, "Action=Subscribe&Version=2010-03-31&Protocol=sqs&TopicArn=arn:aws:sns:eu-west-1:111122223333:gone"+
		"&Endpoint=arn:aws:sqs:eu-west-1:111122223333:copies&Attributes.entry.1.key=RawMessageDelivery&Attributes.entry.1.value=true")
	there.ok(there.do("PUT", "/objects", "", "Authorization", s3There))

	told := make(chan struct{}, 10)
	cfg.Observe = func(o engine.Observation) {
		if _, ok := o.What.(*esm.NoticeDelivered); ok {
			told <- struct{}{}
		}
	}
	b := start(t, cfg)
	b.pipeline()
	for to, look := range map[string]func() string{
		"arn:aws:sqs:us-east-1:000000000000:dead": func() string {
			return there.there("AmazonSQS.ReceiveMessage", jsonType, `{"QueueUrl":"http://x/111122223333/dead"}`)
		},
		"arn:aws:sns:us-east-1:000000000000:gone": func() string {
			return there.there("AmazonSQS.ReceiveMessage", jsonType, `{"QueueUrl":"http://x/111122223333/copies"}`)
		},
		"arn:aws:s3:::objects": func() string {
			list := there.ok(there.do("GET", "/objects?list-type=2", "", "Authorization", s3There))
			_, key, _ := strings.Cut(list, "<Key>")
			key, _, _ = strings.Cut(key, "<")
			return there.ok(there.do("GET", "/objects/"+key, "", "Authorization", s3There))
		},
	} {
		b.announcing(to)
		b.put("fail once for " + to)
		<-told
		contains(t, strings.ReplaceAll(look(), `\"`, `"`), `"condition":"RetryAttemptsExhausted"`,
			`arn:aws:kinesis:us-east-1:000000000000:stream/orders`)
	}
	if wrong := g.refused(); wrong != "" {
		t.Errorf("the gate: %s", wrong)
	}
}

// A target that refuses a notice, or does not answer, uses up its three tries; so does a companion that has become off
// since. Then the notice is given up with the reason, and counted; S-84.
func TestANoticeThatNobodyTakesIsGivenUpAndCounted(t *testing.T) {
	t.Parallel()
	_, _, refusing := target(t, "queue")
	gone := httptest.NewServer(nil)
	gone.Close()
	off := Config{Companions: map[string]string{"queue": "off"}}
	for name, c := range map[string]struct {
		cfg  Config
		want string
	}{
		"refused":     {refusing, "answers 400 QueueDoesNotExist: The specified queue does not exist."},
		"unreachable": {proxyTo(t, gone.URL, "queue"), "which does not answer: "},
		"off":         {off, "The companion queue is off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			before := start(t, Config{Data: data})
			before.pipeline()
			before.announcing("arn:aws:sqs:us-east-1:000000000000:dead")
			before.stopNow()

			given := make(chan *esm.Dropped, 10)
			var tries atomic.Int64
			c.cfg.Data = data
			c.cfg.Observe = func(o engine.Observation) {
				switch what := o.What.(type) {
				case *esm.NoticeFailed:
					tries.Add(1)
				case *esm.Dropped:
					given <- what
				default: // the test waits for no more
				}
			}
			b := start(t, c.cfg)
			b.put("fail once, say")
			got := <-given
			if got.Why != esm.DropRefused || got.Count != 1 || tries.Load() != 3 {
				t.Errorf("%s of %d after %d tries", got.Why, got.Count, tries.Load())
			}
			contains(t, got.Reason, c.want)
		})
	}
}

// A mapping cannot get a destination whose companion is off; the refusal names it.
func TestADestinationThatIsOffIsRefused(t *testing.T) {
	t.Parallel()
	b := start(t, Config{Companions: map[string]string{"queue": "off", "topic": "off", "bucket": "off"}})
	b.pipeline()
	for to, name := range map[string]string{
		"arn:aws:sqs:us-east-1:000000000000:q": "queue", "arn:aws:sns:us-east-1:000000000000:t": "topic", "arn:aws:s3:::things": "bucket",
	} {
		for _, request := range [][2]string{
			{"POST", `{"FunctionName":"f","EventSourceArn":"arn:aws:kinesis:us-east-1:000000000000:stream/orders","StartingPosition":"LATEST",`},
			{"PUT", `{`},
		} {
			path := "/2015-03-31/event-source-mappings"
			if request[0] == "PUT" {
				path += "/" + b.mapping()
			}
			in := request[1] + `"DestinationConfig":{"OnFailure":{"Destination":"` + to + `"}}}`
			status, answer := b.lambda(request[0], path, in)
			if status != 400 {
				t.Errorf("%s %s: %d", request[0], to, status)
			}
			contains(t, answer, "The companion "+name+" is off")
		}
	}
}

// Topics of a proxied companion have our names; a subscription of what the target cannot reach is refused.
func TestAProxiedTopicHasOurNames(t *testing.T) {
	t.Parallel()
	there, _, cfg := target(t, "topic", "queue")
	const version = "&Version=2010-03-31"
	const topic, queue = "arn:aws:sns:us-east-1:000000000000:t", "arn:aws:sqs:us-east-1:000000000000:q"
	b := start(t, cfg)
	b.ok(b.call("AmazonSQS.CreateQueue", jsonType, `{"QueueName":"q"}`))
	contains(t, b.ok(b.call("", formType, "Action=CreateTopic&Name=t"+version)), "<TopicArn>"+topic+"</TopicArn>")
	contains(t, there.there("", formType, "Action=ListTopics"+version), "arn:aws:sns:eu-west-1:111122223333:t")
	contains(t, b.ok(b.call("", formType, "Action=Subscribe&Protocol=sqs&TopicArn="+topic+"&Endpoint="+queue+version)),
		"<SubscriptionArn>"+topic+":")
	contains(t, b.ok(b.call("", formType, "Action=ListSubscriptions"+version)), "<Endpoint>"+queue+"<", "<Owner>000000000000<")
	contains(t, b.ok(b.call("", formType, "Action=GetTopicAttributes&TopicArn="+topic+version)),
		"<value>"+topic+"</value>", "<value>000000000000</value>")
	b.ok(b.call("", formType, "Action=Publish&TopicArn="+topic+"&Message="+queue+version))
	contains(t, b.ok(b.call("AmazonSQS.ReceiveMessage", jsonType, `{"QueueUrl":"http://x/000000000000/q"}`)),
		`\"Message\" : \"`+queue+`\"`)

	together := cfg.Companions["queue"]
	for what, elsewhere := range map[string]string{
		"queues of ours": "embedded", "queues of another account": together + ",account=444455556666",
		"queues of another region": together + ",region=eu-west-2",
	} {
		cfg.Companions["queue"] = elsewhere
		alone := start(t, cfg)
		for _, endpoint := range []string{"sqs&Endpoint=" + queue, "lambda&Endpoint=arn:aws:lambda:us-east-1:000000000000:function:f"} {
			status, answer := alone.call("", formType, "Action=Subscribe&TopicArn="+topic+"&Protocol="+endpoint+version)
			if contains(t, answer, "<Code>InvalidParameter</Code>", "which cannot reach it"); status != 400 {
				t.Errorf("%s, %s: %d", what, endpoint, status)
			}
		}
	}
}

// Copies of a topic of ours go to the target's queues, raw ones with their attributes.
func TestATopicDeliversToProxiedQueues(t *testing.T) {
	t.Parallel()
	there, _, cfg := target(t, "queue")
	b := start(t, cfg)
	const version = "&Version=2010-03-31"
	const topic, queue = "arn:aws:sns:us-east-1:000000000000:t", "arn:aws:sqs:us-east-1:000000000000:q"
	b.ok(b.call("AmazonSQS.CreateQueue", jsonType, `{"QueueName":"q"}`))
	b.ok(b.call("", formType, "Action=CreateTopic&Name=t"+version))
	b.ok(b.call("", formType, "Action=Subscribe&Protocol=sqs&TopicArn="+topic+"&Endpoint="+queue+
		"&Attributes.entry.1.key=RawMessageDelivery&Attributes.entry.1.value=true"+version))
	b.ok(b.call("", formType, "Action=Publish&TopicArn="+topic+"&Message=hello"+
		"&MessageAttributes.entry.1.Name=s&MessageAttributes.entry.1.Value.DataType=String&MessageAttributes.entry.1.Value.StringValue=text"+
		"&MessageAttributes.entry.2.Name=b&MessageAttributes.entry.2.Value.DataType=Binary&MessageAttributes.entry.2.Value.BinaryValue=AP8%3D"+version))
	contains(t, there.there("AmazonSQS.ReceiveMessage", jsonType,
		`{"QueueUrl":"http://x/111122223333/q","MessageAttributeNames":["All"]}`),
		`"Body":"hello"`, `"StringValue":"text"`, `"BinaryValue":"AP8="`)
}

// What functions print is kept in the target's log groups, which are made, and comes back from there.
func TestLinesOfFunctionsAreKeptElsewhere(t *testing.T) {
	t.Parallel()
	there, g, cfg := target(t, "logs")
	b := start(t, cfg)
	b.pipeline()
	b.put("say something")
	puts := 0
	for puts < 2 { // the first finds no group
		if <-g.seen == "Logs_20140328.PutLogEvents" {
			puts++
		}
	}
	follower := make(chan string, 1)
	go func() {
		_, text := b.followed("f", "say something")
		follower <- text
	}()
	contains(t, <-follower, "say something")
	contains(t, there.there("Logs_20140328.FilterLogEvents", "application/x-amz-json-1.1",
		`{"logGroupName":"/aws/lambda/f","filterPattern":"say"}`), "say something")
	contains(t, b.ok(b.call("Logs_20140328.DescribeLogGroups", "application/x-amz-json-1.1", `{}`)),
		"arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/f")
	b.stopNow() // which sends what is left
	contains(t, there.there("Logs_20140328.FilterLogEvents", "application/x-amz-json-1.1",
		`{"logGroupName":"/aws/lambda/f","filterPattern":"REPORT"}`), "REPORT RequestId")
}

// followed reads the log of a function until a line holds a text.
func (b *bench) followed(name, until string) (int, string) {
	url := b.s.Endpoint() + control.PathLogs + "?follow=1&function=" + name
	r, err := http.NewRequestWithContext(b.Context(), "GET", url, nil)
	if err != nil {
		return 0, err.Error()
	}
	r.Header.Set("Authorization", "Bearer "+b.s.Token())
	resp, err := b.client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if strings.Contains(lines.Text(), until) {
			return resp.StatusCode, lines.Text()
		}
	}
	return resp.StatusCode, fmt.Sprint("ended: ", lines.Err())
}

// mapping returns the id of the one mapping.
func (b *bench) mapping() string {
	b.Helper()
	_, uuid, _ := strings.Cut(b.ok(b.lambda("GET", "/2015-03-31/event-source-mappings", "")), `"UUID":"`)
	uuid, _, _ = strings.Cut(uuid, `"`)
	return uuid
}

// announcing makes the one mapping give up at once, and announce it. It returns when that is in effect.
func (b *bench) announcing(to string) {
	b.Helper()
	path := "/2015-03-31/event-source-mappings/" + b.mapping()
	b.ok(b.lambda("PUT", path,
		`{"MaximumRetryAttempts":0,"DestinationConfig":{"OnFailure":{"Destination":"`+to+`"}}}`))
	b.inEffect(path)
}

// inEffect waits until the last change of an enabled mapping is in effect.
func (b *bench) inEffect(path string) {
	b.Helper()
	eventually.Reaches(b.T, "the mapping at rest", func() (bool, string) {
		answer := b.ok(b.lambda("GET", path, ""))
		return strings.Contains(answer, `"State":"Enabled"`), answer
	})
}

// What is wrong with a companion's setting is said before anything starts.
func TestACompanionsSettingIsCheckedAtTheStart(t *testing.T) {
	t.Parallel()
	good := proxyTo(t, "http://127.0.0.1:1", "queue")
	for value, want := range map[string]string{
		"aws":                 `--queue: "aws" is none of embedded, off or proxy:URL`,
		"proxy:":              "--queue: proxy: has no URL such as",
		"proxy:ftp://x,there": "must begin with https:// or http://",
		"proxy:http://a:b@x":  "credentials belong into the file",
		"proxy:http://x/y":    "must end after its host and port",
		"proxy:http://x":      "the host x does not tell its region",
		"proxy:http://sqs.eu-west-1.amazonaws.com":                    "reach it by https://",
		"proxy:https://sqs.eu-west-1.amazonaws.com,nobody":            "has no profile [nobody]",
		"proxy:https://sqs.eu-west-1.amazonaws.com":                   "lacks aws_access_key_id or aws_secret_access_key",
		"proxy:https://sqs.eu-west-1.amazonaws.com,there,account=1":   `account "1" does not have 12 digits`,
		"proxy:https://sqs.eu-west-1.amazonaws.com,there,region=a_b":  `region "a_b" is no region`,
		"proxy:https://sqs.eu-west-1.amazonaws.com,there,colour=blue": `"colour=blue" is not understood`,
	} {
		cfg := good
		cfg.Companions = map[string]string{"queue": value}
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", value, err, want)
		}
	}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no file":         {func(c *Config) { c.ProxyCredentials = "" }, "--queue: proxy: needs --proxy-credentials"},
		"a missing file":  {func(c *Config) { c.ProxyCredentials += "x" }, "--proxy-credentials: open"},
		"a directory":     {func(c *Config) { c.ProxyCredentials = os.TempDir() }, "is no file"},
		"an unknown name": {func(c *Config) { c.Companions["sqs"] = "off" }, `companion "sqs" is none of queue, `},
		"AWS's identity": {
			func(c *Config) { c.Companions["identity"] = "proxy:https://sts.eu-west-1.amazonaws.com,there" },
			"two hosts at AWS",
		},
	} {
		cfg := good
		cfg.Companions = map[string]string{"queue": good.Companions["queue"]}
		c.change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
}
