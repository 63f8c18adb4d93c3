package function_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/function"
)

// What a function prints without a line break belongs to the invocation that printed it: it is in LogResult, before
// END, and never in front of what the next one prints. The same goes for output of its set-up, before a timeout, and
// before an exit.
func TestOutputWithoutALineBreak(t *testing.T) {
	t.Parallel()
	short := func(in *function.CreateInput) { in.Timeout = number(1) }
	for name, c := range map[string]struct {
		create func(*bench)
		want   [2][]string // of two invocations: the lines of LogResult that are neither START nor REPORT
	}{
		"Python": {func(b *bench) {
			b.python("f", `
				import sys
				n = 0
				sys.stdout.write("set-up")
				def handler(event, context):
				    global n
				    n += 1
				    sys.stdout.write("second\n" if n == 2 else "first")
			`)
		}, [2][]string{{"first", "END"}, {"second", "END"}}},
		"Node.js": {func(b *bench) {
			b.nodejs(
				"f", `let n = 0; exports.handler = async () => { process.stdout.write(n++ ? "second\n" : "first"); };`,
			)
		}, [2][]string{{"first", "END"}, {"second", "END"}}},
		"a child, which prints on": {func(b *bench) {
			b.python("f", `
				import os, subprocess, sys
				r, w = os.pipe()
				child = subprocess.Popen(["/bin/sh", "-c", "printf child; read x; echo rest; read x"], stdin=r, stdout=subprocess.PIPE)
				n = 0
				def handler(event, context):
				    global n
				    n += 1
				    if n == 2:
				        os.write(w, b"\n")
				    os.write(1, os.read(child.stdout.fileno(), 100))
			`)
		}, [2][]string{{"child", "END"}, {"rest", "END"}}},
		"a timeout": {func(b *bench) {
			b.python("f", `
				import sys, time
				def handler(event, context):
				    sys.stdout.write("before")
				    time.sleep(9)
			`, short)
		}, [2][]string{{"before", "Task", "", "END"}, {"before", "Task", "", "END"}}},
		"an exit": {
			func(b *bench) {
				b.python("f", `
				import os
				def handler(event, context):
				    os.write(2, b"before")
				    os._exit(1)
			`)
			},
			[2][]string{
				{"before", "RequestId:", "Runtime.ExitError", "END"},
				{"before", "RequestId:", "Runtime.ExitError", "END"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			c.create(b)
			for i, want := range c.want {
				r := b.invoke("f", `{}`, tail)
				if got := firstWords(string(r.LogTail)); !slices.Equal(got, want) {
					t.Errorf("invocation %d: %q, want %q, of %q", i+1, got, want, r.LogTail)
				}
			}
		})
	}
}

// firstWords are those of the lines of a LogResult, but for START and REPORT; of the line of a timeout it is the third.
func firstWords(log string) []string {
	var words []string
	for _, line := range strings.Split(strings.TrimSuffix(log, "\n"), "\n") {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
			words = append(words, "")
		case strings.Contains(line, "Task timed out"):
			words = append(words, fields[2])
		case fields[0] != "START" && fields[0] != "REPORT":
			words = append(words, fields[0])
		}
	}
	return words
}
