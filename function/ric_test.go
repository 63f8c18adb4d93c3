package function_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/shardmill/shardmill/function"
)

var (
	ricRecord = flag.String(
		"ric.record", "",
		"directory with AWS's own runtime clients: ask them again, and rewrite what is recorded of them",
	)
	ricOurs = flag.Bool(
		"ric.ours", false,
		"rewrite our own answers where the list of differences has the case; read the diff like code",
	)
)

// ricLanguage is a language whose bootstrap is compared with AWS's own runtime client. Its cases are
// testdata/ric/NAME/KIND/CASE.txtar.
type ricLanguage struct {
	name    string
	runtime string // of our functions, unless a case names another
	handler string // unless a case names another
	// client is the text of a provided.al2023 bootstrap that starts AWS's client, which `make ric-oracle` installed in
	// dir, as runtime does it on AWS.
	client func(dir, runtime string) string
	scrubs []scrub // what differs from run to run, beside what every language has
}

var ricLanguages = []ricLanguage{
	{
		name: "python", runtime: "python3.12", handler: "index.handler",
		client: func(dir, runtime string) string {
			return "#!/bin/sh\nexport AWS_EXECUTION_ENV=AWS_Lambda_" + runtime + "\nexec " + filepath.Join(
				dir, "python", "bin", "python",
			) + " " + ricPath("python", "start.py") + "\n"
		},
		scrubs: pythonScrubs,
	},
	{
		name: "nodejs", runtime: "nodejs20.x", handler: "index.handler",
		client: func(dir, runtime string) string {
			return "#!/bin/sh\nexport AWS_EXECUTION_ENV=AWS_Lambda_" + runtime +
				" NODE_PATH=$LAMBDA_TASK_ROOT\nexec node --expose-gc --max-http-header-size=81920 " +
				ricPath("nodejs", "start.mjs") + " " + filepath.Join(dir, "nodejs") + "\n"
		},
		scrubs: nodejsScrubs,
	},
}

// ricKinds are the kinds of behaviour that depend on the runtime client.
var ricKinds = []string{"answers", "import-errors", "run-errors", "exits", "output", "late", "encodings"}

// Handler bodies get the same answers, errors and log lines from our bootstraps as from AWS's own runtime clients,
// awslambdaric and aws-lambda-ric, whose answers are recorded (make ric-oracle). Where we differ, differences.txt of
// the language says why, and the case holds our answer as well.
func TestRuntimesAnswerAsThoseOfAWS(t *testing.T) {
	t.Parallel()
	for _, l := range ricLanguages {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			reasons := readDifferences(t, l)
			for _, c := range readCases(t, l) {
				reason, listed := reasons[c.name]
				delete(reasons, c.name)
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					if *ricRecord != "" {
						c.set(t, "theirs", c.run(t, *ricRecord))
					}
					theirs, ours := c.section("theirs"), c.run(t, "")
					if *ricOurs && listed {
						c.set(t, "ours", ours)
					}
					switch {
					case !listed && ours != theirs:
						t.Errorf("we differ from AWS's runtime client:\n%s", cmp.Diff(lines(theirs), lines(ours)))
					case listed && ours == theirs:
						t.Errorf("differences.txt lists this case, which does not differ any more; it said %q", reason)
					case listed && ours != c.section("ours"):
						t.Errorf(
							"we differ from AWS's runtime client in another way than the case says:\n%s",
							cmp.Diff(lines(c.section("ours")), lines(ours)),
						)
					}
				})
			}
			for name := range reasons {
				t.Errorf("differences.txt lists %s, which is no case", name)
			}
		})
	}
}

// The comparison is worth something only while it is broad.
func TestEachKindOfHandlerBodyIsCompared(t *testing.T) {
	t.Parallel()
	for _, l := range ricLanguages {
		of := map[string]int{}
		for _, c := range readCases(t, l) {
			kind, _, _ := strings.Cut(c.name, "/")
			of[kind]++
			of[""]++
			if !slices.Contains(ricKinds, kind) {
				t.Errorf("%s: %s is no kind", l.name, kind)
			}
		}
		for _, kind := range ricKinds {
			if of[kind] < 5 {
				t.Errorf("%s has %d cases of %s, want 5", l.name, of[kind], kind)
			}
		}
		if of[""] < 30 {
			t.Errorf("%s has %d cases, want 30", l.name, of[""])
		}
	}
}

