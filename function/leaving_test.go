package function_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/eventually"
)

// spoken is a log that may be read while it is written.
type spoken struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *spoken) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *spoken) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), part)
}

// An SDK that does not know AWS_ENDPOINT_URL calls AWS. If an error or a log line names the endpoint, a hint says so,
// once. Endpoints in the customer's own variables are intended, and names of services in a policy are not endpoints.
func TestCallOfAWSItselfIsHinted(t *testing.T) {
	t.Parallel()
	const host = "kinesis.us-east-1.amazonaws.com"
	for name, c := range map[string]struct {
		event string // what it prints, or raises if it begins with !
		env   map[string]string
		want  bool
	}{
		"an error":               {`"!getaddrinfo ENOTFOUND ` + host + `"`, nil, true},
		"a line":                 {`"Post https://dynamodb.eu-west-1.amazonaws.com/: no such host"`, nil, true},
		"an address of a bucket": {`"GET https://b.s3.amazonaws.com/key"`, nil, true},
		"a service in a policy":  {`"Principal lambda.amazonaws.com"`, nil, false},
		"an endpoint of the customer's": {
			`"!` + host + `"`, map[string]string{"AWS_ENDPOINT_URL_KINESIS": "https://" + host}, false,
		},
		"an address in a variable": {`"!` + host + `"`, map[string]string{"TARGET": "https://" + host + "/x"}, false},
		"nothing":                  {`"!no"`, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log spoken
			b := start(t, func(o *function.Options) {
				o.Endpoint = func() string { return "http://127.0.0.1:1" }
				o.Log = slog.New(slog.NewTextHandler(&log, nil))
			})
			b.python("f", `
				def handler(event, context):
				    if event.startswith("!"):
				        raise ValueError(event)
				    print(event)
			`, func(in *function.CreateInput) { in.Environment = c.env })
			hints := 0
			for range 4 {
				if strings.Contains(
					b.invoke("f", c.event, tail).Hint, "amazonaws.com: its calls may leave this machine",
				) {
					hints++
				}
			}
			wanted := 0
			if c.want {
				wanted = 1
			}
			if hints != wanted {
				t.Errorf("%d results carry the hint, want %d", hints, wanted)
			}
			eventually.Reaches(t, "the log saying it as often as results do", func() (bool, string) {
				n := log.count("its calls may leave")
				return n == wanted, fmt.Sprintf("%d times, want %d", n, wanted)
			})
		})
	}
}
