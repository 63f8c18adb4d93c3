package lambda_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/eventually"
)

const stale = "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id"

// settledVersion is a version of f once no transition is under way.
func (b *bench) settledVersion(version string) map[string]any {
	b.t.Helper()
	ref := function.Ref{Account: "123456789012", Region: "us-east-1", Name: "f"}
	for {
		changed := b.f.Changed(ref)
		m := b.do("GET", functions+"/f/configuration?Qualifier="+version, nil).fields()
		if m["State"] != "Pending" {
			return m
		}
		eventually.Comes(b.t, fmt.Sprint("a change of ", m), changed)
	}
}

// publish publishes f and returns the version.
func (b *bench) publish(body object) map[string]any {
	b.t.Helper()
	a := b.do("POST", functions+"/f/versions", body)
	if a.status != 201 {
		b.t.Fatalf("publish: %d %s", a.status, a.body)
	}
	return a.fields()
}

// configure changes f, which makes its next version another one.
func (b *bench) configure(change object) map[string]any {
	b.t.Helper()
	if a := b.do("PUT", functions+"/f/configuration", change); a.status != 200 {
		b.t.Fatalf("configure: %d %s", a.status, a.body)
	}
	return b.settled()
}

// versions lists the versions of f.
func (b *bench) versions() (numbers []string) {
	b.t.Helper()
	for _, v := range b.do("GET", functions+"/f/versions", nil).fields()["Versions"].([]any) {
		v := v.(object)
		if arn := arnF + ":" + v["Version"].(string); v["FunctionArn"] != arn || v["State"] != nil {
			b.t.Errorf("listed as %v", v)
		}
		numbers = append(numbers, v["Version"].(string))
	}
	return numbers
}

// F-8: publishing twice without a change brings Version "1" and the same RevisionId both times; ListVersions is
// [$LATEST, 1]. The answer is Active and Successful, and the publishing changed the revision of $LATEST.
func TestPublishingTwiceWithoutAChangeIsOneVersion(t *testing.T) {
	t.Parallel()
	b := start(t)
	before := b.create(nil)

	first, second := b.publish(object{"Description": "one"}), b.publish(nil)

	if first["Version"] != "1" || first["FunctionArn"] != arnF+":1" || first["State"] != "Active" ||
		first["LastUpdateStatus"] != "Successful" || first["Description"] != "one" ||
		first["CodeSha256"] != before["CodeSha256"] {
		t.Errorf("published as %v", first)
	}
	if second["Version"] != "1" || second["RevisionId"] != first["RevisionId"] {
		t.Errorf("published again as %v", second)
	}
	if got := fmt.Sprint(b.versions()); got != "[$LATEST 1]" {
		t.Errorf("versions are %s", got)
	}
	after := b.settled()
	if after["RevisionId"] == before["RevisionId"] || after["RevisionId"] == first["RevisionId"] ||
		after["Description"] != "" || after["Version"] != "$LATEST" {
		t.Errorf("$LATEST is %v", after)
	}
}

// F-9: PublishVersion with CodeSha256 "x" is refused with both sums; a stale RevisionId is 412.
func TestPublishVersionExpectsCodeAndRevision(t *testing.T) {
	t.Parallel()
	b := start(t)
	m := b.create(nil)
	sum := m["CodeSha256"].(string)

	b.do("POST", functions+"/f/versions", object{"CodeSha256": "x"}).fails(400, "InvalidParameterValueException",
		"CodeSHA256 (x) is different from current CodeSHA256 in $LATEST ("+sum+
			"). Please try again with the CodeSHA256 in $LATEST.")
	b.do("POST", functions+"/f/versions", object{"RevisionId": "x"}).fails(412, "PreconditionFailedException", stale)
	b.do("POST", functions+"/f/versions", object{"PublishTo": "LATEST_PUBLISHED"}).fails(
		400, "InvalidParameterValueException", "shardmill does not support PublishTo yet; see docs/compat/lambda.md.",
	)
	b.do("POST", functions+"/f:1/versions", object{}).fails(400, "InvalidParameterValueException", wholeOnly)
	b.do("POST", functions+"/g/versions", object{}).fails(
		404, "ResourceNotFoundException", "Function not found: "+strings.TrimSuffix(arnF, "f")+"g",
	)
	if v := b.publish(object{"CodeSha256": sum, "RevisionId": m["RevisionId"]}); v["Version"] != "1" {
		t.Errorf("published as %v", v)
	}
}

const wholeOnly = "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. " +
	"Please specify either a function name or an unqualified function ARN."

