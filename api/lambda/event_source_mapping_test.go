package lambda

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/api/wire"
)

func user(message string) map[string]any { return map[string]any{"Type": "User", "message": message} }

// S-01. Lambda API Reference, EventSourceMappingConfiguration; the exact set of members has been recorded for a Kinesis
// stream.
func TestCreateAnswersExactlyTheEighteenMembers(t *testing.T) {
	t.Parallel()
	b := newBench(t)

	a := b.create("")

	uuid, _ := a.body["UUID"].(string)
	modified, _ := a.body["LastModified"].(float64)
	if d := time.Since(time.UnixMilli(int64(modified * 1000))); d < -time.Second || d > time.Minute {
		t.Errorf("LastModified %v is not now", modified)
	}
	want := map[string]any{
		"UUID": uuid, "StartingPosition": "LATEST", "BatchSize": 100.0, "MaximumBatchingWindowInSeconds": 0.0,
		"ParallelizationFactor": 1.0,
		"EventSourceArn":        orders, "FunctionArn": lambdas + "f", "LastModified": modified,
		"LastProcessingResult": "No records processed",
		"State":                "Creating", "StateTransitionReason": "User action",
		"DestinationConfig":         map[string]any{"OnFailure": map[string]any{}},
		"MaximumRecordAgeInSeconds": -1.0, "BisectBatchOnFunctionError": false, "MaximumRetryAttempts": -1.0,
		"TumblingWindowInSeconds": 0.0,
		"FunctionResponseTypes":   []any{},
		"EventSourceMappingArn":   "arn:aws:lambda:us-east-1:000000000000:event-source-mapping:" + uuid,
	}
	if d := cmp.Diff(want, a.body); d != "" || a.status != http.StatusAccepted || len(a.body) != 18 {
		t.Errorf("%d, %d members: %s", a.status, len(a.body), d)
	}
	b.settle()
	want["State"] = "Enabled"
	got := b.call("GET", "/"+uuid, "")
	want["LastModified"] = got.body["LastModified"]
	if d := cmp.Diff(want, got.body); d != "" || got.status != http.StatusOK {
		t.Errorf("Get: %d %s", got.status, d)
	}
}

// Timestamps of REST-JSON are epoch seconds with a fraction.
func TestTimestampsAreEpochSeconds(t *testing.T) {
	t.Parallel()
	b := newBench(t)

	a := b.create(`"StartingPosition":"AT_TIMESTAMP","StartingPositionTimestamp":1541139209.351`)

	if a.status != http.StatusAccepted || a.body["StartingPositionTimestamp"] != 1541139209.351 {
		t.Errorf("%d %v", a.status, a.body)
	}
	for ms, want := range map[int64]string{1541139209351: "1541139209.351", 5: "0.005", -1: "-0.001"} {
		if got, err := epochSeconds(time.UnixMilli(ms)).MarshalJSON(); err != nil || string(got) != want {
			t.Errorf("%d ms: %s %v, want %s", ms, got, err, want)
		}
	}
}

