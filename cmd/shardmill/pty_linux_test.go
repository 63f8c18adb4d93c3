package main

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// openPTY is a terminal: what is written to screen can be read from the other end, where people sit. Line ends come as they were written.
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

// onTerminal is what a person sees of what write prints.
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
