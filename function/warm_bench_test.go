package function_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/ids"
)

// BenchmarkWarmInvoke measures a warm Invoke end to end: admission, the Runtime API, the handler, log lines, the
// result. The bare sub-benchmarks measure the physical limit: the same runtime with a loop that only answers /next and
// reads /response.
func BenchmarkWarmInvoke(b *testing.B) {
	payload := []byte(`{"Records":[{"data":"` + strings.Repeat("x", 1000) + `"}]}`)
	warm := func(name string, make func(*bench)) {
		b.Run(name, func(b *testing.B) {
			f := start(b)
			make(f)
			f.invoke("f", `{}`)
			inv := function.Invocation{Ref: ref("f"), RequestID: ids.New(), Payload: payload}
			b.ReportAllocs()
			for b.Loop() {
				if r := f.Invoke(b.Context(), inv); r.Class != function.Success {
					b.Fatalf("%+v", r)
				}
			}
		})
	}
	warm("python", func(f *bench) { f.python("f", "def handler(event, context):\n    return None") })
	warm("nodejs", func(f *bench) { f.nodejs("f", "exports.handler = async () => null") })
	warm("go", func(f *bench) { f.provided("f", "echo") })
	b.Run("bare-python", func(b *testing.B) {
		dir := b.TempDir()
		if err := os.WriteFile(
			filepath.Join(dir, "index.py"), []byte("def handler(event, context):\n    return None\n"), 0o600,
		); err != nil {
			b.Fatal(err)
		}
		nothing := filepath.Join(dir, "packages.json")
		if err := os.WriteFile(nothing, []byte(`{"modules":{},"metadata":{}}`), 0o600); err != nil {
			b.Fatal(err)
		}
		bare(
			b, payload,
			exec.Command(realPython(), "-I", "-u", "-X", "shardmill="+nothing, "launcher/python/bootstrap.py"),
			"_HANDLER=index.handler", "LAMBDA_TASK_ROOT="+dir,
		)
	})
	b.Run("bare-nodejs", func(b *testing.B) {
		dir := b.TempDir()
		if err := os.WriteFile(
			filepath.Join(dir, "index.js"), []byte("exports.handler = async () => null"), 0o600,
		); err != nil {
			b.Fatal(err)
		}
		bare(
			b, payload, exec.Command("node", "launcher/bootstrap.mjs"), "_HANDLER=index.handler",
			"LAMBDA_TASK_ROOT="+dir,
		)
	})
	b.Run("bare-go", func(b *testing.B) {
		self, err := os.Executable()
		if err != nil {
			b.Fatal(err)
		}
		bare(b, payload, exec.Command(self), "SHARDMILL_TEST_BOOTSTRAP=echo")
	})
}

// bare is a long-poll loop with nothing around it: ready-made answers to /next, responses read and dropped.
func bare(b *testing.B, payload []byte, cmd *exec.Cmd, env ...string) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	cmd.Env = append(env, "AWS_LAMBDA_RUNTIME_API="+ln.Addr().String())
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	// fail if the runtime does not start, instead of waiting
	_ = ln.(*net.TCPListener).SetDeadline(time.Now().Add(time.Minute))
	c, err := ln.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	br := bufio.NewReaderSize(c, 64<<10)
	readRequest := func() {
		length := 0
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				b.Fatal(err)
			}
			if v, ok := strings.CutPrefix(strings.ToLower(line), "content-length:"); ok {
				length, _ = strconv.Atoi(strings.TrimSpace(v))
			}
			if line == "\r\n" {
				break
			}
		}
		if _, err := io.CopyN(io.Discard, br, int64(length)); err != nil {
			b.Fatal(err)
		}
	}
	next := []byte(fmt.Sprintf(
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: id\r\nLambda-Runtime-Deadline-Ms: 9999999999999\r\nContent-Length: %d\r\n\r\n%s",
		len(payload), payload,
	))
	accepted := []byte("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
	readRequest()
	for b.Loop() {
		if _, err := c.Write(next); err != nil {
			b.Fatal(err)
		}
		readRequest() // the response
		if _, err := c.Write(accepted); err != nil {
			b.Fatal(err)
		}
		readRequest() // the next /next
	}
}
