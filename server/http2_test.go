package server

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/internal/eventually"
)

// Frames of HTTP/2 by their types and flags. Source: RFC 9113, 6.
const (
	frameData         = 0
	frameHeaders      = 1
	frameReset        = 3
	frameSettings     = 4
	framePing         = 6
	frameWindow       = 8
	frameContinuation = 9

	endStream  = 1
	endHeaders = 4
)

// flooder is a client that writes frames as it likes, and reads nothing unless it is asked to.
type flooder struct {
	net.Conn
	out []byte
}

func (b *bench) flooder() *flooder {
	b.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(b.s.Endpoint(), "http://"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	r := &flooder{Conn: c, out: []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")}
	r.frame(frameSettings, 0, 0, nil)
	return r
}

// frame puts a frame behind what is to be written.
func (r *flooder) frame(kind, flags byte, stream uint32, payload []byte) {
	n := len(payload)
	r.out = append(r.out, byte(n>>16), byte(n>>8), byte(n), kind, flags)
	r.out = binary.BigEndian.AppendUint32(r.out, stream)
	r.out = append(r.out, payload...)
}

// flush writes all frames. It returns an error when the server has cut the connection, or takes no more.
func (r *flooder) flush() error {
	_ = r.SetWriteDeadline(time.Now().Add(eventually.Patience))
	_, err := r.Write(r.out)
	r.out = r.out[:0]
	return err
}

// get returns the head of a GET.
func get(path string, more ...string) []byte { return packed(0x82, path, more) }

// post returns the head of a POST.
func post(path string, more ...string) []byte { return packed(0x83, path, more) }

// packed returns a head, packed without a table. Source: RFC 7541, 6.2.2 and appendix A.
func packed(method byte, path string, more []string) []byte {
	literal := func(b []byte, s string) []byte {
		if n := len(s); n < 127 {
			b = append(b, byte(n))
		} else {
			b = append(b, 127)
			for n -= 127; n >= 128; n >>= 7 {
				b = append(b, byte(n)|128)
			}
			b = append(b, byte(n))
		}
		return append(b, s...)
	}
	b := []byte{method, 0x86}              // :scheme http
	b = literal(append(b, 4), path)        // :path
	b = literal(append(b, 1), "127.0.0.1") // :authority
	for i := 0; i < len(more); i += 2 {
		b = literal(literal(append(b, 0), more[i]), more[i+1])
	}
	return b
}

// calm fails unless the server is as if nobody had ever called, and serves others.
func (b *bench) calm() {
	b.Helper()
	b.ok(b.kinesis("ListStreams", "{}"))
	b.client.CloseIdleConnections()
	eventually.Reaches(b, "the end of every request and connection", func() (bool, string) {
		requests, open := b.s.intake.Usage().Requests, b.s.listeners[0].all.open.Load()
		return requests == 0 && open == 0, fmt.Sprintf("%d requests, %d connections", requests, open)
	})
}

// Streams that are opened and reset at once, a head that never ends, pings whose answers nobody reads, and clients that
// leave in the middle: others are served meanwhile, memory stays bounded, and nothing is left when they have gone.
func TestFloodsOfHTTP2(t *testing.T) {
	const most = 64 << 20 // bytes of the heap beyond what it was
	for name, flood := range map[string]func(r *flooder) error{
		"rapid resets": func(r *flooder) error {
			for i := range uint32(20_000) {
				r.frame(frameHeaders, endHeaders|endStream, 2*i+1, get(control.PathReady))
				r.frame(frameReset, 0, 2*i+1, binary.BigEndian.AppendUint32(nil, 8))
				if len(r.out) > 64<<10 {
					if err := r.flush(); err != nil {
						return err
					}
				}
			}
			return r.flush()
		},
		"heads of 30 KiB whose streams wait for a body": func(r *flooder) error {
			head := post("/", "x-amz-target", "AmazonSQS.ListQueues", "x", strings.Repeat("x", 30<<10))
			for i := range uint32(3_000) {
				first, rest := head[:16<<10], head[16<<10:]
				r.frame(frameHeaders, 0, 2*i+1, first)
				r.frame(frameContinuation, endHeaders, 2*i+1, rest)
				if err := r.flush(); err != nil {
					return err
				}
			}
			return nil
		},
		"a head that never ends": func(r *flooder) error {
			r.frame(frameHeaders, endStream, 1, get("/"))
			more := get("/", "x", strings.Repeat("x", 8<<10))[3:]
			for range 10_000 {
				r.frame(frameContinuation, 0, 1, more)
				if err := r.flush(); err != nil {
					return err
				}
			}
			return nil
		},
		"pings": func(r *flooder) error {
			for range 100_000 {
				r.frame(framePing, 0, 0, make([]byte, 8))
				if len(r.out) > 64<<10 {
					if err := r.flush(); err != nil {
						return err
					}
				}
			}
			return r.flush()
		},
		"half a frame": func(r *flooder) error {
			r.frame(frameHeaders, endHeaders|endStream, 1, get("/"))
			r.out = r.out[:len(r.out)-3]
			return r.flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, Config{BodyMemory: 16 << 20})
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			flooders := make([]*flooder, 2)
			for i := range flooders {
				flooders[i] = b.flooder()
				if err := flood(flooders[i]); err != nil {
					t.Logf("cut off: %v", err)
				}
				b.ok(b.kinesis("ListStreams", "{}"))
			}

			runtime.GC()
			runtime.ReadMemStats(&after)
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > most {
				t.Errorf("the heap has grown by %d MiB", grown>>20)
			}
			for _, r := range flooders {
				_ = r.Close()
			}
			b.calm()
		})
	}
}

