package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/server"
)

// hostile has one of each kind of character that could control a terminal or fake the order of text: C0, DEL, C1,
// bidirectional, invisible, line separators.
const hostile = "a\x1b[2J\x07\x7f\u009b31m\u202e\u2066\u200f\u061c\u200b\ufeff\u2028\u2029\U000e0041\rz"

const shownHostile = `a\u001b[2J\u0007\u007f\u009b31m\u202e\u2066\u200f\u061c\u200b\ufeff\u2028\u2029\udb40\udc41\u000dz`

// ours are the sequences that our own colours use.
var ours = regexp.MustCompile("\x1b\\[[0-9]+m")

// otherwise rewrites the escapes of JSON and %q in our form.
var otherwise = strings.NewReplacer(
	`\x1b`, `\u001b`, `\a`, `\u0007`, `\x7f`, `\u007f`, `\r`, `\u000d`, `\U000e0041`, `\udb40\udc41`,
)

// harmless fails the test if anything but our own colours controls the terminal.
func harmless(t *testing.T, what, seen string) {
	t.Helper()
	if plain := ours.ReplaceAllString(seen, ""); strings.ContainsFunc(plain, commands) ||
		strings.Contains(seen, "\x1b[31m\x1b[31m") {
		t.Errorf("%s commands the terminal: %q", what, seen)
	}
	if !strings.Contains(otherwise.Replace(seen), shownHostile) {
		t.Errorf("%s does not show what came: %q", what, seen)
	}
}

// strange starts a server all of whose answers are hostile.
func strange(t *testing.T) (endpoint string) {
	t.Helper()
	quoted, err := json.Marshal(hostile)
	if err != nil {
		t.Fatal(err)
	}
	h := string(quoted)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := func(status int, body string) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
		switch target := r.Header.Get("X-Amz-Target"); {
		case strings.HasSuffix(target, ".ListShards"):
			answer(200, `{"Shards":[{"ShardId":`+h+`}]}`)
		case strings.HasSuffix(target, ".GetShardIterator"):
			answer(200, `{"ShardIterator":"i"}`)
		case strings.HasSuffix(target, ".GetRecords"):
			answer(
				200,
				`{"Records":[{"SequenceNumber":"1","PartitionKey":`+h+
					`,"Data":"G1szMW0="},{"SequenceNumber":"2","PartitionKey":"k","Data":"AP8Q"}],"MillisBehindLatest":0}`,
			)
		case strings.HasSuffix(target, ".PutRecord"):
			answer(200, `{"ShardId":`+h+`,"SequenceNumber":"1"}`)
		case strings.HasSuffix(r.URL.Path, "/f/invocations"):
			w.Header().Set("X-Amz-Log-Result", "G1syShs=")
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			answer(200, `{"errorMessage":"`+hostile+`"}`)
		case r.URL.Path == control.PathLogs:
			answer(200, `{"at":"2026-01-02T03:04:05Z","stream":"s","message":`+h+`}`+"\n")
		case r.URL.Path == control.PathReplay:
			answer(200, `{"batches":[{"from":"1","to":"2","records":1,"outcome":"failed","reason":`+h+`}]}`)
		default:
			answer(400, `{"__type":"E","message":`+h+`}`)
		}
	}))
	t.Cleanup(s.Close)
	path, err := server.TokenFile(strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("t"), 0o600); err != nil {
		t.Fatal(err)
	}
	return s.URL
}

