package nonblock_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/nonblock"
)

// pair returns both ends of a connection over loopback.
func pair(t *testing.T) (ours net.Conn, theirs *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dialled.Close() })
	ours, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ours.Close() })
	return ours, dialled.(*net.TCPConn)
}

func random(n int) []byte {
	b := make([]byte, n)
	chance := rand.NewChaCha8([32]byte{7})
	_, _ = chance.Read(b)
	return b
}

// Whatever goes through a wrapped connection arrives whole and in order, in parts of any size: also more than one call
// moves, and more than the socket takes before somebody reads.
func TestWhatIsWrittenArrives(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{
		{0, 0}, {0, 1}, {1, 0}, {1, 1}, {300, 100_000}, {256 << 10, 0}, {256 << 10, 1}, {1, 200_000},
		{3 << 20, 5<<20 + 3},
	} {
		c, peer := pair(t)
		w := nonblock.Wrap(c)
		a, b := random(size[0]), random(size[1])
		if len(a)+len(b) < 1<<20 {
			_ = c.(*net.TCPConn).SetWriteBuffer(64 << 10) // or it takes all of them whole
		}
		var got []byte
		read := make(chan error)
		go func() {
			var err error
			got, err = io.ReadAll(peer)
			read <- err
		}()
		n, err := nonblock.WriteBoth(w, a, b)
		if err != nil || n != int64(len(a)+len(b)) {
			t.Errorf("%v: %d bytes written, %v", size, n, err)
		}
		_ = w.Close()
		if err := <-read; err != nil || !bytes.Equal(got, append(a, b...)) {
			t.Errorf("%v: %d bytes arrived, %v", size, len(got), err)
		}
	}
}

func TestWhatArrivesIsRead(t *testing.T) {
	t.Parallel()
	c, peer := pair(t)
	w := nonblock.Wrap(c)
	sent := random(3<<20 + 11)
	go func() {
		_, _ = peer.Write(sent)
		_ = peer.CloseWrite()
	}()

	got := make([]byte, len(sent))
	_, err := io.ReadFull(w, got)

	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("read %v", err)
	}
	if n, err := w.Read(make([]byte, 1)); n != 0 || err != io.EOF { //nolint:errorlint // callers compare it so
		t.Errorf("at the end: %d, %v", n, err)
	}
	if n, err := w.Read(nil); n != 0 || err != nil {
		t.Errorf("into nothing: %d, %v", n, err)
	}
}

// Writes made at once arrive whole, one after the other, and reads made at once share what comes.
func TestUseAtOnce(t *testing.T) {
	t.Parallel()
	c, peer := pair(t)
	w, back := nonblock.Wrap(c), nonblock.Wrap(peer)
	const users, times, size = 4, 50, 1000
	var writers, readers sync.WaitGroup
	var counts [users]atomic.Int64
	for i := range users {
		piece := bytes.Repeat([]byte{byte(i)}, size)
		writers.Go(func() {
			for range times {
				if n, err := nonblock.WriteBoth(w, piece[:size/3], piece[size/3:]); n != size || err != nil {
					t.Errorf("%d bytes written, %v", n, err)
				}
			}
		})
		readers.Go(func() {
			for b := make([]byte, 3*size); ; {
				n, err := back.Read(b)
				if err != nil {
					return
				}
				for _, of := range b[:n] {
					counts[of].Add(1)
				}
			}
		})
	}
	writers.Wait()
	_ = w.Close()
	readers.Wait()
	for i := range counts {
		if n := counts[i].Load(); n != times*size {
			t.Errorf("%d bytes of %d have come, not %d", n, i, times*size)
		}
	}
}

// Errors are found in what fails as in what package net returns.
func TestFailuresAreThoseOfNet(t *testing.T) {
	t.Parallel()
	late := func(t *testing.T, c net.Conn, _ *net.TCPConn) {
		if err := c.SetDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	reset := func(_ *testing.T, _ net.Conn, peer *net.TCPConn) {
		_ = peer.SetLinger(0)
		_ = peer.Close()
	}
	for _, test := range []struct {
		name        string
		before      func(*testing.T, net.Conn, *net.TCPConn)
		read, write error
	}{
		{"too late", late, os.ErrDeadlineExceeded, os.ErrDeadlineExceeded},
		{"closed here", func(_ *testing.T, c net.Conn, _ *net.TCPConn) { _ = c.Close() }, net.ErrClosed, net.ErrClosed},
		{"reset there", reset, syscall.ECONNRESET, syscall.EPIPE},
	} {
		for _, wrap := range []func(net.Conn) net.Conn{nonblock.Wrap, func(c net.Conn) net.Conn { return c }} {
			c, peer := pair(t)
			w := wrap(c)
			test.before(t, c, peer)
			var failed net.Error
			if _, err := w.Read(make([]byte, 8)); !errors.Is(err, test.read) || !errors.As(err, &failed) ||
				failed.Timeout() != errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: read with %T: %v", test.name, w, err)
			}
			if n, err := w.Write([]byte("x")); n != 0 || !errors.Is(err, test.write) || !errors.As(err, &failed) {
				t.Errorf("%s: write with %T: %d, %v", test.name, w, n, err)
			}
		}
	}
}