// Every knob is echoed as it was sent. S-02: a batch of 500 needs no batching window (V24).
func TestCreateEchoesEveryKnob(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	knobs := map[string]any{
		"BatchSize": 500.0, "MaximumBatchingWindowInSeconds": 5.0, "ParallelizationFactor": 10.0,
		"MaximumRetryAttempts":      3.0,
		"MaximumRecordAgeInSeconds": 86400.0, "BisectBatchOnFunctionError": true,
		"FunctionResponseTypes": []any{"ReportBatchItemFailures"},
		"DestinationConfig": map[string]any{
			"OnFailure": map[string]any{"Destination": "arn:aws:sqs:us-east-1:000000000000:dead"},
		},
	}

	a := b.create(`"BatchSize":500,"MaximumBatchingWindowInSeconds":5,"ParallelizationFactor":10,"MaximumRetryAttempts":3,"MaximumRecordAgeInSeconds":86400,` +
		`"BisectBatchOnFunctionError":true,"FunctionResponseTypes":["ReportBatchItemFailures"],` +
		`"DestinationConfig":{"OnFailure":{"Destination":"arn:aws:sqs:us-east-1:000000000000:dead"}}`)

	for name, want := range knobs {
		if d := cmp.Diff(want, a.body[name]); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	windowed := b.create(`"FunctionName":"w","TumblingWindowInSeconds":900`)
	b.settle()
	for name, a := range map[string]map[string]any{
		"Create": windowed.body, "Get": b.call("GET", "/"+windowed.body["UUID"].(string), "").body,
	} {
		if a["TumblingWindowInSeconds"] != 900.0 {
			t.Errorf("%s: %v", name, a)
		}
	}
	if a := b.call(
		"PUT", "/"+windowed.body["UUID"].(string), `{"TumblingWindowInSeconds":0}`,
	); a.body["TumblingWindowInSeconds"] != 0.0 {
		t.Errorf("Update: %v", a.body)
	}
	if a := b.create(
		`"FunctionName":"g","BatchSize":500,"MaximumBatchingWindowInSeconds":0`,
	); a.status != http.StatusAccepted {
		t.Errorf("batch of 500 without a window: %d %v", a.status, a.body)
	}
}

// MetricsConfig is echoed while it names EventCount; an empty list ends it, and one that was not sent leaves it.
func TestMetricsConfigIsSwitchedOnAndOff(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	on := map[string]any{"Metrics": []any{"EventCount"}}
	a := b.create(`"MetricsConfig":{"Metrics":["EventCount","EventCount"]}`)
	uuid := "/" + a.body["UUID"].(string)
	if d := cmp.Diff(any(on), a.body["MetricsConfig"]); d != "" || len(a.body) != 19 {
		t.Errorf("Create: %d members, %s", len(a.body), d)
	}
	for _, c := range []struct {
		sent string
		want any
	}{
		{`{"BatchSize":5}`, on},
		{`{"MetricsConfig":{}}`, on},
		{`{"MetricsConfig":{"Metrics":[]}}`, nil},
		{`{"MetricsConfig":{"Metrics":["EventCount"]}}`, on},
	} {
		b.settle()
		b.call("PUT", uuid, c.sent)
		if d := cmp.Diff(c.want, b.call("GET", uuid, "").body["MetricsConfig"]); d != "" {
			t.Errorf("after %s: %s", c.sent, d)
		}
	}
	a = b.create(`"FunctionName":"g","MetricsConfig":{"Metrics":["Everything"]}`)
	if message, _ := a.body["message"].(string); a.status != 400 ||
		a.header.Get("x-amzn-errortype") != "ValidationException" || !strings.Contains(
		message, "Member must satisfy enum value set: [EventCount, ErrorCount, KafkaMetrics]",
	) {
		t.Errorf("an unknown metric: %d %v", a.status, a.body)
	}
}

// S-03 to S-08, S-11, S-16: codes and bodies as they have been recorded. The checks themselves are tested in package
// mapping.
func TestCreateRefusals(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	absent := orders + "-absent"
	cases := []struct {
		name, request string
		code          string
		body          map[string]any
	}{
		{
			"S-03 stream", `{"EventSourceArn":"` + absent + `","FunctionName":"f","StartingPosition":"LATEST"}`,
			"InvalidParameterValueException",
			user("Stream not found: " + absent),
		},
		{
			"S-04 function", `{"EventSourceArn":"` + orders + `","FunctionName":"absent","StartingPosition":"LATEST"}`,
			"InvalidParameterValueException",
			user("Function does not exist"),
		},
		{
			"S-05 source", `{"FunctionName":"absent","StartingPosition":"LATEST"}`, "InvalidParameterValueException",
			user("Unrecognized event source."),
		},
		{
			"S-06 no position", `{"EventSourceArn":"` + orders + `","FunctionName":"f"}`,
			"InvalidParameterValueException",
			user(
				"1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.",
			),
		},
		{
			"S-07 bad position", `{"EventSourceArn":"` + orders + `","FunctionName":"f","StartingPosition":"invalid"}`,
			"ValidationException",
			map[string]any{"message": "1 validation error detected: Value 'invalid' at 'startingPosition' failed to satisfy constraint: " +
				"Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]"},
		},
		{
			"S-08 no timestamp",
			`{"EventSourceArn":"` + orders + `","FunctionName":"f","StartingPosition":"AT_TIMESTAMP"}`,
			"InvalidParameterValueException",
			user("StartingPositionTimestamp is required when StartingPosition is AT_TIMESTAMP"),
		},
		{
			"S-08 future",
			`{"EventSourceArn":"` + orders +
				`","FunctionName":"f","StartingPosition":"AT_TIMESTAMP","StartingPositionTimestamp":99999999999}`,
			"InvalidParameterValueException", user("StartingPositionTimestamp cannot be in the future"),
		},
		{
			"S-11 age",
			`{"EventSourceArn":"` + orders +
				`","FunctionName":"f","StartingPosition":"LATEST","MaximumRecordAgeInSeconds":1}`,
			"InvalidParameterValueException", user("MaximumRecordAgeInSeconds must be -1 or between 60 and 604800"),
		},
		{
			"S-12 bound",
			`{"EventSourceArn":"` + orders +
				`","FunctionName":"f","StartingPosition":"LATEST","BatchSize":100000000000}`,
			"ValidationException",
			map[string]any{"message": "1 validation error detected: Value '2147483647' at 'batchSize' failed to satisfy constraint: " +
				"Member must have value less than or equal to 10000"},
		},
		{
			"S-16 OnSuccess",
			`{"EventSourceArn":"` + orders +
				`","FunctionName":"absent","StartingPosition":"LATEST","DestinationConfig":{"OnSuccess":{"Destination":"x"}}}`,
			"InvalidParameterValueException",
			user("Unsupported DestinationConfig parameter for given event source mapping type."),
		},
		{
			"no members", ``, "ValidationException",
			map[string]any{"message": "1 validation error detected: Value null at 'functionName' failed to satisfy " +
				"constraint: Member must not be null"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b.call("POST", "", c.request).wantFault(t, http.StatusBadRequest, c.code, c.body)
		})
	}
	if a := b.call("GET", "", ""); len(a.body["EventSourceMappings"].([]any)) != 0 {
		t.Error("a refused request left a mapping behind")
	}
}

// Lambda API Reference: members of other kinds of event sources. An empty value asks for nothing and is accepted.
func TestMembersOfOtherSourcesAreRefusedByName(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i, name := range inapplicableToStreams {
		value := `{"X":1}`
		if strings.HasSuffix(name, "s") && name != "SelfManagedEventSource" {
			value = `["x"]`
		}
		a := b.create(`"` + name + `":` + value)
		a.wantFault(
			t, http.StatusBadRequest, "InvalidParameterValueException",
			user("Unsupported "+name+" parameter for given event source mapping type."),
		)

		for j, empty := range []string{`null`, `[ ]`, `{}`} {
			if a := b.create(fmt.Sprintf(
				`"FunctionName":"f%d-%d",%q:%s`, i, j, name, empty,
			)); a.status != http.StatusAccepted {
				t.Errorf("%s %s: %v", name, empty, a.body)
			}
		}
	}
}

// S-15 and the like: what asks for nothing is accepted, and does not show.
func TestEmptyOptionsAreAcceptedAndDoNotShow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i, option := range []string{
		`"FilterCriteria":{}`, `"FilterCriteria":{"Filters":[]}`, `"FilterCriteria":null`,
		`"MetricsConfig":{"Metrics":[]}`, `"KMSKeyArn":""`, `"Tags":{}`,
		`"TumblingWindowInSeconds":0`, `"DestinationConfig":{}`, `"DestinationConfig":{"OnFailure":null}`,
		`"DestinationConfig":{"OnFailure":{"Destination":""}}`,
		`"NoSuchMember":[1]`,
	} {
		a := b.create(fmt.Sprintf(`"FunctionName":"f%d",%s`, i, option))
		if a.status != http.StatusAccepted || len(a.body) != 18 {
			t.Errorf("%s: %d with %v", option, a.status, slices.Sorted(maps.Keys(a.body)))
		}
	}
}

