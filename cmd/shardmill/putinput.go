package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// maxPut is the largest record that a stream accepts.
const maxPut = 10 << 20

// inputs are what put reads: files and standard input, one after the other, each a record or a record a line.
type inputs struct {
	names []string // files; "-" is standard input
	lines bool
	stdin func() io.Reader

	name string
	file io.Closer // nil: the next one is not open
	r    *bufio.Reader
	n    int    // of the lines or the file read last
	last string // what was read last, by a name that people know
	all  int    // records so far
}

// newInputs returns the inputs that flags name, without any of them standard input. A file that cannot be read is
// refused before anything is put.
func newInputs(c *cobra.Command, files []string, lines bool) (*inputs, error) {
	what := "the record"
	if lines {
		what = "a record a line"
	}
	in := &inputs{names: files, lines: lines, stdin: func() io.Reader { return standardInput(c, what) }}
	if len(files) == 0 {
		in.names = []string{"-"}
	}
	for _, name := range in.names {
		if name == "-" {
			continue
		}
		f, err := openFile(name)
		if err != nil {
			return nil, &failure{code: exitUsage, text: "--file: " + err.Error()}
		}
		_ = f.Close() // nothing was read
	}
	return in, nil
}

// next returns the data of the next record, and what it is for an error. more: another one can be had without waiting.
// The error is io.EOF after the last one.
func (in *inputs) next() (data []byte, what string, more bool, err error) {
	for {
		if in.r == nil {
			if err := in.open(); err != nil {
				return nil, "", false, err
			}
		}
		if in.lines {
			data, err = in.line()
		} else {
			data, err = in.whole()
		}
		if errors.Is(err, io.EOF) {
			in.close()
			continue
		}
		if err == nil {
			in.all++
		}
		return data, in.what(), in.ready(), err
	}
}

// what names the record that was read last, for the beginning of a sentence.
func (in *inputs) what() string {
	switch {
	case !in.lines:
		return in.last
	case in.name == "-":
		return fmt.Sprintf("line %d", in.n)
	}
	return fmt.Sprintf("line %d of %s", in.n, in.name)
}

// open opens the next input; io.EOF: there is none.
func (in *inputs) open() error {
	if len(in.names) == 0 {
		return io.EOF
	}
	in.name, in.names, in.n = in.names[0], in.names[1:], 0
	in.last = in.name
	if in.name == "-" {
		in.last = "standard input"
	}
	var r io.Reader
	if in.name == "-" {
		r, in.file = in.stdin(), io.NopCloser(nil)
	} else {
		f, err := openFile(in.name)
		if err != nil {
			return err
		}
		r, in.file = f, f
	}
	in.r = bufio.NewReaderSize(r, 64<<10)
	return nil
}

func (in *inputs) close() {
	if in.file != nil {
		_ = in.file.Close() // only read
	}
	in.r, in.file = nil, nil
}

// line reads a line, without its end.
func (in *inputs) line() ([]byte, error) {
	var line []byte
	for {
		part, err := in.r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil, errors.Is(err, io.EOF) && len(line) > 0:
			in.n++
			line, _ = bytes.CutSuffix(line, []byte("\n"))
			line, _ = bytes.CutSuffix(line, []byte("\r"))
			return line, in.tooLong(line)
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > maxPut+2:
			in.n++
			return nil, in.tooLong(line)
		}
	}
}

func (in *inputs) tooLong(line []byte) error {
	if len(line) <= maxPut {
		return nil
	}
	return &failure{
		text: fmt.Sprintf("%s is longer than 10 MiB, the largest record there can be; %s", in.what(), before(in.all)),
	}
}

// before says what became of the records before one that cannot be put.
func before(n int) string {
	switch n {
	case 0:
		return "nothing has been put"
	case 1:
		return "the one before it is put"
	}
	return fmt.Sprintf("the %d before it are put", n)
}

// whole reads an input as one record; io.EOF: it has been read.
func (in *inputs) whole() ([]byte, error) {
	if in.n > 0 {
		return nil, io.EOF
	}
	in.n = 1
	data, err := io.ReadAll(io.LimitReader(in.r, maxPut+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", in.what(), err)
	case len(data) == 0 && in.name == "-":
		return nil, errNoInput
	case len(data) == 0:
		return nil, &failure{text: fmt.Sprintf("%s is empty; %s", in.name, before(in.all))}
	case len(data) > maxPut:
		return nil, &failure{
			text: in.what() + " holds more than 10 MiB, the largest record there can be",
			hint: "with --lines each line is a record of its own",
		}
	}
	return data, nil
}

// errNoInput is that there is nothing on standard input, which put explains.
var errNoInput = errors.New("standard input is empty")

// ready reports whether a whole record lies in memory, or in a file that can be read without waiting.
func (in *inputs) ready() bool {
	if in.r == nil || !in.lines {
		return len(in.names) > 0 && in.names[0] != "-"
	}
	if in.name != "-" {
		return true
	}
	b, _ := in.r.Peek(in.r.Buffered()) // what is buffered is there
	return bytes.IndexByte(b, '\n') >= 0
}
