package wire_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/api/wire/wiretest"
	"github.com/shardmill/shardmill/fault"
)

// network is a network of net.Pipe, for a bubble.
type network struct {
	conns chan net.Conn
	once  sync.Once
	ended chan struct{}
}

func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.ended:
		return nil, net.ErrClosed
	}
}

func (n *network) Close() error   { n.once.Do(func() { close(n.ended) }); return nil }
func (n *network) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4566} }

func (n *network) dial() net.Conn {
	mine, theirs := net.Pipe()
	n.conns <- theirs
	return mine
}

// follower is a client of the streaming service of wiretest, over one version of HTTP.
type follower struct {
	*testing.T
	do     wiretest.Follow // what the operation does
	client *http.Client

	dialled int // connections
}

// eachHTTP runs a test over HTTP/1.1 and over HTTP/2 with prior knowledge, in a bubble each. Reading what was never
// sent is a deadlock there, which fails the test.
func eachHTTP(t *testing.T, broken func(*fault.Error) []byte, test func(*follower)) {
	t.Helper()
	t.Parallel()
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &follower{T: t}
				n := &network{conns: make(chan net.Conn), ended: make(chan struct{})}
				follow := func(ctx context.Context, out *wire.Stream) error { return f.do(ctx, out) }
				var speaks, asks http.Protocols
				speaks.SetHTTP1(true)
				speaks.SetUnencryptedHTTP2(true)
				asks.SetHTTP1(version == "HTTP/1.1")
				asks.SetUnencryptedHTTP2(version == "HTTP/2.0")
				server := &http.Server{Protocols: &speaks, Handler: &wire.Router{
					Services: []wire.Service{wiretest.Streams(follow, broken)}, Intake: &wire.Intake{},
				}}
				done := make(chan struct{})
				go func() { defer close(done); _ = server.Serve(n) }()
				transport := &http.Transport{
					Protocols: &asks,
					DialContext: func(context.Context, string, string) (net.Conn, error) {
						f.dialled++
						return n.dial(), nil
					},
				}
				f.client = &http.Client{Transport: transport}
				t.Cleanup(func() {
					transport.CloseIdleConnections()
					_ = server.Close()
					<-done
				})
				test(f)
			})
		})
	}
}

// pass lets time of the bubble pass.
func (f *follower) pass(d time.Duration) { <-time.After(d) }

