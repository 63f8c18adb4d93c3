package function_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/function"
)

// F-32: numbers, key order and blanks of the event reach the handler and return unchanged.
func TestBytesPassThroughUnchanged(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.provided("f", "echo")
	r := b.invoke("f", `{"n":12345678901234567890.10, "b":1,"a":2}`)

	want(t, r, function.Success, `{"n":12345678901234567890.10, "b":1,"a":2}`)
}

// F-28: a handler that returns nothing answers null.
func TestPythonHandlerThatReturnsNothingAnswersNull(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.python("f", `
		def handler(event, context):
		    return None
	`)

	r := b.invoke("f", `{}`)

	want(t, r, function.Success, `null`)
}

// F-54: a handler built with aws-lambda-go runs, from a package made on Windows, where files have no executable bit;
// its errors are AWS's.
func TestOfficialGoRuntime(t *testing.T) {
	t.Parallel()
	b := start(t)
	var windows bytes.Buffer
	w := zip.NewWriter(&windows)
	out, err := w.CreateHeader(&zip.FileHeader{Name: "bootstrap", Method: zip.Deflate, CreatorVersion: 10 << 8})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = out.Write([]byte(bootstrapScript(t, "aws-lambda-go")))
	_ = w.Close()
	b.provided("f", "", func(in *function.CreateInput) { in.Zip = windows.Bytes() })

	want(t, b.invoke("f", `{"name":"you"}`), function.Success, `"hello you"`)
	want(t, b.invoke("f", `{"fail":"no"}`), function.FunctionError, `{"errorMessage":"no","errorType":"errorString"}`)
}

// F-48, F-49, F-50 through a whole environment: the headers of /next; a second answer, a foreign id and a late init
// error are refused.
func TestRuntimeAPIOfAnEnvironment(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.provided("headers", "headers")
	r := b.invoke("headers", `{}`, func(i *function.Invocation) {
		i.RequestID, i.ClientContext, i.InvokedARN = "id-1", `{"c":1}`, "arn:as:addressed"
	})
	var text string
	if err := json.Unmarshal(r.Payload, &text); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"Aws-Request-Id=id-1\n", "Invoked-Function-Arn=arn:as:addressed\n", "Trace-Id=Root=1-",
		"Client-Context={\"c\":1}\n", "Deadline-Ms=1",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in %q", line, text)
		}
	}

	b.provided("twice", "twice")
	b.invoke("twice", `{}`)
	r = b.invoke("twice", `{}`)
	invalid := `400 {"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}`
	if err := json.Unmarshal(r.Payload, &text); err != nil {
		t.Fatal(err)
	}
	said := strings.Split(text, "\n")
	if len(said) != 4 || said[0] != `202 {"status":"OK"}` || said[1] != invalid || said[2] != invalid ||
		!strings.HasPrefix(said[3], `403 {`) || !strings.Contains(said[3], "InvalidStateTransition") {
		t.Errorf("the API said %q", said)
	}
}

// F-52: provided runtimes have no AWS_EXECUTION_ENV, and nothing of the daemon's.
func TestProvidedEnvironment(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.provided("f", "environ")

	r := b.invoke("f", `{}`)

	if p := string(r.Payload); strings.Contains(p, "AWS_EXECUTION_ENV") || strings.Contains(p, "GOPATH") ||
		!strings.Contains(p, `_HANDLER=bootstrap`) || !strings.Contains(p, `TZ=:UTC`) {
		t.Errorf("environment %s", p)
	}
}

// TZ is not reserved: a function sees the time zone that its owner has set, in its environment and in what its runtime
// makes of it.
func TestTimeZoneOfTheOwnerIsHonoured(t *testing.T) {
	t.Parallel()
	b := start(t)
	zone := func(in *function.CreateInput) { in.Environment = map[string]string{"TZ": "XYZ-5"} }
	b.provided("f", "environ", zone)
	b.python("g", `
		import time
		def handler(event, context):
		    return [time.tzname[0], time.timezone]
	`, zone)

	if p := string(b.invoke("f", `{}`).Payload); !strings.Contains(p, `TZ=XYZ-5`) || strings.Contains(p, "TZ=:UTC") {
		t.Errorf("environment %s", p)
	}
	want(t, b.invoke("g", `{}`), function.Success, `["XYZ", -18000]`)
}

// What exec refuses is an invalid entry point, in AWS's words.
func TestBootstrapThatIsNoProgram(t *testing.T) {
	t.Parallel()
	b := start(t)
	for i, c := range []struct {
		body    string
		mode    os.FileMode
		message string
	}{
		{"no program", 0o755, "exec format error"},
		{"#!/nowhere/sh\n", 0o755, "no such file or directory"},
		{"#!/bin/sh\n", 0o644, "permission denied"},
	} {
		name := fmt.Sprint("f", i)
		b.provided(name, "", func(in *function.CreateInput) { in.Zip = zipOf(file{"bootstrap", c.body, c.mode}) })

		r := b.invoke(name, `{}`, func(inv *function.Invocation) { inv.RequestID = "id" })

		want(
			t, r, function.FunctionError,
			`{"errorType":"Runtime.InvalidEntrypoint","errorMessage":"RequestId: id Error: fork/exec /var/task/bootstrap: `+
				c.message+`"}`,
		)
	}
}

// A start that fails takes neither room on the machine nor a place among those that start, however often it happens.
func TestFailedStartsTakeNoRoom(t *testing.T) {
	t.Parallel()
	b := start(t, func(o *function.Options) { o.MaxEnvironments = 1 })
	b.provided("good", "echo")
	for i := range runtime.NumCPU() + 1 {
		name := fmt.Sprint("bad", i) // a function of its own for each, as failures of one are followed by a pause
		b.provided(name, "", func(in *function.CreateInput) {
			in.Zip = zipOf(file{"bootstrap", "#!/nowhere/sh\n", 0o755})
		})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // the next start would wait for the place
		r := b.Invoke(ctx, function.Invocation{Ref: ref(name), Payload: []byte(`{}`)})
		cancel()
		if r.Reason != "Runtime.InvalidEntrypoint" {
			t.Fatalf("start %d: %+v", i, r)
		}
	}

	want(t, b.invoke("good", `1`), function.Success, `1`)

	if n := b.Busy(); n != 0 {
		t.Errorf("%d invocations are counted", n)
	}
}
