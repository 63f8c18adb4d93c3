package doctest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Shell is one bash that carries out the steps of a page, as in a reader's terminal: what a step leaves (variables,
// directories, servers in the background) is there for the next one. Its commands see exactly the given environment; it
// never reads the terminal.
type Shell struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	dir    string // where commands are written for bash to read
	n      int
	mark   string // ends the output of a step
	ended  chan struct{}
	mu     sync.Mutex
	out    bytes.Buffer
	notify chan struct{}
}

// Start runs a bash in dir; commands are written to scratch. change, if not nil, may adjust its process, for example to
// give it a namespace without a network.
func Start(dir, scratch string, env []string, change func(*exec.Cmd)) (*Shell, error) {
	s := &Shell{
		cmd: exec.Command("bash", "--noprofile", "--norc"), dir: scratch, mark: "\x1e" + rand.Text(),
		ended: make(chan struct{}), notify: make(chan struct{}, 1),
	}
	s.cmd.Dir, s.cmd.Env = dir, env
	s.cmd.Stdout, s.cmd.Stderr = s, s
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.cmd.WaitDelay = time.Second
	if change != nil {
		change(s.cmd)
	}
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err = s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.ended)
		_ = s.cmd.Wait() // how it ended does not matter
	}()
	return s, nil
}

// Write receives what the commands print.
func (s *Shell) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.Write(b)
	select {
	case s.notify <- struct{}{}:
	default:
	}
	return len(b), nil
}

// Close kills the shell and everything it has started.
func (s *Shell) Close() {
	_ = s.in.Close()
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) // it may have ended
	<-s.ended
}

// Run carries out a step and returns everything it printed, with a last line "[exit status N]" unless it succeeded. It
// fails if ctx ends before the step, or if the step ends the shell.
func (s *Shell) Run(ctx context.Context, step Step) (string, error) {
	s.n++
	file := filepath.Join(s.dir, fmt.Sprintf("step%03d.sh", s.n))
	if err := os.WriteFile(file, []byte(step.Command), 0o600); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(s.in, ". %s </dev/null\nprintf '%s %%d\\n' $?\n", file, s.mark); err != nil {
		return "", err
	}
	end := regexp.MustCompile(s.mark + ` (\d+)\n`)
	for {
		s.mu.Lock()
		loc := end.FindSubmatchIndex(s.out.Bytes())
		if loc != nil {
			status, _ := strconv.Atoi(string(s.out.Bytes()[loc[2]:loc[3]])) // digits, by the expression
			text := string(s.out.Bytes()[:loc[0]])
			s.out.Next(loc[1])
			s.mu.Unlock()
			if status != 0 {
				if text != "" && text[len(text)-1] != '\n' {
					text += "\n"
				}
				text += fmt.Sprintf("[exit status %d]\n", status)
			}
			return text, nil
		}
		soFar := s.out.String()
		s.mu.Unlock()
		select {
		case <-s.notify:
		case <-s.ended:
			return soFar, errors.New("the command has ended the shell")
		case <-ctx.Done():
			return soFar, fmt.Errorf("the command has not ended: %w", context.Cause(ctx))
		}
	}
}
