package function_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/function"
)

// nodeError is the error document of AWS's Node.js runtime.
type nodeError struct {
	ErrorType, ErrorMessage string
	Trace                   []string
}

func nodeFailure(t *testing.T, r function.Result) nodeError {
	t.Helper()
	var doc nodeError
	if err := json.Unmarshal(r.Payload, &doc); err != nil || r.Class != function.FunctionError ||
		r.ErrorKind != "Unhandled" {
		t.Fatalf("got %v %s: %v", r.Class, r.Payload, err)
	}
	return doc
}

func runtimeOf(id string) func(*function.CreateInput) {
	return func(in *function.CreateInput) { in.Runtime = id }
}

func files(fs ...file) func(*function.CreateInput) {
	return func(in *function.CreateInput) { in.Zip = zipOf(fs...) }
}

// An error is returned as the document of AWS's Node.js runtime, with keys in its order, and the log has it as one
// event.
func TestNodeErrorIsOneDocumentAndOneLogEvent(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.nodejs("f", `
		exports.handler = async () => {
		  throw Object.assign(new TypeError("Handler fails"), { code: "E1", detail: { n: 1 } });
		};
	`)

	r := b.invoke("f", `{}`, func(i *function.Invocation) { i.RequestID = "id-1" })

	doc := nodeFailure(t, r)
	if doc.ErrorType != "TypeError" || doc.ErrorMessage != "Handler fails" ||
		doc.Trace[0] != "TypeError: Handler fails" || !strings.Contains(doc.Trace[1], "/index.js:2:") {
		t.Errorf("got %+v", doc)
	}
	if !strings.HasPrefix(
		string(r.Payload),
		`{"errorType":"TypeError","errorMessage":"Handler fails","trace":["TypeError: Handler fails","    at `,
	) {
		t.Errorf("payload %s", r.Payload)
	}
	e := b.log.find(t, "Invoke Error")
	_, line, _ := strings.Cut(e.message, "\t")
	if !strings.HasPrefix(
		line,
		"id-1\tERROR\tInvoke Error \t{\"errorType\":\"TypeError\",\"errorMessage\":\"Handler fails\",\"code\":\"E1\",\"detail\":{\"n\":1},\"stack\":[\"TypeError: Handler fails\"",
	) {
		t.Errorf("log event %q", e.message)
	}
}

// What is thrown need not be an error.
func TestNodeThrownValuesAreDescribed(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.nodejs("f", `
		exports.handler = async (event) => {
		  if (event === "none") return Promise.reject();
		  throw event;
		};
	`)
	for event, want := range map[string]string{
		`"text"`: `{"errorType":"string","errorMessage":"text","trace":[]}`,
		`7`:      `{"errorType":"number","errorMessage":"7","trace":[]}`,
		`"none"`: `{"errorType":"string","errorMessage":"handled","trace":[]}`,
	} {
		if r := b.invoke("f", event); r.Class != function.FunctionError || string(r.Payload) != want {
			t.Errorf("%s: got %v %s, want %s", event, r.Class, r.Payload, want)
		}
	}
}

