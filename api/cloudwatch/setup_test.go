package cloudwatch

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/storage/memory"
)

// bench is the service behind a router, as the server has it.
type bench struct {
	t       testing.TB
	handler http.Handler
	metrics *metric.Store
	clock   *clock.Clock
}

func newBench(t testing.TB) *bench {
	t.Helper()
	c := clock.New(0)
	backend := memory.New(memory.Options{Clock: c})
	st, err := metric.New(metric.Options{Local: backend.Local(), Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		st.Stop()
		_ = backend.Close()
	})
	nowhere := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the router picked another service")
	})
	router := &wire.Router{
		Services: []wire.Service{Service(New(Options{Metrics: st}))},
		Fallback: wire.Service{Needs: wire.OwnOrder, Handler: nowhere}, Control: nowhere, Unknown: nowhere,
	}
	return &bench{t, router, st, c}
}

// hour returns a full hour in the recent past.
func (b *bench) hour() time.Time { return b.clock.Now().Add(-2 * time.Hour).Truncate(time.Hour) }

const signature = "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/monitoring/aws4_request, SignedHeaders=host, Signature=0"

// protocols are the names that tests know the three by.
var protocols = []string{"query", "json", "cbor"}

// call sends an operation in a protocol. Input is given as JSON has it, with times as time.Time; the answer comes back
// as JSON would have it.
func (b *bench) call(protocol, operation string, input map[string]any, headers ...string) (
	int, map[string]any, http.Header,
) {
	b.t.Helper()
	r := request(b.t, protocol, operation, input)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := b.send(r)
	return w.Code, answerOf(b.t, protocol, w), w.Header()
}

func (b *bench) send(r *http.Request) *httptest.ResponseRecorder {
	r.Host = "localhost:4566"
	r.Header.Set("Authorization", signature)
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return w
}

func request(t testing.TB, protocol, operation string, input map[string]any) *http.Request {
	t.Helper()
	switch protocol {
	case "query":
		form := url.Values{"Action": {operation}, "Version": {"2010-08-01"}}
		flatten(form, "", input)
		r := httptest.NewRequest("POST", "/", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		return r
	case "json":
		body, err := json.Marshal(inSeconds(input))
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
		r.Header.Set("Content-Type", jsonType)
		r.Header.Set("X-Amz-Target", Target+"."+operation)
		return r
	}
	mode, err := cbor.EncOptions{Time: cbor.TimeUnixDynamic, TimeTag: cbor.EncTagRequired}.EncMode()
	if err != nil {
		t.Fatal(err)
	}
	body, err := mode.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/service/"+Target+"/operation/"+operation, bytes.NewReader(body))
	r.Header.Set("Content-Type", cborType)
	r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
	return r
}

func flatten(form url.Values, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			flatten(form, under(path, name), value)
		}
	case []any:
		for i, value := range v {
			flatten(form, element(path, i), value)
		}
	case time.Time:
		form.Set(path, v.UTC().Format(time.RFC3339))
	default:
		form.Set(path, fmt.Sprint(v))
	}
}

func inSeconds(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			out[name] = inSeconds(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = inSeconds(v[i])
		}
		return out
	case time.Time:
		return v.Unix()
	}
	return v
}

// answerOf brings an answer into one form: times are seconds, numbers float64, of an error Code and Message.
func answerOf(t testing.TB, protocol string, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var out map[string]any
	switch protocol {
	case "query":
		if got := w.Header().Get("Content-Type"); got != "text/xml" {
			t.Errorf("query answers in %q", got)
		}
		out = xmlAnswer(t, w.Body)
	case "json":
		if got := w.Header().Get("Content-Type"); got != jsonType {
			t.Errorf("JSON answers in %q", got)
		}
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			t.Fatalf("%s: %v", w.Body, err)
		}
	default:
		if len(w.Header()[strings.ToLower("Smithy-Protocol")]) != 1 {
			t.Errorf("CBOR answers with the headers %v", w.Header())
		}
		if w.Body.Len() == 0 {
			return map[string]any{}
		}
		mode, _ := cbor.DecOptions{DefaultMapType: nil}.DecMode()
		var raw any
		if err := mode.Unmarshal(w.Body.Bytes(), &raw); err != nil {
			t.Fatalf("%x: %v", w.Body.Bytes(), err)
		}
		out, _ = plain(raw).(map[string]any)
	}
	if kind, ok := out["__type"].(string); ok {
		_, code, _ := strings.Cut(kind, "#")
		return map[string]any{"Code": legacyCode(code), "Message": out["message"]}
	}
	return out
}

func plain(v any) any {
	switch v := v.(type) {
	case map[any]any:
		out := map[string]any{}
		for name, value := range v {
			out[name.(string)] = plain(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	case time.Time:
		return float64(v.UnixMilli()) / 1000
	}
	return v
}

// element is one of XML.
type xmlElement struct {
	XMLName  xml.Name
	Text     string       `xml:",chardata"`
	Children []xmlElement `xml:",any"`
}

func xmlAnswer(t testing.TB, body io.Reader) map[string]any {
	t.Helper()
	var root xmlElement
	if err := xml.NewDecoder(body).Decode(&root); err != nil {
		t.Fatal(err)
	}
	for _, c := range root.Children {
		if c.XMLName.Local == "Error" {
			out := c.value().(map[string]any)
			delete(out, "Type")
			return out
		}
		if strings.HasSuffix(c.XMLName.Local, "Result") {
			return c.value().(map[string]any)
		}
	}
	return map[string]any{}
}

// lists are the elements that hold members, even without any.
var lists = "Datapoints MetricDataResults Timestamps Values Messages Metrics Dimensions"

func (e xmlElement) value() any {
	if strings.Contains(" "+lists+" ", " "+e.XMLName.Local+" ") {
		out := []any{}
		for _, c := range e.Children {
			out = append(out, c.value())
		}
		return out
	}
	if e.XMLName.Local == "ExtendedStatistics" {
		out := map[string]any{}
		for _, c := range e.Children {
			entry := c.value().(map[string]any)
			out[entry["key"].(string)] = entry["value"]
		}
		return out
	}
	if len(e.Children) == 0 {
		if at, err := time.Parse(time.RFC3339, e.Text); err == nil {
			return float64(at.UnixMilli()) / 1000
		}
		if f, err := strconv.ParseFloat(e.Text, 64); err == nil {
			return f
		}
		return e.Text
	}
	out := map[string]any{}
	for _, c := range e.Children {
		out[c.XMLName.Local] = c.value()
	}
	return out
}
