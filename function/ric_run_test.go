package function_test

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/shardmill/shardmill/function"
)

// run runs the case with AWS's client from clients or, without a name, with our bootstrap, and returns the answers and
// the log in the form of a case: without what varies from run to run.
func (c *ricCase) run(t *testing.T, clients string) string {
	t.Helper()
	dir := t.TempDir()
	b := start(t, func(o *function.Options) { o.Dir = dir })
	var files []file
	for _, f := range c.archive.Files {
		if f.Name != "theirs" && f.Name != "ours" {
			files = append(files, file{f.Name, string(f.Data), 0o644})
		}
	}
	in := c.in
	if clients != "" {
		in.Runtime = "provided.al2023"
		files = append(files, file{"bootstrap", c.language.client(clients, c.in.Runtime), 0o755})
	}
	in.Zip = zipOf(files...)
	b.create("f", in)

	var out strings.Builder
	for i, payload := range c.payloads {
		id := fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1)
		r := b.invoke("f", payload, func(in *function.Invocation) { in.RequestID = id })
		b.log.find(t, "REPORT RequestId: "+id) // what comes before it belongs to this invocation
		fmt.Fprintf(
			&out, "invoke %d\n  %s\n  %s\n", i+1, strings.TrimSpace(fmt.Sprintf("%v %s", r.Class, r.ErrorKind)),
			printable(r.Payload),
		)
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	b.Stop(over) // and with it, everything is in the log
	out.WriteString("log\n")
	for _, e := range b.log.all() {
		// Without the descriptor that AWS gives them, their clients cut a message of several lines into several, or
		// join its lines by \r.
		for _, line := range strings.FieldsFunc(e.message, func(r rune) bool { return r == '\n' || r == '\r' }) {
			if !strings.HasPrefix(line, "INIT_START ") {
				out.WriteString("  " + printable([]byte(line)) + "\n")
			}
		}
	}
	text := regexp.MustCompile(regexp.QuoteMeta(dir)+`/run/code/[0-9a-f]+`).ReplaceAllString(out.String(), "/var/task")
	for _, s := range append(commonScrubs, c.language.scrubs...) {
		text = s.find.ReplaceAllString(text, s.put)
	}
	return text
}

// printable is b, quoted if it could not be shown in a file of text.
func printable(b []byte) string {
	s := string(b)
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' }) {
		return "quoted " + strconv.Quote(s)
	}
	return strings.TrimRight(s, " ")
}

// scrub makes the same of what differs from run to run and from machine to machine.
type scrub struct {
	find *regexp.Regexp
	put  string
}

var commonScrubs = []scrub{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{
		regexp.MustCompile(
			`(REPORT RequestId: \S+)\tDuration: .*?Max Memory Used: \d+ MB(\tInit Duration: [\d.]+ ms)?`,
		),
		"$1",
	},
	// not every client names the type of an error beside the document, which has it
	{regexp.MustCompile(`(REPORT RequestId: \S+\tStatus: error).*`), "$1"},
	{regexp.MustCompile(`INIT_REPORT Init Duration: [\d.]+ ms`), "INIT_REPORT"},
	{regexp.MustCompile(`\b0x[0-9a-f]{6,}`), "0xADDRESS"},
}

// pythonScrubs name the runtime's files and the standard library alike, without lines, and take the runtime's own
// frames out of what the interpreter prints.
var pythonScrubs = []scrub{
	{
		regexp.MustCompile(`/[^"\n]*/start\.py|/[^"\n]*/run/runtime/bootstrap\.py|/var/runtime/bootstrap\.py`),
		"<runtime>/bootstrap.py",
	},
	{regexp.MustCompile(`/[^"\n]*/awslambdaric/(\w+\.py)`), "<runtime>/awslambdaric/$1"},
	{regexp.MustCompile(`/[^"\n]*/lib/python3\.\d+/([^"\n]*\.py)`), "<python>/$1"},
	{regexp.MustCompile(`(<(?:python|runtime|frozen [\w.]+)>[^"\n]*\\?", line )\d+`), "${1}N"},
	{regexp.MustCompile(`(?m)^ +[~^]+\n`), ""}, // each version marks other parts of a line
	{regexp.MustCompile(`(?m)^    File "<runtime>/[^\n]*\n(      .*\n)*`), ""},
}

// nodejsScrubs take the frames of the runtime itself and of Node out of stack traces: its files are not the same, by
// name and by line.
var nodejsScrubs = []scrub{
	{
		regexp.MustCompile(`/[^"\s\\]*/(aws-lambda-ric/dist/index|run/runtime/index|testdata/ric/nodejs/start)\.mjs`),
		"/var/runtime/index.mjs",
	},
	{regexp.MustCompile(`"\s+at ([^"]*[( ])?(node:|file:/*var/runtime/)[^"]*",?`), ""},
	{regexp.MustCompile(`,\]`), "]"},
	{regexp.MustCompile(`\n\s+at ([^"\n]*[( ])?(node:|file:/*var/runtime/)[^"\n]*`), ""},
	{regexp.MustCompile(`\n\s+\d+: [^\n]*`), ""}, // frames of process.abort
	{regexp.MustCompile(`\[ERROR\] \[\d+\]`), "[ERROR] [TIME]"},
}