// A client that says that it will send no more gets the answers to what it has asked, and then its connection ends.
func TestAHalfClosedConnectionEnds(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	r := b.flooder()
	r.frame(frameHeaders, endHeaders|endStream, 1, get(control.PathReady))
	if err := r.flush(); err != nil {
		t.Fatal(err)
	}
	_ = r.Conn.(*net.TCPConn).CloseWrite()

	_ = r.SetReadDeadline(time.Now().Add(eventually.Patience))
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Errorf("its connection ends with %v", err)
	}
	b.calm()
}

// What a client sends although it will be refused is read before the answer: Node.js drops an answer that is followed
// by a reset, and waits for ever.
func TestARefusalOverHTTP2WaitsForItsBody(t *testing.T) {
	t.Parallel()
	kinesis := []string{
		"content-type", "application/x-amz-json-1.1", "x-amz-target", "Kinesis_20131202.PutRecord", "authorization",
		"AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/kinesis/aws4_request, " +
			"SignedHeaders=host, Signature=0", "x-amz-date", "20260101T000000Z",
	}
	for name, c := range map[string]struct {
		head []string
		size int
	}{
		"403: a page has sent it": {head: append([]string{"origin", "http://x"}, kinesis...), size: 2 << 20},
		"413: its length says enough": {
			head: append([]string{"content-length", "22020096"}, kinesis...), size: 21 << 20,
		},
		"413: it turns out too long": {head: kinesis, size: 24 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, Config{})
			r := b.flooder()
			_ = r.SetReadDeadline(time.Now().Add(eventually.Patience))
			r.frame(frameHeaders, endHeaders, 1, post("/", c.head...))

			conn, stream := 64<<10-1, 1<<20 // what may be sent: as RFC 9113 says at first, and our SETTINGS
			for left := c.size; ; {
				for n := 1; n > 0 && left > 0; left -= n {
					if n = min(left, conn, stream, 16<<10); n == left {
						r.frame(frameData, endStream, 1, make([]byte, n))
					} else if n > 0 {
						r.frame(frameData, 0, 1, make([]byte, n))
					}
					conn, stream = conn-n, stream-n
				}
				if err := r.flush(); err != nil {
					t.Fatal(err)
				}
				kind, id, payload := r.next()
				switch {
				case kind == frameWindow && id == 0:
					conn += int(binary.BigEndian.Uint32(payload))
				case kind == frameWindow:
					stream += int(binary.BigEndian.Uint32(payload))
				case kind == frameReset:
					t.Fatalf("the stream is reset while %d bytes are left", left)
				case kind == frameHeaders && left > 0:
					t.Fatalf("answered while %d bytes are left", left)
				case kind == frameHeaders:
					return
				}
			}
		})
	}
}

// next reads a frame.
func (r *flooder) next() (kind byte, stream uint32, payload []byte) {
	head := make([]byte, 9)
	if _, err := io.ReadFull(r, head); err != nil {
		return frameReset, 0, nil
	}
	payload = make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	_, _ = io.ReadFull(r, payload)
	return head[3], binary.BigEndian.Uint32(head[5:]), payload
}