// F-36: faults of the set-up carry types of the Runtime family, in the words of AWS's Node.js runtime.
func TestNodeFaultsOfTheSetUpAreNamed(t *testing.T) {
	t.Parallel()
	b := start(t)
	for i, c := range []struct{ runtime, handler, source, kind, message string }{
		{
			"nodejs20.x", "index.nope", "exports.x = 1", "Runtime.HandlerNotFound",
			"index.nope is undefined or not exported",
		},
		{"nodejs20.x", "index.x", "exports.x = 1", "Runtime.HandlerNotFound", "index.x is not a function"},
		{"nodejs20.x", "index", "", "Runtime.MalformedHandlerName", "Bad handler"},
		{
			"nodejs20.x", "../index.handler", "", "Runtime.MalformedHandlerName",
			"'../index.handler' is not a valid handler name.",
		},
		{
			"nodejs20.x", "absent.handler", "", "Runtime.ImportModuleError",
			"Error: Cannot find module 'absent'\nRequire stack:\n- ",
		},
		{
			"nodejs20.x", "index.handler", "require('left-pad')", "Runtime.ImportModuleError",
			"Error: Cannot find module 'left-pad'\nRequire stack:\n- ",
		},
		{
			"nodejs20.x", "index.handler", "exports.handler = async )", "Runtime.UserCodeSyntaxError",
			"SyntaxError: Unexpected token",
		},
		{"nodejs20.x", "index.handler", "throw new RangeError('not today')", "RangeError", "not today"},
		{
			"nodejs24.x", "index.handler", "exports.handler = (event, context, callback) => callback()",
			"Runtime.CallbackHandlerDeprecated", "ERROR: AWS Lambda has removed support",
		},
	} {
		name := fmt.Sprint("f", i)
		b.nodejs(name, c.source, runtimeOf(c.runtime), func(in *function.CreateInput) { in.Handler = c.handler })

		doc := nodeFailure(t, b.invoke(name, `{}`))

		if doc.ErrorType != c.kind || !strings.HasPrefix(doc.ErrorMessage, c.message) || len(doc.Trace) == 0 {
			t.Errorf("%s %q: got %+v, want %s %s", c.handler, c.source, doc, c.kind, c.message)
		}
	}
	b.log.find(t, "undefined\tERROR\tUncaught Exception \t{\"errorType\":\"Runtime.ImportModuleError\"")
	b.log.find(t, "INIT_REPORT Init Duration: ")
}

// The handler file is looked for as on AWS: with require or import, in directories, as a nested export, and as a
// package.
func TestNodeHandlerFiles(t *testing.T) {
	t.Parallel()
	b := start(t)
	common := "exports.handler = async () => 'common'"
	es := "import fs from 'node:fs'; const x = await Promise.resolve('es'); export const handler = async () => x"
	for i, c := range []struct {
		what, runtime, handler, want string
		files                        []file
	}{
		{"js", "nodejs20.x", "index.handler", "common", []file{{"index.js", common, 0o644}}},
		{"cjs", "nodejs20.x", "index.handler", "common", []file{{"index.cjs", common, 0o644}}},
		{"mjs with top-level await", "nodejs20.x", "index.handler", "es", []file{{"index.mjs", es, 0o644}}},
		{
			"type module", "nodejs20.x", "index.handler", "es",
			[]file{{"index.js", es, 0o644}, {"package.json", `{"type":"module"}`, 0o644}},
		},
		{
			"type module above", "nodejs20.x", "src/index.handler", "es",
			[]file{{"src/index.js", es, 0o644}, {"package.json", `{"type":"module"}`, 0o644}},
		},
		{
			"js goes before mjs", "nodejs20.x", "index.handler", "common",
			[]file{{"index.js", common, 0o644}, {"index.mjs", es, 0o644}},
		},
		{
			"nested export", "nodejs20.x", "a/b/index.api.v1.handler", "nested",
			[]file{{"a/b/index.js", "exports.api = { v1: { handler: async () => 'nested' } }", 0o644}},
		},
		{
			"package", "nodejs20.x", "pkg.handler", "common",
			[]file{
				{"node_modules/pkg/package.json", `{"main":"main.js"}`, 0o644},
				{"node_modules/pkg/main.js", common, 0o644},
			},
		},
		{
			"default export", "nodejs24.x", "index.handler", "default",
			[]file{{"index.mjs", "export default { handler: async () => 'default' }", 0o644}},
		},
		{
			"task root through NODE_PATH", "nodejs20.x", "src/index.handler", "common",
			[]file{{"src/index.js", "module.exports = require('lib/other')", 0o644}, {"lib/other.js", common, 0o644}},
		},
	} {
		name := fmt.Sprint("f", i)
		b.nodejs(name, "", runtimeOf(c.runtime), files(c.files...), func(in *function.CreateInput) {
			in.Handler = c.handler
		})

		if r := b.invoke(name, `{}`); r.Class != function.Success || string(r.Payload) != quote(c.want) {
			t.Errorf("%s: got %v %s", c.what, r.Class, r.Payload)
		}
	}
}