// Update refuses what Get answers for no destination: a script that reads, changes and writes fails here as on AWS. It
// accepts everything else that Get answers.
func TestAnswersAreTakenBackAsAWSDoes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	uuid := "/" + b.create("").body["UUID"].(string)
	b.settle()
	got := b.call("GET", uuid, "").body
	whole, _ := json.Marshal(got)

	for _, option := range []string{
		string(whole), `{"DestinationConfig":{"OnFailure":{}}}`,
		`{"DestinationConfig":{"OnFailure":{"Destination":null}}}`,
	} {
		a := b.call("PUT", uuid, option)
		if a.status != http.StatusBadRequest || a.header.Get("x-amzn-errortype") != "InvalidParameterValueException" ||
			a.body["message"] != "The Destination field is required for an OnFailure configuration." {
			t.Errorf("%s: %d %v", option, a.status, a.body)
		}
	}
	if a := b.create(`"FunctionName":"g","DestinationConfig":{"OnFailure":{}}`); a.status != http.StatusBadRequest {
		t.Errorf("create: %d %v", a.status, a.body)
	}
	for member, value := range got {
		if member == "DestinationConfig" {
			continue
		}
		body, _ := json.Marshal(map[string]any{member: value})
		if a := b.call("PUT", uuid, string(body)); a.status != http.StatusAccepted {
			t.Errorf("%s: %d %v", body, a.status, a.body)
		}
		b.settle()
	}
}

