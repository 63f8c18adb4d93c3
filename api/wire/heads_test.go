package wire

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The heads of HTTP/2 count beyond 4 KiB, and leave the last eighth of the memory to others; the stream of one for
// which there is no room is reset, and nothing of it is held afterwards.
func TestHeadsOfHTTP2Count(t *testing.T) {
	t.Parallel()
	in := &Intake{Memory: 64 << 10}
	rt := testRouter()
	rt.Intake = in
	call := func(version, bytes int, during func()) (aborted bool) {
		defer func() { aborted = recover() == any(http.ErrAbortHandler) }()
		rt.Services[1].Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { during() })
		r := request("POST", "/", "", "X-Amz-Target", "AmazonSQS.X", "Authorization", scope("sqs"), "X",
			strings.Repeat("x", bytes))
		r.ProtoMajor = version
		rt.ServeHTTP(httptest.NewRecorder(), r)
		return false
	}
	held := func(want bool) func() {
		return func() {
			if n := in.Usage().Bytes; n > 0 != want {
				t.Errorf("%d bytes are held, want some: %v", n, want)
			}
		}
	}

	if call(2, 1<<10, held(false)) || call(1, 30<<10, held(false)) || call(2, 30<<10, held(true)) {
		t.Error("a request for which there is room was reset")
	}
	if !call(2, 57<<10, func() { t.Error("it was served") }) {
		t.Error("a head that takes the last eighth was not reset")
	}
	if u := in.Usage(); u.Bytes != 0 || u.Requests != 0 || u.Refused["memory"] != 1 {
		t.Errorf("afterwards: %+v", u)
	}
}