func ricPath(parts ...string) string {
	path, err := filepath.Abs(filepath.Join(append([]string{"testdata", "ric"}, parts...)...))
	if err != nil {
		panic(err)
	}
	return path
}

func lines(s string) []string { return strings.Split(s, "\n") }

// readDifferences reads differences.txt: a case and, after a colon, why we differ there, on one line; lines that begin
// with # are comments.
func readDifferences(t *testing.T, l ricLanguage) map[string]string {
	t.Helper()
	b, err := os.ReadFile(ricPath(l.name, "differences.txt"))
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]string{}
	for _, line := range lines(string(b)) {
		if line == "" || line[0] == '#' {
			continue
		}
		name, reason, _ := strings.Cut(line, ":")
		if len(strings.Fields(reason)) < 5 || reasons[name] != "" {
			t.Errorf("differences.txt: %q is no entry with a reason, or there are two", line)
		}
		reasons[name] = strings.TrimSpace(reason)
	}
	return reasons
}

// ricCase is one handler body and what happens to it. Its file is a txtar archive: the files of the code package, and
// theirs and ours, which are answers. Its comment says what it shows and, below, one line each, what differs from the
// language's way and what is done:
//
//	runtime python3.11    the runtime
//	handler other.handler the handler
//	timeout 1             the function's timeout in seconds
//	env NAME=value        an environment variable of the customer's
//	invoke {"n": 1}       an invocation with its payload; a case has one or more
type ricCase struct {
	language ricLanguage
	name     string // KIND/CASE
	path     string
	archive  *txtar.Archive
	in       function.CreateInput
	payloads []string
}

func readCases(t *testing.T, l ricLanguage) []*ricCase {
	t.Helper()
	paths, err := filepath.Glob(ricPath(l.name, "*", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []*ricCase
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(filepath.Dir(path)) + "/" + strings.TrimSuffix(filepath.Base(path), ".txtar")
		c := &ricCase{
			language: l, name: name, path: path, archive: a,
			in: function.CreateInput{
				Runtime: l.runtime, Handler: l.handler, Timeout: number(20), MemoryMB: number(512),
			},
		}
		for _, line := range lines(string(a.Comment)) {
			c.obey(t, line)
		}
		if len(c.payloads) == 0 || len(a.Files) == 0 {
			t.Fatalf("%s invokes nothing, or has no files", path)
		}
		cases = append(cases, c)
	}
	return cases
}

// obey takes one line of a case's comment.
func (c *ricCase) obey(t *testing.T, line string) {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "runtime":
		c.in.Runtime = rest
	case "handler":
		c.in.Handler = rest
	case "timeout":
		seconds := 0
		if _, err := fmt.Sscan(rest, &seconds); err != nil {
			t.Fatalf("%s: %s: %v", c.path, line, err)
		}
		c.in.Timeout = number(seconds)
	case "env":
		key, value, _ := strings.Cut(rest, "=")
		if c.in.Environment == nil {
			c.in.Environment = map[string]string{}
		}
		c.in.Environment[key] = value
	case "invoke":
		c.payloads = append(c.payloads, rest)
	}
}

func (c *ricCase) section(name string) string {
	for _, f := range c.archive.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

// set writes a section into the case's file.
func (c *ricCase) set(t *testing.T, name, text string) {
	t.Helper()
	i := slices.IndexFunc(c.archive.Files, func(f txtar.File) bool { return f.Name == name })
	if i < 0 {
		i = len(c.archive.Files)
		c.archive.Files = append(c.archive.Files, txtar.File{Name: name})
	}
	c.archive.Files[i].Data = []byte(text)
	if err := os.WriteFile(c.path, txtar.Format(c.archive), 0o644); err != nil {
		t.Fatal(err)
	}
}
