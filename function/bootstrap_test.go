package function_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/shardmill/shardmill/function/functiontest"
)

// TestMain turns this binary into a Lambda runtime when a function's bootstrap starts it.
func TestMain(m *testing.M) {
	if role := os.Getenv("SHARDMILL_TEST_BOOTSTRAP"); role != "" {
		runBootstrap(role)
		return
	}
	flag.Parse()
	_ = flag.Set("test.parallel", "4") // these tests wait for other processes more than they compute
	os.Exit(m.Run())
}

// runBootstrap is a runtime in the shape that the Lambda Developer Guide gives for custom runtimes.
func runBootstrap(role string) {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/"
	post := func(path string, body []byte) string {
		resp, err := http.Post(base+path, "application/json", bytes.NewReader(body))
		if err != nil {
			os.Exit(0)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return fmt.Sprintf("%d %s", resp.StatusCode, bytes.TrimSpace(b))
	}
	switch role {
	case "exit-in-init":
		os.Exit(7)
	case "ask-and-exit": // ends with the event there and unread
		if c, err := net.Dial("tcp", os.Getenv("AWS_LAMBDA_RUNTIME_API")); err == nil {
			_, _ = io.WriteString(c, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n")
			raw, _ := c.(*net.TCPConn).SyscallConn()
			_ = raw.Read(func(fd uintptr) bool {
				_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
				return !errors.Is(err, syscall.EAGAIN)
			})
		}
		os.Exit(3)
	case "post": // answers the given invocation, like curl in a script
		post("invocation/"+os.Getenv("SHARDMILL_TEST_ID")+"/response", []byte(`"yes"`))
		os.Exit(0)
	case "aws-lambda-go":
		lambda.Start(func(event map[string]string) (string, error) {
			if event["fail"] != "" {
				return "", errors.New(event["fail"])
			}
			return "hello " + event["name"], nil
		})
	}
	heard := ""
	for n := 1; ; n++ {
		resp, err := http.Get(base + "invocation/next")
		if err != nil {
			os.Exit(0)
		}
		event, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		id := resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
		switch role {
		case "exit-on-event":
			os.Exit(9)
		case "obey":
			if string(event) == functiontest.Hang {
				select {}
			}
			version, _ := strconv.Atoi(os.Getenv("VERSION"))
			if answer, failed := functiontest.Obey(event, max(1, version)); failed {
				post("invocation/"+id+"/error", answer)
			} else {
				post("invocation/"+id+"/response", answer)
			}
		case "echo":
			post("invocation/"+id+"/response", event)
		case "environ":
			post("invocation/"+id+"/response", []byte(quote(strings.Join(os.Environ(), "\n"))))
		case "headers":
			var b strings.Builder
			for _, h := range []string{
				"Aws-Request-Id", "Deadline-Ms", "Invoked-Function-Arn", "Trace-Id", "Client-Context",
			} {
				fmt.Fprintf(&b, "%s=%s\n", h, resp.Header.Get("Lambda-Runtime-"+h))
			}
			post("invocation/"+id+"/response", []byte(quote(b.String())))
		case "clock":
			post("invocation/"+id+"/response", []byte(quote(fmt.Sprintf("%s %s | %s", os.Getenv(
				"SHARDMILL_CLOCK_OFFSET_MS",
			),
				resp.Header.Get("Shardmill-Clock-Offset-Ms"), resp.Header.Get("Lambda-Runtime-Deadline-Ms")))))
		case "answer-and-exit":
			lastWords(answerTo(id), 0)
			os.Exit(3)
		case "answer-in-part":
			lastWords(answerTo(id), 1)
			os.Exit(3)
		case "answer-and-die":
			lastWords(answerTo(id), 0)
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		case "answer-ask-exit":
			lastWords(answerTo(id)+"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n", 0)
			os.Exit(3)
		case "answer-by-child":
			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), "SHARDMILL_TEST_BOOTSTRAP=post", "SHARDMILL_TEST_ID="+id)
			_ = child.Run()
			os.Exit(3)
		case "huge": // that many megabytes, in chunks if negative
			megabytes, _ := strconv.Atoi(string(event))
			var body io.Reader = strings.NewReader(strconv.Itoa(n))
			if megabytes != 0 {
				body = io.LimitReader(zeros{}, int64(max(megabytes, -megabytes))<<20)
			}
			req, _ := http.NewRequest(http.MethodPost, base+"invocation/"+id+"/response", body)
			if megabytes > 0 {
				req.ContentLength = int64(megabytes) << 20
			}
			if resp, err := http.DefaultClient.Do(req); err == nil {
				resp.Body.Close()
			}
		case "twice": // answers with the results of the previous invocation's calls
			said := quote(heard)
			first := post("invocation/"+id+"/response", []byte(said))
			heard = strings.Join(
				[]string{
					first, post("invocation/"+id+"/response", event), post("invocation/nobody/response", event),
					post("init/error", event),
				},
				"\n",
			)
		}
	}
}

// lastWords are sent on a connection of their own, but for so many bytes at the end, and their answer is not awaited.
func lastWords(text string, without int) {
	c, err := net.Dial("tcp", os.Getenv("AWS_LAMBDA_RUNTIME_API"))
	if err == nil {
		_, _ = io.WriteString(c, text[:len(text)-without])
	}
}

func answerTo(id string) string {
	return "POST /2018-06-01/runtime/invocation/" + id + "/response HTTP/1.1\r\nContent-Length: 5\r\n\r\n" + `"yes"`
}

// zeros never end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return copy(b, bytes.Repeat([]byte{'0'}, len(b))), nil }

func quote(s string) string {
	b := []byte{'"'}
	for _, c := range []byte(s) {
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}