// F-10: CreateFunction with Publish answers Version "1" with the ARN of the function, Pending. UpdateFunctionCode with
// Publish answers the new version, Pending, while $LATEST is InProgress with a revision of its own; with DryRun nothing
// is stored.
func TestPublishAtCreateAndUpdate(t *testing.T) {
	t.Parallel()
	b := start(t)

	a := b.do("POST", functions, request(object{"Publish": true}))

	if m := a.fields(); a.status != 201 || m["Version"] != "1" || m["FunctionArn"] != arnF || m["State"] != "Pending" {
		t.Errorf("create: %d %s", a.status, a.body)
	}
	b.settled()
	if v := b.settledVersion("1"); v["State"] != "Active" || v["LastUpdateStatus"] != "Successful" {
		t.Errorf("later: %v", v)
	}

	code := object{"ZipFile": zipFile("bootstrap", echo+"#"), "Publish": true}
	dry := object{"ZipFile": code["ZipFile"], "Publish": true, "DryRun": true}
	if a := b.do("PUT", functions+"/f/code", dry); a.status != 200 || a.fields()["Version"] != "2" {
		t.Errorf("dry run: %d %s", a.status, a.body)
	}
	if got := fmt.Sprint(b.versions()); got != "[$LATEST 1]" {
		t.Errorf("after a dry run versions are %s", got)
	}
	a = b.do("PUT", functions+"/f/code", code)
	m := a.fields()
	if a.status != 200 || m["Version"] != "2" || m["FunctionArn"] != arnF+":2" || m["State"] != "Pending" ||
		m["StateReasonCode"] != "Creating" || m["LastUpdateStatus"] != nil {
		t.Errorf("update: %d %s", a.status, a.body)
	}
	b.settled()
	b.settledVersion("2")
	if got := fmt.Sprint(b.versions()); got != "[$LATEST 1 2]" {
		t.Errorf("versions are %s", got)
	}
	// Code and configuration are those of version 2: it is published already.
	if a := b.do("PUT", functions+"/f/code", code); a.fields()["Version"] != "2" {
		t.Errorf("the same code again: %d %s", a.status, a.body)
	}
	b.settled()
}

// A version is immutable: it keeps its code, configuration, variables, log stream and role while $LATEST moves on.
// §2.7: function_version is the version that runs, invoked_function_arn the ARN as addressed.
func TestAVersionStaysWhatItWas(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.create(object{
		"Runtime": "python3.12", "Handler": "i.handler", "Environment": object{"Variables": object{"WHO": "first"}},
		"Code": object{"ZipFile": zipFile("i.py", shows)},
	})
	b.publish(nil)
	b.do("POST", functions+"/f/aliases", object{"Name": "live", "FunctionVersion": "1"})
	b.configure(object{"Environment": object{"Variables": object{"WHO": "second"}}, "MemorySize": 256})

	for _, c := range []struct{ path, version, arn, who string }{
		{"/f/invocations", "$LATEST", arnF, "second"},
		{"/f/invocations?Qualifier=%24LATEST", "$LATEST", arnF + ":$LATEST", "second"},
		{"/f/invocations?Qualifier=1", "1", arnF + ":1", "first"},
		{"/f:1/invocations", "1", arnF + ":1", "first"},
		{"/f/invocations?Qualifier=live", "1", arnF + ":live", "first"},
		{"/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af%3Alive/invocations", "1", arnF + ":live", "first"},
	} {
		a := b.do("POST", functions+c.path, "{}")
		if got := a.header.Get("X-Amz-Executed-Version"); a.status != 200 || got != c.version {
			t.Errorf("%s: %d, version %q ran: %s", c.path, a.status, got, a.body)
			continue
		}
		m := a.fields()
		stream, _ := m["stream"].(string)
		if m["version"] != c.version || m["variable"] != c.version || m["arn"] != c.arn || m["who"] != c.who ||
			!strings.Contains(stream, "/["+c.version+"]") {
			t.Errorf("%s sees %s", c.path, a.body)
		}
	}
	if m := b.do("GET", functions+"/f/configuration?Qualifier=live", nil).fields(); m["MemorySize"] != 128.0 ||
		m["FunctionArn"] != arnF+":live" || m["Version"] != "1" {
		t.Errorf("through the alias: %v", m)
	}
	// the LogResult says so, too
	a := b.do("POST", functions+"/f:1/invocations", "{}", "X-Amz-Log-Type", "Tail")
	log, _ := base64.StdEncoding.DecodeString(a.header.Get("X-Amz-Log-Result"))
	if !strings.Contains(string(log), " Version: 1\n") {
		t.Errorf("the log is %s", log)
	}
}

// shows is a handler that answers what it knows of its version.
const shows = `
import os
def handler(event, context):
    return {"version": context.function_version, "variable": os.environ["AWS_LAMBDA_FUNCTION_VERSION"],
            "arn": context.invoked_function_arn, "who": os.environ["WHO"], "stream": context.log_stream_name}
`

