package lambda_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/api/wire"
)

// F-1, F-2: a new function is Pending with AWS's defaults, and Active a moment later with another revision.
func TestCreateFunctionWithDefaults(t *testing.T) {
	t.Parallel()
	b := start(t)

	a := b.do("POST", functions, request(nil))

	m := a.fields()
	for key, want := range map[string]any{
		"FunctionName": "f", "FunctionArn": arnF, "State": "Pending", "StateReasonCode": "Creating",
		"StateReason": "The function is being created.",
		"Timeout":     3.0, "MemorySize": 128.0, "Description": "", "EphemeralStorage": object{"Size": 512.0},
		"Version": "$LATEST", "PackageType": "Zip",
		"LoggingConfig": object{"LogFormat": "Text", "LogGroup": "/aws/lambda/f"},
		"TracingConfig": object{"Mode": "PassThrough"},
		"SnapStart":     object{"ApplyOn": "None", "OptimizationStatus": "Off"}, "Architectures": []any{"x86_64"},
		"Role": role,
	} {
		if got, w := asText(m[key]), asText(want); got != w {
			t.Errorf("%s = %s, want %s", key, got, w)
		}
	}
	for _, key := range []string{
		"LastUpdateStatus", "Environment", "VpcConfig", "Layers", "DeadLetterConfig", "KMSKeyArn",
	} {
		if _, ok := m[key]; ok || a.status != 201 {
			t.Errorf("status %d, %s = %v", a.status, key, m[key])
		}
	}
	after := b.settled()
	if after["State"] != "Active" || after["LastUpdateStatus"] != "Successful" || after["StateReason"] != nil ||
		after["RevisionId"] == m["RevisionId"] {
		t.Errorf("later: %v", after)
	}
}

// F-3: CodeSha256 and CodeSize are the zip's, and Code.Location returns it, without a signature, to any client with the
// URL.
func TestPackageCanBeFetched(t *testing.T) {
	t.Parallel()
	b := start(t)
	m := b.create(nil)
	zip, _ := base64.StdEncoding.DecodeString(request(nil)["Code"].(object)["ZipFile"].(string))
	sum := sha256.Sum256(zip)
	if m["CodeSha256"] != base64.StdEncoding.EncodeToString(sum[:]) || m["CodeSize"] != float64(len(zip)) {
		t.Errorf("got %v %v", m["CodeSha256"], m["CodeSize"])
	}

	got := b.do("GET", functions+"/f", nil).fields()

	location := strings.TrimPrefix(got["Code"].(object)["Location"].(string), b.server.URL)
	if a := b.do("GET", location, nil, "Authorization", ""); a.status != 200 || a.body != string(zip) {
		t.Errorf("%s: %d, %d bytes", location, a.status, len(a.body))
	}
	if a := b.do("GET", strings.Replace(location, "Expires=1", "Expires=2", 1), nil); a.status != 403 {
		t.Errorf("forged: %d", a.status)
	}
	if _, ok := got["Concurrency"]; ok {
		t.Error("Concurrency without a reservation")
	}
}

// F-4: a name is taken once.
func TestNameIsTakenOnce(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.create(nil)

	a := b.do("POST", functions, request(nil))

	a.fails(409, "ResourceConflictException", "Function already exist: f")
	if a.fields()["Type"] != "User" {
		t.Error(a.body)
	}
}

