package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/shardmill/shardmill/server"
)

// cmd runs a command line as main does.
func cmd(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

// Failures are reported on standard error, with what to do about them and an exit code that scripts can tell apart.
// Without a terminal there is no colour.
func TestFailuresHaveCodeTextAndHint(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "")
	t.Setenv("AWS_REGION", "")
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	for _, c := range []struct {
		line string
		code int
		want string
	}{
		{"frobnicate", 2, "error: there is no command \"frobnicate\"\nhint: run shardmill --help\n"},
		{"dve", 2, "error: there is no command \"dve\"\nhint: did you mean dev?\n"},
		{
			"put", 2,
			"error: put takes a stream and at most one piece of data; got 0 arguments\nhint: run shardmill put --help\n",
		},
		{"put s --frob", 2, "error: unknown flag: --frob\nhint: run shardmill put --help\n"},
		{"put s d -o xml", 2, "error: --output is \"xml\"; it must be text or json\nhint: run shardmill put --help\n"},
		{
			"put s d --lines", 2,
			"error: --lines reads standard input; leave the data away\nhint: run shardmill put --help\n",
		},
		{
			"version x", 2,
			"error: shardmill version takes no arguments; got \"x\"\nhint: run shardmill version --help\n",
		},
		{
			"tail s --from tomorrow", 2,
			"error: --from: \"tomorrow\" is none of: now; start; how long ago, such as 10m; a time, such as 2006-01-02T15:04:05Z or seconds since 1970; a sequence number\nhint: run shardmill tail --help\n",
		},
		{
			"clock advance soon", 2,
			"error: \"soon\" is not a duration to move forward by; write it like 90s, 15m or 24h\nhint: run shardmill clock advance --help\n",
		},
		{
			"clock advance 1s -o xml", 2,
			"error: --output is \"xml\"; it must be text or json\nhint: run shardmill clock advance --help\n",
		},
		{
			"clock", 3,
			"error: there is no token for a server at http://127.0.0.1:4566 (127.0.0.1_4566.token)\nhint: is it running, and started by this user? Start one with: shardmill dev\n",
		},
		{
			"env --endpoint ftp://x", 2,
			"error: the endpoint \"ftp://x\" is not an http:// or https:// address, nor unix:PATH\nhint: for example --endpoint http://127.0.0.1:4566\n",
		},
		{
			"env --region $(reboot)", 2,
			"error: the region \"$(reboot)\" is not a name such as us-east-1\nhint: it comes from --region, $AWS_REGION or $AWS_DEFAULT_REGION\n",
		},
		{
			"env --account 123", 2,
			"error: the account \"123\" does not have twelve digits\nhint: leave --account away for 000000000000\n",
		},
		{
			"serve", 2,
			"error: serve needs --data DIR, the directory that keeps everything\nhint: for a server in memory: shardmill dev\n",
		},
		{"dev --max-filters 0", 2, "error: max-filters 0 is outside 5 to 10\nhint: run shardmill dev --help\n"},
		{"dev --port 70000", 2, "error: port 70000 is outside 0 to 65535\nhint: run shardmill dev --help\n"},
		{
			"dev --memory-limit lots", 2,
			"error: --memory-limit \"lots\" is not a size such as 64MiB or 1GiB\nhint: run shardmill dev --help\n",
		},
		{
			"dev --buffer-memory 0", 2,
			"error: --buffer-memory \"0\" is not a size such as 64MiB or 1GiB\nhint: run shardmill dev --help\n",
		},
		{
			"dev --take-over-after -1s", 2,
			"error: --take-over-after -1s is negative\nhint: run shardmill dev --help\n",
		},
		{"dev --pace slow", 2, "error: pace \"slow\" is neither instant nor aws\nhint: run shardmill dev --help\n"},
		{
			"dev --bind 0.0.0.0", 2,
			"error: 0.0.0.0:4566 can be reached from other machines, and requests would not be authenticated\nhint: add --auth static:FILE, a file that shardmill auth new NAME --role admin --file FILE makes; or --auth off if everybody who reaches it may do everything, run code included; else listen on loopback and forward a port: ssh -L 4566:127.0.0.1:4566 HOST\n",
		},
	} {
		code, stdout, stderr := cmd(strings.Fields(c.line)...)
		if code != c.code || stderr != c.want || stdout != "" {
			t.Errorf("%s: exit %d\n%s%s", c.line, code, stdout, stderr)
		}
	}
}