// What we do not have yet is refused by name and not stored.
func TestUnsupportedOptionsAreRefusedByName(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, option := range map[string]string{
		"FunctionName":   `"FunctionName":"f:$LATEST.PUBLISHED"`,
		"EventSourceArn": `"EventSourceArn":"arn:aws:sqs:us-east-1:000000000000:q"`,
	} {
		a := b.create(option)
		message, _ := a.body["message"].(string)
		if a.status != http.StatusBadRequest || a.header.Get("x-amzn-errortype") != "InvalidParameterValueException" ||
			!strings.HasPrefix(message, name) || !strings.HasSuffix(
			message, "See docs/compat/lambda-event-source-mapping.md.",
		) {
			t.Errorf("%s: %d %q", name, a.status, message)
		}
	}
}

// S-09: text and status of a duplicate.
func TestDuplicateIsAConflict(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.create("")

	b.create("").wantFault(t, http.StatusConflict, "ResourceConflictException",
		user(`The event source arn (" `+orders+` ") and function (" f ") `+
			`provided mapping already exists. Please update or delete the existing mapping with UUID `+
			first.body["UUID"].(string)))
	if a := b.create(`"FunctionName":"g"`); a.status != http.StatusAccepted {
		t.Errorf("another function: %d %v", a.status, a.body)
	}
}

// S-10: Message with a capital M.
func TestUnknownMappingIs404(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		for _, uuid := range []string{"11111111-2222-4333-8444-555555555555", "x", "%2E%2E%2Fpair"} {
			b.call(method, "/"+uuid, "").wantFault(t, http.StatusNotFound, "ResourceNotFoundException",
				map[string]any{"Type": "User", "Message": "The resource you requested does not exist."})
		}
	}
}

// S-18 (API side), S-19, V13, V14.
func TestLifeOfAMapping(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	uuid := "/" + b.create("").body["UUID"].(string)
	step := func(method, body, want string) {
		t.Helper()
		a := b.call(method, uuid, body)
		status := http.StatusAccepted
		if method == "GET" {
			status = http.StatusOK
		}
		if a.status != status || a.body["State"] != want || len(a.body) != 18 {
			t.Errorf(
				"%s %s: %d, state %v, %d members; want %d, %s", method, body, a.status, a.body["State"], len(a.body),
				status, want,
			)
		}
	}

	b.call("PUT", uuid, `{"BatchSize":5}`).wantFault(t, http.StatusBadRequest, "ResourceInUseException",
		map[string]any{"Type": "User", "Message": "Cannot update the event source mapping because it is in use."})
	b.call("DELETE", uuid, "").wantFault(t, http.StatusBadRequest, "ResourceInUseException",
		map[string]any{"Type": "User", "Message": "Cannot delete the event source mapping because it is in use."})
	b.settle()
	step("PUT", `{"Enabled":false}`, "Disabling")
	b.settle()
	step("GET", "", "Disabled")
	step("PUT", `{"Enabled":true,"BatchSize":5}`, "Enabling")
	b.settle()
	step("PUT", `{}`, "Updating")
	b.settle()
	step("GET", "", "Enabled")
	step("DELETE", "", "Deleting")
	step("GET", "", "Deleting")
	b.settle()
	if a := b.call("GET", uuid, ""); a.status != http.StatusNotFound {
		t.Errorf("after the end: %d", a.status)
	}
}

// S-21, and the new FunctionArn at once.
func TestUpdateAnswersTheNewValues(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	uuid := "/" +
		b.create(
			`"MaximumRetryAttempts":2,"DestinationConfig":{"OnFailure":{"Destination":"arn:aws:sqs:us-east-1:000000000000:dead"}}`,
		).body["UUID"].(string)
	b.settle()

	a := b.call(
		"PUT", uuid,
		`{"FunctionName":"g","DestinationConfig":{"OnFailure":{"Destination":""}},"FilterCriteria":{},"MaximumRecordAgeInSeconds":60}`,
	)

	if a.body["FunctionArn"] != lambdas+"g" || a.body["MaximumRetryAttempts"] != 2.0 ||
		a.body["MaximumRecordAgeInSeconds"] != 60.0 {
		t.Errorf("%v", a.body)
	}
	b.settle()
	if d := cmp.Diff(
		map[string]any{"OnFailure": map[string]any{}}, b.call("GET", uuid, "").body["DestinationConfig"],
	); d != "" {
		t.Error(d)
	}
}

