package kinesis

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/api/wire/wiretest"
)

// unrecorded are the operations of which there are no recorded calls, with the reason why.
var unrecorded = map[string]string{"SubscribeToShard": "its answer lasts for minutes"}

// Calls as real clients send them, from testdata: each gets the answer that was recorded, to the byte, and so it does
// when it says the same in CBOR. make golden records them anew.
func TestRecordedCallsGetTheirAnswers(t *testing.T) {
	t.Parallel()
	stories, err := wiretest.Stories("testdata")
	if err != nil || len(stories) != 3 {
		t.Fatalf("%d stories, %v", len(stories), err)
	}
	told := map[string]bool{}
	for client, story := range stories {
		for _, g := range story {
			told[g.Operation] = true
		}
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			tell(t, story, false)
		})
		if client != "java" { // which speaks CBOR anyway
			t.Run(client+" in CBOR", func(t *testing.T) {
				t.Parallel()
				tell(t, story, true)
			})
		}
	}
	for name := range model.Served {
		if !told[name] && unrecorded[name] == "" {
			t.Errorf("no call of %s is recorded; add it to the stories in e2e and run make golden", name)
		}
	}
}

// tell plays a story back, in CBOR if it is in JSON and cbor says so.
func tell(t *testing.T, story []wiretest.Golden, cbor bool) {
	w := setup(t)
	w.access = "000000000000"
	values := wiretest.Values{}
	for _, g := range story {
		body := values.Fill(g.Request.Body)
		if cbor {
			body = inCBOR(t, string(body))
		}
		r := w.request(http.MethodPost, g.Operation, "")
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		for _, line := range g.Request.Header {
			name, value, _ := strings.Cut(line, ": ")
			if cbor {
				value = strings.Replace(value, typeJSON, typeCBOR, 1)
			}
			r.Header.Set(name, value)
		}

		got := w.send(r)

		where := fmt.Sprintf("%s, turn %d, %s, %s", g.Client, g.Turn, g.Operation, g.Case)
		header := headerOf(got.header)
		if cbor {
			if got.body != "" {
				got.body = inJSON(t, []byte(got.body))
			}
			for i := range header {
				header[i] = strings.Replace(header[i], typeCBOR, typeJSON, 1)
			}
		}
		if first := fmt.Sprintf("HTTP/1.1 %d %s", got.status, http.StatusText(got.status)); first != g.Answer.First {
			t.Fatalf("%s: %s %s", where, first, got.body)
		}
		if !slices.Equal(header, g.Answer.Header) {
			t.Errorf("%s: the header is %q, want %q", where, header, g.Answer.Header)
		}
		if err := values.Match(g.Answer.Body, []byte(got.body)); err != nil {
			t.Fatalf("%s: %v", where, err)
		}
	}
}

// headerOf returns the lines of a header that do not differ from call to call.
func headerOf(h http.Header) (lines []string) {
	for name, values := range h {
		switch name {
		case "Content-Length", "X-Amz-Id-2", "X-Amzn-Requestid":
		default:
			lines = append(lines, name+": "+strings.Join(values, ","))
		}
	}
	slices.Sort(lines)
	return lines
}
