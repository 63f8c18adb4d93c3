package main

import (
	"bufio"
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// openPTY returns a terminal: what is written to screen can be read from person, the user's end. Line ends stay as
// written.
func openPTY(t *testing.T) (person *bufio.Reader, screen *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this machine has no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	screen, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	state, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	state.Oflag &^= unix.OPOST
	state.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(int(screen.Fd()), unix.TCSETS, state); err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(master), screen
}

const pageEnd = "that is all"

// onTerminal returns what a person sees of what write prints.
func onTerminal(t *testing.T, write func(screen *os.File)) string {
	t.Helper()
	person, screen := openPTY(t)
	seen := make(chan string)
	go func() {
		var b strings.Builder
		for {
			line, err := person.ReadString('\n')
			if err != nil || line == pageEnd+"\n" {
				seen <- b.String()
				return
			}
			b.WriteString(line)
		}
	}()
	write(screen)
	if _, err := screen.WriteString(pageEnd + "\n"); err != nil {
		t.Fatal(err)
	}
	return <-seen
}

// A user at a terminal is told what a command waits for.
func TestATerminalIsToldWhatIsWaitedFor(t *testing.T) {
	t.Setenv("TERM", "dumb")
	person, screen := openPTY(t)
	ctx, cancel := context.WithCancel(t.Context())
	root := newRoot()
	root.SetIn(screen)
	root.SetErr(screen)
	root.SetOut(screen)
	root.SetArgs([]string{"put", "orders"})
	ended := make(chan error)
	go func() { ended <- root.ExecuteContext(ctx) }()
	if line, err := person.ReadString('\n'); line != "hint: type the record; Ctrl-D on an empty line ends it\n" {
		t.Errorf("it says %q, %v", line, err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
