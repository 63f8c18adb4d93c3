package function_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/function"
)

// F-34: an exception is returned as the error document of AWS's Python runtime, with keys in its order, and the log has
// it as one event.
func TestExceptionIsOneDocumentAndOneLogEvent(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.python("f", `
		def handler(event, context):
		    raise Exception("Handler fails")
	`)

	r := b.invoke("f", `{}`, func(i *function.Invocation) { i.RequestID = "5d5ffba2-0000-4000-8000-000000000001" })

	if r.Class != function.FunctionError || r.ErrorKind != "Unhandled" || r.StatusCode != 200 {
		t.Fatalf("got %+v", r)
	}
	var doc struct{ StackTrace []string }
	if err := json.Unmarshal(r.Payload, &doc); err != nil || len(doc.StackTrace) != 1 {
		t.Fatalf("payload %s: %v", r.Payload, err)
	}
	if got := doc.StackTrace[0]; !strings.HasPrefix(got, `  File "/`) ||
		!strings.HasSuffix(got, "/index.py\", line 2, in handler\n    raise Exception(\"Handler fails\")\n") {
		t.Errorf("stackTrace[0] = %q", got)
	}
	if !strings.HasPrefix(
		string(r.Payload),
		`{"errorMessage": "Handler fails", "errorType": "Exception", "requestId": "5d5ffba2-0000-4000-8000-000000000001", "stackTrace": [`,
	) {
		t.Errorf("payload %s", r.Payload)
	}
	e := b.log.find(t, "[ERROR] Exception: Handler fails")
	if lines := strings.Split(e.message, "\n"); len(lines) != 4 || lines[1] != "Traceback (most recent call last):" ||
		!strings.HasPrefix(lines[2], "\u00a0\u00a0File") {
		t.Errorf("event %q", e.message)
	}
}

// F-35: an exception at import is returned with an empty request id.
func TestExceptionAtImportHasNoRequestId(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.python("f", `
		raise Exception("not today")
	`)

	r := b.invoke("f", `{}`)

	var doc struct{ ErrorMessage, ErrorType, RequestId string }
	if err := json.Unmarshal(r.Payload, &doc); err != nil {
		t.Fatal(err)
	}
	if r.Class != function.FunctionError || doc.ErrorType != "Exception" || doc.ErrorMessage != "not today" ||
		doc.RequestId != "" {
		t.Fatalf("got %v %s", r.Class, r.Payload)
	}
	b.log.find(t, "INIT_REPORT Init Duration: ")
}

// F-36: faults of the set-up carry types of the Runtime family.
func TestFaultsOfTheSetUpAreNamed(t *testing.T) {
	t.Parallel()
	b := start(t)
	for i, c := range []struct{ handler, source, kind, message string }{
		{"index.nope", "x = 1", "Runtime.HandlerNotFound", "Handler 'nope' missing on module 'index'"},
		{
			"index", "x = 1", "Runtime.MalformedHandlerName",
			"Bad handler 'index': not enough values to unpack (expected 2, got 1)",
		},
		{"sys.exit", "x = 1", "Runtime.BuiltInModuleConflict", "Cannot use built-in module sys as a handler module"},
		{
			"absent.handler", "x = 1", "Runtime.ImportModuleError",
			"Unable to import module 'absent': No module named 'absent'",
		},
		{"index.handler", "def handler(:", "Runtime.UserCodeSyntaxError", "Syntax error in module 'index': "},
	} {
		name := fmt.Sprint("f", i)
		b.python(name, c.source, func(in *function.CreateInput) { in.Handler = c.handler })

		r := b.invoke(name, `{}`)

		var doc struct{ ErrorMessage, ErrorType string }
		if err := json.Unmarshal(r.Payload, &doc); err != nil || doc.ErrorType != c.kind ||
			!strings.HasPrefix(doc.ErrorMessage, c.message) {
			t.Errorf("%s: got %s, want %s %s", c.handler, r.Payload, c.kind, c.message)
		}
	}
}

