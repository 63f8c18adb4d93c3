package lambda

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/storage/memory"
)

// tagBench is Lambda with mappings and functions, and the ARNs of one of each.
type tagBench struct {
	t                 *testing.T
	handler           http.Handler
	functions         *function.Functions
	mapping, function string
}

func newTagBench(t *testing.T) *tagBench {
	t.Helper()
	f, err := function.New(function.Options{Store: memory.New(memory.Options{}), Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		f.Stop(ctx)
	})
	m := newBench(t)
	b := &tagBench{
		t: t, functions: f, function: lambdas + "f",
		handler: New(Options{Functions: f, Mappings: m.mappings, Log: slog.New(slog.DiscardHandler)}),
	}
	created := m.create(`"Tags":{"team":"a","stage":"dev"}`)
	b.mapping, _ = created.body["EventSourceMappingArn"].(string)
	body := `{"FunctionName":"f","Role":"arn:aws:iam::000000000000:role/r","Runtime":"provided.al2023",` +
		`"Handler":"bootstrap","Tags":{"team":"a","stage":"dev"},"Code":{"ZipFile":"` + smallZip(t) + `"}}`
	b.is(b.do("POST", "/2015-03-31/functions", body), 201, "")
	return b
}

// smallZip returns a package, in base64.
func smallZip(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	if _, err := w.Create("bootstrap"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func (b *tagBench) do(method, target, body string) *httptest.ResponseRecorder {
	b.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 x")
	r = r.WithContext(wire.WithCaller(r.Context(), wire.Caller{
		Account: "000000000000", Region: "us-east-1", RequestID: "r-1", Signed: true,
	}))
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return w
}

// tags calls an operation on an ARN; more follows it in the path.
func (b *tagBench) tags(method, arn, more, body string) *httptest.ResponseRecorder {
	b.t.Helper()
	return b.do(method, "/2017-03-31/tags/"+url.PathEscape(arn)+more, body)
}

// is checks the status, and the body unless want is "".
func (b *tagBench) is(w *httptest.ResponseRecorder, status int, want string) {
	b.t.Helper()
	if got := strings.TrimSpace(w.Body.String()); w.Code != status || want != "" && got != want {
		b.t.Errorf("%d %s\nwant %d %s", w.Code, got, status, want)
	}
}

// S-23 and its twin for functions. Given Tags at Create, then ListTags shows them, the answers of the mapping do not;
// Tag and Untag answer 204 without a body, also for absent keys.
func TestTagLifecycle(t *testing.T) {
	t.Parallel()
	b := newTagBench(t)
	for _, arn := range []string{b.mapping, b.function} {
		b.is(b.tags("GET", arn, "", ""), 200, `{"Tags":{"stage":"dev","team":"a"}}`)
		for _, c := range []struct{ method, more, body, then string }{
			{"POST", "", `{"Tags":{"team":"b","cost":""}}`, `{"Tags":{"cost":"","stage":"dev","team":"b"}}`},
			{"POST", "", `{"Tags":{"team":"b"}}`, `{"Tags":{"cost":"","stage":"dev","team":"b"}}`},
			{"DELETE", "?tagKeys=cost&tagKeys=absent", "", `{"Tags":{"stage":"dev","team":"b"}}`},
			{"POST", "", `{"Tags":{"a:b =+ü":"x"}}`, `{"Tags":{"a:b =+ü":"x","stage":"dev","team":"b"}}`},
			{"DELETE", "?tagKeys=stage%2Cteam&tagKeys=stage&tagKeys=team", "", `{"Tags":{"a:b =+ü":"x"}}`},
			{"DELETE", "?tagKeys=a%3Ab+%3D%2B%C3%BC", "", `{"Tags":{}}`},
			{"DELETE", "?tagKeys=stage", "", `{"Tags":{}}`},
		} {
			b.is(b.tags(c.method, arn, c.more, c.body), 204, "")
			b.is(b.tags("GET", arn, "", ""), 200, c.then)
		}
	}
	if shown := b.do("GET", EventSourceMappingsPath, "").Body.String(); strings.Contains(shown, "Tags") {
		t.Error("an answer about mappings shows tags:", shown)
	}
}

// GetFunction shows the tags of a function, its configuration alone does not; each tag call gives it a new RevisionId
// (F-22).
func TestGetFunctionShowsTags(t *testing.T) {
	t.Parallel()
	b := newTagBench(t)
	const path = "/2015-03-31/functions/f"
	before := b.do("GET", path+"/configuration", "").Body.String()

	b.is(b.tags("POST", b.function, "", `{"Tags":{"cost":"7"}}`), 204, "")

	if got := b.do("GET", path, "").Body.String(); !strings.Contains(
		got, `"Tags":{"cost":"7","stage":"dev","team":"a"}`,
	) {
		t.Error(got)
	}
	after := b.do("GET", path+"/configuration", "").Body.String()
	if strings.Contains(after, "Tags") || before == after {
		t.Error("the configuration shows tags, or has its old RevisionId:", after)
	}
	b.is(b.tags("DELETE", b.function, "?tagKeys=cost&tagKeys=stage&tagKeys=team", ""), 204, "")
	if got := b.do("GET", path, "").Body.String(); strings.Contains(got, "Tags") {
		t.Error("a function without tags shows some:", got)
	}
}

// V25, V26 and the refusals of functions: a malformed ARN is a ValidationException whose text names every kind that has
// tags, an unknown mapping or function is a ResourceNotFoundException.
func TestTagRefusals(t *testing.T) {
	t.Parallel()
	b := newTagBench(t)
	pattern := func(arn string) string {
		return `{"message":"1 validation error detected: Value '` + arn +
			`' at 'resource' failed to satisfy constraint: Member must satisfy regular expression pattern: ` +
			strings.ReplaceAll(taggablePattern, `\`, `\\`) + `"}`
	}
	for _, kind := range []string{
		"function", "layer", "code-signing-config", "event-source-mapping", "capacity-provider",
	} {
		if !strings.Contains(taggablePattern, kind+":") {
			t.Errorf("V25: the text does not name %s", kind)
		}
	}
	unknown := "arn:aws:lambda:us-east-1:000000000000:event-source-mapping:00000000-0000-4000-8000-00000000dead"
	many := make([]string, 51)
	for i := range many {
		many[i] = fmt.Sprintf(`"k%d":""`, i)
	}
	for _, c := range []struct {
		name, method, arn, more, body string
		status                        int
		code, want                    string
	}{
		{"V25: a qualified mapping", "GET", b.mapping + ":1", "", "", 400, "ValidationException", pattern(b.mapping + ":1")},
		{"V25: no ARN", "POST", "f", "", `{"Tags":{"k":"v"}}`, 400, "ValidationException", pattern("f")},
		{
			"V25: another service", "DELETE", "arn:aws:sqs:us-east-1:000000000000:q", "?tagKeys=k", "", 400,
			"ValidationException", pattern("arn:aws:sqs:us-east-1:000000000000:q"),
		},
		{
			"V26", "GET", unknown, "", "", 404, "ResourceNotFoundException",
			`{"Type":"User","Message":"Event source mapping not found: ` + unknown + `"}`,
		},
		{"V26: tagging", "POST", unknown, "", `{"Tags":{"k":"v"}}`, 404, "ResourceNotFoundException", ""},
		{"V26: untagging", "DELETE", unknown, "?tagKeys=k", "", 404, "ResourceNotFoundException", ""},
		{
			"V26: a mapping of another region", "GET", strings.Replace(b.mapping, "us-east-1", "eu-west-1", 1), "", "", 404,
			"ResourceNotFoundException", "",
		},
		{
			"an unknown function", "POST", b.function + "x", "", `{"Tags":{"k":"v"}}`, 404, "ResourceNotFoundException",
			`{"Type":"User","Message":"Function not found: ` + b.function + `x"}`,
		},
		{
			"a function of another account", "GET", strings.Replace(b.function, "000000000000", "000000000001", 1), "", "",
			404, "ResourceNotFoundException", "",
		},
		{
			"a version", "GET", b.function + ":1", "", "", 400, "InvalidParameterValueException",
			`{"Type":"User","message":"Tags on function aliases and versions are not supported. Please specify a function ARN."}`,
		},
		{
			"no tags", "POST", b.mapping, "", `{}`, 400, "ValidationException",
			`{"message":"1 validation error detected: Value null at 'tags' failed to satisfy constraint: Member must not be null"}`,
		},
		{
			"an empty map", "POST", b.function, "", `{"Tags":{}}`, 400, "InvalidParameterValueException",
			`{"Type":"User","message":"An error occurred and the request cannot be processed."}`,
		},
		{
			"51 tags", "POST", b.mapping, "", `{"Tags":{` + strings.Join(many, ",") + `}}`, 400,
			"InvalidParameterValueException", `{"Type":"User","message":"Number of tags exceeds resource tag limit."}`,
		},
		{
			"no keys", "DELETE", b.mapping, "", "", 400, "ValidationException",
			`{"message":"1 validation error detected: Value null at 'tagKeys' failed to satisfy constraint: Member must not be null"}`,
		},
		{"every violation at once", "DELETE", "f", "?tagKeys=", "", 400, "ValidationException", ""},
		{
			"a code signing configuration", "GET",
			"arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-0123456789abcdef0", "", "", 400,
			"InvalidParameterValueException",
			`{"Type":"User","message":"shardmill does not support tags of a code-signing-config yet; see docs/compat/lambda.md."}`,
		},
	} {
		w := b.tags(c.method, c.arn, c.more, c.body)
		if code := w.Header().Get("x-amzn-errortype"); code != c.code {
			t.Errorf("%s: %s, want %s", c.name, code, c.code)
		}
		b.is(w, c.status, c.want)
	}
	if w := b.tags("DELETE", "f", "?tagKeys=", ""); !strings.Contains(w.Body.String(), "2 validation errors detected") {
		t.Error("not every violation is named:", w.Body)
	}
}

// An account id of fewer than twelve digits, as tutorials print it, is the caller's, with a hint.
func TestShortAccountsInTaggedARNsFold(t *testing.T) {
	t.Parallel()
	b := newTagBench(t)

	w := b.tags("GET", strings.Replace(b.function, "000000000000", "123456789", 1), "", "")

	b.is(w, 200, `{"Tags":{"stage":"dev","team":"a"}}`)
	if hint := w.Header().Get(wire.HintHeader); !strings.Contains(hint, "123456789") {
		t.Errorf("hint %q", hint)
	}
}

// AWS's clients write colons of an ARN in a path as they are, or escaped.
func TestTaggedARNsComeEscapedOrNot(t *testing.T) {
	t.Parallel()
	b := newTagBench(t)
	for _, arn := range []string{b.mapping, strings.ReplaceAll(b.mapping, ":", "%3A")} {
		if w := b.do("GET", "/2017-03-31/tags/"+arn, ""); w.Code != 200 {
			t.Error(arn, w.Code, w.Body)
		}
	}
	if !slices.Contains(Paths(), "/2017-03-31/") {
		t.Error("the shared port does not lead tags here")
	}
}