// F-16, F-17: qualifiers that contradict each other are refused; $LATEST and aliases are not deleted by DeleteFunction;
// a version that an alias leads to stays; numbers are used once.
func TestDeletingVersions(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.create(nil)
	b.publish(nil)
	b.configure(object{"Timeout": 9})
	b.publish(nil)
	b.do("POST", functions+"/f/aliases", object{
		"Name": "live", "FunctionVersion": "1", "RoutingConfig": object{"AdditionalVersionWeights": object{"2": .1}},
	})

	b.do("GET", functions+"/f:1?Qualifier=2", nil).fails(400, "InvalidParameterValueException",
		"The derived qualifier from the function name does not match the specified qualifier.")
	b.do("DELETE", functions+"/f?Qualifier=%24LATEST", nil).fails(400, "InvalidParameterValueException",
		"$LATEST version cannot be deleted without deleting the function.")
	b.do("DELETE", functions+"/f?Qualifier=live", nil).fails(400, "InvalidParameterValueException",
		"Deletion of aliases is not currently supported.")
	for _, version := range []string{"1", "2"} {
		b.do("DELETE", functions+"/f?Qualifier="+version, nil).fails(409, "ResourceConflictException",
			"Unable to delete version because the following aliases reference it: [live]")
	}
	b.do("DELETE", functions+"/f?Qualifier=9", nil).is(204, "")
	b.do("DELETE", functions+"/f/aliases/live", nil).is(204, "")
	b.do("DELETE", functions+"/f:2", nil).is(204, "")
	for _, path := range []string{"/f?Qualifier=2", "/f/configuration?Qualifier=2"} {
		b.do("GET", functions+path, nil).fails(404, "ResourceNotFoundException", "Function not found: "+arnF+":2")
	}
	b.do("POST", functions+"/f:2/invocations", "{}").fails(
		404, "ResourceNotFoundException", "Function not found: "+arnF+":2",
	)
	if v := b.publish(nil); v["Version"] != "3" {
		t.Errorf("after 2 was deleted, published as %v", v["Version"])
	}
	if got := fmt.Sprint(b.versions()); got != "[$LATEST 1 3]" {
		t.Errorf("versions are %s", got)
	}
	b.do("DELETE", functions+"/f", nil).is(204, "")
	b.do("GET", functions+"/f:1", nil).fails(404, "ResourceNotFoundException", "Function not found: "+arnF+":1")
	b.do("DELETE", functions+"/f?Qualifier=1", nil).fails(404, "ResourceNotFoundException", "Function not found: "+arnF)
	b.create(nil) // a new function of the name begins anew
	if v := b.publish(nil); v["Version"] != "1" {
		t.Errorf("a new function begins with version %v", v["Version"])
	}
}

// §2.4: ListVersionsByFunction is $LATEST and then ascending numbers, over all pages; ListFunctions with ALL shows
// every version.
func TestVersionsAreListedInPages(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.create(nil)
	var want []string
	for i := range 11 {
		b.configure(object{"Description": fmt.Sprint(i)})
		want = append(want, b.publish(nil)["Version"].(string))
	}
	want = append([]string{"$LATEST"}, want...)

	for path, key := range map[string]string{
		functions + "/f/versions?MaxItems=5&Marker=":           "Versions",
		functions + "/?FunctionVersion=ALL&MaxItems=5&Marker=": "Functions",
	} {
		var got []string
		marker := ""
		for range 4 {
			m := b.do("GET", path+marker, nil).fields()
			for _, v := range m[key].([]any) {
				got = append(got, v.(object)["Version"].(string))
			}
			if marker, _ = m["NextMarker"].(string); marker == "" {
				break
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s lists %v", path, got)
		}
	}
	b.do("GET", functions+"/f/versions?Marker=!", nil).fails(400, "InvalidParameterValueException",
		"The marker ! is not one that ListVersionsByFunction gave.")
}

// Qualifiers have a form.
func TestQualifiersHaveAForm(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.create(nil)
	b.do("GET", functions+"/f?Qualifier=a.b", nil).fails(400, "ValidationException",
		"1 validation error detected: Value 'a.b' at 'qualifier' failed to satisfy constraint: "+
			"Member must satisfy regular expression pattern: (|[a-zA-Z0-9$_-]+)")
	for _, path := range []string{"/f:1/code", "/f:live/configuration"} {
		b.do("PUT", functions+path, object{"ZipFile": "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="}).fails(
			400, "InvalidParameterValueException", wholeOnly,
		)
	}
	if a := b.do("GET", functions+"/f:$LATEST", nil); a.status != http.StatusOK {
		t.Errorf("$LATEST: %d %s", a.status, a.body)
	}
}
