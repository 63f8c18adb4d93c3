package esm_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// in3to10 finds the positions 3 … 10, spelt in decimal.
func in3to10(id string) (record.Position, bool) {
	n, err := strconv.ParseUint(id, 10, 64)
	return record.Position(n), err == nil && n >= 3 && n <= 10
}

// reports holds AWS's documented and recorded responses with ReportBatchItemFailures, and the cases where it is silent.
// Source: Lambda Developer Guide, "Configuring partial batch response with Kinesis Data Streams and Lambda";
// recordings.
var reports = []struct {
	name string
	body string
	kind esm.OutcomeKind
	at   record.Position
}{
	{"S-69 null is a success", `null`, esm.Success, 0},
	{"S-69 an empty list is a success", `[]`, esm.Success, 0},
	{"S-69 an empty list with white space is a success", " [ ]\n", esm.Success, 0},
	{"S-69 an empty object is a success", `{}`, esm.Success, 0},
	{"S-69 an empty batchItemFailures is a success", `{"batchItemFailures":[]}`, esm.Success, 0},
	{"S-69 a null batchItemFailures is a success", `{"batchItemFailures":null}`, esm.Success, 0},
	{"an empty string is a success", `""`, esm.Success, 0},
	{"S-80 zero bytes are a success", ``, esm.Success, 0},
	{"an object without batchItemFailures is a success", `{"statusCode":200}`, esm.Success, 0},
	{"the member's name is spelt exactly", `{"BatchItemFailures":[{"itemIdentifier":"5"}]}`, esm.Success, 0},
	{
		"S-73 a record of the batch is a partial failure there", `{"batchItemFailures":[{"itemIdentifier":"5"}]}`,
		esm.PartialFailure, 5,
	},
	{
		"S-74 the lowest of several decides",
		`{"batchItemFailures":[{"itemIdentifier":"8"},{"itemIdentifier":"3"},{"itemIdentifier":"5"}]}`,
		esm.PartialFailure, 3,
	},
	{
		"S-44 lowest by number, not by text", `{"batchItemFailures":[{"itemIdentifier":"10"},{"itemIdentifier":"9"}]}`,
		esm.PartialFailure, 9,
	},
	{"S-70 a number is no identifier", `{"batchItemFailures":[{"itemIdentifier":123}]}`, esm.FunctionError, 0},
	{"S-70 an empty identifier fails the batch", `{"batchItemFailures":[{"itemIdentifier":""}]}`, esm.FunctionError, 0},
	{"S-70 a null identifier fails the batch", `{"batchItemFailures":[{"itemIdentifier":null}]}`, esm.FunctionError, 0},
	{"S-70 a wrong key fails the batch", `{"batchItemFailures":[{"foo":123}]}`, esm.FunctionError, 0},
	{"S-70 a wrong key with null fails the batch", `{"batchItemFailures":[{"foo":null}]}`, esm.FunctionError, 0},
	{
		"an identifier of another batch fails the batch", `{"batchItemFailures":[{"itemIdentifier":"11"}]}`,
		esm.FunctionError, 0,
	},
	{
		"one valid and one invalid entry fail the batch",
		`{"batchItemFailures":[{"itemIdentifier":"5"},{"itemIdentifier":""}]}`, esm.FunctionError, 0,
	},
	{"an entry that is no object fails the batch", `{"batchItemFailures":["5"]}`, esm.FunctionError, 0},
	{"a null entry fails the batch", `{"batchItemFailures":[null]}`, esm.FunctionError, 0},
	{
		"batchItemFailures that is no list fails the batch", `{"batchItemFailures":{"itemIdentifier":"5"}}`,
		esm.FunctionError, 0,
	},
	{"a body that is not JSON fails the batch", `oops`, esm.FunctionError, 0},
	{"a body that is cut off fails the batch", `{"batchItemFailures":[`, esm.FunctionError, 0},
	{"a text that is cut off fails the batch", `"Delivered 4`, esm.FunctionError, 0},
	{"two values fail the batch", `"OK" "OK"`, esm.FunctionError, 0},
	{"a list with something in it carries no report", `[1]`, esm.Success, 0},
	{"a list of items carries no report", `[{"itemIdentifier":"5"}]`, esm.Success, 0},
	{"a text carries no report", `"Delivered 4 records"`, esm.Success, 0},
	{"a number carries no report", `4`, esm.Success, 0},
	{"true carries no report", `true`, esm.Success, 0},
	{"false carries no report", `false`, esm.Success, 0},
}

