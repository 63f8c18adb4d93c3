package sts

import (
	"context"
	"encoding/xml"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/api/wire/wiretest"
)

const requestID = "5f0b6f0e-0000-4000-8000-000000000000"

// call sends a form as a caller, whose keys ASIA1 and ASIA2 belong to functions.
func call(t *testing.T, c wire.Caller, fields string) (int, string) {
	t.Helper()
	h := New(Options{Session: func(_ context.Context, key string) (Session, bool) {
		switch key {
		case "ASIA1":
			return Session{"arn:aws:iam::123456789012:role/r", "AROAEXAMPLE", "f2"}, true
		case "ASIA2":
			return Session{"arn:aws:iam::123456789012:role/some/path/r", "AROAEXAMPLE", "f"}, true
		}
		return Session{}, false
	}})
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(fields+"&Version=2011-06-15"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	c.RequestID = requestID
	h.ServeHTTP(w, r.WithContext(wire.WithCaller(t.Context(), c)))
	if w.Header().Get("Content-Type") != "text/xml" || w.Header().Get("X-Amzn-Requestid") != requestID {
		t.Errorf("headers %v", w.Header())
	}
	return w.Code, w.Body.String()
}

// F-76: a key that was issued to a function is its role, under the function's name; any other is the root of its
// account.
func TestCallerIdentity(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		caller           wire.Caller
		arn, id, account string
	}{
		"a function": {
			wire.Caller{AccessKey: "ASIA1", Account: "123456789012", Signed: true},
			"arn:aws:sts::123456789012:assumed-role/r/f2", "AROAEXAMPLE:f2", "123456789012",
		},
		"a name of one letter, in a path": {
			wire.Caller{AccessKey: "ASIA2", Account: "123456789012", Signed: true},
			"arn:aws:sts::123456789012:assumed-role/r/f@lambda_function", "AROAEXAMPLE:f@lambda_function",
			"123456789012",
		},
		"any other key": {
			wire.Caller{AccessKey: "AKID", Account: "000000000000", Region: "us-east-1", Signed: true},
			"arn:aws:iam::000000000000:root", "000000000000", "000000000000",
		},
		"any other key in another partition": {
			wire.Caller{AccessKey: "AKID", Account: "000000000000", Region: "cn-north-1", Signed: true},
			"arn:aws-cn:iam::000000000000:root", "000000000000", "000000000000",
		},
	} {
		status, got := call(t, c.caller, "Action=GetCallerIdentity")
		want := `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
			`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>` +
			c.arn + "</Arn><UserId>" + c.id +
			"</UserId><Account>" + c.account + "</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>" +
			requestID + "</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
		if status != 200 || got != want {
			t.Errorf("%s: %d\n got %s\nwant %s", name, status, got, want)
		}
	}
}

func TestTheCompatPageListsWhatIsServedAndWhatIsNot(t *testing.T) {
	t.Parallel()
	others := strings.Fields(model.Others)
	wiretest.Listed(t, "sts", slices.Collect(maps.Keys(model.Served)), others)
	for _, name := range others {
		status, answer := call(t, wire.Caller{Signed: true}, "Action="+name)
		text := "shardmill does not implement sts " + name + " yet; see docs/compat/sts.md."
		if status != 501 ||
			!strings.Contains(answer, "<Code>NotImplementedException</Code><Message>"+text+"</Message>") {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
}

// Absent operations are refused by name, in the protocol's shape.
func TestRefusals(t *testing.T) {
	t.Parallel()
	signed := wire.Caller{AccessKey: "AKID", Account: "000000000000", Signed: true}
	for fields, c := range map[string]struct {
		caller     wire.Caller
		status     int
		code, text string
	}{
		"Action=GetCallerIdentity": {
			wire.Caller{Account: "000000000000"},
			403, "MissingAuthenticationToken",
			"Request is missing Authentication Token",
		},
		"Action=AssumeRole&RoleArn=arn:aws:iam::000000000000:role/r": {
			signed, 501, "NotImplementedException",
			"shardmill does not implement sts AssumeRole yet; see docs/compat/sts.md.",
		},
		"Action=GetSessionToken": {
			signed, 501, "NotImplementedException",
			"shardmill does not implement sts GetSessionToken yet; see docs/compat/sts.md.",
		},
		"Action=Nobody": {
			signed, 400, "InvalidAction", `Could not find operation "Nobody" for version 2011-06-15`,
		},
		"": {
			signed, 400, "MissingAction", "The request must contain the parameter Action.",
		},
		"Action=%zz": {
			signed, 400, "MalformedQueryString", `The form is malformed: invalid URL escape "%zz"`,
		},
		strings.Repeat("x", maxRequestBytes+1): {
			signed, 413, "RequestEntityTooLarge", "The request is longer than 65536 bytes.",
		},
	} {
		status, body := call(t, c.caller, fields)
		var got struct {
			Code    string `xml:"Error>Code"`
			Message string `xml:"Error>Message"`
		}
		if err := xml.Unmarshal([]byte(body), &got); err != nil || status != c.status || got.Code != c.code ||
			got.Message != c.text {
			t.Errorf("%.60s: %d %s", fields, status, body)
		}
	}
}
