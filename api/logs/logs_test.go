package logs

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/api/wire/wiretest"
	"github.com/shardmill/shardmill/companion/logstore"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage/memory"
)

var noon = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

// endpoint is one test's service at noon, and its answers as plain JSON.
type endpoint struct {
	t       testing.TB
	store   *logstore.Store
	handler http.Handler
}

func newEndpoint(t testing.TB) *endpoint {
	t.Helper()
	c := clock.New(time.Until(noon))
	s, err := logstore.Open(logstore.Options{Clock: c, Coord: memory.New(memory.Options{}).Coord()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &endpoint{t, s, New(Options{Store: s, Clock: c})}
}

func (e *endpoint) do(op, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "Logs_20140328."+op)
	r.Header.Set("Content-Type", contentType)
	r = r.WithContext(wire.WithCaller(e.t.Context(), wire.Caller{
		Account: "111122223333", Region: "eu-west-1", RequestID: "5f0b6f0e-0000-4000-8000-000000000000",
	}))
	w := httptest.NewRecorder()
	e.handler.ServeHTTP(w, r)
	return w
}

// ok sends a request that must succeed and returns the answer's members; none without a body.
func (e *endpoint) ok(op, body string) (out map[string]any) {
	e.t.Helper()
	w := e.do(op, body)
	if w.Code != 200 || w.Body.Len() > 0 && json.Unmarshal(w.Body.Bytes(), &out) != nil {
		e.t.Fatalf("%s %s: %d %s", op, body, w.Code, w.Body)
	}
	return out
}

func (e *endpoint) refused(op, body string, status int, code, text string) {
	e.t.Helper()
	w := e.do(op, body)
	var got faultBody
	_ = json.Unmarshal(w.Body.Bytes(), &got)
	if w.Code != status || got.Type != code || got.Message != text {
		e.t.Errorf(
			"%s %.200s:\n got %d %q %q\nwant %d %q %q", op, body, w.Code, got.Type, got.Message, status, code, text,
		)
	}
	if got := w.Header().Get("Content-Type"); got != contentType || w.Header().Get("X-Amzn-Requestid") == "" {
		e.t.Errorf("content type %q", got)
	}
}

// list is one member of the elements of a list.
func list(answer map[string]any, name, member string) (out []string) {
	for _, e := range answer[name].([]any) {
		out = append(out, fmt.Sprint(e.(map[string]any)[member]))
	}
	return out
}

func (e *endpoint) lines(stream string, messages ...string) {
	var events []logstore.LogEvent
	for i, m := range messages {
		events = append(events, logstore.LogEvent{At: noon.Add(time.Duration(i) * time.Second), Message: m})
	}
	e.store.Write(logstore.Group{Account: "111122223333", Region: "eu-west-1", Name: "/aws/lambda/f"}, stream, events)
}

func same(t testing.TB, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// What Terraform's aws_cloudwatch_log_group does from creation to destruction.
func TestLifeOfALogGroup(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	const g = `{"logGroupName":"/app/x"}`
	if got := e.ok(
		"CreateLogGroup",
		`{"logGroupName":"/app/x","tags":{"team":"a"},"logGroupClass":"STANDARD","deletionProtectionEnabled":false}`,
	); got != nil {
		t.Errorf("CreateLogGroup answers %v, want no body", got)
	}
	e.refused("CreateLogGroup", g, 400, "ResourceAlreadyExistsException", "The specified log group already exists")
	e.ok("PutRetentionPolicy", `{"logGroupName":"/app/x","retentionInDays":14}`)

	got := e.ok("DescribeLogGroups", `{"logGroupNamePrefix":"/app/"}`)["logGroups"].([]any)[0].(map[string]any)
	for member, want := range map[string]any{
		"arn":             "arn:aws:logs:eu-west-1:111122223333:log-group:/app/x:*",
		"logGroupArn":     "arn:aws:logs:eu-west-1:111122223333:log-group:/app/x",
		"retentionInDays": 14.0, "storedBytes": 0.0, "metricFilterCount": 0.0, "logGroupClass": "STANDARD",
		"logGroupName": "/app/x",
	} {
		if got[member] != want {
			t.Errorf("%s is %v, want %v", member, got[member], want)
		}
	}
	if at := time.UnixMilli(int64(got["creationTime"].(float64))); at.Sub(noon) > time.Minute || at.Before(noon) {
		t.Errorf("created at %v", at)
	}
	const arn = `{"resourceArn":"arn:aws:logs:eu-west-1:111122223333:log-group:/app/x"`
	e.ok("TagResource", arn+`,"tags":{"stage":"dev"}}`)
	e.ok("UntagResource", arn+`,"tagKeys":["team"]}`)
	e.ok("TagLogGroup", `{"logGroupName":"/app/x","tags":{"old":"way"}}`)
	for op, body := range map[string]string{"ListTagsForResource": arn + "}", "ListTagsLogGroup": g} {
		if got := e.ok(op, body)["tags"]; fmt.Sprint(got) != "map[old:way stage:dev]" {
			t.Errorf("%s: %v", op, got)
		}
	}
	e.ok("UntagLogGroup", `{"logGroupName":"/app/x","tags":["old","stage"]}`)
	e.ok("DeleteRetentionPolicy", g)
	if got := e.ok("DescribeLogGroups", `{}`)["logGroups"].([]any)[0].(map[string]any)["retentionInDays"]; got != nil {
		t.Errorf("retentionInDays is %v after its deletion", got)
	}

	e.ok("DeleteLogGroup", g)

	e.refused("DeleteLogGroup", g, 400, "ResourceNotFoundException", "The specified log group does not exist.")
	same(t, list(e.ok("DescribeLogGroups", `{}`), "logGroups", "logGroupName"))
}

// Lists come in pages, streams also by the time of their last event.
func TestListsOfGroupsAndStreams(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	for _, g := range []string{"a1", "a2", "Beta", "c"} {
		e.ok("CreateLogGroup", `{"logGroupName":"`+g+`"}`)
	}
	first := e.ok("DescribeLogGroups", `{"limit":3}`)
	same(t, list(first, "logGroups", "logGroupName"), "Beta", "a1", "a2")
	second := e.ok("DescribeLogGroups", `{"limit":3,"nextToken":"`+first["nextToken"].(string)+`"}`)
	same(t, list(second, "logGroups", "logGroupName"), "c")
	if second["nextToken"] != nil {
		t.Errorf("a token behind the end: %v", second["nextToken"])
	}
	same(t, list(e.ok("DescribeLogGroups", `{"logGroupNamePattern":"BET"}`), "logGroups", "logGroupName"), "Beta")

	e.ok("CreateLogGroup", `{"logGroupName":"/aws/lambda/f"}`)
	e.ok("CreateLogStream", `{"logGroupName":"/aws/lambda/f","logStreamName":"empty"}`)
	e.lines("one", "x", "y", "z")
	e.lines("two", "x")
	const g = `{"logGroupName":"/aws/lambda/f"`
	same(t, list(e.ok("DescribeLogStreams", g+"}"), "logStreams", "logStreamName"), "empty", "one", "two")
	same(
		t,
		list(
			e.ok("DescribeLogStreams", g+`,"descending":true,"logStreamNamePrefix":"e"}`), "logStreams",
			"logStreamName",
		),
		"empty",
	)
	var names []string
	for token := ""; ; {
		page := e.ok("DescribeLogStreams", g+`,"orderBy":"LastEventTime","descending":true,"limit":1`+token+"}")
		names = append(names, list(page, "logStreams", "logStreamName")...)
		next, _ := page["nextToken"].(string)
		if next == "" {
			break
		}
		token = `,"nextToken":"` + next + `"`
	}
	same(t, names, "one", "two", "empty")
	one := e.ok(
		"DescribeLogStreams",
		`{"logGroupIdentifier":"arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/f","logStreamNamePrefix":"one"}`,
	)["logStreams"].([]any)[0].(map[string]any)
	if one["firstEventTimestamp"] != float64(noon.UnixMilli()) ||
		one["lastEventTimestamp"] != float64(noon.UnixMilli()+2000) || one["lastIngestionTime"] == nil ||
		one["arn"] != "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/f:log-stream:one" {
		t.Errorf("stream %v", one)
	}
	e.refused(
		"DescribeLogStreams", g+`,"orderBy":"LastEventTime","logStreamNamePrefix":"o"}`, 400,
		"InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix.",
	)
}

// Events that were put are read page by page, in both directions; at an end the token stays the one that was given.
func TestEventsAreReadInPages(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.ok("CreateLogGroup", `{"logGroupName":"g"}`)
	e.ok("CreateLogStream", `{"logGroupName":"g","logStreamName":"s"}`)
	var events []string
	for i := range 5 {
		events = append(events, fmt.Sprintf(`{"timestamp":%d,"message":"m%d\n"}`, noon.UnixMilli()+int64(i), i))
	}
	put := e.ok(
		"PutLogEvents",
		`{"logGroupName":"g","logStreamName":"s","sequenceToken":"whatever","logEvents":[`+strings.Join(events, ",")+
			`]}`,
	)
	if put["nextSequenceToken"] == nil || put["rejectedLogEventsInfo"] != nil {
		t.Errorf("put: %v", put)
	}
	const s = `{"logGroupName":"g","logStreamName":"s"`

	page := e.ok("GetLogEvents", s+`,"startFromHead":true,"limit":3}`)
	same(t, list(page, "events", "message"), "m0\n", "m1\n", "m2\n")
	page = e.ok(
		"GetLogEvents", s+`,"startFromHead":true,"limit":3,"nextToken":"`+page["nextForwardToken"].(string)+`"}`,
	)
	same(t, list(page, "events", "message"), "m3\n", "m4\n")
	end := e.ok("GetLogEvents", s+`,"startFromHead":true,"nextToken":"`+page["nextForwardToken"].(string)+`"}`)
	if same(t, list(end, "events", "message")); end["nextForwardToken"] != page["nextForwardToken"] {
		t.Errorf("token %v became %v at the end", page["nextForwardToken"], end["nextForwardToken"])
	}
	page = e.ok("GetLogEvents", s+`,"limit":2}`)
	same(t, list(page, "events", "message"), "m3\n", "m4\n")
	page = e.ok("GetLogEvents", s+`,"limit":9,"nextToken":"`+page["nextBackwardToken"].(string)+`"}`)
	same(t, list(page, "events", "message"), "m0\n", "m1\n", "m2\n")
	end = e.ok("GetLogEvents", s+`,"nextToken":"`+page["nextBackwardToken"].(string)+`"}`)
	if same(t, list(end, "events", "message")); end["nextBackwardToken"] != page["nextBackwardToken"] {
		t.Errorf("token %v became %v at the beginning", page["nextBackwardToken"], end["nextBackwardToken"])
	}
	same(
		t,
		list(
			e.ok(
				"GetLogEvents", s+fmt.Sprintf(`,"startTime":%d,"endTime":%d}`, noon.UnixMilli()+1, noon.UnixMilli()+3),
			),
			"events", "message",
		),
		"m1\n", "m2\n",
	)
	for _, token := range []string{"x", "", "f/1", "f/" + strings.Repeat("x", 56), "x/" + strings.Repeat("1", 56)} {
		e.refused(
			"GetLogEvents", s+`,"nextToken":"`+token+`"}`, 400, "InvalidParameterException",
			"The specified nextToken is invalid.",
		)
	}
}

// F-57, F-77: what a function printed is found by pattern, stream and time; ids have 56 digits and ascend.
func TestFilterFindsWhatFunctionsPrinted(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.lines(
		"2026/01/05/[$LATEST]a", "START RequestId: 1\n",
		"2026-01-05T12:00:03.000Z 1 Task timed out after 3.00 seconds\n\n", "REPORT RequestId: 1\n",
	)
	e.lines("2026/01/05/[$LATEST]b", "START RequestId: 2\n", `{"level":"ERROR"}`+"\n", "REPORT RequestId: 2\n")
	const g = `{"logGroupName":"/aws/lambda/f"`
	for pattern, want := range map[string][]string{
		`?ERROR ?Task`: {
			"2026-01-05T12:00:03.000Z 1 Task timed out after 3.00 seconds\n\n", `{"level":"ERROR"}` + "\n",
		},
		`-REPORT -START`: {
			"2026-01-05T12:00:03.000Z 1 Task timed out after 3.00 seconds\n\n", `{"level":"ERROR"}` + "\n",
		},
		`{ $.level = \"ERROR\" }`:     {`{"level":"ERROR"}` + "\n"},
		`\"RequestId: 2\" -REPORT`:    {"START RequestId: 2\n"},
		`{ $.level = \"NOT THERE\" }`: nil,
	} {
		got := e.ok("FilterLogEvents", g+`,"filterPattern":"`+pattern+`"}`)
		same(t, list(got, "events", "message"), want...)
		if fmt.Sprint(got["searchedLogStreams"]) != "[]" {
			t.Errorf("searchedLogStreams %v", got["searchedLogStreams"])
		}
	}

	var ids []string
	for token := ""; ; {
		page := e.ok("FilterLogEvents", g+`,"interleaved":true,"limit":4`+token+"}")
		ids = append(ids, list(page, "events", "eventId")...)
		next, _ := page["nextToken"].(string)
		if next == "" {
			break
		}
		token = `,"nextToken":"` + next + `"`
	}
	if len(ids) != 6 || !slices.IsSorted(ids) || len(slices.Compact(ids)) != 6 || len(ids[0]) != 56 {
		t.Errorf("ids %q", ids)
	}
	same(
		t,
		list(e.ok("FilterLogEvents", g+`,"logStreamNames":["2026/01/05/[$LATEST]b"],"limit":1}`), "events", "message"),
		"START RequestId: 2\n",
	)
	same(
		t,
		list(
			e.ok("FilterLogEvents", g+`,"logStreamNamePrefix":"2026/01/05/[$LATEST]a","filterPattern":"START"}`),
			"events", "message",
		),
		"START RequestId: 1\n",
	)
	same(
		t,
		list(
			e.ok(
				"FilterLogEvents",
				g+fmt.Sprintf(
					`,"startTime":%d,"endTime":%d,"filterPattern":"REPORT"}`, noon.UnixMilli()+2000,
					noon.UnixMilli()+2000,
				),
			),
			"events", "message",
		),
		"REPORT RequestId: 1\n", "REPORT RequestId: 2\n",
	)

	e.refused(
		"FilterLogEvents", g+`,"logStreamNames":["nope"]}`, 400, "ResourceNotFoundException",
		"The specified log stream does not exist.",
	)
	e.refused(
		"FilterLogEvents", g+`,"logStreamNames":["nope"],"logStreamNamePrefix":"n"}`, 400, "InvalidParameterException",
		"LogStreamNamePrefix and LogStreamNames are mutually exclusive parameters.",
	)
	e.refused(
		"FilterLogEvents", g+`,"filterPattern":"[a, b]"}`, 400, "InvalidParameterException",
		"Invalid filter pattern: space-delimited patterns, [a, b, ...], are not supported by shardmill.",
	)
	e.refused(
		"FilterLogEvents", g+`,"nextToken":"x"}`, 400, "InvalidParameterException",
		"The specified nextToken is invalid.",
	)
	e.refused(
		"FilterLogEvents", g+`,"limit":10001}`, 400, "InvalidParameterException",
		"1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000",
	)
}

// A batch is bounded and in order; events that are too old or too new are reported and left out.
func TestBatchesAreChecked(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.ok("CreateLogGroup", `{"logGroupName":"g"}`)
	e.ok("CreateLogStream", `{"logGroupName":"g","logStreamName":"s"}`)
	put := func(events ...string) string {
		return `{"logGroupName":"g","logStreamName":"s","logEvents":[` + strings.Join(events, ",") + `]}`
	}
	event := func(after time.Duration, message string) string {
		return fmt.Sprintf(`{"timestamp":%d,"message":%q}`, noon.Add(after).UnixMilli(), message)
	}
	const invalid = "InvalidParameterException"
	e.refused(
		"PutLogEvents", put(event(1e9, "x"), event(0, "y")), 400, invalid,
		"Log events in a single PutLogEvents request must be in chronological order.",
	)
	e.refused(
		"PutLogEvents", put(event(-25*time.Hour, "x"), event(0, "y")), 400, invalid,
		"The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
	)
	e.refused(
		"PutLogEvents", put(event(0, strings.Repeat("x", 1<<20))), 400, invalid,
		"Upload too large: 1048602 bytes exceeds limit of 1048576",
	)
	e.ok("PutLogEvents", put(event(0, strings.Repeat("x", 1<<20-26))))
	e.refused(
		"PutLogEvents", put(), 400, invalid,
		"1 validation error detected: Value at 'logEvents' failed to satisfy constraint: Member must have length greater than or equal to 1",
	)
	e.refused("PutLogEvents", put(`{"timestamp":-1,"message":""}`), 400, invalid,
		"2 validation errors detected: Value '-1' at 'logEvents.1.member.timestamp' failed to satisfy constraint: "+
			"Member must have value greater than or equal to 0; Value '' at 'logEvents.1.member.message' failed to satisfy constraint: Member must have length greater than or equal to 1")
	e.refused(
		"PutLogEvents", `{"logGroupName":"g","logStreamName":"nope","logEvents":[`+event(0, "x")+`]}`, 400,
		"ResourceNotFoundException", "The specified log stream does not exist.",
	)
	e.refused(
		"PutLogEvents", `{"logGroupName":"nope","logStreamName":"s","logEvents":[`+event(0, "x")+`]}`, 400,
		"ResourceNotFoundException", "The specified log group does not exist.",
	)
	e.refused(
		"PutLogEvents",
		`{"logGroupName":"g","logStreamName":"s","entity":{"keyAttributes":{}},"logEvents":[`+event(0, "x")+`]}`, 400,
		invalid, "shardmill does not support the parameter entity yet; see docs/compat/logs.md.",
	)

	got := e.ok(
		"PutLogEvents", put(event(-15*24*time.Hour, "old"), event(-15*24*time.Hour+1, "old")),
	)["rejectedLogEventsInfo"]
	if fmt.Sprint(got) != "map[tooOldLogEventEndIndex:2]" {
		t.Errorf("too old: %v", got)
	}
	got = e.ok("PutLogEvents", put(event(0, "now"), event(3*time.Hour, "new")))["rejectedLogEventsInfo"]
	if fmt.Sprint(got) != "map[tooNewLogEventStartIndex:1]" {
		t.Errorf("too new: %v", got)
	}
}

func TestTheCompatPageListsWhatIsServedAndWhatIsNot(t *testing.T) {
	t.Parallel()
	wiretest.Listed(t, "logs", slices.Collect(maps.Keys(model.Served)), strings.Fields(model.Others))
}

// What AWS has and this room does not is refused by name; other names are unknown.
func TestWhatIsAbsentIsRefusedByName(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	for op := range strings.FieldsSeq(model.Others) {
		e.refused(
			op, `{}`, 501, "NotImplementedException",
			"shardmill does not implement logs "+op+" yet; see docs/compat/logs.md.",
		)
	}
	e.refused("Nobody", `{}`, 400, "UnknownOperationException", "")
	e.refused(
		"CreateLogGroup", `{"logGroupName":"g","kmsKeyId":"k"}`, 400, "InvalidParameterException",
		"shardmill does not support the parameter kmsKeyId yet; see docs/compat/logs.md.",
	)
	e.refused(
		"CreateLogGroup", `{"logGroupName":"g","logGroupClass":"DELIVERY"}`, 400, "InvalidParameterException",
		"shardmill does not support the logGroupClass DELIVERY yet; see docs/compat/logs.md.",
	)
	e.refused(
		"DescribeLogGroups", `{"includeLinkedAccounts":true}`, 400, "InvalidParameterException",
		"shardmill does not support the parameter includeLinkedAccounts yet; see docs/compat/logs.md.",
	)
	e.refused(
		"CreateLogGroup", `{"logGroupName":"a b"}`, 400, "InvalidParameterException",
		`1 validation error detected: Value 'a b' at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+`,
	)
	e.refused(
		"CreateLogStream", `{"logGroupName":"g"}`, 400, "InvalidParameterException",
		"1 validation error detected: Value null at 'logStreamName' failed to satisfy constraint: Member must not be null",
	)
	e.refused("PutRetentionPolicy", `{"logGroupName":"g","retentionInDays":2}`, 400, "InvalidParameterException",
		"1 validation error detected: Value '2' at 'retentionInDays' failed to satisfy constraint: "+
			"Member must satisfy enum value set: [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]")
	e.refused(
		"CreateLogGroup", `[]`, 400, "SerializationException",
		"The request body does not have the shape that the operation expects.",
	)
	e.refused(
		"CreateLogGroup", "{\"logGroupName\":\"\xff\"}", 400, "SerializationException",
		"The request body is not valid Unicode.",
	)
	e.refused(
		"CreateLogGroup", `{"logGroupName":"\ud83d"}`, 400, "SerializationException",
		"The request body is not valid Unicode.",
	)
	e.refused(
		"CreateLogGroup", strings.Repeat(" ", maxRequestBytes+1), 413, "RequestEntityTooLargeException",
		"Request size exceeded 8388608 bytes.",
	)
}

// While the server stops, clients learn that they may try again.
func TestClosedStoreIsUnavailable(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.store.Close()
	e.refused("CreateLogGroup", `{"logGroupName":"g"}`, 503, "ServiceUnavailableException", "")
}

// Whatever a request is, the answer is one of the protocol's, never a panic or our own fault.
func FuzzRequest(f *testing.F) {
	var names []string
	for name := range model.Served {
		names = append(names, name)
	}
	slices.Sort(names)
	e := newEndpoint(f)
	e.lines("s", "one\n", `{"a":1}`)
	for i := range names {
		f.Add(
			uint8(i),
			`{"logGroupName":"/aws/lambda/f","logStreamName":"s","logEvents":[{"timestamp":1767614400000,"message":"x"}]}`,
		)
		f.Add(
			uint8(i),
			`{"logGroupIdentifier":"/aws/lambda/f","resourceArn":"arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/f","filterPattern":"{ $.a = 1 }","limit":1,"nextToken":"YQ"}`,
		)
	}
	f.Fuzz(func(t *testing.T, op uint8, body string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", "Logs_20140328."+names[int(op)%len(names)])
		r = r.WithContext(wire.WithCaller(t.Context(), wire.Caller{Account: "111122223333", Region: "eu-west-1"}))
		w := httptest.NewRecorder()
		e.handler.ServeHTTP(w, r)
		out, _ := io.ReadAll(w.Result().Body)
		if w.Code != 200 && w.Code != 400 || len(out) > 0 && !json.Valid(out) {
			t.Errorf("%s: %d %s", body, w.Code, out)
		}
	})
}