// Every way to answer that AWS has, up to nodejs22.x.
func TestNodeWaysToAnswer(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.nodejs("f", `
		const ways = {
		  callback: (context, callback) => callback(null, { n: 1 }),
		  callbackError: (context, callback) => callback(new Error("no")),
		  later: (context, callback) => void setTimeout(() => callback(null, "later"), 5),
		  succeed: (context) => context.succeed("well"),
		  fail: (context) => context.fail(new Error("ill")),
		  done: (context) => context.done(null, "done"),
		  twice: (context, callback) => { context.succeed("first"); callback(null, "second"); },
		  promise: () => Promise.resolve([1, "ä"]),
		  value: () => "a value is no answer",
		  throws: () => { throw new Error("sync"); },
		  circular: async () => { const c = {}; c.c = c; return c; },
		  undefined: async () => undefined,
		};
		exports.handler = (event, context, callback) => ways[event](context, callback);
	`, runtimeOf("nodejs22.x"))
	for way, want := range map[string]string{
		"callback": `{"n":1}`, "later": `"later"`, "succeed": `"well"`, "done": `"done"`, "twice": `"first"`,
		"promise": `[1,"ä"]`, "value": `null`, "undefined": `null`,
		"callbackError": "!no", "fail": "!ill", "throws": "!sync", "circular": "!Unable to stringify response body",
	} {
		r := b.invoke("f", quote(way))

		if message, fails := strings.CutPrefix(want, "!"); fails {
			if doc := nodeFailure(t, r); doc.ErrorType != "Error" || doc.ErrorMessage != message {
				t.Errorf("%s: got %+v", way, doc)
			}
		} else if r.Class != function.Success || string(r.Payload) != want {
			t.Errorf("%s: got %v %s", way, r.Class, r.Payload)
		}
	}
	if n := countEvents(b, "INIT_START"); n > 1 {
		t.Errorf("%d environments; no answer should have ended one", n)
	}
}

// A callback waits for the event loop to be empty, unless the function says that it need not.
func TestNodeCallbackWaitsForEmptyEventLoop(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.nodejs("f", `
		exports.handler = (event, context, callback) => {
		  context.callbackWaitsForEmptyEventLoop = event;
		  const answer = { late: false };
		  setTimeout(() => { answer.late = true; }, 30);
		  callback(null, answer);
		};
	`)

	want(t, b.invoke("f", `true`), function.Success, `{"late":true}`)
	want(t, b.invoke("f", `false`), function.Success, `{"late":false}`)
}

// From nodejs24.x on the answer is what the handler returns.
func TestNode24ReturnsItsAnswer(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.nodejs("f", `
		exports.handler = (event, context) => [typeof context.succeed, typeof context.done, context.functionName];
	`, runtimeOf("nodejs24.x"))

	want(t, b.invoke("f", `{}`), function.Success, `["undefined","undefined","f"]`)
}

// A promise that nothing can settle any more fails its invocation, not its environment.
func TestNodePromiseThatIsNeverSettled(t *testing.T) {
	t.Parallel()
	b := start(t)
	for _, id := range []string{"nodejs20.x", "nodejs24.x"} {
		name := id[:8]
		b.nodejs(name, `
			let n = 0;
			exports.handler = async (event) => {
			  n++;
			  if (event) await new Promise(() => {});
			  return n;
			};
		`, runtimeOf(id))

		doc := nodeFailure(t, b.invoke(name, `true`))

		if doc.ErrorType != "Runtime.NodeJsExit" ||
			!strings.Contains(doc.ErrorMessage, "a Promise that was never settled") {
			t.Errorf("%s: got %+v", id, doc)
		}
		want(t, b.invoke(name, `false`), function.Success, `2`)
	}
}

