package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/logstore"
	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/arn"
)

// another is a program that serves queues and logs in our place.
type another struct {
	said chan string // what reached it

	mu    sync.Mutex
	ended []string
}

// ServeHTTP answers like another queue service.
func (e *another) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	c := wire.CallerOf(r.Context())
	e.said <- fmt.Sprintf("request %s of %s: %s %v", r.Header.Get("X-Amz-Target"), c.Account, body, err)
	wire.WriteJSON(w, http.StatusOK, "application/x-amz-json-1.0", map[string]string{"QueueUrl": "elsewhere"})
}

// Send takes a notice.
func (e *another) Send(_ context.Context, n destination.Sending) error {
	e.said <- "notice " + string(n.Body)
	return nil
}

// Payload says that notices carry no records.
func (e *another) Payload() bool { return false }

// Write takes what a function prints.
func (e *another) Write(owner function.Ref, group, _ string, events []function.LogEvent) {
	for _, event := range events {
		if strings.Contains(event.Message, "say") {
			e.said <- "line of " + owner.Name + " in " + group
		}
	}
}

func (e *another) Exists(logstore.Group, string) error { return nil }

func (e *another) Read(_ context.Context, _ logstore.Query, each func(logstore.Event) bool) error {
	each(logstore.Event{At: time.Unix(0, 0).UTC(), Stream: "s", Message: "kept elsewhere\n"})
	return nil
}

// end returns a function that records that a companion is woken or closed.
func (e *another) end(how string) func() {
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.ended = append(e.ended, how)
	}
}

func (e *another) queues(context.Context, *Server, *rooms) (companion, error) {
	return companion{
		services: []wire.Service{{Name: "sqs", Target: "AmazonSQS", Needs: wire.Header, Handler: e}},
		destinations: []destination.Kind{{Service: "sqs", Open: func(a arn.ARN) destination.Sender {
			e.said <- "opened " + a.Resource
			return e
		}}},
		wake: e.end("queues woken"), close: e.end("queues closed"),
	}, nil
}

func (e *another) logs(context.Context, *Server, *rooms) (companion, error) {
	return companion{lines: e, printed: e, wake: e.end("logs woken")}, nil
}

// hears fails unless the next things it receives, in any order, begin with want.
func (e *another) hears(t *testing.T, want ...string) {
	t.Helper()
	for range want {
		got := <-e.said
		i := slices.IndexFunc(want, func(w string) bool { return w != "" && strings.HasPrefix(got, w) })
		if i < 0 {
			t.Fatalf("it hears %q, want one of %q", got, want)
		}
		want[i] = ""
	}
}

// A companion that another program serves is one row of the table: requests, notices and lines go there, logs come from
// there, and everything outside of that row stays the same.
func TestACompanionServedElsewhereIsOneRow(t *testing.T) {
	t.Parallel()
	e := &another{said: make(chan string, 100)}
	b := startWith(t, Config{}, func(s *Server) {
		for i, row := range s.companions {
			switch row.name {
			case "queue":
				s.companions[i].open = e.queues
			case "logs":
				s.companions[i].open = e.logs
			}
		}
	})

	answer := b.ok(b.call("AmazonSQS.CreateQueue", "application/x-amz-json-1.0", `{"QueueName":"q"}`))
	if answer != `{"QueueUrl":"elsewhere"}` {
		t.Errorf("the queue service answers %s", answer)
	}
	e.hears(t, `request AmazonSQS.CreateQueue of 000000000000: {"QueueName":"q"} <nil>`)

	b.pipeline()
	b.announcing("arn:aws:sqs:us-east-1:000000000000:dead")
	b.put("fail once, say")
	e.hears(t, "opened dead", `notice {"requestContext":{"requestId":"`)
	b.put("say")
	e.hears(t, "line of f in /aws/lambda/f")
	if got := b.ok(b.control("GET", control.PathLogs+"?function=f", "")); !strings.Contains(got, "kept elsewhere") {
		t.Errorf("logs: %s", got)
	}

	b.ok(b.call("DynamoDB_20120810.ListTables", "application/x-amz-json-1.0", "{}"))
	if status, _ := b.call("Logs_20140328.DescribeLogGroups", "application/x-amz-json-1.1", "{}"); status != 501 {
		t.Errorf("a service that is in no row any more: %d", status)
	}

	b.stopNow()

	e.mu.Lock()
	defer e.mu.Unlock()
	if want := []string{"queues woken", "logs woken", "queues closed"}; !slices.Equal(e.ended, want) {
		t.Errorf("ended as %q, want %q", e.ended, want)
	}
}

// By itself, this process serves every companion, and one of them keeps what functions print.
func TestEveryCompanionIsEmbedded(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	var sinks int
	for _, c := range b.s.rooms.companions {
		if (c.lines == nil) != (c.printed == nil) {
			t.Errorf("%v keeps lines that it does not give back", names(c.services))
		}
		if c.lines != nil {
			sinks++
		}
	}
	want := []string{"dynamodb", "iam", "logs", "s3", "sns", "sqs", "sts"}
	if got := names(b.s.rooms.services()); !slices.Equal(got, want) || sinks != 1 {
		t.Errorf("companions speak %q; %d keep lines", got, sinks)
	}
	for _, destination := range []string{
		"arn:aws:sqs:us-east-1:000000000000:q", "arn:aws:sns:us-east-1:000000000000:t",
		"arn:aws:s3:::bucket",
	} {
		if _, err := b.s.rooms.destinations().Open(destination); err != nil {
			t.Error(err)
		}
	}
}
