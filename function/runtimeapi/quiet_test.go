package runtimeapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// F-48, for our own bootstraps: a quiet response, sent in one write with the request for the next event, is taken like
// any other and gets no reply, not even when it is refused; the first thing that comes back is the event.
func TestQuietResponseGetsNoReply(t *testing.T) {
	t.Parallel()
	const ask = "GET " + base + "/runtime/invocation/next HTTP/1.1\r\n\r\n"
	post := func(id, header string, body int) string {
		return fmt.Sprintf("POST %s/runtime/invocation/%s/response HTTP/1.1\r\nShardmill-Quiet: 1\r\n%s"+
			"Content-Length: %d\r\n\r\n%s", base, id, header, body, strings.Repeat("x", body))
	}
	for name, c := range map[string]struct {
		posts    string // "": the answer, and the request when it has been taken
		tooLarge bool
	}{
		"an answer":               {post("id-1", "", 3), false},
		"an answer in two writes": {"", false},
		"an answer of 1 MB":       {post("id-1", "", 1<<20), false},
		"too large":               {post("id-1", "", MaxResponse+1), true},
		"twice":                   {post("id-1", "", 3) + post("id-1", "", 3), false},
		"of another id":           {post("id-2", "", 3) + post("id-1", "", 3), false},
		"in an unknown mode": {
			post("id-1", "Lambda-Runtime-Function-Response-Mode: x\r\n", 3) + post("id-1", "", 3), false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, h, _ := listen(t)
			c1, err := net.Dial("tcp", s.Addr())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c1.Close() })
			_ = c1.SetDeadline(time.Now().Add(30 * time.Second))
			br := bufio.NewReader(c1)
			write := func(text string) {
				t.Helper()
				if _, err := io.WriteString(c1, text); err != nil {
					t.Fatal(err)
				}
			}
			next := func(id string) {
				t.Helper()
				<-h.ready
				if err := s.Send(event(id)); err != nil {
					t.Fatal(err)
				}
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				if got := resp.Header.Get("Lambda-Runtime-Aws-Request-Id"); resp.StatusCode != 200 || got != id {
					t.Errorf("after the request for an event comes status %d and the event %q, want %q", resp.StatusCode, got, id)
				}
			}
			write(ask)
			next("id-1")

			if c.posts == "" {
				write(post("id-1", "", 3))
				<-h.answers
				write(ask)
				next("id-3")
				return
			}
			go func() { _, _ = io.WriteString(c1, c.posts+ask) }()

			if a := <-h.answers; a.ID != "id-1" || a.Failed || a.TooLarge != c.tooLarge {
				t.Errorf("the answer is %+v", a)
			}
			next("id-3")
			if len(h.answers) > 0 {
				t.Error("the invocation has a second answer")
			}
		})
	}
}

// A quiet response that is not read to its end closes its connection without a word: what comes next could be a part of
// its body, and a reply would be taken for the event. Beyond what is read and dropped it still ends its invocation.
func TestQuietResponseThatIsNotReadEndsItsConnection(t *testing.T) {
	t.Parallel()
	const head = "POST " + base + "/runtime/invocation/id-1/response HTTP/1.1\r\nShardmill-Quiet: 1\r\nContent-Length: "
	for name, c := range map[string]struct {
		sends string
		ends  bool // and then the connection, towards the server
	}{
		"cut off": {head + "10\r\n\r\nfour", true},
		"of more than 1 GB": {
			head + strconv.Itoa(maxDroppedBytes+1) + "\r\n\r\n" +
				"GET " + base + "/ping HTTP/1.1\r\nConnection: close\r\n\r\n", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, h, _ := listen(t)
			nc, err := net.Dial("tcp", s.Addr())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = nc.Close() })
			if _, err := io.WriteString(nc, "GET "+base+"/runtime/invocation/next HTTP/1.1\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			<-h.ready
			if err := s.Send(event("id-1")); err != nil {
				t.Fatal(err)
			}
			br := bufio.NewReader(nc)
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)

			if _, err := io.WriteString(nc, c.sends); err != nil {
				t.Fatal(err)
			}
			if c.ends {
				_ = nc.(*net.TCPConn).CloseWrite()
			} else if a := <-h.answers; a.ID != "id-1" || !a.TooLarge {
				t.Errorf("the answer is %+v", a)
			}

			if got, _ := io.ReadAll(br); len(got) > 0 {
				t.Errorf("got %q", got)
			}
			if len(h.answers) > 0 {
				t.Errorf("a part of an answer counts: %+v", <-h.answers)
			}
		})
	}
}