// An uncaught error fails the invocation under way and ends the process; the next invocation has a new one.
func TestNodeUncaughtErrorsEndTheProcess(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.nodejs("f", `
		let n = 0;
		exports.handler = async (event) => {
		  if (event === "rejection") Promise.reject(new Error("lost"));
		  if (event === "exception") setTimeout(() => { throw new Error("loose"); });
		  if (event === "exit") process.exit(3);
		  if (event) await new Promise((done) => setTimeout(done, 60000));
		  return n++;
		};
	`)
	for _, c := range []struct{ event, kind, message string }{
		{"rejection", "Runtime.UnhandledPromiseRejection", "Error: lost"},
		{"exception", "Error", "loose"},
		{"exit", "Runtime.ExitError", "RequestId: id Error: Runtime exited with error: exit status 3"},
	} {
		doc := nodeFailure(t, b.invoke("f", quote(c.event), func(i *function.Invocation) { i.RequestID = "id" }))

		if doc.ErrorType != c.kind || doc.ErrorMessage != c.message {
			t.Errorf("%s: got %+v", c.event, doc)
		}
		want(t, b.invoke("f", `null`), function.Success, `0`)
	}
	b.log.find(
		t,
		"id\tERROR\tUnhandled Promise Rejection \t{\"errorType\":\"Runtime.UnhandledPromiseRejection\",\"errorMessage\":\"Error: lost\",\"reason\":{",
	)
	b.log.find(t, "id\tERROR\tUncaught Exception \t{\"errorType\":\"Error\",\"errorMessage\":\"loose\"")
}

// A streaming handler's answer arrives in one piece; other handlers get an error that says so.
func TestNodeStreamingHandlersAnswerInOnePiece(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.nodejs("f", `
		exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
		  if (event === "http") stream = awslambda.HttpResponseStream.from(stream, { statusCode: 200 });
		  stream.write("one ");
		  await new Promise((done) => setTimeout(done, 2));
		  stream.write(context.functionName);
		  if (event === "throw") throw new Error("half way");
		  if (event !== "open") stream.end();
		});
		exports.sync = awslambda.streamifyResponse(() => {});
	`)
	want(t, b.invoke("f", `"end"`), function.Success, "one f")
	want(t, b.invoke("f", `"http"`), function.Success, "{\"statusCode\":200}\x00\x00\x00\x00\x00\x00\x00\x00one f")
	if doc := nodeFailure(t, b.invoke("f", `"throw"`)); doc.ErrorMessage != "half way" {
		t.Errorf("got %+v", doc)
	}
	want(
		t, b.invoke("f", `"open"`), function.FunctionError,
		`{"errorType":"string","errorMessage":"Response stream is not finished.","trace":[]}`,
	)
}

// The context object has AWS's members, and console writes its lines.
func TestNodeContextAndConsoleAreThoseOfAWS(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.nodejs("f", `
		exports.handler = async (event, context) => {
		  console.log("%s lines:\n%j", "two", { a: 1 });
		  console.warn(new Map([[1, 2]]));
		  console.debug("fine");
		  process.stdout.write("plain\n");
		  const left = context.getRemainingTimeInMillis();
		  return [context.awsRequestId, context.functionName, context.functionVersion, context.memoryLimitInMB, context.invokedFunctionArn, context.logGroupName,
		    context.clientContext.custom.k, left > 0 && left <= 10000, process.env._X_AMZN_TRACE_ID, context.callbackWaitsForEmptyEventLoop, typeof context.identity];
		};
	`)

	r := b.invoke("f", `{}`, func(i *function.Invocation) {
		i.RequestID, i.TraceID, i.ClientContext = "id-1", "Root=1-2-3", `{"custom":{"k":"vä"}}`
	})

	want(
		t, r, function.Success,
		`["id-1","f","$LATEST","256","arn:aws:lambda:us-east-1:123456789012:function:f","/aws/lambda/f","vä",true,"Root=1-2-3",true,"undefined"]`,
	)
	b.log.find(t, "REPORT")
	var lines []string
	for _, e := range b.log.all() {
		if time, rest, ok := strings.Cut(e.message, "Z\t"); ok && strings.HasPrefix(time, "2") {
			lines = append(lines, rest)
		} else if e.message == "plain" {
			lines = append(lines, e.message)
		}
	}
	if got := strings.Join(
		lines, "|",
	); got != "id-1\tINFO\ttwo lines:\n{\"a\":1}|id-1\tWARN\tMap(1) { 1 => 2 }|id-1\tDEBUG\tfine|plain" {
		t.Errorf("log lines %q", got)
	}
}