// S-22.
func TestListPages(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 250 {
		if a := b.create(fmt.Sprintf(`"FunctionName":"f%d"`, i)); a.status != http.StatusAccepted {
			t.Fatal(a.body)
		}
	}
	seen, marker := map[any]bool{}, ""
	for _, want := range []int{100, 100, 50} {
		a := b.call("GET", "?MaxItems=10000&Marker="+url.QueryEscape(marker), "")
		page := a.body["EventSourceMappings"].([]any)
		marker, _ = a.body["NextMarker"].(string)
		if a.status != http.StatusOK || len(page) != want || (marker != "") != (want == 100) {
			t.Fatalf("%d, %d mappings, marker %q; want %d", a.status, len(page), marker, want)
		}
		for _, m := range page {
			seen[m.(map[string]any)["UUID"]] = true
		}
	}
	if len(seen) != 250 {
		t.Errorf("%d different mappings", len(seen))
	}
	if d := cmp.Diff(
		map[string]any{"EventSourceMappings": []any{}}, b.call("GET", "/?FunctionName=absent", "").body,
	); d != "" {
		t.Error(d)
	}
	b.call("GET", "?MaxItems=0", "").wantFault(t, http.StatusBadRequest, "ValidationException", map[string]any{
		"message": "1 validation error detected: Value '0' at 'maxItems' failed to satisfy constraint: Member must have value greater than or equal to 1",
	})
	if a := b.call("GET", "?MaxItems=x", ""); a.status != http.StatusBadRequest ||
		a.header.Get("x-amzn-errortype") != "SerializationException" {
		t.Errorf("MaxItems=x: %d %v", a.status, a.body)
	}
}

// A known member of the wrong type is named by its types, whatever else the request says; unknown members and nulls are
// ignored.
func TestWrongTypesAreSerializationFaults(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const number = "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to "
	for request, message := range map[string]string{
		`{"FunctionName":1}`:                                    number + "an String",
		`{"FunctionName":true}`:                                 "class java.lang.Boolean can not be converted to an String",
		`{"EventSourceArn":["x"]}`:                              "Start of list found where not expected",
		`{"EventSourceArn":{}}`:                                 "Start of structure or map found where not expected.",
		`{"BatchSize":"1"}`:                                     "class java.lang.String can not be converted to an Integer",
		`{"BatchSize":false}`:                                   "class java.lang.Boolean can not be converted to an Integer",
		`{"Enabled":"yes"}`:                                     "'YES' can not be converted to an Boolean",
		`{"Enabled":1}`:                                         number + "an Boolean",
		`{"StartingPositionTimestamp":"2024-01-01"}`:            "class java.lang.String can not be converted to milliseconds since epoch",
		`{"FunctionResponseTypes":"x"}`:                         "Expected list or null",
		`{"FunctionResponseTypes":{}}`:                          "Start of structure or map found where not expected.",
		`{"FunctionResponseTypes":[1]}`:                         number + "an String",
		`{"DestinationConfig":"x"}`:                             "Expected null",
		`{"DestinationConfig":[]}`:                              "Start of list found where not expected",
		`{"DestinationConfig":{"OnFailure":3}}`:                 "Expected null",
		`{"DestinationConfig":{"OnFailure":{"Destination":3}}}`: number + "an String",
		`{"FilterCriteria":{"Filters":{}}}`:                     "Start of structure or map found where not expected.",
		`{"FilterCriteria":{"Filters":[3]}}`:                    number + "a structure",
		`{"FilterCriteria":{"Filters":[{"Pattern":{}}]}}`:       "Start of structure or map found where not expected.",
		`{"MetricsConfig":{"Metrics":"x"}}`:                     "Expected list or null",
		`{"Tags":1}`:                                            "Expected null",
	} {
		a := b.call("POST", "", request)
		t.Run(request, func(t *testing.T) {
			a.wantFault(t, http.StatusBadRequest, "SerializationException", map[string]any{"Message": message})
		})
	}
	if a := b.create(`"BatchSize":7.9,"Enabled":null`); a.status != http.StatusAccepted || a.body["BatchSize"] != 7.0 {
		t.Errorf("a fraction is cut off: %d %v", a.status, a.body)
	}
}