// Results become JSON as AWS's runtime makes them. A Decimal keeps its digits, NaN passes, bytes on top pass raw, bytes
// below are text, dates fail.
func TestPythonResultsAreMarshalledAsOnAWS(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.python("f", `
		import datetime, decimal
		results = {
		    "decimal": lambda: {"d": decimal.Decimal("1.10"), "l": [decimal.Decimal("12345678901234567890.5"), "text"]},
		    "nan": lambda: [float("nan"), decimal.Decimal("NaN")],
		    "text": lambda: "äé",
		    "bytes": lambda: b"raw \xff",
		    "inner bytes": lambda: {"b": b"x"},
		    "date": lambda: datetime.datetime(2026, 1, 1),
		    "key": lambda: {(1, 2): 3},
		}
		def handler(event, context):
		    return results[event]()
	`)
	fails := func(message string) string { return `"errorMessage": "Unable to marshal response: ` + message }
	for _, c := range []struct{ ask, want string }{
		{"decimal", `{"d": 1.10, "l": [12345678901234567890.5, "text"]}`},
		{"nan", `[NaN, NaN]`},
		{"text", `"äé"`},
		{"bytes", "raw \xff"},
		{"inner bytes", `{"b": "x"}`},
		{"date", fails("Object of type datetime is not JSON serializable")},
		{"key", fails("keys must be str, int, float, bool or None, not tuple")},
	} {
		r := b.invoke("f", quote(c.ask))

		if c.want[0] == '"' && strings.HasPrefix(c.want, `"errorMessage`) {
			if r.Class != function.FunctionError || !strings.Contains(string(r.Payload), c.want) ||
				!strings.Contains(string(r.Payload), `"Runtime.MarshalError"`) {
				t.Errorf("%s: got %s", c.ask, r.Payload)
			}
		} else if string(r.Payload) != c.want {
			t.Errorf("%s: got %q, want %q", c.ask, r.Payload, c.want)
		}
	}
}

// Text leaves as ASCII escapes before python3.12, as it is from then on.
func TestOlderPythonRuntimesEscapeText(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.python("f", `
		def handler(event, context):
		    return "ä"
	`, func(in *function.CreateInput) { in.Runtime = "python3.11" })

	want(t, b.invoke("f", `{}`), function.Success, `"\u00e4"`)
}

// The context object has AWS's members, and logging writes its line.
func TestContextAndLoggingAreThoseOfAWS(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.python("f", `
		import logging, os
		def handler(event, context):
		    logging.getLogger().warning("two\nlines")
		    print("one\ntwo")
		    left = context.get_remaining_time_in_millis()
		    return [context.aws_request_id, context.function_name, context.function_version, context.memory_limit_in_mb,
		            context.invoked_function_arn, context.log_group_name, context.client_context.custom["k"], 0 < left <= 10000,
		            os.environ["_X_AMZN_TRACE_ID"], context.identity.cognito_identity_id]
	`)

	r := b.invoke("f", `{}`, func(i *function.Invocation) {
		i.RequestID, i.TraceID, i.ClientContext = "id-1", "Root=1-2-3", `{"custom":
 {"k":"v"}}`
	})

	want(
		t, r, function.Success,
		`["id-1", "f", "$LATEST", "256", "arn:aws:lambda:us-east-1:123456789012:function:f", "/aws/lambda/f", "v", true, "Root=1-2-3", null]`,
	)
	if e := b.log.find(t, "[WARNING]"); !strings.HasSuffix(e.message, "Z\tid-1\ttwo\nlines") {
		t.Errorf("log event %q", e.message)
	}
	b.log.find(t, "REPORT")
	var printed []string
	for _, e := range b.log.all() {
		if e.message == "one" || e.message == "two" {
			printed = append(printed, e.message)
		}
	}
	if len(printed) != 2 {
		t.Errorf("print of two lines gave %q", printed)
	}
}

