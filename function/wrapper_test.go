package function_test

import (
	"os"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/function"
)

// wrapped sets the wrapper and adds its script, if there is one, to the package.
func wrapped(path, script string, mode os.FileMode, files ...file) func(*function.CreateInput) {
	if script != "" {
		files = append(files, file{"wrap.sh", script, mode})
	}
	return func(in *function.CreateInput) {
		in.Environment, in.Zip = map[string]string{"AWS_LAMBDA_EXEC_WRAPPER": path}, zipOf(files...)
	}
}

// AWS_LAMBDA_EXEC_WRAPPER starts the runtime in its place, with the runtime's command as its arguments, wherever it
// names the script by AWS's path or relative to the package. Source: Lambda Developer Guide, "Modifying the runtime
// environment".
func TestExecWrapperStartsTheRuntime(t *testing.T) {
	t.Parallel()
	const script = "#!/bin/sh\nexport WRAPPED=\"$#\"\nexec \"$@\"\n"
	python := file{
		"index.py", "import os\ndef handler(event, context):\n    return int(os.environ['WRAPPED']) > 1\n", 0o644,
	}
	node := file{"index.js", "exports.handler = async () => Number(process.env.WRAPPED) > 1;", 0o644}
	for _, path := range []string{"/var/task/wrap.sh", "./wrap.sh"} {
		b := start(t)
		b.python("f", "", wrapped(path, script, 0o755, python))
		b.nodejs("g", "", wrapped(path, script, 0o755, node))

		want(t, b.invoke("f", `{}`), function.Success, `true`)
		want(t, b.invoke("g", `{}`), function.Success, `true`)
	}
}

// The example of the Developer Guide puts options of the interpreter before the last argument of the runtime's command.
func TestExecWrapperOfTheDeveloperGuide(t *testing.T) {
	t.Parallel()
	const script = `#!/bin/bash
args=("$@")
extra_args=("-X" "importtime")
args=("${args[@]:0:$#-1}" "${extra_args[@]}" "${args[@]: -1}")
exec "${args[@]}"
`
	b := start(t)
	b.python(
		"f", "",
		wrapped("/var/task/wrap.sh", script, 0o755, file{
			"index.py", "import sys\ndef handler(event, context):\n    return sorted(sys._xoptions)\n", 0o644,
		}),
	)

	if r := b.invoke("f", `{}`); r.Class != function.Success || !strings.Contains(string(r.Payload), `"importtime"`) ||
		strings.Contains(string(r.Payload), "shardmill") {
		t.Errorf("got %v %s", r.Class, r.Payload)
	}
}

// A wrapper that is missing, or is not a program, ends the runtime as on AWS, with a line in the log that says so.
// provided.* has no wrapper.
func TestExecWrapperThatCannotRun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		script, status, line string
	}{
		{"", "127", "/var/task/wrap.sh: does not exist"},
		{"#!/bin/sh\n", "126", "/var/task/wrap.sh: is not an executable"},
	} {
		b := start(t)
		b.python("f", "", wrapped("/var/task/wrap.sh", c.script, 0o644, file{"index.py", "handler = print\n", 0o644}))

		r := b.invoke("f", `{}`, func(i *function.Invocation) { i.RequestID = "id" })

		want(
			t, r, function.FunctionError,
			`{"errorType":"Runtime.ExitError","errorMessage":"RequestId: id Error: Runtime exited with error: exit status `+
				c.status+`"}`,
		)
		b.Stop(t.Context()) // flushes the log
		if countEvents(b, c.line) != 1 {
			t.Errorf("the log does not say %q", c.line)
		}
	}
	b := start(t)
	b.provided("f", "echo", func(in *function.CreateInput) {
		in.Environment = map[string]string{"AWS_LAMBDA_EXEC_WRAPPER": "/nowhere"}
	})
	if r := b.invoke("f", `1`); r.Class != function.Success || !strings.Contains(string(r.Payload), "1") {
		t.Errorf("provided: %+v", r)
	}
}