// call asks to follow.
func (f *follower) call(ctx context.Context) *http.Response {
	f.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1:4566/", strings.NewReader("{}"))
	if err != nil {
		f.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", wiretest.StreamTarget)
	res, err := f.client.Do(r)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// reads reads exactly want from an answer.
func (f *follower) reads(res *http.Response, want string) {
	f.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != want {
		f.Fatalf("read %q, %v; want %q", got, err, want)
	}
}

// A part is with the client before the next one is made, and the head comes with the first one.
func TestAStreamIsSentAsItComesToBe(t *testing.T) {
	eachHTTP(t, nil, func(f *follower) {
		taken := make(chan struct{})
		f.do = func(_ context.Context, out *wire.Stream) error {
			out.ContentType, out.Header = "application/x-parts", map[string]string{"X-Version": "$LATEST"}
			first := out.Send([]byte("one"))
			<-taken
			return errors.Join(first, out.Send([]byte("two")))
		}

		res := f.call(f.Context())

		f.reads(res, "one")
		close(taken)
		f.reads(res, "two")
		if rest, err := io.ReadAll(res.Body); len(rest) > 0 || err != nil {
			f.Errorf("then %q, %v", rest, err)
		}
		if h := res.Header; res.StatusCode != 200 || h.Get("Content-Type") != "application/x-parts" ||
			h.Get("X-Version") != "$LATEST" || h.Get("X-Amzn-Requestid") == "" || h.Get("Content-Length") != "" {
			f.Errorf("%d %v", res.StatusCode, h)
		}
	})
}

// A follower is connected before there is anything to send, and one that ends without a part has an answer.
func TestAStreamWithoutPartsHasAHead(t *testing.T) {
	eachHTTP(t, nil, func(f *follower) {
		connected := make(chan struct{})
		f.do = func(_ context.Context, out *wire.Stream) error {
			err := out.Begin()
			<-connected
			return errors.Join(err, out.Begin())
		}
		res := f.call(f.Context())
		close(connected)
		if rest, err := io.ReadAll(res.Body); res.StatusCode != 200 || len(rest) > 0 || err != nil {
			f.Errorf("%d %q %v", res.StatusCode, rest, err)
		}

		f.do = func(_ context.Context, out *wire.Stream) error { out.ContentType = "application/x-parts"; return nil }
		res = f.call(f.Context())
		if rest, err := io.ReadAll(res.Body); res.StatusCode != 200 || len(rest) > 0 || err != nil ||
			res.Header.Get("Content-Type") != "application/x-parts" {
			f.Errorf("without Begin: %d %v %q %v", res.StatusCode, res.Header, rest, err)
		}
	})
}

// Before the first part an error is answered like any other, without the headers of the stream.
func TestAnErrorBeforeTheFirstPartIsRefused(t *testing.T) {
	eachHTTP(t, func(*fault.Error) []byte { return []byte("broken") }, func(f *follower) {
		for want, err := range map[string]error{
			`409 {"__type":"Busy","message":"Try later."}`:     fault.New("Busy", "Try later.").WithStatus(409),
			`500 {"__type":"InternalFailure","message":""}`:    errors.New("the disk"),
			`503 {"__type":"ServiceUnavailable","message":""}`: context.DeadlineExceeded,
		} {
			f.do = func(_ context.Context, out *wire.Stream) error {
				out.ContentType, out.Header = "application/x-parts", map[string]string{"X-Version": "$LATEST"}
				return err
			}
			res := f.call(f.Context())
			body, _ := io.ReadAll(res.Body)
			if got := fmt.Sprint(res.StatusCode, " ", string(body)); got != want ||
				res.Header.Get("Content-Type") != "application/json" || res.Header.Get("X-Version") != "" {
				f.Errorf("%s %v, want %s", got, res.Header, want)
			}
		}
	})
}

// After the first part an error is the last part, where the protocol has one; half an answer never ends like a whole
// one.
func TestAnErrorAfterTheFirstPartIsNoEnd(t *testing.T) {
	fails := func(_ context.Context, out *wire.Stream) error {
		return errors.Join(out.Send([]byte("one,")), fault.New("Gone", "It is gone."))
	}
	t.Run("without a last part", func(t *testing.T) {
		eachHTTP(t, nil, func(f *follower) {
			f.do = fails
			got, err := io.ReadAll(f.call(f.Context()).Body)
			if string(got) != "one," || err == nil {
				f.Errorf("%q, %v", got, err)
			}
		})
	})
	t.Run("with one", func(t *testing.T) {
		eachHTTP(t, func(gone *fault.Error) []byte { return []byte(gone.Code) }, func(f *follower) {
			f.do = fails
			got, err := io.ReadAll(f.call(f.Context()).Body)
			if string(got) != "one,Gone" || err != nil {
				f.Errorf("%q, %v", got, err)
			}
		})
	})
}

// A panic is our own fault: it is answered before the first part, and cuts the connection after it.
func TestAPanicInAStreamIsNoEnd(t *testing.T) {
	eachHTTP(t, func(*fault.Error) []byte { return []byte("broken") }, func(f *follower) {
		f.do = func(context.Context, *wire.Stream) error { panic("out of order") }
		if res := f.call(f.Context()); res.StatusCode != 500 {
			f.Errorf("before the first part: %d", res.StatusCode)
		}
		f.do = func(_ context.Context, out *wire.Stream) error { panic(out.Send([]byte("one"))) }
		if got, err := io.ReadAll(f.call(f.Context()).Body); string(got) != "one" || err == nil {
			f.Errorf("after it: %q, %v", got, err)
		}
	})
}

// A client that goes away ends the operation, which can send nothing more.
func TestAClientThatLeavesEndsTheOperation(t *testing.T) {
	told := func(*fault.Error) []byte {
		t.Error("a client that is gone is told so")
		return nil
	}
	eachHTTP(t, told, func(f *follower) {
		ended := make(chan error, 1)
		f.do = func(ctx context.Context, out *wire.Stream) error {
			if err := out.Send([]byte("one")); err != nil {
				ended <- err
				return err
			}
			<-ctx.Done()
			var err error
			for range 3 { // HTTP/2 may accept one part without a reader
				err = errors.Join(err, out.Send([]byte("two")))
			}
			ended <- err
			return ctx.Err()
		}
		ctx, leave := context.WithCancel(f.Context())
		f.reads(f.call(ctx), "one")

		leave()

		if err := <-ended; err == nil {
			f.Error("parts are sent to a client that is gone")
		}

		f.do = func(ctx context.Context, out *wire.Stream) error {
			err := out.Send([]byte("one"))
			<-ctx.Done()
			ended <- err
			return ctx.Err()
		}
		ctx, leave = context.WithCancel(f.Context())
		f.reads(f.call(ctx), "one")
		leave()
		if err := <-ended; err != nil {
			f.Error(err)
		}
		synctest.Wait()
	})
}

// A client that takes nothing is gone after half a minute, and the operation with it.
func TestAClientThatTakesNothingIsCut(t *testing.T) {
	toldGone := func(*fault.Error) []byte {
		t.Error("a client that is gone is told so")
		return nil
	}
	eachHTTP(t, toldGone, func(f *follower) {
		began := time.Now()
		ended := make(chan string, 1)
		f.do = func(ctx context.Context, out *wire.Stream) error {
			part := bytes.Repeat([]byte("x"), 1<<20)
			for range 1000 {
				if err := out.Send(part); err != nil {
					again := out.Send(part)
					ended <- fmt.Sprint(time.Since(began).Round(time.Second), " ", ctx.Err(), " ", again != nil)
					return err
				}
			}
			ended <- "1000 parts are sent to a client that reads none"
			return nil
		}
		res := f.call(f.Context())
		if got := <-ended; got != "30s context canceled true" {
			f.Error(got)
		}
		if _, err := io.ReadAll(res.Body); err == nil {
			f.Error("the answer ends like a whole one")
		}
	})
}

// An operation may have more patience, and give it up while a part is under way.
func TestAClientIsHurried(t *testing.T) {
	eachHTTP(t, nil, func(f *follower) {
		began := time.Now()
		ended := make(chan time.Duration, 1)
		f.do = func(_ context.Context, out *wire.Stream) error {
			out.Patience = time.Hour
			part := bytes.Repeat([]byte("x"), 1<<20)
			for range 1000 {
				if err := out.Send(part); err != nil {
					ended <- time.Since(began)
					return err
				}
			}
			return nil
		}
		f.call(f.Context())
		if got := <-ended; got != time.Hour {
			f.Errorf("with patience it takes %s", got)
		}

		began = time.Now()
		patient := f.do
		f.do = func(ctx context.Context, out *wire.Stream) error {
			time.AfterFunc(time.Minute, func() { out.Hurry(5 * time.Second) })
			time.AfterFunc(time.Minute+time.Second, func() { out.Hurry(time.Minute) }) // which is no longer
			return patient(ctx, out)
		}
		f.call(f.Context())
		if got := <-ended; got != time.Minute+5*time.Second {
			f.Errorf("hurried it takes %s", got)
		}
	})
}

// Hurry does nothing to the next answer of a connection, and a client that takes everything in time gets the whole.
func TestAHurriedAnswerIsWhole(t *testing.T) {
	eachHTTP(t, nil, func(f *follower) {
		var last *wire.Stream
		f.do = func(_ context.Context, out *wire.Stream) error {
			if last != nil {
				last.Hurry(time.Second)
			}
			last = out
			err := out.Send([]byte("one"))
			out.Hurry(time.Minute)
			f.pass(50 * time.Second)
			return errors.Join(err, out.Send([]byte("two")))
		}
		for range 2 {
			if got, err := io.ReadAll(f.call(f.Context()).Body); string(got) != "onetwo" || err != nil {
				f.Errorf("%q, %v", got, err)
			}
			f.pass(2 * time.Minute)
		}
		if f.dialled != 1 {
			f.Errorf("%d connections", f.dialled)
		}
	})
}

// A stream that has nothing to send for long stays, and so does its connection.
func TestASilentStreamStays(t *testing.T) {
	eachHTTP(t, nil, func(f *follower) {
		f.do = func(_ context.Context, out *wire.Stream) error {
			err := out.Send([]byte("one"))
			f.pass(time.Hour)
			return errors.Join(err, out.Send([]byte("two")))
		}
		for range 2 {
			if got, err := io.ReadAll(f.call(f.Context()).Body); string(got) != "onetwo" || err != nil {
				f.Errorf("%q, %v", got, err)
			}
			f.pass(time.Minute)
		}
		if f.dialled != 1 {
			f.Errorf("%d connections", f.dialled)
		}
	})
}

// A part that is too long is not sent, not even partly.
func TestAPartIsBounded(t *testing.T) {
	eachHTTP(t, nil, func(f *follower) {
		f.do = func(_ context.Context, out *wire.Stream) error {
			if err := out.Send(make([]byte, wire.MaxPart+1)); !errors.Is(err, wire.ErrPartTooLong) {
				return fmt.Errorf("a part that is too long: %w", err)
			}
			return out.Send(make([]byte, wire.MaxPart))
		}
		res := f.call(f.Context())
		if n, err := io.Copy(io.Discard, res.Body); n != wire.MaxPart || err != nil {
			f.Errorf("%d %d bytes, %v", res.StatusCode, n, err)
		}
	})
}
