package function_test

import (
	"strings"
	"testing"

	"github.com/shardmill/shardmill/function"
)

// The bootstrap reads an event as json.loads does, errors included, and leaves it to whatever a package has put in its
// place.
func TestPythonReadsEventsAsJSONDoes(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.python("f", `
		import json
		from awslambdaric.lambda_runtime_marshaller import from_json
		documents = [
		    b'{"a": [1, 2.5, null, true, "\\u00e4 \\ud800"]}', b'[]', b' {}', b'{} ', b'\n[1]\n', b'1', b'"x"', b'null', b'NaN', b'[NaN, -Infinity]',
		    b'', b'{', b'[', b'{}x', b'[1,]', b'{"a":1}{"b":2}', b'{a: 1}', b'["\x01"]', b'["\xff"]', b'["\xed\xa0\x80"]', b'[' * 100000,
		    b'\xef\xbb\xbf{}', '{"a": 1}'.encode("utf-16"), '{"a": 1}'.encode("utf-16-le"), '[1]'.encode("utf-16-be"), '{}'.encode("utf-32-le"),
		    '{"a": "\u00e4\U0001f600"}'.encode(), b'{"a": 1, "a": 2}', b'[1e400, 123456789012345678901234567890, -0]', '{"a": 1}', '\ufeff{}',
		]
		def told(read, document):
		    try:
		        value = read(document)
		        return type(value).__name__, repr(value)
		    except Exception as e:
		        return type(e).__name__, str(e).partition(" while ")[0]
		def differs(d):
		    return any(told(from_json, x) != told(json.loads, x) for x in ([d, bytearray(d)] if type(d) is bytes else [d]))
		def handler(event, context):
		    found = [repr(d)[:40] for d in documents if differs(d)]
		    if event == {"patched": True}:
		        json.loads = lambda document: ["mine", bytes(document).decode()]
		    return found + [event]
	`)
	want(t, b.invoke("f", `{"patched": true}`), function.Success, `[{"patched": true}]`)
	r := b.invoke("f", `{"patched": false}`)
	if text := string(r.Payload); !strings.HasSuffix(text, `["mine", "{\"patched\": false}"]]`) {
		t.Errorf("with another json.loads the event is %s", text)
	}
}

// What an error leaves behind does not change later answers.
func TestPythonAnswersAfterACircle(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.python("f", `
		inner = {"a": [1]}
		answer = {"inner": inner}
		def handler(event, context):
		    inner.pop("self", None)
		    if event == "circle":
		        inner["self"] = answer
		    if event == "key":
		        return {"inner": inner, "more": [inner, {(1,): 2}]}
		    return answer
	`)
	plain := `{"inner": {"a": [1]}}`
	want(t, b.invoke("f", `0`), function.Success, plain)
	for _, event := range []string{`"circle"`, `"key"`} {
		if r := b.invoke("f", event); r.Class != function.FunctionError {
			t.Errorf("%s: %v %s", event, r.Class, r.Payload)
		}
		want(t, b.invoke("f", `0`), function.Success, plain)
	}
}

// A context tells of the environment as it is, also where a package changes it, or replaces os.environ.
func TestPythonContextFollowsTheEnvironment(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.python("f", `
		import os
		def handler(event, context):
		    if event == "set":
		        os.environ["AWS_LAMBDA_FUNCTION_NAME"] = "mine"
		    if event == "delete":
		        del os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
		    if event == "replace":
		        os.environ = {"AWS_LAMBDA_FUNCTION_NAME": "replaced"}
		    return [context.function_name, context.function_version, context.memory_limit_in_mb]
	`)
	for _, c := range []struct{ event, answer string }{
		{`"set"`, `["f", "$LATEST", "256"]`},
		{`"delete"`, `["mine", "$LATEST", "256"]`},
		{`"replace"`, `["mine", null, "256"]`},
		{`0`, `["replaced", null, null]`},
	} {
		want(t, b.invoke("f", c.event), function.Success, c.answer)
	}
}
