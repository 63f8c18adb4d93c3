package function_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/eventually"
)

// extended is a function whose extension records its events in files of the directory $NOTES; $EVENTS is what it
// registers for.
const extended = `
	import http.client, json, os, signal, sys, threading, time
	api, notes = os.environ["AWS_LAMBDA_RUNTIME_API"], os.environ["NOTES"]

	def note(name, text):
	    with open(os.path.join(notes, name + ".new"), "w") as f:
	        f.write(text)
	    os.rename(os.path.join(notes, name + ".new"), os.path.join(notes, name))

	def call(method, path, body=None, **headers):
	    c = http.client.HTTPConnection(api)
	    c.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
	    r = c.getresponse()
	    return r.status, r.read().decode(), r.getheader("Lambda-Extension-Identifier")

	status, body, me = call("POST", "/2020-01-01/extension/register", json.dumps({"events": []}), Lambda_Extension_Name="note-taker")
	note("registered", body)

	def wait():
	    while True:
	        _, event, _ = call("GET", "/2020-01-01/extension/event/next", Lambda_Extension_Identifier=me)
	        note("event", event)

	threading.Thread(target=wait, daemon=True).start()
	signal.signal(signal.SIGTERM, lambda *_: (note("sigterm", str(os.path.exists(os.path.join(notes, "event")))), os._exit(0)))

	def handler(event, context):
	    if event == "sleep":
	        time.sleep(60)
	    if event == "fail":
	        call("POST", "/2020-01-01/extension/exit/error", "{}", Lambda_Extension_Identifier=me, Lambda_Extension_Function_Error_Type="Extension.Broken")
	        os._exit(1)
	    return "yes"
`

// noted waits for a note.
func noted(t *testing.T, dir, name string) string {
	t.Helper()
	var text []byte
	eventually.Holds(t, "a note "+name, func() (ok bool) {
		var err error
		text, err = os.ReadFile(filepath.Join(dir, name))
		return err == nil
	})
	return string(text)
}

// An extension inside the process registers in the init phase and gets SHUTDOWN before the process gets SIGTERM: when
// the environment is no longer needed, and after a timeout.
func TestExtensionHearsShutdownBeforeSIGTERM(t *testing.T) {
	t.Parallel()
	for reason, payload := range map[string]string{"spindown": `{}`, "timeout": `"sleep"`} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			// The grace is long, so that SIGTERM comes after the note however busy the machine is.
			b, dir := start(t, unconfined, func(o *function.Options) {
				o.ShutdownGrace = 10 * time.Second
			}), t.TempDir()
			b.python("f", extended, func(in *function.CreateInput) {
				in.Environment, in.Timeout = map[string]string{"NOTES": dir}, number(2)
			})

			r := b.invoke("f", payload, tail)
			if got := noted(
				t, dir, "registered",
			); got != `{"functionName":"f","functionVersion":"$LATEST","handler":"index.handler"}` {
				t.Errorf("registered as %s", got)
			}
			if reason == "timeout" {
				if r.Reason != "Sandbox.Timedout" || r.Duration > 60*time.Second {
					t.Errorf("got %+v", r)
				}
				reported := fmt.Sprintf("\tDuration: %.2f ms\t", float64(r.Duration)/float64(time.Millisecond))
				if !strings.Contains(string(r.LogTail), reported) { // the shutdown is not part of Duration
					t.Errorf("took %v, and the log says %q", r.Duration, r.LogTail)
				}
			} else {
				want(t, r, function.Success, `"yes"`)
				if err := b.Delete(t.Context(), ref("f")); err != nil {
					t.Fatal(err)
				}
			}

			if got := noted(t, dir, "event"); !strings.Contains(got, `"eventType":"SHUTDOWN"`) ||
				!strings.Contains(got, `"shutdownReason":"`+reason+`"`) {
				t.Errorf("heard %s", got)
			}
			if got := noted(t, dir, "sigterm"); got != "True" {
				t.Error("SIGTERM came before SHUTDOWN")
			}
		})
	}
}

// If an extension reports an error before its process ends, the invocation failed with that error.
func TestErrorOfAnExtensionNamesTheFailure(t *testing.T) {
	t.Parallel()
	b := start(t, unconfined)
	b.python("f", extended, func(in *function.CreateInput) { in.Environment = map[string]string{"NOTES": t.TempDir()} })

	r := b.invoke("f", `"fail"`, func(i *function.Invocation) { i.RequestID = "id" })

	want(
		t, r, function.FunctionError,
		`{"errorType":"Extension.ExitError","errorMessage":"RequestId: id Error: Runtime exited with error: exit status 1"}`,
	)
}

// F-38 also holds with an extension, whose process gets time to end: the next process finds the files in /tmp.
func TestTemporaryFilesOutliveATimeoutWithAnExtension(t *testing.T) {
	t.Parallel()
	b, dir := start(t, unconfined), t.TempDir()
	b.python("f", extended+`
	mark = os.path.join(os.environ["TMPDIR"], "mark")
	usual = handler
	def handler(event, context):
	    if event == "sleep":
	        open(mark, "w").close()
	    return usual(event, context) if event == "sleep" else os.path.exists(mark)
`, func(in *function.CreateInput) {
		in.Environment, in.Timeout = map[string]string{"NOTES": dir}, number(2)
	})
	if r := b.invoke("f", `"sleep"`); r.Reason != "Sandbox.Timedout" {
		t.Fatalf("got %+v", r)
	}

	want(t, b.invoke("f", `"look"`), function.Success, `true`)
}