// F-5, F-7: the tutorial's update-function-configuration; a stale revision id is refused.
func TestUpdateFunctionConfiguration(t *testing.T) {
	t.Parallel()
	b := start(t)
	before := b.create(nil)

	m := b.do("PUT", functions+"/f/configuration", object{
		"MemorySize": 512, "Timeout": 300,
		"Environment": object{"Variables": object{"TABLE_NAME": "t", "REGION": "us-east-1"}},
	}).fields()

	if m["MemorySize"] != 512.0 || m["Timeout"] != 300.0 || m["LastUpdateStatus"] != "InProgress" ||
		m["LastUpdateStatusReasonCode"] != "Creating" ||
		m["State"] != "Active" || asText(m["Environment"]) != `{"Variables":{"REGION":"us-east-1","TABLE_NAME":"t"}}` {
		t.Errorf("got %v", m)
	}
	after := b.settled()
	if after["LastUpdateStatus"] != "Successful" || after["RevisionId"] == m["RevisionId"] ||
		after["LastUpdateStatusReason"] != nil {
		t.Errorf("later: %v", after)
	}
	b.do("PUT", functions+"/f/configuration", object{
		"Timeout": 5, "RevisionId": before["RevisionId"],
	}).fails(412, "PreconditionFailedException",
		"The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id")
}