func TestReportsAreJudgedAsAWSDoes(t *testing.T) {
	t.Parallel()
	for _, c := range reports {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := esm.ParseResponse([]byte(c.body), true, in3to10)

			if o.Kind != c.kind || o.At != c.at {
				t.Errorf("%s gives %s at %d, want %s at %d", c.body, o.Kind, o.At, c.kind, c.at)
			}
			if (o.Kind == esm.FunctionError) != (o.Reason != "" && o.Kind != esm.PartialFailure) {
				t.Errorf("%s gives %s for the reason %q", c.body, o.Kind, o.Reason)
			}
			if o.FunctionError != "" || o.StatusCode != 200 { // S-70: functionError is null, statusCode 200
				t.Errorf("%s gives FunctionError %q and status %d", c.body, o.FunctionError, o.StatusCode)
			}
		})
	}
}

// What AWS accepts silently and is surely a mistake gets its advice, and what is right gets none.
func TestAdviceIsGivenWhereAReportIsLost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body       string
		reports, unasked esm.Advice // with ReportBatchItemFailures, and without
	}{
		{"nothing to say about an empty answer", ``, esm.AdviceNone, esm.AdviceNone},
		{"about null", `null`, esm.AdviceNone, esm.AdviceNone},
		{"about an empty text", `""`, esm.AdviceNone, esm.AdviceNone},
		{"about an empty list", `[]`, esm.AdviceNone, esm.AdviceNone},
		{"about an object with other members", `{"statusCode":200,"body":"ok"}`, esm.AdviceNone, esm.AdviceNone},
		{"about an empty report", `{"batchItemFailures":[]}`, esm.AdviceNone, esm.AdviceNone},
		{"about no report", `{"batchItemFailures":null}`, esm.AdviceNone, esm.AdviceNone},
		{"about an empty report in another spelling", `{"BatchItemFailures":[]}`, esm.AdviceNone, esm.AdviceNone},
		{
			"about a sentence that only mentions reports", `{"note":"no batchItemFailures today"}`, esm.AdviceNone,
			esm.AdviceNone,
		},
		{"a report that works", `{"batchItemFailures":[{"itemIdentifier":"5"}]}`, esm.AdviceNone, esm.AdviceUnasked},
		{"a text", `"Delivered 4 records"`, esm.AdviceNoReport, esm.AdviceNone},
		{"a number", `4`, esm.AdviceNoReport, esm.AdviceNone},
		{"true", `true`, esm.AdviceNoReport, esm.AdviceNone},
		{"a list of something", `[1,{"a":2}]`, esm.AdviceNoReport, esm.AdviceNone},
		{"a list of items", `[{"itemIdentifier":"5"}]`, esm.AdviceBareList, esm.AdviceNone},
		{"a list of identifiers", `["x","5"]`, esm.AdviceBareList, esm.AdviceNone},
		{"a list of identifiers of others", `["x","11"]`, esm.AdviceNoReport, esm.AdviceNone},
		{
			"a report encoded twice", `"{\"batchItemFailures\":[{\"itemIdentifier\":\"5\"}]}"`, esm.AdviceEncoded,
			esm.AdviceNone,
		},
		{"an empty report encoded twice", `"{\"batchItemFailures\":[]}"`, esm.AdviceNoReport, esm.AdviceNone},
		{
			"a report as the body of an HTTP answer",
			`{"statusCode":200,"body":"{\"batchItemFailures\":[{\"itemIdentifier\":\"5\"}]}"}`, esm.AdviceEncoded,
			esm.AdviceNone,
		},
		{"another spelling", `{"BatchItemFailures":[{"itemIdentifier":"5"}]}`, esm.AdviceSpelling, esm.AdviceNone},
		{"the singular", `{"batchItemFailure":[{"itemIdentifier":"5"}]}`, esm.AdviceSpelling, esm.AdviceNone},
		{"the style of Python", `{"batch_item_failures":[{"itemIdentifier":"5"}]}`, esm.AdviceSpelling, esm.AdviceNone},
		{
			"an item in another spelling", `{"batchItemFailures":[{"itemidentifier":"5"}]}`, esm.AdviceIdentifier,
			esm.AdviceUnasked,
		},
		{
			"an empty identifier", `{"batchItemFailures":[{"itemIdentifier":""}]}`, esm.AdviceIdentifier,
			esm.AdviceUnasked,
		},
		{
			"an unknown identifier", `{"batchItemFailures":[{"itemIdentifier":"shardId-000000000000:5"}]}`,
			esm.AdviceIdentifier, esm.AdviceUnasked,
		},
		{
			"a report that is no list", `{"batchItemFailures":{"itemIdentifier":"5"}}`, esm.AdviceIdentifier,
			esm.AdviceNone,
		},
		{"no JSON", `batchItemFailures`, esm.AdviceNone, esm.AdviceNone},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			reports, unasked := esm.ParseResponse([]byte(c.body), true, in3to10).Advice, esm.ParseResponse(
				[]byte(c.body), false, in3to10,
			).Advice

			if reports != c.reports || unasked != c.unasked {
				t.Errorf(
					"%s gives %s, and %s without ReportBatchItemFailures; want %s and %s", c.body, reports, unasked,
					c.reports, c.unasked,
				)
			}
		})
	}
}

