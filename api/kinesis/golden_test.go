package kinesis

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/shardmill/shardmill/api/wire/wiretest"
)

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
		if !told[name] {
			t.Errorf("no call of %s is recorded; add it to the stories in e2e and run make golden", name)
		}
	}
}

// tell plays a story back, in CBOR if it is in JSON and cbor says so.
func tell(t *testing.T, story []wiretest.Golden, cbor bool) {
	w := setup(t)
	w.access = "000000000000"
	wiretest.Tell(t, story, func(g wiretest.Golden, body []byte) (int, http.Header, []byte) {
		r := w.request(http.MethodPost, g.Operation, "")
		g.Request.Apply(r.Header)
		if cbor {
			body = inCBOR(t, string(body))
			r.Header.Set("Content-Type", typeCBOR)
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		got := w.send(r)
		if !cbor {
			return got.status, got.header, []byte(got.body)
		}
		if got.header.Get("Content-Type") == typeCBOR {
			got.header.Set("Content-Type", typeJSON)
		}
		if got.body != "" {
			got.body = inJSON(t, []byte(got.body))
		}
		return got.status, got.header, []byte(got.body)
	})
}