// A write that nobody reads ends with its deadline and says how much went, or goes on when somebody does; a reader that
// waits wakes up for what comes.
func TestWaits(t *testing.T) {
	t.Parallel()
	c, peer := pair(t)
	w := nonblock.Wrap(c)
	piece := random(200_000)
	_ = w.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	var sent []byte
	for {
		n, err := w.Write(piece)
		sent = append(sent, piece[:n]...)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil || n != len(piece) || len(sent) > 64<<20 {
			t.Fatalf("%d bytes written, the last time %d: %v", len(sent), n, err)
		}
	}
	_ = w.SetWriteDeadline(time.Time{})
	sent = append(sent, piece...)
	got := make([]byte, len(sent))
	arrived := make(chan error)
	go func() {
		_, err := io.ReadFull(peer, got)
		arrived <- err
	}()
	if n, err := w.Write(piece); err != nil || n != len(piece) {
		t.Errorf("when somebody reads: %d bytes written, %v", n, err)
	}
	if err := <-arrived; err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("what was written has not come: %v", err)
	}

	read := make(chan string)
	go func() {
		b := make([]byte, 8)
		n, err := w.Read(b)
		if err != nil {
			t.Error(err)
		}
		read <- string(b[:n])
	}()
	_, _ = peer.Write([]byte("here"))
	if got := <-read; got != "here" {
		t.Errorf("read %q", got)
	}
}

// An end of the connection reaches whoever waits in it.
func TestCloseEndsARead(t *testing.T) {
	t.Parallel()
	c, _ := pair(t)
	w := nonblock.Wrap(c)
	read := make(chan error)
	go func() {
		_, err := w.Read(make([]byte, 1))
		read <- err
	}()
	_ = w.Close()
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the read ended with %v", err)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("connections are read and written as package net does")
	}
	c, peer := pair(t)
	w := nonblock.Wrap(c)
	go func() { _, _ = io.Copy(peer, peer) }()
	a, b, back := []byte("head"), []byte("payload"), make([]byte, 11)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := nonblock.WriteBoth(w, a, b); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(w, back); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations for a write and a read", n)
	}
}

// What has no socket stays what it is.
func TestAPipeIsLeftAlone(t *testing.T) {
	t.Parallel()
	c, _ := net.Pipe()
	if w := nonblock.Wrap(c); w != c {
		t.Errorf("a pipe became a %T", w)
	}
}

func TestReadOfADescriptor(t *testing.T) {
	t.Parallel()
	var p [2]int
	if err := syscall.Pipe(p[:]); err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(p[0])
	if err := syscall.SetNonblock(p[0], true); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 8)
	if _, err := nonblock.Read(p[0], b); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("empty: %v", err)
	}
	_, _ = syscall.Write(p[1], []byte("line"))
	if n, err := nonblock.Read(p[0], b); err != nil || string(b[:n]) != "line" {
		t.Errorf("read %q, %v", b[:n], err)
	}
	_ = syscall.Close(p[1])
	if n, err := nonblock.Read(p[0], b); n != 0 || err != nil {
		t.Errorf("at the end: %d, %v", n, err)
	}
}

// purse lends buffers, counts those that are out, and tells when one comes back.
type purse struct {
	out  atomic.Int32
	back chan struct{}
}

func (p *purse) Lend() []byte {
	p.out.Add(1)
	return make([]byte, 16)
}

func (p *purse) Return([]byte) {
	p.out.Add(-1)
	p.back <- struct{}{}
}

// A connection that waits has given its buffer back. What comes is in the buffer that it then borrows; an end or an
// error leaves it none.
func TestAWaitHoldsNoBuffer(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere a read waits as in package net")
	}
	ours, theirs := pair(t)
	conn, p := nonblock.Wrap(ours), &purse{back: make(chan struct{}, 8)}
	type got struct {
		text string
		err  error
	}
	read := func() <-chan got {
		done := make(chan got, 1)
		go func() {
			b, n, err := nonblock.ReadLent(conn, p)
			done <- got{string(b[:n]), err}
		}()
		<-p.back
		return done
	}

	first := read()
	waiting := p.out.Load()
	_, err := theirs.Write([]byte("hello"))
	g := <-first
	if err != nil || g.text != "hello" || g.err != nil || waiting != 0 || p.out.Load() != 1 {
		t.Errorf("read %q, %v with %d buffers out, and %d before", g.text, g.err, p.out.Load(), waiting)
	}
	second := read()
	if err := ours.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if g := <-second; !errors.Is(g.err, os.ErrDeadlineExceeded) || p.out.Load() != 1 {
		t.Errorf("too late: %q, %v with %d buffers out", g.text, g.err, p.out.Load())
	}
	if err := errors.Join(ours.SetReadDeadline(time.Time{}), theirs.Close()); err != nil {
		t.Fatal(err)
	}
	if g := <-read(); !errors.Is(g.err, io.EOF) || p.out.Load() != 1 {
		t.Errorf("at the end: %q, %v with %d buffers out", g.text, g.err, p.out.Load())
	}
}
