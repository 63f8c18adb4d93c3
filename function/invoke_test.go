package function_test

import (
	"testing"

	"github.com/shardmill/shardmill/function"
)

// F-32: numbers, key order and blanks of the event reach the handler and come back unchanged.
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
