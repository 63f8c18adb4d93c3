package lambda_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/api/lambda"
	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/eventually"
	"github.com/shardmill/shardmill/storage/memory"
)

const (
	arnF = "arn:aws:lambda:us-east-1:123456789012:function:f"
	role = "arn:aws:iam::123456789012:role/r"
	auth = "AWS4-HMAC-SHA256 Credential=123456789012/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0"

	functions = "/2015-03-31/functions"
)

// bench is Lambda behind the router of the shared port.
type bench struct {
	t      *testing.T
	server *httptest.Server
	f      *function.Functions
}

func start(t *testing.T, change ...func(*function.Options)) *bench {
	t.Helper()
	opt := function.Options{
		Python: "python3", TailWait: time.Minute, Store: memory.New(memory.Options{}), Dir: t.TempDir(),
	}
	for _, c := range change {
		c(&opt)
	}
	f, err := function.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := lambda.New(lambda.Options{Functions: f, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	server := httptest.NewServer(&wire.Router{
		Services: []wire.Service{lambda.Service(h)}, Keys: f, Unknown: http.NotFoundHandler(),
		Fallback: wire.Service{Handler: http.NotFoundHandler()},
	})
	t.Cleanup(func() {
		server.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		f.Stop(ctx)
	})
	return &bench{t, server, f}
}

// answer is a response read to its end.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

// do sends a request; body is text, or a value to send as JSON. headers are pairs.
func (b *bench) do(method, path string, body any, headers ...string) answer {
	b.t.Helper()
	var in io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(body)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			b.t.Fatal(err)
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, b.server.URL+path, in)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", auth)
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := b.server.Client().Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{b.t, resp.StatusCode, resp.Header, string(text)}
}

// fields decodes a JSON object.
func (a answer) fields() map[string]any {
	a.t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		a.t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return m
}

// is checks the status and that the body is exactly text.
func (a answer) is(status int, text string) {
	a.t.Helper()
	if a.status != status || a.body != text {
		a.t.Fatalf("got %d %s\nwant %d %s", a.status, a.body, status, text)
	}
}

// fails checks an error: status, code in the header, message, and whether Type is User.
func (a answer) fails(status int, code, message string) {
	a.t.Helper()
	m := a.fields()
	text, _ := m["message"].(string)
	if text == "" {
		text, _ = m["Message"].(string)
	}
	if a.status != status || a.header.Get("x-amzn-errortype") != code || text != message {
		a.t.Fatalf(
			"got %d %s %s\nwant %d %s %s", a.status, a.header.Get("x-amzn-errortype"), a.body, status, code, message,
		)
	}
	if a.header.Get("x-amzn-requestid") == "" {
		a.t.Error("no request id")
	}
}

// echo is a provided runtime in shell: it answers every event with itself. It needs nothing but /bin/sh and a TCP
// client, so it hands over to python3.
const echo = `#!/bin/sh
exec python3 -c '
import os, http.client
c = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    c.request("GET", "/2018-06-01/runtime/invocation/next")
    r = c.getresponse(); id = r.headers["Lambda-Runtime-Aws-Request-Id"]; body = r.read()
    c.request("POST", "/2018-06-01/runtime/invocation/" + id + "/response", body)
    c.getresponse().read()
'
`

func zipFile(name, body string) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	h := &zip.FileHeader{Name: name, Method: zip.Deflate}
	h.SetMode(0o755)
	out, _ := w.CreateHeader(h)
	_, _ = out.Write([]byte(body))
	_ = w.Close()
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

type object = map[string]any

// request returns the body of a minimal CreateFunction, with changes.
func request(change object) object {
	body := object{
		"FunctionName": "f", "Role": role, "Runtime": "provided.al2023", "Handler": "bootstrap",
		"Code": object{"ZipFile": zipFile("bootstrap", echo)},
	}
	for k, v := range change {
		if v == nil {
			delete(body, k)
			continue
		}
		body[k] = v
	}
	return body
}

// create makes f and waits until it is Active.
func (b *bench) create(change object) map[string]any {
	b.t.Helper()
	a := b.do("POST", functions, request(change))
	if a.status != 201 {
		b.t.Fatalf("create: %d %s", a.status, a.body)
	}
	return b.settled()
}

// settled is f once no transition is under way.
func (b *bench) settled() map[string]any {
	b.t.Helper()
	ref := function.Ref{Account: "123456789012", Region: "us-east-1", Name: "f"}
	for {
		changed := b.f.Changed(ref)
		m := b.do("GET", functions+"/f/configuration", nil).fields()
		if m["State"] != "Pending" && m["LastUpdateStatus"] != "InProgress" {
			return m
		}
		eventually.Comes(b.t, fmt.Sprint("a change of ", m), changed)
	}
}
