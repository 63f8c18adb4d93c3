package server

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/shardmill/shardmill/api/wire/wiretest"
)

// W-01: a client opens a connection to the plain-text port with the preface of HTTP/2 · 200 over HTTP/2; on a second
// connection HTTP/1.1 works on the same port. So does every operation of Kinesis, in JSON and in CBOR, as real clients
// call it: one call goes over HTTP/2, the next over HTTP/1.1.
func TestOperationsAreServedOverHTTP2AndHTTP1(t *testing.T) {
	t.Parallel()
	stories, err := wiretest.Stories("../api/kinesis/testdata")
	if err != nil || len(stories) == 0 {
		t.Fatalf("%d stories, %v", len(stories), err)
	}
	for client, story := range stories {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			for first := range 2 { // so that each call goes both ways
				b := start(t, Config{Dev: true})
				transports := make([]*http.Transport, 2)
				for i := range transports {
					transports[i] = &http.Transport{Protocols: new(http.Protocols)}
					defer transports[i].CloseIdleConnections()
				}
				transports[0].Protocols.SetUnencryptedHTTP2(true)
				transports[1].Protocols.SetHTTP1(true)
				wiretest.Tell(t, story, func(g wiretest.Golden, body []byte) (int, http.Header, []byte) {
					way := (g.Turn + first) % 2
					r, err := http.NewRequestWithContext(t.Context(), "POST", b.s.Endpoint(), bytes.NewReader(body))
					if err != nil {
						t.Fatal(err)
					}
					g.Request.Apply(r.Header)
					resp, err := transports[way].RoundTrip(r)
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					answer, err := io.ReadAll(resp.Body)
					if err != nil || resp.ProtoMajor != 2-way {
						t.Fatalf("%s %v", resp.Proto, err)
					}
					return resp.StatusCode, resp.Header, answer
				})
			}
		})
	}
}