func TestBodiesThatAreNoObjects(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for body, code := range map[string]string{
		`[]`: "SerializationException", `3`: "SerializationException", `null`: "SerializationException",
		`{`: "InvalidRequestContentException", `{"a":1}x`: "InvalidRequestContentException",
		"\x99": "InvalidRequestContentException",
	} {
		if a := b.call("POST", "", body); a.status != http.StatusBadRequest ||
			a.header.Get("x-amzn-errortype") != code {
			t.Errorf("%q: %d %s", body, a.status, a.header.Get("x-amzn-errortype"))
		}
	}
	a := b.call("POST", "", strings.Repeat(" ", maxMappingBody+1))
	a.wantFault(t, http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", map[string]any{
		"message": "Request must be smaller than 1048576 bytes.",
	})
}

// Advice goes into a header, on success and on refusal, and never into AWS's message.
func TestHintsTravelInAHeader(t *testing.T) {
	t.Parallel()
	b := newBench(t)

	a := b.create(`"EventSourceArn":"arn:aws:kinesis:us-east-1:123456789:stream/orders"`)
	if hint := a.header.Get(wire.HintHeader); a.body["EventSourceArn"] != orders ||
		!strings.Contains(hint, "123456789") {
		t.Errorf("%v, hint %q", a.body["EventSourceArn"], hint)
	}
	a = b.create(`"EventSourceArn":"` + orders + `-absent"`)
	if hint := a.header.Get(wire.HintHeader); hint != "create it first" {
		t.Errorf("hint %q", hint)
	}
}

// Our own faults are ServiceException; the cause is only logged.
func TestInternalErrorsDoNotLeak(t *testing.T) {
	t.Parallel()
	newBench(t).create(`"FunctionName":"broken"`).wantFault(t, http.StatusInternalServerError, "ServiceException",
		map[string]any{"Type": "Service", "Message": "An error occurred and the request cannot be processed."})
}

// A page in a browser can post to the loopback address; it cannot sign. Nothing happens without a signature.
func TestUnsignedRequestsAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := httptest.NewRequest(
		"POST", EventSourceMappingsPath,
		strings.NewReader(`{"EventSourceArn":"`+orders+`","FunctionName":"f","StartingPosition":"LATEST"}`),
	)
	w := httptest.NewRecorder()

	b.handler.ServeHTTP(
		w, r.WithContext(wire.WithCaller(r.Context(), wire.Caller{Account: "000000000000", Region: "us-east-1"})),
	)

	if w.Code != http.StatusForbidden || w.Body.String() != `{"message":"Missing Authentication Token"}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if a := b.call("GET", "", ""); len(a.body["EventSourceMappings"].([]any)) != 0 {
		t.Error("an unsigned request made a mapping")
	}
}

func TestPathsThatNoOperationHas(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, c := range [][2]string{
		{"PUT", ""}, {"DELETE", "/"}, {"POST", "/x"}, {"GET", "/x/y"}, {"GET", "x"}, {"PATCH", "/x"},
	} {
		if a := b.call(c[0], c[1], ""); a.status != http.StatusNotFound ||
			a.header.Get("x-amzn-errortype") != "UnknownOperationException" {
			t.Errorf("%s %q: %d %v", c[0], c[1], a.status, a.body)
		}
	}
}

// Whatever the bytes, there is a valid answer and no panic.
func FuzzCreateEventSourceMapping(f *testing.F) {
	for _, s := range []string{
		``, `{}`,
		`{"FunctionName":"f","EventSourceArn":"` + orders + `","StartingPosition":"LATEST","BatchSize":1e400}`,
		`{"StartingPositionTimestamp":-1e99}`,
		`{"DestinationConfig":{"OnFailure":{"Destination":"arn:aws:sqs:r:1:q"}},"FilterCriteria":{"Filters":[null,{}]}}`,
		`{"Tags":{"a":1},"Topics":[ ]}`,
	} {
		f.Add(s)
	}
	shape := regexp.MustCompile(`^[A-Z][A-Za-z]+Exception$`)
	f.Fuzz(func(t *testing.T, body string) {
		b := newBench(t)
		r := httptest.NewRequest("POST", EventSourceMappingsPath, strings.NewReader(body))
		r = r.WithContext(wire.WithCaller(r.Context(), wire.Caller{
			Account: "000000000000", Region: "us-east-1", Signed: true,
		}))
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, r)
		code := w.Header().Get("x-amzn-errortype")
		if ok := w.Code == http.StatusAccepted; ok == shape.MatchString(code) || w.Code >= 500 {
			t.Errorf("%q: %d %q", body, w.Code, code)
		}
	})
}
