package wire

import (
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/shardmill/shardmill/fault"
)

// ReadBody reads a request's body of at most limit bytes. A longer one is the caller's fault, with status 413, and is
// not read to its end; so is one that ends early, with fault.CodeSerialization. One that Intake refuses has the fault
// of that.
func ReadBody(r *http.Request, limit int64) ([]byte, error) {
	body, err := AppendBody(nil, r, limit)
	var long *http.MaxBytesError
	switch {
	case err == nil:
		return body, nil
	case errors.As(err, &long):
		return nil, fault.New(fault.CodeTooLarge, "Request size exceeded %d bytes.", limit).WithStatus(
			http.StatusRequestEntityTooLarge,
		)
	case fault.CodeOf(err) != "":
		return nil, err
	}
	return nil, fault.New(fault.CodeSerialization, "The request ended before its body was complete.")
}

// Content-Length is a client's claim: memory for more than eagerBody comes only as bytes arrive. From chunkFrom on it
// comes in chunks that are joined at the end, so that a body which never ends costs what has come of it, and growing
// leaves no garbage behind.
const (
	eagerBody = 64 << 10
	chunkFrom = 1 << 20
	chunkSize = 512 << 10
)

// AppendBody reads a body of at most limit bytes into dst, which is empty and whose memory is used while it lasts. It
// fails with *http.MaxBytesError for a longer one, with a *fault.Error for one that Intake refuses, and with any other
// error for one that ends early; what has come until then is lost.
func AppendBody(dst []byte, r *http.Request, limit int64) ([]byte, error) {
	if held, ok := r.Body.(*heldBody); ok {
		return held.take(limit)
	}
	if r.ContentLength > limit {
		return dst, &http.MaxBytesError{Limit: limit}
	}
	if n := int(r.ContentLength); n > cap(dst) && n <= eagerBody {
		dst = make([]byte, 0, n+1) // one more, so that the read that finds the end needs no room
	}
	var chunks [][]byte
	before := 0 // bytes in chunks
	for {
		if len(dst) == cap(dst) {
			if cap(dst) < chunkFrom {
				dst = slices.Grow(dst, max(len(dst), 512))
			} else {
				chunks, before = append(chunks, dst), before+len(dst)
				dst = make([]byte, 0, nextChunk(int(r.ContentLength)-before))
			}
		}
		n, err := r.Body.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case int64(before+len(dst)) > limit:
			return dst[:0], &http.MaxBytesError{Limit: limit}
		case errors.Is(err, io.EOF):
			return joined(chunks, dst, before), nil
		case err != nil:
			return dst[:0], err
		}
	}
}

// nextChunk returns the size of the next chunk of a body of which so many bytes are still to come; fewer than one: it
// is not known.
func nextChunk(rest int) int {
	if rest > 0 && rest < chunkSize {
		return rest + 1 // as above
	}
	return chunkSize
}

func joined(chunks [][]byte, last []byte, before int) []byte {
	if len(chunks) == 0 {
		return last
	}
	all := make([]byte, 0, before+len(last))
	for _, c := range chunks {
		all = append(all, c...)
	}
	return append(all, last...)
}