// subscribed is a function with an extension that prints what telemetry it gets into the file $NOTES/telemetry; $ANSWER
// is its answer.
const subscribed = `
	import http.client, http.server, json, os, threading
	api, path = os.environ["AWS_LAMBDA_RUNTIME_API"], os.path.join(os.environ["NOTES"], "telemetry")

	class Server(http.server.BaseHTTPRequestHandler):
	    def do_POST(self):
	        body = self.rfile.read(int(self.headers["Content-Length"]))
	        with open(path, "a") as f:
	            for event in json.loads(body):
	                f.write(json.dumps(event) + "\n")
	        self.send_response(int(os.environ["ANSWER"]))
	        self.end_headers()
	    def log_message(self, *args):
	        pass

	server = http.server.HTTPServer(("127.0.0.1", 0), Server)
	threading.Thread(target=server.serve_forever, daemon=True).start()

	def call(method, path, body, **headers):
	    c = http.client.HTTPConnection(api)
	    c.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
	    r = c.getresponse()
	    r.read()
	    return r

	me = call("POST", "/2020-01-01/extension/register", json.dumps({"events": []}), Lambda_Extension_Name="reader").getheader("Lambda-Extension-Identifier")
	r = call("PUT", "/2022-07-01/telemetry", json.dumps({
	    "schemaVersion": "2022-12-13", "types": ["platform", "function"], "buffering": {"timeoutMs": 25},
	    "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:%d/in" % server.server_port}}), Lambda_Extension_Identifier=me)
	assert r.status == 200, r.status

	def handler(event, context):
	    print("a line of", event)
	    return "yes"
`

// An extension that subscribes gets what happens, from the start of the init phase on, in AWS's shapes.
func TestTelemetryIsDelivered(t *testing.T) {
	t.Parallel()
	b, dir := start(t, unconfined), t.TempDir()
	b.python("f", subscribed, func(in *function.CreateInput) {
		in.Environment = map[string]string{"NOTES": dir, "ANSWER": "200"}
	})
	want(t, b.invoke("f", `1`, func(i *function.Invocation) { i.RequestID = "id-1" }), function.Success, `"yes"`)
	want(t, b.invoke("f", `2`, func(i *function.Invocation) { i.RequestID = "id-2" }), function.Success, `"yes"`)

	var lines []string
	eventually.Reaches(t, "13 events", func() (bool, string) {
		text, _ := os.ReadFile(filepath.Join(dir, "telemetry"))
		lines = strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		return len(lines) >= 13, string(text)
	})
	for i, parts := range [][]string{
		{
			`"platform.initStart"`, `"initializationType": "on-demand"`, `"phase": "init"`,
			`"runtimeVersion": "python:3.12`, `"functionName": "f"`,
		},
		{
			`"platform.telemetrySubscription"`, `"name": "reader"`, `"state": "Subscribed"`,
			`"types": ["platform", "function"]`,
		},
		{`"platform.initRuntimeDone"`, `"status": "success"`},
		{`"platform.extension"`, `"name": "reader"`, `"state": "Ready"`, `"events": []`},
		{`"platform.initReport"`, `"metrics": {"durationMs": `},
		{`"platform.start"`, `"requestId": "id-1"`, `"version": "$LATEST"`},
		{`"type": "function", "record": "a line of 1"`},
		{`"platform.runtimeDone"`, `"requestId": "id-1"`, `"status": "success"`, `"producedBytes": 5`},
		{`"platform.report"`, `"requestId": "id-1"`, `"memorySizeMB": 256`, `"initDurationMs": `},
		{`"platform.start"`, `"requestId": "id-2"`},
		{`"a line of 2"`},
		{`"platform.runtimeDone"`, `"requestId": "id-2"`},
		{`"platform.report"`, `"requestId": "id-2"`, `"billedDurationMs": `},
	} {
		for _, part := range append(parts, `"time": "20`) {
			if len(lines) <= i || !strings.Contains(lines[i], part) {
				t.Fatalf("line %d of %q does not contain %s", i, lines, part)
			}
		}
	}
}

// A subscriber that refuses its deliveries holds nothing up, and the log reports it.
func TestDeadSubscriberHoldsUpNobody(t *testing.T) {
	t.Parallel()
	b, dir := start(t, unconfined), t.TempDir()
	b.python("f", subscribed, func(in *function.CreateInput) {
		in.Environment = map[string]string{"NOTES": dir, "ANSWER": "500"}
	})
	eventually.Reaches(t, "what was dropped, counted", func() (bool, string) {
		want(t, b.invoke("f", `1`), function.Success, `"yes"`) // it is reported with the next event
		text, _ := os.ReadFile(filepath.Join(dir, "telemetry"))
		return strings.Contains(string(text), `"platform.logsDropped"`) &&
			strings.Contains(string(text), `"droppedRecords": `), string(text)
	})
}