func TestHelpAndCompletionArePrinted(t *testing.T) {
	for line, want := range map[string]string{
		"": "Usage:", "--help": "Usage:", "help put": "partition key", "completion bash": "__start_shardmill",
		"completion zsh": "#compdef shardmill", "completion fish": "complete -c shardmill",
	} {
		code, stdout, stderr := cmd(strings.Fields(line)...)
		if code != 0 || !strings.Contains(stdout, want) || stderr != "" || strings.Contains(stdout, "\x1b[") {
			t.Errorf("%q: exit %d, %.200s%s", line, code, stdout, stderr)
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"1": 1, "1000000": 1000000, "1B": 1, "64KiB": 64 << 10, "64MiB": 64 << 20, "1GiB": 1 << 30, "3TiB": 3 << 40,
		"9223372036854775807": 1<<63 - 1, "8388607TiB": 8388607 << 40,
		"": -1, "0": -1, "0GiB": -1, "-1": -1, "+1": -1, " 1": -1, "1 ": -1, "1 GiB": -1, "1.5GiB": -1, "GiB": -1,
		"1GB": -1, "1G": -1, "1gib": -1, "1GiBx": -1, "1GiB1": -1, "0x10": -1, "1e9": -1, "1_000": -1,
		"8388608TiB": -1, "9223372036854775808": -1, "１GiB": -1,
	} {
		got, err := parseBytes(text)
		if want < 0 && (err == nil || !strings.Contains(err.Error(), "is not a size such as 64MiB")) {
			t.Errorf("%q became %d, %v", text, got, err)
		}
		if want >= 0 && (err != nil || got != want) {
			t.Errorf("%q became %d, %v; want %d", text, got, err, want)
		}
	}
}

// The output of env goes through eval, so nothing in it may be more than a word.
func TestEnvIsSafeForEval(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"http://127.0.0.1:4566": "http://127.0.0.1:4566", "us-east-1": "us-east-1", "": "''",
		"http://$(reboot)": "'http://$(reboot)'", "a;b": "'a;b'", "it's": `'it'\''s'`,
		"http://[::1]:1": "'http://[::1]:1'",
	} {
		if got := shellWord(in); got != want {
			t.Errorf("%q became %s, want %s", in, got, want)
		}
	}
}

// put takes its data as an argument, as all of standard input, or as one record a line.
func TestPutFromStandardInput(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	s, err := server.New(server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer s.Stop(t.Context())
	cl := newClient(s.Endpoint(), wireAccount, "us-east-1")
	defer cl.http.CloseIdleConnections()
	if err := cl.kinesis(
		t.Context(), "CreateStream", map[string]any{"StreamName": "orders", "ShardCount": 1}, nil,
	); err != nil {
		t.Fatal(err)
	}
	put := func(stdin string, args ...string) (string, error) {
		var out bytes.Buffer
		root := newRoot()
		root.SetIn(strings.NewReader(stdin))
		root.SetOut(&out)
		root.SetArgs(append([]string{"put", "orders", "--endpoint", s.Endpoint()}, args...))
		err := root.ExecuteContext(t.Context())
		return out.String(), err
	}
	for _, c := range []struct {
		stdin string
		args  []string
		lines int
	}{
		{"", []string{"argument"}, 1},
		{"two\nlines\n", nil, 1},
		{"", []string{""}, 1},
		{"a\nb\r\n\nd", []string{"--lines"}, 4},
		{"\xff\xfe", []string{"--key", "k"}, 1},
	} {
		got, err := put(c.stdin, c.args...)
		if err != nil || strings.Count(got, "shardId-000000000000 ") != c.lines || strings.Contains(got, "\x1b") {
			t.Errorf("%q %v: %q, %v", c.stdin, c.args, got, err)
		}
	}
	for _, args := range [][]string{nil, {"--lines"}} { // no input is not a record
		if got, err := put("", args...); err == nil || got != "" ||
			!strings.Contains(err.Error(), "nothing has been put") {
			t.Errorf("an empty input, %v: %q, %v", args, got, err)
		}
	}
	if _, err := put(strings.Repeat("x", maxPut+1)); err == nil || !strings.Contains(err.Error(), "more than 10 MiB") {
		t.Errorf("too much: %v", err)
	}

	code, stdout, stderr := cmd(
		"tail", "orders", "--endpoint", s.Endpoint(), "--from", "start", "--follow=false", "-o", "json",
	)
	if code != 0 || strings.Count(stdout, "\n") != 8 || stderr != "" {
		t.Errorf("tail: exit %d\n%s%s", code, stdout, stderr)
	}
	code, _, stderr = cmd("put", "nowhere", "x", "--endpoint", s.Endpoint())
	if code != 1 ||
		!strings.HasPrefix(
			stderr, "error: ResourceNotFoundException: Stream nowhere under account 000000000000 not found.",
		) {
		t.Errorf("a stream that is not there: exit %d, %s", code, stderr)
	}
}

const wireAccount = "000000000000"

// The first signal asks the process to end; the second one ends it at once. The test is its own child process, which
// never ends by itself.
func TestSecondSignalLeavesAtOnce(t *testing.T) {
	t.Parallel()
	if os.Getenv("SHARDMILL_TEST_CHILD") != "" {
		ctx, _ := interruptible()
		fmt.Println("ready")
		<-ctx.Done()
		fmt.Println("stopping")
		select {}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self, "-test.run=^TestSecondSignalLeavesAtOnce$")
	child.Env = append(os.Environ(), "SHARDMILL_TEST_CHILD=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for _, c := range []struct {
		says   string
		signal os.Signal
	}{{"ready", syscall.SIGTERM}, {"stopping", os.Interrupt}} {
		if !lines.Scan() || lines.Text() != c.says {
			t.Fatalf("the child says %q", lines.Text())
		}
		if err := child.Process.Signal(c.signal); err != nil {
			t.Fatal(err)
		}
	}
	var exit *exec.ExitError
	if err := child.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Errorf("the child ended with %v", err)
	}
}