// Validation of CreateFunction: AWS's texts.
func TestCreateFunctionRefusals(t *testing.T) {
	t.Parallel()
	b := start(t)
	const invalid = "InvalidParameterValueException"
	large := strings.Repeat("x", 4097-len(`{"LARGE_VAR":""}`))
	for _, c := range []struct {
		name          string
		change        object
		code, message string // message may end in * for a prefix
	}{
		{
			"F-11 runtime",
			object{"Runtime": "PYTHON3.9"},
			invalid,
			"Value PYTHON3.9 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs20.x, *",
		},
		{
			"retired runtime",
			object{"Runtime": "ruby2.7"},
			invalid,
			"The runtime parameter of ruby2.7 is no longer supported for creating or updating AWS Lambda functions. We recommend you use a supported runtime while creating or updating functions.",
		},
		{
			"runtime without launcher",
			object{"Runtime": "java21"},
			invalid,
			"shardmill does not run java21 functions yet; see docs/compat/lambda.md.",
		},
		{
			"F-12 role",
			object{"Role": "r1"},
			"ValidationException",
			`1 validation error detected: Value 'r1' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+`,
		},
		{
			"F-13 architecture",
			object{"Architectures": []string{"X86_64"}},
			"ValidationException",
			"1 validation error detected: Value '[X86_64]' at 'architectures' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
		},
		{
			"two architectures",
			object{"Architectures": []string{"x86_64", "arm64"}},
			"ValidationException",
			"1 validation error detected: Value '[x86_64, arm64]' at 'architectures' failed to satisfy constraint: Member must have length less than or equal to 1",
		},
		{
			"F-14 environment",
			object{"Environment": object{"Variables": object{"LARGE_VAR": large}}},
			invalid,
			`Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. String measured: {"LARGE_VAR":"x*`,
		},
		{
			"F-53 reserved variable",
			object{"Environment": object{"Variables": object{"AWS_REGION": "x"}}},
			invalid,
			"Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: AWS_REGION",
		},
		{
			"several bounds at once",
			object{"Timeout": 901, "MemorySize": 127},
			"ValidationException",
			"2 validation errors detected: Value '901' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900; Value '127' at 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to 128",
		},
		{
			"no runtime",
			object{"Runtime": ""},
			invalid,
			"Runtime and Handler are mandatory parameters for functions created with deployment packages.",
		},
		{
			"no handler",
			object{"Handler": ""},
			invalid,
			"Runtime and Handler are mandatory parameters for functions created with deployment packages.",
		},
		{
			"a null character",
			object{"Environment": object{"Variables": object{"NUL": "a\x00b"}}},
			invalid,
			"The value of the environment variable NUL contains a null character, which no process can be given.",
		},
		{
			"JSON logs by a variable",
			object{
				"Runtime": "python3.12", "Environment": object{"Variables": object{"AWS_LAMBDA_LOG_FORMAT": "JSON"}},
			},
			invalid,
			"shardmill does not support the environment variable AWS_LAMBDA_LOG_FORMAT with python3.12: its runtime logs as text only.",
		},
		{
			"a log level by a variable",
			object{
				"Runtime": "python3.12", "Environment": object{"Variables": object{"AWS_LAMBDA_LOG_LEVEL": "DEBUG"}},
			},
			invalid,
			"shardmill does not support the environment variable AWS_LAMBDA_LOG_LEVEL with python3.12: its runtime logs as text only.",
		},
		{
			"missing members",
			object{"FunctionName": nil, "Role": nil, "Code": nil},
			"ValidationException",
			"3 validation errors detected: Value null at 'functionName' failed to satisfy constraint: Member must not be null; Value null at 'role' failed to satisfy constraint: Member must not be null; Value null at 'code' failed to satisfy constraint: Member must not be null",
		},
		{"no code", object{"Code": object{}}, invalid, "Please provide a source for function code."},
		{
			"no zip",
			object{"Code": object{"ZipFile": "AAAA"}},
			invalid,
			"Could not unzip uploaded file. Please check your file, then try to upload again.",
		},
		{
			"F-25 zip that climbs",
			object{"Code": object{"ZipFile": zipFile("../x", "")}},
			invalid,
			"Could not unzip uploaded file. Please check your file, then try to upload again.",
		},
		{
			"S3",
			object{"Code": object{"S3Bucket": "bucket", "S3Key": "k"}},
			invalid,
			"shardmill does not support Code.S3Bucket yet; see docs/compat/lambda.md.",
		},
		{
			"image",
			object{"PackageType": "Image"},
			invalid,
			"shardmill does not support PackageType Image yet; see docs/compat/lambda.md.",
		},
		{
			"layers",
			object{"Layers": []string{"arn"}},
			invalid,
			"shardmill does not support Layers yet; see docs/compat/lambda.md.",
		},
		{
			"VPC",
			object{"VpcConfig": object{"SubnetIds": []string{"s"}}},
			invalid,
			"shardmill does not support VpcConfig yet; see docs/compat/lambda.md.",
		},
		{
			"dead letters",
			object{"DeadLetterConfig": object{"TargetArn": "arn"}},
			invalid,
			"shardmill does not support DeadLetterConfig yet; see docs/compat/lambda.md.",
		},
		{
			"tracing",
			object{"TracingConfig": object{"Mode": "Active"}},
			invalid,
			"shardmill does not support TracingConfig (Mode Active) yet; see docs/compat/lambda.md.",
		},
		{
			"file systems",
			object{"FileSystemConfigs": []object{{"Arn": "a"}}},
			invalid,
			"shardmill does not support FileSystemConfigs yet; see docs/compat/lambda.md.",
		},
		{
			"SnapStart",
			object{"SnapStart": object{"ApplyOn": "PublishedVersions"}},
			invalid,
			"shardmill does not support SnapStart (ApplyOn PublishedVersions) yet; see docs/compat/lambda.md.",
		},
		{
			"key",
			object{"KMSKeyArn": "arn"},
			invalid,
			"shardmill does not support KMSKeyArn yet; see docs/compat/lambda.md.",
		},
		{
			"JSON logs",
			object{"LoggingConfig": object{"LogFormat": "JSON"}},
			invalid,
			"shardmill does not support LoggingConfig (LogFormat JSON) yet; see docs/compat/lambda.md.",
		},
		{
			"log level",
			object{"LoggingConfig": object{"LogFormat": "Text", "SystemLogLevel": "WARN"}},
			invalid,
			`LogLevel is not supported when LogFormat is set to "Text". Remove LogLevel from your request or change the LogFormat to "JSON" and try again.`,
		},
	} {
		a := b.do("POST", functions, request(c.change))

		message := c.message
		if prefix, ok := strings.CutSuffix(message, "*"); ok {
			m := a.fields()["message"].(string)
			if !strings.HasPrefix(m, prefix) {
				t.Errorf("%s: %s", c.name, m)
			}
			message = m
		}
		t.Log(c.name)
		a.fails(400, c.code, message)
		if typed := a.fields()["Type"] == "User"; typed == (c.code == "ValidationException") {
			t.Errorf("%s: Type in %s", c.name, a.body)
		}
	}
	b.do("POST", functions, "{").fails(
		400, "InvalidRequestContentException", "Could not parse request body into json: unexpected end of JSON input",
	)
}