// No text from outside controls a terminal, whatever the subcommand; a pipe gets it unchanged, and JSON means the same
// in both.
func TestNothingFromOutsideCommandsATerminal(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	endpoint := strange(t)
	const uuid = "00000000-0000-0000-0000-000000000000"
	for _, c := range []struct {
		args string
		raw  bool // a pipe gets it as it is
	}{
		{"logs f", true},
		{"logs f -o json", false},
		{"tail s --from start --follow=false", true},
		{"tail s --from start --follow=false -o json", false},
		{"put s data", true},
		{"put s data -o json", false},
		{"invoke f --log tail", true},
		{"invoke f --log tail -o json", false},
		{"invoke g", true},
		{"replay " + uuid + " --shard s --from 1 --to 2", true},
		{"replay " + uuid + " --shard s --from 1 --to 2 -o json", false},
		{"replay other --shard s --from 1 --to 2", true},
		{"clock -o text", true},
		{hostile, false},
	} {
		args := strings.Split(c.args, " ")
		if len(args) > 1 {
			args = append(args, "--endpoint", endpoint)
		}
		seen := onTerminal(t, func(screen *os.File) { run(args, screen, screen) })
		harmless(t, c.args, seen)
		var out bytes.Buffer
		run(args, &out, &out)
		if c.raw && !strings.Contains(out.String(), hostile) ||
			ours.MatchString(strings.ReplaceAll(out.String(), "\x1b[31m", "")) {
			t.Errorf("%s: a pipe gets %q", c.args, out.String())
		}
	}
}

// A terminal shows data that is not text as its length and in hex; text that would colour it is escaped. A pipe gets
// both unchanged.
func TestTailShowsBinaryAsHex(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ data, terminal, pipe string }{
		{"order 1", "order 1", "order 1"},
		{"", "", ""},
		{"two\nlines\t…", "two\nlines\t…", "two\nlines\t…"},
		{"\x1b[31mred", `\u001b[31mred`, "\x1b[31mred"},
		{"\xff\xfe", "2 bytes: ff fe", "\uFFFD"},
		{"\x00", "1 byte: 00", "\x00"},
		{"\x1f\x8b\x08\x00", "4 bytes: 1f 8b 08 00", "\x1f\uFFFD\b\x00"},
		{
			strings.Repeat("\x00", hexBytes+1), "65 bytes: 00" + strings.Repeat(" 00", hexBytes-1) + " …",
			strings.Repeat("\x00", hexBytes+1),
		},
	} {
		if got := (terminal{live: true}).data([]byte(c.data)); string(got) != c.terminal {
			t.Errorf("%q on a terminal: %q", c.data, got)
		}
		if got := (terminal{}).data([]byte(c.data)); string(got) != c.pipe {
			t.Errorf("%q in a pipe: %q", c.data, got)
		}
	}
}

// The live output of dev is harmless too: what functions print, their names, errors and advice, and the log.
func TestTheFeedDoesNotCommandATerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	for what, show := range map[string]func(f *feed){
		"a line that a function printed": func(f *feed) {
			f.logLines(worker, []function.LogEvent{{At: digestStart, Message: hostile}})
		},
		"a line of the platform": func(f *feed) {
			f.logLines(worker, []function.LogEvent{{At: digestStart, Message: "START RequestId" + hostile}})
		},
		"the name of a function": func(f *feed) {
			f.logLines(function.Ref{Name: hostile}, []function.LogEvent{{At: digestStart, Message: "x"}})
		},
		"the reason of a failure": func(f *feed) { f.observe(failed(hostile)) },
		"the function of a mapping": func(f *feed) {
			o := worked(1)
			o.FunctionARN = hostile
			f.observe(o)
		},
		"the condition of a discard": func(f *feed) {
			f.observe(happening(&esm.Discarded{Batch: esm.Batch{Count: 1}, Condition: esm.Condition(hostile)}))
		},
		"an advice":      func(f *feed) { newHints(f).hinted(wire.Caller{Account: hostile}, hostile) },
		"what is seeded": func(f *feed) { f.say("seed: %s %s", "stream", hostile) },
		"the name of a mapping in a summary": func(f *feed) {
			for range 2 * quietBatches {
				o := worked(1)
				o.EventSourceARN = "x/" + hostile
				f.observe(o)
			}
		},
	} {
		seen := onTerminal(t, func(screen *os.File) {
			f := newFeed(newTerminal(screen))
			f.start()
			show(f)
			f.stop()
		})
		harmless(t, what, seen)
	}

	for _, format := range []string{"text", "json"} {
		seen := onTerminal(t, func(screen *os.File) {
			log, err := (&serverFlags{logLevel: "info", logFormat: format}).log(screen)
			if err != nil {
				t.Error(err)
				return
			}
			log.Info("said", "what", hostile)
		})
		harmless(t, "a line of the "+format+" log", seen)
	}
}
