package wire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/fault"
)

// incoming is the body of a request as it comes. Its reader is the goroutine of the request; only got, why and cut are
// for others.
type incoming struct {
	from   io.ReadCloser // as net/http gave it
	in     *Intake       // nil: not bounded
	x      *exchange
	length int64 // as the head claims; -1: it does not say
	held   int64 // bytes that it is charged with
	whole  bool  // nothing more will come
	http1  bool
	waits  bool // the client sends it when it has read 100 Continue

	passes  atomic.Bool  // what has been read is not kept; see Passing
	got     atomic.Int64 // bytes that have come
	why     atomic.Int32 // a reason, once it is refused
	leaving atomic.Int64 // bytes that it held when it gave way to another one

	// Guarded by in.mu.
	began         time.Time
	before, after *incoming
	listed        bool // written by the reader's goroutine alone
}

// Read reads more, unless the body is refused: then it returns the fault that the service answers.
func (b *incoming) Read(p []byte) (int, error) {
	if b.why.Load() != 0 {
		return 0, b.refusal()
	}
	if !b.whole && !b.in.take(b, 0) { // before reading: a client that waits for 100 Continue has not sent the body yet
		return 0, b.refuse(noMemory)
	}
	n, err := b.from.Read(p)
	got := b.got.Add(int64(n))
	if b.length >= 0 && got >= b.length || errors.Is(err, io.EOF) {
		b.whole = true
		b.in.came(b)
	}
	switch {
	// the connection is cut, even where the last byte came at the same moment: net/http takes the client for gone
	case b.why.Load() != 0:
		b.whole = false
		return 0, b.refusal()
	case n > 0 && !b.passes.Load() && !b.in.take(b, int64(n)):
		return 0, b.refuse(noMemory)
	}
	return n, err
}

// Close closes the body that net/http gave.
func (b *incoming) Close() error { return b.from.Close() }

// refuse ends the body from within.
func (b *incoming) refuse(why reason) error {
	if b.why.CompareAndSwap(0, int32(why)) {
		b.in.refused(why)
	}
	return b.refusal()
}

// refusal returns the fault of a refused body. The rest of the body is not awaited, so its connection serves no other
// request.
func (b *incoming) refusal() *fault.Error {
	why := reason(b.why.Load())
	if b.http1 && !b.whole {
		b.x.Header().Set("Connection", "close")
	}
	return &fault.Error{
		Code: b.x.service.codes().Unavailable, Status: http.StatusServiceUnavailable, Hint: why.hint(),
		// AWS's text, of the errors common to all its services
		Message: "The request has failed due to a temporary failure of the server.",
	}
}

// slow reports whether the body has had all the time that it gets.
func (b *incoming) slow(now time.Time) bool {
	age := now.Sub(b.began)
	return age > bodyDeadline && !b.passes.Load() || age > bodyGrace+time.Duration(b.got.Load())*time.Second/bodyRate
}

// cut refuses a body from outside, and wakes its reader. in.mu is held, and the body is listed: its connection still
// belongs to it.
func (b *incoming) cut(why reason) {
	if b.why.CompareAndSwap(0, int32(why)) {
		b.in.refused(why)
		// a recorder in a test cannot
		_ = http.NewResponseController(b.x.ResponseWriter).SetReadDeadline(time.Unix(1, 0))
	}
}

// Bounds of how much of a body that nobody wants is read over HTTP/2, in bytes and for how long.
const (
	remainderMost  = 64 << 20
	remainderGrace = 10 * time.Second
)

// leave deals with the rest of a body that no handler will read, before the answer. In HTTP/1 net/http looks for it as
// long as patience lasts. In HTTP/2 it would reset the stream behind the answer: Node.js then drops the answer and
// waits for ever, as long as it has more to send. So the rest is read and dropped, as far as it is bounded.
func (b *incoming) leave(patience time.Duration) {
	if b.whole || b.in == nil {
		return
	}
	b.in.came(b)
	b.whole = true
	if !b.http1 {
		if reason(b.why.Load()) == tooMany || b.waits && b.got.Load() == 0 || b.length > remainderMost {
			return
		}
		patience = remainderGrace
	}
	err := http.NewResponseController(b.x.ResponseWriter).SetReadDeadline(time.Now().Add(patience))
	if !b.http1 && err == nil {
		_, _ = io.CopyN(io.Discard, b.from, remainderMost)
	}
}

// Charge charges n more bytes to a body, for example after unpacking. A fault means that there is no memory for them.
func Charge(ctx context.Context, n int64) error {
	x, _ := ctx.Value(callerKey{}).(*exchange)
	if x == nil || x.body.in.take(&x.body, n) {
		return nil
	}
	return x.body.refuse(noMemory)
}

// Passing says that the rest of a body passes through a buffer of so many bytes, which are charged instead: it is
// written to a disk as it comes. Its whole time is bounded no more, only its rate. A fault means that there is no
// memory for the buffer.
func Passing(ctx context.Context, buffer int64) error {
	x, _ := ctx.Value(callerKey{}).(*exchange)
	if x == nil {
		return nil
	}
	x.body.passes.Store(true)
	return Charge(ctx, buffer)
}

// treeBytes is about what a value takes once it is decoded, beside its text.
const treeBytes = 48

// ChargeValues is Charge for a body that is about to be decoded into n values: a list of many small ones takes a
// multiple of its text.
func ChargeValues(ctx context.Context, n int) error { return Charge(ctx, treeBytes*int64(n)) }

// ChargeTree is ChargeValues for JSON.
func ChargeTree(ctx context.Context, body []byte) error {
	return ChargeValues(ctx, bytes.Count(body, []byte{','})+bytes.Count(body, []byte{':'}))
}