// F-51: the environment of a Node.js function is built from nothing. The heap is held below MemorySize, unless the
// function says otherwise.
func TestNodeEnvironmentIsBuiltFromNothing(t *testing.T) {
	t.Setenv("CANARY", "1")
	b := start(t, func(o *function.Options) { o.Endpoint = func() string { return "http://127.0.0.1:4566" } })
	source := `
		const heap = require("v8").getHeapStatistics().heap_size_limit >> 20;
		exports.handler = async () => ({ ...process.env, heap });
	`
	b.nodejs("f", source, func(in *function.CreateInput) { in.Environment = map[string]string{"TABLE_NAME": "t"} })
	b.nodejs("g", source, func(in *function.CreateInput) {
		in.Environment = map[string]string{"NODE_OPTIONS": "--enable-source-maps --max_old_space_size=600"}
	})

	var env, own map[string]any
	for name, into := range map[string]*map[string]any{"f": &env, "g": &own} {
		if err := json.Unmarshal(b.invoke(name, `{}`).Payload, into); err != nil {
			t.Fatal(err)
		}
	}

	for k, v := range map[string]string{
		"AWS_EXECUTION_ENV": "AWS_Lambda_nodejs20.x", "TZ": ":UTC", "AWS_REGION": "us-east-1",
		"_HANDLER": "index.handler", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
		"AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "TABLE_NAME": "t", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		if env[k] != v {
			t.Errorf("%s = %q, want %q", k, env[k], v)
		}
	}
	known := "_HANDLER _X_AMZN_TRACE_ID AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_LAMBDA_RUNTIME_API AWS_LAMBDA_LOG_STREAM_NAME " +
		"LAMBDA_TASK_ROOT LAMBDA_RUNTIME_DIR LANG PATH LD_LIBRARY_PATH NODE_PATH AWS_XRAY_CONTEXT_MISSING HOME AWS_EXECUTION_ENV TZ AWS_REGION AWS_DEFAULT_REGION " +
		"AWS_LAMBDA_FUNCTION_NAME AWS_LAMBDA_FUNCTION_VERSION AWS_LAMBDA_FUNCTION_MEMORY_SIZE AWS_LAMBDA_LOG_GROUP_NAME AWS_LAMBDA_INITIALIZATION_TYPE " +
		"AWS_ENDPOINT_URL TABLE_NAME TMPDIR AWS_EC2_METADATA_DISABLED heap"
	for k := range env {
		if !strings.Contains(" "+known+" ", " "+k+" ") {
			t.Errorf("unexpected variable %s", k)
		}
	}
	// Node adds its young generation to the requested heap.
	if heap := env["heap"].(float64); heap < 192 || heap > 256 {
		t.Errorf("heap of 256 MB function: %v MB", heap)
	}
	if heap := own["heap"].(float64); heap < 600 ||
		own["NODE_OPTIONS"] != "--enable-source-maps --max_old_space_size=600" {
		t.Errorf("own NODE_OPTIONS %v, heap %v MB", own["NODE_OPTIONS"], heap)
	}
}

