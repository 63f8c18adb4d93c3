package nonblock_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/shardmill/shardmill/internal/eventually"
	"github.com/shardmill/shardmill/internal/nonblock"
)

// A set tells once of each connection that can be read or has ended, by its key, and again when it was added again. Of
// one that is closed here it does not tell.
func TestASetTellsWhatCanBeRead(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("there is none")
	}
	told := make(chan uint64, 8)
	s, err := nonblock.NewSet(func(key uint64) { told <- key })
	if err != nil {
		t.Fatal(err)
	}
	const big = 1<<63 + 1<<31 + 5 // both halves of a key look negative
	a, toA := pair(t)
	b, toB := pair(t)
	closed, toClosed := pair(t)
	for key, c := range map[uint64]net.Conn{1: a, big: b, 3: closed} {
		if err := s.Add(c, key); err != nil {
			t.Fatal(err)
		}
	}
	write := func(c net.Conn) {
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	_ = closed.Close()
	write(toClosed)

	write(toB)
	if key := eventually.Comes(t, "something for b", told); key != big {
		t.Errorf("told of %d", key)
	}
	write(toB) // of which nobody is told
	write(toA)
	if key := eventually.Comes(t, "something for a", told); key != 1 {
		t.Errorf("told of %d", key)
	}
	if err := s.Add(b, 4); err != nil { // it has bytes already
		t.Fatal(err)
	}
	if key := eventually.Comes(t, "what was there", told); key != 4 {
		t.Errorf("told of %d", key)
	}
	if _, err := a.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	if err := s.Add(a, 5); err != nil {
		t.Fatal(err)
	}
	_ = toA.Close()
	if key := eventually.Comes(t, "the end of a", told); key != 5 {
		t.Errorf("told of %d", key)
	}

	pipe, _ := net.Pipe()
	if err := s.Add(pipe, 6); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a pipe was added: %v", err)
	}
	if err := s.Add(closed, 7); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed connection was added: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if s.Add(b, 8) == nil {
		t.Error("a closed set took a connection")
	}
	if len(told) > 0 {
		t.Errorf("told of %d, too", <-told)
	}
}

// fileConn is a connection whose descriptor nobody can wait for.
type fileConn struct {
	net.Conn

	f *os.File
}

func (c fileConn) SyscallConn() (syscall.RawConn, error) { return c.f.SyscallConn() }

// A set tells of each of more connections than one call brings, also when it was busy while they became ready, and
// refuses what the system does not wait for.
func TestASetTellsOfManyAtOnce(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("there is none")
	}
	const many = 70
	told, goOn := make(chan uint64, many), make(chan struct{})
	s, err := nonblock.NewSet(func(key uint64) {
		told <- key
		<-goOn
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for key := range uint64(many) {
		ours, theirs := pair(t)
		if err := s.Add(ours, key); err != nil {
			t.Fatal(err)
		}
		if _, err := theirs.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	close(goOn)
	seen := map[uint64]bool{}
	for range many {
		seen[eventually.Comes(t, "each connection", told)] = true
	}
	if len(seen) != many {
		t.Errorf("told of %d connections, of some twice", len(seen))
	}

	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if s.Add(fileConn{f: f}, 1) == nil {
		t.Error("a file was added")
	}
}
