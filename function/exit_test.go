package function_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/eventually"
)

// A runtime that answers and ends at once has answered: AWS reports success, whatever ended it. Twelve in a row,
// because a loss here depends on chance; each is also the next invocation after such an end, which gets a new
// environment.
func TestAnswerCountsThoughTheProcessEnds(t *testing.T) {
	t.Parallel()
	post := `
		import os, socket
		def handler(event, context):
		    host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
		    s = socket.create_connection((host, int(port)))
		    s.sendall(("POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nContent-Length: 5\r\n\r\n" % context.aws_request_id).encode() + b'"yes"')
		    os._exit(3)
	`
	for name, c := range map[string]struct {
		create func(*bench)
		answer string
	}{
		"a binary":                            {func(b *bench) { b.provided("f", "answer-and-exit") }, `"yes"`},
		"a binary that is killed":             {func(b *bench) { b.provided("f", "answer-and-die") }, `"yes"`},
		"a script whose child answers":        {func(b *bench) { b.provided("f", "answer-by-child") }, `"yes"`},
		"a binary that has asked for more":    {func(b *bench) { b.provided("f", "answer-ask-exit") }, `"yes"`},
		"a handler in Python":                 {func(b *bench) { b.python("f", post) }, `"yes"`},
		"a rejection that nobody awaits":      {func(b *bench) { b.nodejs("f", forgotten) }, `null`},
		"a throw after the callback, Node.js": {func(b *bench) { b.nodejs("f", thrown) }, `"yes"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			c.create(b)
			for range 12 {
				want(t, b.invoke("f", `{}`), function.Success, c.answer)
			}
			r := b.invoke("f", `{}`, tail)
			if log := string(r.LogTail); !strings.Contains(log, "REPORT RequestId: ") ||
				strings.Contains(log, "Status: error") {
				t.Errorf("log %q", log)
			}
		})
	}
}

const (
	forgotten = `exports.handler = async () => { (async () => { throw new Error("metrics call failed"); })(); return null; };`
	thrown    = `exports.handler = (event, context, callback) => {
		context.callbackWaitsForEmptyEventLoop = false;
		callback(null, "yes");
		process.exit(5);
	};`
)

// A part of an answer is none.
func TestPartOfAnAnswerIsNone(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.provided("f", "answer-in-part")

	r := b.invoke("f", `{}`, func(i *function.Invocation) { i.RequestID = "id" })

	want(
		t, r, function.FunctionError,
		`{"errorType":"Runtime.ExitError","errorMessage":"RequestId: id Error: Runtime exited with error: exit status 3"}`,
	)
}

// An event that no handler has seen goes to one other environment, and no further: a runtime that always ends over it
// fails the invocation.
func TestEventGoesToOneOtherEnvironment(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.provided("f", "ask-and-exit")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	r := b.Invoke(ctx, function.Invocation{Ref: ref("f"), RequestID: "id", Payload: []byte(`{}`)})

	want(
		t, r, function.FunctionError,
		`{"errorType":"Runtime.ExitError","errorMessage":"RequestId: id Error: Runtime exited with error: exit status 3"}`,
	)
}

// The keys of an environment are invalid once it has ended.
func TestKeysEndWithTheirEnvironment(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.python("f", `
		import os
		def handler(event, context):
		    if event:
		        os._exit(1)
		    return os.environ["AWS_ACCESS_KEY_ID"]
	`)
	key := strings.Trim(string(b.invoke("f", `0`).Payload), `"`)
	if _, ok := b.Resolve(key); !ok {
		t.Fatalf("key %s is unknown while its environment lives", key)
	}

	b.invoke("f", `1`)

	eventually.Holds(t, "the end of the key", func() bool {
		_, good := b.Resolve(key)
		return !good
	})
}

// Answers of 70 and 100 MB are too large, in one piece and in chunks, and the environment lives on.
func TestHugeAnswersAreTooLarge(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.provided("f", "huge")
	for _, size := range []string{`70`, `100`, `-70`, `-100`} {
		want(t, b.invoke("f", size), function.FunctionError,
			`{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}`)
	}

	want(t, b.invoke("f", `0`), function.Success, `5`)
}

// The bootstraps of Python and Node.js live on after such an answer, too.
func TestHugeAnswersOfHandlers(t *testing.T) {
	t.Parallel()
	b := start(t)
	room := func(in *function.CreateInput) { in.MemoryMB, in.Timeout = number(2048), number(60) }
	b.python("f", `
		n = 0
		def handler(event, context):
		    global n
		    n += 1
		    return "x" * (event << 20) if event else n
	`, room)
	b.nodejs(
		"g", `let n = 0; exports.handler = async (event) => { n++; return event ? "x".repeat(event * 1048576) : n; };`,
		room,
	)
	for _, name := range []string{"f", "g"} {
		if r := b.invoke(name, `70`); r.Reason != "Function.ResponseSizeTooLarge" {
			t.Errorf("%s: %v %s", name, r.Class, r.Reason)
		}
		want(t, b.invoke(name, `0`), function.Success, `2`)
	}
}