// In a tumbling window a response needs a state, whatever else it says.
func TestAdviceAboutAMissingState(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]esm.Advice{
		`{"batchItemFailures":[{"itemIdentifier":"5"}]}`:            esm.AdviceNoState,
		`"Counted 4 records"`:                                       esm.AdviceNoState,
		`{"state":{}}`:                                              esm.AdviceNone,
		`{"state":{},"batchItemFailures":[{"itemIdentifier":"5"}]}`: esm.AdviceNone,
		`{"state":{},"batchItemFailures":[{"itemIdentifier":""}]}`:  esm.AdviceIdentifier,
	} {
		if o, _ := esm.ParseWindowResponse([]byte(body), esm.ForRecords, true, in3to10); o.Advice != want {
			t.Errorf("%s gives %s, want %s", body, o.Advice, want)
		}
	}
}

// S-78: without ReportBatchItemFailures the body is not evaluated.
func TestWithoutPartialResponsesEveryAnswerIsASuccess(t *testing.T) {
	t.Parallel()
	for _, c := range reports {
		if o := esm.ParseResponse([]byte(c.body), false, in3to10); o.Kind != esm.Success {
			t.Errorf("%s gives %s", c.body, o.Kind)
		}
	}
}

// S-89: in a tumbling window a response about records must hold the state, an object, which is returned compact.
// Reports are judged first, as without a window.
func TestWindowAnswersNeedAState(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		kind       esm.OutcomeKind
		at         record.Position
		state      string
	}{
		{"an empty state", `{"state":{}}`, esm.Success, 0, `{}`},
		{"white space goes", " { \"state\" : { \"a\" : [ 1, \"b c\" ] } } ", esm.Success, 0, `{"a":[1,"b c"]}`},
		{"nothing is escaped that was not", `{"state":{"a":"<&>é\u00e9"}}`, esm.Success, 0, `{"a":"<&>é\u00e9"}`},
		{
			"a state beside a report", `{"state":{"n":2},"batchItemFailures":[{"itemIdentifier":"5"}]}`,
			esm.PartialFailure, 5, `{"n":2}`,
		},
		{"a state beside an empty report", `{"state":{"n":2},"batchItemFailures":[]}`, esm.Success, 0, `{"n":2}`},
		{
			"a report that cannot be followed", `{"state":{"n":2},"batchItemFailures":[{"itemIdentifier":""}]}`,
			esm.FunctionError, 0, "",
		},
		{"a report without a state", `{"batchItemFailures":[{"itemIdentifier":"5"}]}`, esm.FunctionError, 0, ""},
		{"no state", `{}`, esm.FunctionError, 0, ""},
		{"another spelling", `{"State":{}}`, esm.FunctionError, 0, ""},
		{"a null state", `{"state":null}`, esm.FunctionError, 0, ""},
		{"a list as state", `{"state":[]}`, esm.FunctionError, 0, ""},
		{"a text as state", `{"state":"{}"}`, esm.FunctionError, 0, ""},
		{"null", `null`, esm.FunctionError, 0, ""},
		{"a list", `[{"state":{}}]`, esm.FunctionError, 0, ""},
		{"a sentence", `"counted"`, esm.FunctionError, 0, ""},
		{"a number", `4`, esm.FunctionError, 0, ""},
		{"zero bytes", ``, esm.FunctionError, 0, ""},
		{"no JSON", `state`, esm.FunctionError, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o, state := esm.ParseWindowResponse([]byte(c.body), esm.ForRecords, true, in3to10)

			if o.Kind != c.kind || o.At != c.at || o.Kind != esm.FunctionError && state != c.state ||
				(o.Kind == esm.FunctionError) != (o.Reason != "" && o.At == 0) {
				t.Errorf("%s gives %s at %d with %q: %s", c.body, o.Kind, o.At, state, o.Reason)
			}
		})
	}
}

