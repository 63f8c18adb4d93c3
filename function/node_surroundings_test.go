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

// An answer is sent before anything can end the process, however soon and however abruptly, and the next invocation has
// a new process.
func TestNodeAnswersThatEndTheProcess(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.nodejs("f", `
		let n = 0;
		const ways = {
		  rejection: async () => { (async () => { throw new Error("metrics call failed"); })(); return null; },
		  exception: async () => { process.nextTick(() => { throw new Error("loose"); }); return null; },
		  exit: (context, callback) => { context.callbackWaitsForEmptyEventLoop = false; callback(null, null); process.exit(3); },
		  abort: (context) => { context.succeed(null); process.abort(); },
		  kill: (context) => { context.succeed(null); process.kill(process.pid, "SIGKILL"); },
		  large: (context) => { context.succeed("x".repeat(3000000)); process.kill(process.pid, "SIGKILL"); },
		  failed: (context) => { context.fail(new Error("no")); process.exit(0); },
		};
		exports.handler = (event, context, callback) => event ? ways[event](context, callback) : Promise.resolve(n++);
	`)
	for round := range 3 {
		for way, size := range map[string]int{
			"rejection": 4, "exception": 4, "exit": 4, "abort": 4, "kill": 4, "large": 3000002,
		} {
			if r := b.invoke("f", quote(way)); r.Class != function.Success || len(r.Payload) != size {
				t.Errorf("%s, round %d: got %v %.200s", way, round, r.Class, r.Payload)
			}
			want(t, b.invoke("f", `null`), function.Success, `0`)
		}
		if doc := nodeFailure(t, b.invoke("f", `"failed"`)); doc.ErrorMessage != "no" {
			t.Errorf("got %+v", doc)
		}
		want(t, b.invoke("f", `null`), function.Success, `0`)
	}
}

// Output without a line end, or of more than a pipe holds, is in the log of its own invocation, even if the process
// ends at once.
func TestNodeOutputComesBeforeItsAnswer(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.nodejs("f", `
		exports.handler = (event, context) => {
		  process.stdout.write("x".repeat(200000));
		  process.stderr.write("the end");
		  context.succeed(process.stdout.writableLength);
		  process.kill(process.pid, "SIGKILL");
		};
	`)

	want(t, b.invoke("f", `{}`), function.Success, `0`)

	if e := b.log.find(t, "xthe end"); len(e.message) != 200007 {
		t.Errorf("an event of %d bytes", len(e.message))
	}
}

// No name of the runtime is visible to a function: its package may use our files' names, and finds what AWS's own
// client has.
func TestNodeFunctionHasItsNamesForItself(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.nodejs("f", "", files(
		file{"index.mjs", `
			import { createRequire } from "node:module";
			import path from "node:path";
			import own from "./bootstrap.mjs";
			const require = createRequire(import.meta.url);
			export const handler = async () => ({
			  own, cache: Object.keys(require.cache), argv: process.argv.slice(1).map((a) => path.basename(a)),
			  globals: Reflect.ownKeys(globalThis).map(String).filter((k) => /lambda|shardmill/i.test(k)).sort(),
			  process: Reflect.ownKeys(process).map(String).filter((k) => /shardmill/i.test(k)), env: Object.keys(process.env).filter((k) => /shardmill/i.test(k)),
			  lambda: Object.keys(awslambda), log: console.log === console.info, surroundings: require("surroundings.cjs"),
			});
		`, 0o644},
		file{"bootstrap.mjs", `export default "bootstrap"`, 0o644},
		file{"surroundings.cjs", `module.exports = "surroundings"`, 0o644},
	))

	r := b.invoke("f", `{}`)

	var got struct {
		Own, Surroundings            string
		Cache, Argv, Globals, Lambda []string
		Process, Env                 []string
		Log                          bool
	}
	if err := json.Unmarshal(r.Payload, &got); err != nil {
		t.Fatalf("%s: %v", r.Payload, err)
	}
	if got.Own != "bootstrap" || got.Surroundings != "surroundings" || len(got.Cache) != 0 || !got.Log ||
		fmt.Sprint(got.Argv) != "[index.mjs]" ||
		len(got.Process)+len(got.Env) != 0 || fmt.Sprint(got.Lambda) != "[streamifyResponse HttpResponseStream]" ||
		fmt.Sprint(
			got.Globals,
		) != "[Symbol(aws.lambda.beforeExit) Symbol(aws.lambda.runtime.requestId) Symbol(aws.lambda.runtime.tenantId) awslambda]" {
		t.Errorf("got %s", r.Payload)
	}
}

// NODE_OPTIONS is the customer's: what tools load by it before the handler, as CommonJS or as an ES module, is loaded.
func TestNodeOptionsLoadWhatTheyName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := start(t, func(o *function.Options) { o.Show = append(o.Show, dir) })
	for option, name := range map[string]string{
		"--require ": "first.cjs", "-r ": "first.cjs", "--import ": "first.mjs",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(
			path, []byte(`globalThis.first = true; process.stdout.write("loaded\n");`), 0o644,
		); err != nil {
			t.Fatal(err)
		}
		named := "f" + strings.Trim(option, "- ")
		b.nodejs(named, `exports.handler = async () => [globalThis.first, process.env.NODE_OPTIONS]`, func(
			in *function.CreateInput,
		) {
			in.Environment = map[string]string{"NODE_OPTIONS": option + path}
		})

		want(t, b.invoke(named, `{}`), function.Success, `[true,`+quote(option+path)+`]`)
	}
}
