package server

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/internal/eventually"
)

// terraform plays what Terraform's AWS provider sends.
type terraform struct{ *bench }

const (
	functionsPath = "/2015-03-31/functions"
	mappingsPath  = "/2015-03-31/event-source-mappings"
	concurrency   = "/2017-10-31/functions/f/concurrency"
	codeSigning   = "/2020-06-30/functions/f/code-signing-config"
	tfFunction    = "arn:aws:lambda:us-east-1:000000000000:function:f"
)

type object = map[string]any

// call sends a request and wants a status; it returns the answer.
func (tf terraform) call(want int, method, path string, body any) object {
	tf.Helper()
	text := ""
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			tf.Fatal(err)
		}
		text = string(b)
	}
	status, answer := tf.lambda(method, path, text)
	if status != want {
		tf.Fatalf("%s %s: %d %s, want %d", method, path, status, answer, want)
	}
	out := object{}
	if answer != "" {
		if err := json.Unmarshal([]byte(answer), &out); err != nil {
			tf.Fatalf("%s: %v", answer, err)
		}
	}
	return out
}

// poll repeats a GET, as the provider does, until a member of the answer has a value.
func (tf terraform) poll(path string, member, value string) (m object) {
	tf.Helper()
	eventually.Holds(tf, path+" has "+member+" "+value, func() bool {
		m = tf.call(http.StatusOK, "GET", path, nil)
		if conf, ok := m["Configuration"].(object); ok {
			m = conf
		}
		return m[member] == value
	})
	return m
}

// gone polls until a GET is 404.
func (tf terraform) gone(path string) {
	tf.Helper()
	eventually.Holds(tf, path+" is gone", func() bool {
		status, _ := tf.lambda("GET", path, "")
		return status == http.StatusNotFound
	})
}

// readFunction is the read of aws_lambda_function. The provider takes the last version of the last page for the newest.
func (tf terraform) readFunction() (newest object) {
	tf.Helper()
	m := tf.call(http.StatusOK, "GET", functionsPath+"/f", nil)
	if code, _ := m["Code"].(object); code["Location"] == "" ||
		m["Configuration"].(object)["FunctionArn"] != tfFunction {
		tf.Errorf("GetFunction: %v", m)
	}
	marker := ""
	for {
		page := tf.call(http.StatusOK, "GET", functionsPath+"/f/versions?MaxItems=50&Marker="+marker, nil)
		versions := page["Versions"].([]any)
		newest = versions[len(versions)-1].(object)
		if marker, _ = page["NextMarker"].(string); marker == "" {
			break
		}
	}
	if m := tf.call(http.StatusOK, "GET", codeSigning, nil); len(m) != 0 {
		tf.Errorf("GetFunctionCodeSigningConfig: %v", m)
	}
	return newest
}

