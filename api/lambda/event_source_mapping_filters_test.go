package lambda

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/mapping"
)

const aKey = "arn:aws:kms:us-east-1:000000000000:key/k"

// criteria is a FilterCriteria as an answer holds it.
func criteria(patterns ...string) any {
	list := []any{}
	for _, p := range patterns {
		list = append(list, map[string]any{"Pattern": p})
	}
	return map[string]any{"Filters": list}
}

// §1.4: "echoed as sent otherwise, Pattern stays a string". S-21: "When Update FilterCriteria {}. Then FilterCriteria
// gone"; so it is with an empty list, and an Update that does not mention it leaves it alone.
func TestFilterCriteriaAreEchoedAndReplaced(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := b.create(`"FilterCriteria":{"Filters":[{"Pattern":" {\"data\" : {\"a\":[1]}}"},{"Pattern":"{\"b\":[null]}"}]}`)
	want := criteria(` {"data" : {"a":[1]}}`, `{"b":[null]}`)
	if d := cmp.Diff(want, a.body["FilterCriteria"]); d != "" || len(a.body) != 19 {
		t.Errorf("%d members, %s", len(a.body), d)
	}
	uuid := "/" + a.body["UUID"].(string)
	for _, step := range []struct {
		update string
		want   any
	}{
		{`{"BatchSize":7}`, want},
		{`{"FilterCriteria":{"Filters":[{"Pattern":"{\"c\":[2]}"}]}}`, criteria(`{"c":[2]}`)},
		{`{"FilterCriteria":{}}`, nil},
		{`{"FilterCriteria":{"Filters":[{"Pattern":"{\"c\":[2]}"}]}}`, criteria(`{"c":[2]}`)},
		{`{"FilterCriteria":{"Filters":[]}}`, nil},
	} {
		b.settle()
		updated := b.call("PUT", uuid, step.update)
		if d := cmp.Diff(step.want, updated.body["FilterCriteria"]); d != "" || updated.status != http.StatusAccepted {
			t.Errorf("%s: %d %s", step.update, updated.status, d)
		}
		if d := cmp.Diff(step.want, b.call("GET", uuid, "").body["FilterCriteria"]); d != "" {
			t.Errorf("after %s: %s", step.update, d)
		}
	}
}

// S-14: "When Pattern is `single-string` and `[{"eventName": ["INSERT"=123}]`. Then 400 `Invalid filter pattern
// definition.` both." The place is in the hint.
func TestIllegalFilterPatternsAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for pattern, hint := range map[string]string{
		`{"Pattern":"single-string"}`:                      "filters[0]: at byte 0",
		`{"Pattern":"[{\"eventName\": [\"INSERT\"=123}]"}`: "filters[0]: at byte 24",
		`{"Pattern":""}`:                                   "filters[0]: at byte 0",
		`{}`:                                               "filters[0]: at byte 0",
		`{"Pattern":"{\"data\":[\"x\"]}"}`:                 "filters[0].data: at byte 8",
		`{"Pattern":"{\"a\":[1]}"},{"Pattern":"{\"b\":[]}"}`: "filters[1].b: at byte 5",
	} {
		a := b.create(`"FilterCriteria":{"Filters":[` + pattern + `]}`)
		a.wantFault(
			t, http.StatusBadRequest, "InvalidParameterValueException", user("Invalid filter pattern definition."),
		)
		if got := a.header.Get("x-shardmill-hint"); !strings.HasPrefix(got, hint) {
			t.Errorf("%s: hint %q", pattern, got)
		}
	}
	b.create(`"FilterCriteria":{"Filters":[`+strings.TrimSuffix(strings.Repeat(`{"Pattern":"{\"a\":[1]}"},`, 6), ",")+`]}`).
		wantFault(t, http.StatusBadRequest, "InvalidParameterValueException",
			user("The number of filters in FilterCriteria exceeds the limit of 5."))
}

// §1.10, §1.9: KMSKeyArn is stored; with a key of one's own List hides FilterCriteria, while Get, and the answers to
// Create, Update and Delete, show them to everybody of the account: that is what stands for kms:Decrypt here.
func TestAKeyHidesFilterCriteriaInLists(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := b.create(`"KMSKeyArn":"` + aKey + `","FilterCriteria":{"Filters":[{"Pattern":"{\"a\":[1]}"}]}`)
	uuid := "/" + a.body["UUID"].(string)
	want := criteria(`{"a":[1]}`)
	listed := func() map[string]any {
		return b.call("GET", "", "").body["EventSourceMappings"].([]any)[0].(map[string]any)
	}
	if d := cmp.Diff(want, a.body["FilterCriteria"]); d != "" || a.body["KMSKeyArn"] != aKey {
		t.Error(d, a.body)
	}
	if l := listed(); l["FilterCriteria"] != nil || l["KMSKeyArn"] != aKey {
		t.Errorf("listed: %v", l)
	}
	if d := cmp.Diff(want, b.call("GET", uuid, "").body["FilterCriteria"]); d != "" {
		t.Error(d)
	}
	b.settle()
	if u := b.call("PUT", uuid, `{"KMSKeyArn":""}`); u.body["KMSKeyArn"] != nil || u.status != http.StatusAccepted {
		t.Errorf("%v", u.body)
	}
	if d := cmp.Diff(want, listed()["FilterCriteria"]); d != "" {
		t.Error("without the key: ", d)
	}
	b.settle()
	if d := cmp.Diff(want, b.call("DELETE", uuid, "").body["FilterCriteria"]); d != "" {
		t.Error(d)
	}
}

// FilterCriteriaError is what AWS shows when filters cannot be read; here it says that they cannot be used. With a key
// of one's own List says nothing about filters, and so nothing about what is wrong with them.
func TestFiltersThatCannotBeUsedShowAnError(t *testing.T) {
	t.Parallel()
	m := mapping.Mapping{Settings: mapping.Settings{Filters: []string{`{"a":1}`}}}
	shown := showMapping(&m)
	if e := shown.FilterCriteriaError; e == nil || e.ErrorCode != "InvalidParameterValueException" || e.Message == "" ||
		shown.FilterCriteria == nil {
		t.Errorf("%+v", shown)
	}
	if l := listMapping(&m); l.FilterCriteriaError == nil {
		t.Errorf("listed: %+v", l)
	}
	m.KMSKeyARN = aKey
	if l := listMapping(&m); l.FilterCriteriaError != nil || l.FilterCriteria != nil || l.KMSKeyArn != aKey {
		t.Errorf("listed with a key: %+v", l)
	}
}
