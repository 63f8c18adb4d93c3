package lambda_test

import (
	"encoding/base64"
	"strings"
	"testing"
)

const invocations = functions + "/f/invocations"

// F-28, F-32, F-33: an answer carries the payload as it is, the executed version, the request id that the log has, and
// the log's tail on demand.
func TestInvoke(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.create(nil)
	const payload = `{"n":12345678901234567890.10, "a":[1]}`

	a := b.do("POST", invocations, payload, "X-Amz-Log-Type", "Tail")

	a.is(200, payload)
	log, err := base64.StdEncoding.DecodeString(a.header.Get("X-Amz-Log-Result"))
	if err != nil ||
		!strings.Contains(string(log), "START RequestId: "+a.header.Get("x-amzn-requestid")+" Version: $LATEST") ||
		!strings.Contains(string(log), "\nREPORT ") {
		t.Errorf("log %q, %v", log, err)
	}
	if a.header.Get("X-Amz-Executed-Version") != "$LATEST" || a.header.Get("X-Amz-Function-Error") != "" ||
		a.header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", a.header)
	}
	b.do("POST", invocations, nil).is(200, `{}`)
	b.do("POST", functions+"/"+strings.ReplaceAll(arnF, ":", "%3A")+"%3A%24LATEST/invocations", "1").is(200, `1`)
}

// F-39 on the wire: a function error is 200 with X-Amz-Function-Error.
func TestFunctionErrorsAre200(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.create(object{"Code": object{"ZipFile": zipFile("bootstrap", "#!/bin/sh\nexit 3\n")}})

	a := b.do("POST", invocations, "{}")

	a.is(
		200,
		`{"errorType":"Runtime.ExitError","errorMessage":"RequestId: `+a.header.Get("x-amzn-requestid")+
			` Error: Runtime exited with error: exit status 3"}`,
	)
	if a.header.Get("X-Amz-Function-Error") != "Unhandled" {
		t.Errorf("headers %v", a.header)
	}
}

// A package without a bootstrap is created and fails when invoked.
func TestMissingBootstrapFailsTheInvocation(t *testing.T) {
	t.Parallel()
	b := start(t)
	if m := b.create(object{"Code": object{"ZipFile": zipFile("other", "x")}}); m["State"] != "Active" {
		t.Errorf("got %v", m)
	}

	a := b.do("POST", invocations, "{}")

	a.is(
		200,
		`{"errorType":"Runtime.InvalidEntrypoint","errorMessage":"RequestId: `+a.header.Get("x-amzn-requestid")+
			` Error: Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"}`,
	)
}

// F-55: a bootstrap for another processor makes the function Failed and its invocations 502.
func TestForeignBootstrapFailsTheFunction(t *testing.T) {
	t.Parallel()
	b := start(t)
	// e_machine 22: S/390
	elf := "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00\x16\x00\x01\x00\x00\x00" +
		strings.Repeat("\x00", 40)
	m := b.create(object{"Code": object{"ZipFile": zipFile("bootstrap", elf)}})
	if m["State"] != "Failed" || m["StateReasonCode"] != "FunctionError.InvalidEntryPoint" ||
		!strings.Contains(m["StateReason"].(string), "bootstrap is built for EM_S390") {
		t.Errorf("got %v", m)
	}

	b.do("POST", invocations, "{}").fails(502, "InvalidRuntimeException", m["StateReason"].(string))
}

// F-18, F-42 on the wire: a refusal for lack of concurrency is 429 with its reason.
func TestThrottlesAre429(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.create(nil)
	b.do("PUT", "/2017-10-31/functions/f/concurrency", object{"ReservedConcurrentExecutions": 0})

	a := b.do("POST", invocations, "{}")

	a.is(429, `{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}`)
	a.fails(429, "TooManyRequestsException", "Rate Exceeded.")
}

// F-29 (without Event), F-30, F-31 and the documented limits of Invoke.
func TestInvokeRefusals(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.create(nil)
	b.do("POST", invocations, "{}", "X-Amz-Invocation-Type", "DryRun").is(204, "")
	b.do("POST", invocations, "{}", "X-Amz-Invocation-Type", "Event").fails(
		501, "NotImplementedException",
		"shardmill does not implement lambda Invoke with InvocationType Event yet; see docs/compat/lambda.md.",
	)
	b.do("POST", invocations, "{}", "X-Amz-Invocation-Type", "Later").fails(400, "ValidationException",
		"1 validation error detected: Value 'Later' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [Event, RequestResponse, DryRun]")
	b.do("POST", functions+"/doesnotexist/invocations", "{}").fails(
		404, "ResourceNotFoundException",
		"Function not found: arn:aws:lambda:us-east-1:123456789012:function:doesnotexist:$LATEST",
	)
	for _, payload := range []string{"\x99", "\"\x99\"", "{", "{} {}", " "} {
		a := b.do("POST", invocations, payload)
		if m := a.fields(); a.status != 400 || a.header.Get("x-amzn-errortype") != "InvalidRequestContentException" ||
			!strings.HasPrefix(
				m["message"].(string), "Could not parse request body into json: Could not parse payload into json: ",
			) {
			t.Errorf("%q: %d %s", payload, a.status, a.body)
		}
	}
	b.do("POST", invocations, strings.Repeat(" ", 6_291_456)+"1").fails(
		413, "RequestEntityTooLargeException",
		"Request must be smaller than 6291456 bytes for the InvokeFunction operation",
	)
	b.do("POST", invocations, "{}", "X-Amz-Client-Context", "e30").fails(
		400, "InvalidRequestContentException",
		"Client context must be a valid Base64-encoded JSON object of at most 3583 bytes.",
	)
	b.do("POST", invocations, "{}", "X-Amz-Tenant-Id", "t").fails(
		400, "InvalidParameterValueException", "shardmill does not support TenantId yet; see docs/compat/lambda.md.",
	)
}
