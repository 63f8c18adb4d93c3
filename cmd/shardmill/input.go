package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// openFile opens a file to read. Anything but a file is refused: a pipe without a writer would block, and a device may
// have no end.
func openFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is %s, not a file", name, kindOf(info.Mode()))
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// kindOf returns what a name refers to, for people.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	case mode&fs.ModeSymlink != 0:
		return "a link"
	}
	return "something else"
}

// readBounded reads a file; one byte more than limit is enough to tell that it is too large.
func readBounded(file string, limit int64) ([]byte, error) {
	f, err := openFile(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// readDir lists a directory in lexical order. Every thousand names it calls goOn, whose error ends it.
func readDir(name string, goOn func(more int) error) ([]fs.DirEntry, error) {
	d, err := os.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }() // only read
	var all []fs.DirEntry
	for {
		some, err := d.ReadDir(1000)
		all = append(all, some...)
		if errors.Is(err, io.EOF) {
			slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
			return all, nil
		}
		if err == nil {
			err = goOn(len(some))
		}
		if err != nil {
			return nil, err
		}
	}
}

// standardInput returns the reader of a command; an interrupted command does not wait for it. A user at a terminal is
// told what the command waits for.
func standardInput(c *cobra.Command, what string) io.Reader {
	if f, ok := c.InOrStdin().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		t := newTerminal(c.ErrOrStderr())
		t.printf("%s type %s; Ctrl-D on an empty line ends it\n", t.dim("hint:"), what)
	}
	return &awaited{ctx: c.Context(), r: c.InOrStdin()}
}

// awaited reads from r until ctx ends. A read of r that is still blocked then is abandoned. Not safe for concurrent
// use.
type awaited struct {
	ctx  context.Context
	r    io.Reader
	got  chan chunk // nil: no read is under way
	rest chunk
}

type chunk struct {
	b   []byte
	err error
}

func (a *awaited) Read(p []byte) (int, error) {
	if a.got == nil {
		a.got = make(chan chunk)
		go func() {
			for {
				b := make([]byte, 32<<10)
				n, err := a.r.Read(b)
				select {
				case a.got <- chunk{b[:n], err}:
				case <-a.ctx.Done():
					return
				}
				if err != nil {
					return
				}
			}
		}()
	}
	if len(a.rest.b) == 0 && a.rest.err == nil {
		select {
		case a.rest = <-a.got:
		case <-a.ctx.Done():
			return 0, a.ctx.Err()
		}
	}
	n := copy(p, a.rest.b)
	a.rest.b = a.rest.b[n:]
	if len(a.rest.b) > 0 {
		return n, nil
	}
	err := a.rest.err
	return n, err
}
