package front

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// A connection that waits holds little, however long the heads of its requests and answers have been.
func TestAConnectionThatWaitsHoldsLittle(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 12<<10)
	s := New(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", long)
	})})
	ours, theirs := net.Pipe()
	c := newConn(s, theirs)
	var serving sync.WaitGroup
	serving.Go(c.serve)
	r := bufio.NewReader(ours)
	for _, value := range []string{long, "short", long} {
		if _, err := fmt.Fprintf(ours, "GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n", value); err != nil {
			t.Fatal(err)
		}
		a, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Header.Get("X-Long"); got != long {
			t.Errorf("the answer has %d bytes", len(got))
		}
	}
	_ = ours.Close() // it waits for the next request by now
	serving.Wait()

	if c.buf != nil || cap(c.out) > 2*maxOut {
		t.Errorf("it holds %d bytes of requests and %d of answers", cap(c.buf), cap(c.out))
	}
}