// UpdateFunctionConfiguration accepts what GetFunctionConfiguration answers, member by member and as a whole, as on
// AWS.
func TestConfigurationIsTakenBack(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.create(object{"Environment": object{"Variables": object{"STAGE": "b"}}, "Description": ""})
	got := b.settled()
	whole := object{}
	for member, value := range got {
		if member == "RevisionId" { // it changes with every update
			continue
		}
		whole[member] = value
		if a := b.do("PUT", functions+"/f/configuration", object{member: value}); a.status != 200 {
			t.Errorf("%s: %d %s", member, a.status, a.body)
		}
		b.settled()
	}
	if a := b.do("PUT", functions+"/f/configuration", whole); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}

	b.do(
		"PUT", "/2017-10-31/functions/f/concurrency", b.do("GET", "/2019-09-30/functions/f/concurrency", nil).fields(),
	).fails(400, "ValidationException",
		"1 validation error detected: Value null at 'reservedConcurrentExecutions' failed to satisfy constraint: Member must not be null")
}

// Values that ask for nothing are what the AWS CLI, SAM and Terraform send; F-14: exactly 4,096 bytes of variables
// pass.
func TestDefaultsOfClientsAreAccepted(t *testing.T) {
	t.Parallel()
	b := start(t)

	b.create(object{
		"Publish": false, "PackageType": "Zip", "TracingConfig": object{"Mode": "PassThrough"},
		"SnapStart": object{"ApplyOn": "None"}, "Architectures": []string{"x86_64"},
		"VpcConfig": object{"SubnetIds": []string{}, "SecurityGroupIds": []string{}, "Ipv6AllowedForDualStack": false},
		"Layers":    []string{}, "Tags": object{},
		"DeadLetterConfig": object{"TargetArn": ""}, "KMSKeyArn": "", "FileSystemConfigs": []string{},
		"LoggingConfig": object{"LogFormat": "Text"},
		"Environment":   object{"Variables": object{"LARGE_VAR": strings.Repeat("x", 4096-len(`{"LARGE_VAR":""}`))}},
	})
}