// The calls of Terraform's AWS provider for aws_lambda_function, aws_lambda_alias, aws_lambda_permission and
// aws_lambda_event_source_mapping, in its order, for create, read, update and delete, are answered; what it reads back
// is what it sent, so that a plan after an apply is empty. Source: the provider's own code.
func TestTerraformsCallsAreAnswered(t *testing.T) {
	t.Parallel()
	tf := terraform{start(t, Config{Dev: true})}
	zip := func(text string) string { return base64.StdEncoding.EncodeToString(append([]byte(text), tf.code()...)) }

	// aws_lambda_function, publish = true: create
	tf.call(http.StatusCreated, "POST", functionsPath, object{
		"FunctionName": "f", "Role": "arn:aws:iam::000000000000:role/r", "Runtime": "provided.al2023", "Handler": "x",
		"Description": "", "MemorySize": 128, "Timeout": 3, "Publish": true, "PackageType": "Zip",
		"Code": object{"ZipFile": zip("")}, "EphemeralStorage": object{"Size": 512},
		"Architectures": []string{"x86_64"}, "Environment": object{"Variables": object{"SERVER_TEST_BOOTSTRAP": "1"}},
	})
	tf.call(http.StatusOK, "GET", functionsPath+"/f", nil)
	tf.poll(functionsPath+"/f", "State", "Active")
	tf.call(http.StatusOK, "PUT", concurrency, object{"ReservedConcurrentExecutions": 5})
	if v := tf.readFunction(); v["Version"] != "1" || v["FunctionArn"] != tfFunction+":1" {
		t.Errorf("the newest version is %v", v)
	}

	// the same, update: configuration, code, concurrency, publication
	tf.call(http.StatusNoContent, "DELETE", codeSigning, nil)
	tf.call(http.StatusOK, "PUT", functionsPath+"/f/configuration", object{
		"FunctionName": "f", "MemorySize": 256, "Role": "arn:aws:iam::000000000000:role/r", "Timeout": 30,
		"Handler": "x", "Runtime": "provided.al2023", "Description": "d",
	})
	tf.poll(functionsPath+"/f", "LastUpdateStatus", "Successful")
	tf.call(http.StatusOK, "PUT", functionsPath+"/f/code", object{"FunctionName": "f", "ZipFile": zip("#")})
	tf.poll(functionsPath+"/f", "LastUpdateStatus", "Successful")
	tf.call(http.StatusNoContent, "DELETE", concurrency, nil)
	version := tf.call(http.StatusCreated, "POST", functionsPath+"/f/versions", object{})["Version"].(string)
	tf.poll(functionsPath+"/f/configuration?Qualifier="+version, "LastUpdateStatus", "Successful")
	if v := tf.readFunction(); v["Version"] != "2" || v["MemorySize"] != 256.0 || v["Description"] != "d" {
		t.Errorf("the newest version is %v", v)
	}
	// a data source reads a qualifier
	tf.call(http.StatusOK, "GET", functionsPath+"/f?Qualifier=1", nil)
	if m := tf.call(http.StatusOK, "GET", "/2019-09-30/functions/f/concurrency", nil); len(m) != 0 {
		t.Errorf("GetFunctionConcurrency: %v", m)
	}

	tf.call(http.StatusNoContent, "POST", "/2017-03-31/tags/"+url.PathEscape(tfFunction), object{
		"Tags": object{"a": "b", "c": "d"},
	})
	tf.call(http.StatusNoContent, "DELETE", "/2017-03-31/tags/"+url.PathEscape(tfFunction)+"?tagKeys=c", nil)
	for _, qualifier := range []string{"", "?Qualifier=2"} {
		m := tf.call(http.StatusOK, "GET", functionsPath+"/f"+qualifier, nil)
		if tags, _ := m["Tags"].(object); len(tags) != 1 || tags["a"] != "b" {
			t.Errorf("GetFunction%s has tags %v", qualifier, m["Tags"])
		}
	}

	// aws_lambda_alias
	tf.call(http.StatusCreated, "POST", functionsPath+"/f/aliases", object{
		"Name": "live", "FunctionVersion": "1", "Description": "",
		"RoutingConfig": object{"AdditionalVersionWeights": object{"2": .5}},
	})
	alias := tf.call(http.StatusOK, "GET", functionsPath+"/f/aliases/live", nil)
	if alias["AliasArn"] != tfFunction+":live" || alias["FunctionVersion"] != "1" {
		t.Errorf("GetAlias: %v", alias)
	}
	tf.call(http.StatusOK, "PUT", functionsPath+"/f/aliases/live", object{
		"Description": "", "FunctionVersion": "2", "RoutingConfig": object{},
	})
	if m := tf.call(http.StatusOK, "GET", functionsPath+"/f/aliases/live", nil); m["FunctionVersion"] != "2" ||
		m["RoutingConfig"] != nil {
		t.Errorf("GetAlias after the update: %v", m)
	}

	// aws_lambda_permission, on the function and on the alias
	for _, qualifier := range []string{"", "?Qualifier=live"} {
		tf.call(http.StatusCreated, "POST", functionsPath+"/f/policy"+qualifier, object{
			"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com",
			"SourceArn": "arn:aws:events:us-east-1:000000000000:rule/r",
		})
		policy := tf.call(http.StatusOK, "GET", functionsPath+"/f/policy"+qualifier, nil)["Policy"].(string)
		var document struct {
			Statement []struct{ Sid, Action, Resource string }
		}
		if err := json.Unmarshal([]byte(policy), &document); err != nil || len(document.Statement) != 1 ||
			document.Statement[0].Sid != "s" {
			t.Errorf("GetPolicy: %s, %v", policy, err)
		}
	}

	// aws_lambda_event_source_mapping
	tf.ok(tf.kinesis("CreateStream", `{"StreamName":"orders","ShardCount":1}`))
	knobs := object{
		"BatchSize": 100.0, "MaximumBatchingWindowInSeconds": 1.0, "ParallelizationFactor": 1.0, "MaximumRetryAttempts": 5.0,
		"MaximumRecordAgeInSeconds": 3600.0, "BisectBatchOnFunctionError": true, "TumblingWindowInSeconds": 30.0,
		"FunctionResponseTypes": []any{"ReportBatchItemFailures"}, "StartingPosition": "LATEST",
		"DestinationConfig": object{"OnFailure": object{"Destination": "arn:aws:s3:::given-up"}},
		"FilterCriteria":    object{"Filters": []any{object{"Pattern": `{"data":{"type":["a"]}}`}}},
		"MetricsConfig":     object{"Metrics": []any{"EventCount"}},
		"EventSourceArn":    "arn:aws:kinesis:us-east-1:000000000000:stream/orders",
	}
	asked := maps.Clone(knobs)
	maps.Copy(asked, object{"Enabled": true, "FunctionName": tfFunction + ":live", "Tags": object{"a": "b"}})
	mapping := tf.call(http.StatusAccepted, "POST", mappingsPath, asked)
	path := mappingsPath + "/" + mapping["UUID"].(string)
	m := tf.poll(path, "State", "Enabled")
	if m["FunctionArn"] != tfFunction+":live" {
		t.Errorf("GetEventSourceMapping: %v", m)
	}
	read := func() object {
		shown := object{}
		for knob := range knobs {
			shown[knob] = m[knob]
		}
		return shown
	}
	if diff := cmp.Diff(knobs, read()); diff != "" {
		t.Errorf("what the mapping was given and shows: %s", diff)
	}
	tags := "/2017-03-31/tags/" + url.PathEscape(mapping["EventSourceMappingArn"].(string))
	if m := tf.call(http.StatusOK, "GET", tags, nil)["Tags"].(object); len(m) != 1 || m["a"] != "b" {
		t.Errorf("ListTags: %v", m)
	}
	tf.call(http.StatusAccepted, "PUT", path, object{
		"BatchSize": 10, "Enabled": false, "FunctionName": tfFunction, "MaximumRetryAttempts": 3,
		"DestinationConfig": object{"OnFailure": object{"Destination": ""}}, "FilterCriteria": object{},
		"FunctionResponseTypes": []string{}, "KMSKeyArn": "",
	})
	m = tf.poll(path, "State", "Disabled")
	if m["FunctionArn"] != tfFunction {
		t.Errorf("after the update: %v", m)
	}
	maps.Copy(knobs, object{
		"BatchSize": 10.0, "MaximumRetryAttempts": 3.0, "FunctionResponseTypes": []any{}, "FilterCriteria": nil,
		"DestinationConfig": object{"OnFailure": object{}},
	})
	if diff := cmp.Diff(knobs, read()); diff != "" {
		t.Errorf("what the mapping has and shows after the update: %s", diff)
	}
	tf.call(http.StatusNoContent, "POST", tags, object{"Tags": object{"c": "d"}})
	tf.call(http.StatusNoContent, "DELETE", tags+"?tagKeys=a", nil)
	tf.call(http.StatusAccepted, "DELETE", path, nil)
	tf.gone(path)

	// destroy
	for _, qualifier := range []string{"", "?Qualifier=live"} {
		tf.call(http.StatusNoContent, "DELETE", functionsPath+"/f/policy/s"+qualifier, nil)
		tf.gone(functionsPath + "/f/policy" + qualifier)
	}
	tf.call(http.StatusNoContent, "DELETE", functionsPath+"/f/aliases/live", nil)
	tf.gone(functionsPath + "/f/aliases/live")
	tf.call(http.StatusNoContent, "DELETE", functionsPath+"/f", nil)
	tf.gone(functionsPath + "/f")
	status, answer := tf.lambda("GET", functionsPath+"/f", "")
	if want := "Function not found: " + tfFunction; status != http.StatusNotFound || !strings.Contains(answer, want) {
		t.Errorf("GetFunction after the end: %d %s", status, answer)
	}
}
