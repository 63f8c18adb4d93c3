package wire

import (
	"errors"
	"io"
	"net/http"

	"github.com/shardmill/shardmill/fault"
)

// Codes of requests that no operation sees, as AWS's JSON protocols name them.
const (
	CodeSerialization = "SerializationException"
	CodeTooLarge      = "RequestEntityTooLargeException"
)

// ReadBody reads a request's body of at most limit bytes. A longer one is the caller's fault, with status 413, and is not read to its end; so is one that ends
// early, with CodeSerialization.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, fault.New(CodeTooLarge, "Request size exceeded %d bytes.", limit).WithStatus(http.StatusRequestEntityTooLarge)
	}
	if err != nil {
		return nil, fault.New(CodeSerialization, "The request ended before its body was complete.").Because(err)
	}
	return body, nil
}
