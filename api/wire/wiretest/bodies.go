package wiretest

import (
	"bytes"
	"io"
	"net/http"
)

// WholeBodies gives the transport request bodies of its own. The SDK for Go closes the body that it made as soon as an
// answer arrives, while net/http may still be looking for its end; the connection is then closed while the answer is
// read ("use of closed network connection", aws-sdk-go-v2 issue 1825). A server on loopback is fast enough for this to
// happen, and tests must not repeat a call that may have been done.
type WholeBodies struct{ Next http.RoundTripper }

// RoundTrip sends r with a copy of its body.
func (w WholeBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return w.Next.RoundTrip(r)
}