// The SDK, which AWS bundles, may be missing here: the document stays AWS's, and a hint says what to do. What a layer
// or NODE_PATH has is found by both require and import.
func TestNodeFindsTheSDKOrHints(t *testing.T) {
	t.Parallel()
	modules := filepath.Join(t.TempDir(), "node_modules")
	b := start(t, func(o *function.Options) { o.Show = append(o.Show, modules) })
	b.nodejs("f", `require("@aws-sdk/of-nobody")`)
	b.nodejs("g", ``, files(file{"index.mjs", `import "@aws-sdk/of-nobody"`, 0o644}))
	for _, name := range []string{"f", "g"} {
		r := b.invoke(name, `{}`)

		if !strings.Contains(nodeFailure(t, r).ErrorMessage, " '@aws-sdk/of-nobody'") ||
			!strings.Contains(r.Hint, "npm install @aws-sdk/") {
			t.Errorf("got %s, hint %q", r.Payload, r.Hint)
		}
	}
	if err := os.MkdirAll(filepath.Join(modules, "@aws-sdk", "thing"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(
		filepath.Join(modules, "@aws-sdk", "thing", "index.js"), []byte("module.exports = 'found'"), 0o644,
	); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]file{
		"required": {"index.js", `const x = require("@aws-sdk/thing"); exports.handler = async () => x`, 0o644},
		"imported": {"index.mjs", `import x from "@aws-sdk/thing"; export const handler = async () => x`, 0o644},
	} {
		b.nodejs(name, "", files(f), func(in *function.CreateInput) {
			in.Environment = map[string]string{"NODE_PATH": modules}
		})

		want(t, b.invoke(name, `{}`), function.Success, `"found"`)
	}
}

// F-41: large payloads pass both ways, and an answer beyond the limit keeps the environment.
func TestNodeLargePayloads(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.nodejs("f", `
		let n = 0;
		exports.handler = async (event) => { n++; return event.more ? "x".repeat(event.more) : [event.text?.length, n]; };
	`)

	want(t, b.invoke("f", `{"text":"`+strings.Repeat("ä", 1<<20)+`"}`), function.Success, `[1048576,1]`)
	if r := b.invoke("f", `{"more":7340032}`); r.Reason != "Function.ResponseSizeTooLarge" {
		t.Errorf("got %+v", r.Class)
	}
	want(t, b.invoke("f", `{}`), function.Success, `[null,3]`)
	if r := b.invoke("f", `{"more":6291456}`); r.Class != function.Success || len(r.Payload) != 6<<20+2 {
		t.Errorf("6 MiB: %v, %d bytes", r.Class, len(r.Payload))
	}
}

// F-37 and F-40 hold for Node.js, too: time and memory have their limits, and SIGTERM reaches the function.
func TestNodeLimitsAndSIGTERM(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.nodejs("slow", `
		process.on("SIGTERM", () => { console.log("goodbye"); process.exit(0); });
		exports.handler = async (event) => event && new Promise((done) => setTimeout(done, 60000));
	`, func(in *function.CreateInput) { in.Timeout = number(1) })

	r := b.invoke("slow", `true`, func(i *function.Invocation) { i.RequestID = "id" })
	want(
		t, r, function.FunctionError,
		`{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: id Error: Task timed out after 1.00 seconds"}`,
	)
	want(t, b.invoke("slow", `false`), function.Success, `false`)
	if err := b.Delete(t.Context(), ref("slow")); err != nil {
		t.Fatal(err)
	}
	b.log.find(t, "goodbye")

	if function.MemoryWatch() == "off" {
		return // this system has no memory reading; the limit is not enforced
	}
	b.nodejs("hog", `
		exports.handler = () => { const hogs = []; for (;;) hogs.push(Buffer.alloc(8 << 20, 1)); };
	`, func(in *function.CreateInput) { in.MemoryMB, in.Timeout = number(128), number(60) })
	if r := b.invoke("hog", `{}`); r.Reason != "Runtime.OutOfMemory" {
		t.Errorf("got %+v", r)
	}
}