// The response to the end of a window is not evaluated.
func TestAnswersToTheEndOfAWindowAreSuccesses(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `null`, `oops`, `{"state":1}`, `{"batchItemFailures":[{"itemIdentifier":"5"}]}`} {
		for _, p := range []esm.Purpose{esm.ForFinal, esm.ForEarlyEnd} {
			if o, state := esm.ParseWindowResponse([]byte(body), p, true, in3to10); o.Kind != esm.Success ||
				state != "" {
				t.Errorf("%s for %s gives %s and %q", body, p, o.Kind, state)
			}
		}
	}
}

// A returned state is compact, valid JSON, so that it fits the next payload unchanged.
func FuzzParseWindowResponse(f *testing.F) {
	for _, body := range []string{
		`{"state":{}}`, `{"state":{"a":[1, 2]},"batchItemFailures":[{"itemIdentifier":"5"}]}`,
		`{"state":{"a":"\u00e9\xff"}}`, `{}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o, state := esm.ParseWindowResponse(body, esm.ForRecords, true, in3to10)
		if o.Kind == esm.FunctionError {
			return
		}
		again, err := json.Marshal(json.RawMessage(state))
		if err != nil || !strings.HasPrefix(state, "{") || !utf8.ValidString(state) || len(again) < len(state) {
			t.Errorf("the state %q of %q: %v", state, body, err)
		}
	})
}

func FuzzParseResponse(f *testing.F) {
	for _, c := range reports {
		f.Add([]byte(c.body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o := esm.ParseResponse(body, true, in3to10)
		switch o.Kind {
		case esm.Success, esm.FunctionError:
			if o.At != 0 {
				t.Errorf("%s at %d", o.Kind, o.At)
			}
		case esm.PartialFailure:
			if o.At < 3 || o.At > 10 {
				t.Errorf("partial failure at %d, which is not in the batch", o.At)
			}
		case esm.Throttle, esm.ServiceError:
			t.Errorf("an outcome of %s, though code ran", o.Kind)
		default:
			t.Errorf("an outcome of %s", o.Kind)
		}
		if len(o.Reason) > 1000 {
			t.Errorf("a reason of %d bytes", len(o.Reason))
		}
	})
}

// Reasons quote the function's text, which is cut between characters.
func TestReasonsAreCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	long := "a" + strings.Repeat("ä", 200)
	for _, got := range []string{
		esm.ErrorReason([]byte(`{"errorType": "E", "errorMessage": "` + long + `"}`)),
		esm.ErrorReason([]byte(`{"errorType": "` + long + `"}`)),
	} {
		if !utf8.ValidString(got) || !strings.HasSuffix(got, "ä…") {
			t.Errorf("the reason is %q", got)
		}
	}
}