// F-27: an account id as tutorials print it folds to the caller's, with a hint.
func TestShortAccountIdsFold(t *testing.T) {
	t.Parallel()
	b := start(t)

	a := b.do("POST", functions, request(object{"Role": "arn:aws:iam::123456789:role/r"}))

	if a.status != 201 || a.fields()["Role"] != role ||
		!strings.Contains(a.header.Get(wire.HintHeader), "123456789 was taken as 123456789012") {
		t.Errorf("%d %s %v", a.status, a.body, a.header)
	}
	a = b.do("GET", functions+"/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789%3Afunction%3Af", nil)
	if a.status != 200 || a.header.Get(wire.HintHeader) == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// F-15, F-16: names of other accounts and regions, and qualifiers that contradict each other or do not exist.
func TestNamesAndQualifiers(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.create(nil)
	b.do("GET", functions+"/arn:aws:lambda:eu-west-1:123456789012:function:f", nil).fails(
		404, "ResourceNotFoundException", "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
	)
	b.do("GET", functions+"/"+arnF+":%24LATEST?Qualifier=1", nil).fails(
		400, "InvalidParameterValueException",
		"The derived qualifier from the function name does not match the specified qualifier.",
	)
	b.do("GET", functions+"/f?Qualifier=1", nil).fails(
		404, "ResourceNotFoundException", "Function not found: "+arnF+":1",
	)
	if m := b.do(
		"GET", functions+"/f/configuration?Qualifier=%24LATEST", nil,
	).fields(); m["FunctionArn"] != arnF+":$LATEST" {
		t.Errorf("qualified: %v", m["FunctionArn"])
	}
	b.do("GET", functions+"/absent", nil).fails(
		404, "ResourceNotFoundException", "Function not found: arn:aws:lambda:us-east-1:123456789012:function:absent",
	)
	if a := b.do("GET", functions+"/f%20g", nil); a.status != 400 ||
		!strings.Contains(a.body, "Value 'f g' at 'functionName'") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// F-17: deletion.
func TestDeleteFunction(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.create(nil)
	b.do("DELETE", functions+"/f?Qualifier=%24LATEST", nil).fails(
		400, "InvalidParameterValueException", "$LATEST version cannot be deleted without deleting the function.",
	)

	b.do("DELETE", functions+"/f", nil).is(204, "")

	b.do("DELETE", functions+"/f", nil).fails(404, "ResourceNotFoundException", "Function not found: "+arnF)
	b.do("GET", functions+"/f", nil).fails(404, "ResourceNotFoundException", "Function not found: "+arnF)
}

// F-18, F-19: reservations.
func TestReservedConcurrency(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.create(nil)
	put, get := "/2017-10-31/functions/f/concurrency", "/2019-09-30/functions/f/concurrency"
	b.do("GET", get, nil).is(200, `{}`)
	b.do("PUT", put, object{"ReservedConcurrentExecutions": 0}).is(200, `{"ReservedConcurrentExecutions":0}`)
	b.do("GET", get, nil).is(200, `{"ReservedConcurrentExecutions":0}`)
	b.do("PUT", put, object{"ReservedConcurrentExecutions": 901}).fails(400, "InvalidParameterValueException",
		"Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100].")
	b.do("PUT", put, object{"ReservedConcurrentExecutions": 900}).is(200, `{"ReservedConcurrentExecutions":900}`)
	if m := b.do(
		"GET", functions+"/f", nil,
	).fields(); asText(m["Concurrency"]) != `{"ReservedConcurrentExecutions":900}` {
		t.Errorf("GetFunction: %v", m["Concurrency"])
	}
	b.do("DELETE", put, nil).is(204, "")
	b.do("GET", get, nil).is(200, `{}`)
	b.do("PUT", "/2017-10-31/functions/absent/concurrency", object{
		"ReservedConcurrentExecutions": 1,
	}).fails(404, "ResourceNotFoundException",
		"Function not found: arn:aws:lambda:us-east-1:123456789012:function:absent:$LATEST")
	b.do("PUT", "/2017-10-31/functions/"+arnF+":1/concurrency", object{
		"ReservedConcurrentExecutions": 1,
	}).fails(400, "InvalidParameterValueException",
		"This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify either a function name or an unqualified function ARN.")
}

// Pages hold 50 functions at most, by name, and leave out the state.
func TestListFunctions(t *testing.T) {
	t.Parallel()
	b := start(t)
	zip := request(nil)["Code"]
	for i := range 52 {
		if a := b.do(
			"POST", functions, request(object{"FunctionName": fmt.Sprintf("f%02d", i), "Code": zip}),
		); a.status != 201 {
			t.Fatal(a.body)
		}
	}
	var names []string
	marker := ""
	for pages := 1; ; pages++ {
		m := b.do("GET", functions+"?MaxItems=10000&Marker="+marker, nil).fields()
		for _, item := range m["Functions"].([]any) {
			f := item.(object)
			if f["State"] != nil || f["LastUpdateStatus"] != nil {
				t.Fatalf("state in %v", f)
			}
			names = append(names, f["FunctionName"].(string))
		}
		next, more := m["NextMarker"].(string)
		if !more {
			if pages != 2 || len(names) != 52 || names[0] != "f00" || names[51] != "f51" {
				t.Errorf("%d pages: %v", pages, names)
			}
			break
		}
		marker = next
	}
	if m := b.do("GET", functions+"?FunctionVersion=ALL&MaxItems=1", nil).fields(); !strings.HasSuffix(
		m["Functions"].([]any)[0].(object)["FunctionArn"].(string), ":f00:$LATEST",
	) {
		t.Errorf("ALL: %v", m)
	}
	b.do("GET", functions+"?FunctionVersion=SOME&MaxItems=0", nil).fails(400, "ValidationException",
		"2 validation errors detected: Value '0' at 'maxItems' failed to satisfy constraint: Member must have value greater than or equal to 1; Value 'SOME' at 'functionVersion' failed to satisfy constraint: Member must satisfy enum value set: [ALL]")
}

// UpdateFunctionCode: DryRun judges and changes nothing.
func TestUpdateFunctionCode(t *testing.T) {
	t.Parallel()
	b := start(t)
	before := b.create(nil)
	zip := zipFile("bootstrap", "#!/bin/sh\n")

	m := b.do("PUT", functions+"/f/code", object{"ZipFile": zip, "DryRun": true}).fields()

	if m["CodeSha256"] == before["CodeSha256"] {
		t.Error("DryRun answers the old code")
	}
	if now := b.settled(); now["CodeSha256"] != before["CodeSha256"] || now["RevisionId"] != before["RevisionId"] {
		t.Error("DryRun changed the function")
	}
	if m := b.do("PUT", functions+"/f/code", object{"ZipFile": zip}).fields(); m["LastUpdateStatus"] != "InProgress" {
		t.Errorf("got %v", m)
	}
	if now := b.settled(); now["CodeSha256"] != m["CodeSha256"] {
		t.Error("the code is still the old one")
	}
	b.do("PUT", functions+"/f/code", object{"ImageUri": "x"}).fails(
		400, "InvalidParameterValueException",
		"Please don't provide ImageUri when updating a function with packageType Zip.",
	)
}

// F-79: an operation that AWS has and shardmill does not is refused by its name with 501, which SDKs do not retry;
// others are unknown.
func TestUnknownOperations(t *testing.T) {
	t.Parallel()
	b := start(t)
	for _, c := range []struct{ method, path, name string }{
		{"PUT", "/2020-06-30/functions/f/code-signing-config", "PutFunctionCodeSigningConfig"},
		{"POST", "/2025-11-30/capacity-providers", "CreateCapacityProvider"},
		{"GET", "/2020-04-22/code-signing-configs/" + strings.ReplaceAll(arnF, ":", "%3A"), "GetCodeSigningConfig"},
		{"GET", "/2019-09-30/functions/f/provisioned-concurrency?List=ALL", "ListProvisionedConcurrencyConfigs"},
		{"GET", "/2019-09-30/functions/f/provisioned-concurrency", "GetProvisionedConcurrencyConfig"},
		{"GET", "/2018-10-31/layers?find=LayerVersion&Arn=x", "GetLayerVersionByArn"},
		{"GET", "/2018-10-31/layers", "ListLayers"},
	} {
		b.do(c.method, c.path, nil).fails(
			501, "NotImplementedException",
			"shardmill does not implement lambda "+c.name+" yet; see docs/compat/lambda.md.",
		)
	}
	b.do("PATCH", functions+"/f", nil).fails(
		404, "UnknownOperationException", "Lambda has no operation PATCH /2015-03-31/functions/f.",
	)
}

// Browsers cannot sign: what carries no AWS4-HMAC-SHA256 Authorization is refused, a preflight too.
func TestUnsignedRequestsAreRefused(t *testing.T) {
	t.Parallel()
	b := start(t)
	for _, method := range []string{http.MethodGet, http.MethodOptions, http.MethodPost} {
		a := b.do(method, functions, nil, "Authorization", "")

		a.fails(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
		if a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Error("a preflight was answered")
		}
	}
}

func asText(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}