// F-51: the environment of a Python function is built from nothing.
func TestPythonEnvironmentIsBuiltFromNothing(t *testing.T) {
	t.Setenv("CANARY", "1")
	b := start(t, func(o *function.Options) { o.Endpoint = func() string { return "http://127.0.0.1:4566" } })
	b.python("f", `
		import os
		def handler(event, context):
		    return dict(os.environ)
	`, func(in *function.CreateInput) {
		in.Environment = map[string]string{"TABLE_NAME": "t", "TMPDIR": "/elsewhere"}
	})

	r := b.invoke("f", `{}`)

	var env map[string]string
	if err := json.Unmarshal(r.Payload, &env); err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{
		"AWS_EXECUTION_ENV": "AWS_Lambda_python3.12", "TZ": ":UTC", "AWS_REGION": "us-east-1",
		"AWS_DEFAULT_REGION": "us-east-1", "_HANDLER": "index.handler",
		"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
		"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "TABLE_NAME": "t",
		"TMPDIR": "/elsewhere", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		if env[k] != v {
			t.Errorf("%s = %q, want %q", k, env[k], v)
		}
	}
	known := "_HANDLER _X_AMZN_TRACE_ID AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_LAMBDA_RUNTIME_API AWS_LAMBDA_LOG_STREAM_NAME " +
		"LAMBDA_TASK_ROOT LAMBDA_RUNTIME_DIR LANG PATH LD_LIBRARY_PATH AWS_XRAY_CONTEXT_MISSING HOME AWS_EXECUTION_ENV TZ AWS_REGION AWS_DEFAULT_REGION " +
		"AWS_LAMBDA_FUNCTION_NAME AWS_LAMBDA_FUNCTION_VERSION AWS_LAMBDA_FUNCTION_MEMORY_SIZE AWS_LAMBDA_LOG_GROUP_NAME AWS_LAMBDA_INITIALIZATION_TYPE " +
		"AWS_ENDPOINT_URL TABLE_NAME TMPDIR AWS_EC2_METADATA_DISABLED LC_CTYPE"
	for k := range env {
		if !strings.Contains(" "+known+" ", " "+k+" ") {
			t.Errorf("unexpected variable %s", k)
		}
	}
	account, ok := b.Resolve(env["AWS_ACCESS_KEY_ID"])
	if !ok || account != testAccount {
		t.Errorf("the function's key resolves to %s %v", account, ok)
	}
	if _, ok := b.Resolve("ASIAAAAAAAAAAAAAAAAA"); ok {
		t.Error("a key that was never issued resolves")
	}
	if os.Getenv("CANARY") != "1" {
		t.Error("the daemon has no canary")
	}
}

// F-53: a customer's AWS_ENDPOINT_URL wins over ours.
func TestCustomerMayOverrideTheEndpoint(t *testing.T) {
	t.Parallel()
	b := start(t, func(o *function.Options) { o.Endpoint = func() string { return "http://127.0.0.1:4566" } })
	b.python("f", `
		import os
		def handler(event, context):
		    return os.environ["AWS_ENDPOINT_URL"]
	`, func(in *function.CreateInput) {
		in.Environment = map[string]string{"AWS_ENDPOINT_URL": "http://example.test"}
	})

	want(t, b.invoke("f", `{}`), function.Success, `"http://example.test"`)
}

// A SIGTERM handler of the function runs although the bootstrap waits for work, and its output is logged.
func TestSIGTERMInterruptsTheWait(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.python("f", `
		import signal, sys
		def bye(number, frame):
		    print("goodbye")
		    sys.exit(0)
		signal.signal(signal.SIGTERM, bye)
		def handler(event, context):
		    pass
	`)
	want(t, b.invoke("f", `{}`), function.Success, `null`)

	if err := b.Delete(t.Context(), ref("f")); err != nil {
		t.Fatal(err)
	}

	b.log.find(t, "goodbye")
}
