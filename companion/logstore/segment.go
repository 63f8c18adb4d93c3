package logstore

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// magic begins every segment; its last byte is the version of the format.
const (
	magic      = "SMLOGS\x00\x01"
	headerSize = int64(len(magic))
)

// segment is a run of frames, in a file or in memory. Store.mu guards it, except for reads through a view.
type segment struct {
	number uint64
	file   *os.File // nil: memory
	memory []byte
	size   int64
	first  time.Time // of the first event; zero: empty
	users  int       // readers under way
	gone   bool      // removed; the file closes with the last reader
}

func createSegment(path string, number uint64) (*segment, error) {
	s := &segment{number: number, size: headerSize}
	if path == "" {
		s.memory = []byte(magic)
		return s, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	if _, err := f.WriteString(magic); err != nil {
		_ = f.Close()
		_ = os.Remove(path)
		return nil, err
	}
	s.file = f
	return s, nil
}

// openSegment opens a file. The last one is read to its end and its torn tail cut, since it is written on.
func openSegment(path string, number uint64, last bool) (*segment, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	s := &segment{number: number, file: f}
	if err := s.check(last); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func (s *segment) check(whole bool) error {
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	s.size = info.Size()
	head := make([]byte, headerSize)
	if n, err := s.file.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	} else if int64(n) < headerSize && whole { // it died while it began
		if err := s.file.Truncate(0); err != nil {
			return err
		}
		_, err := s.file.WriteAt([]byte(magic), 0)
		s.size = headerSize
		return err
	}
	if string(head) != magic {
		return errors.New("is no log segment of this version; move it away to go on without it")
	}
	good := headerSize
	r := newReader(s.view(), headerSize)
	for {
		events, err := r.next()
		if err != nil {
			break
		}
		if s.first.IsZero() && len(events) > 0 {
			s.first = events[0].At
		}
		good = r.at
		if !whole {
			return nil
		}
	}
	if whole && good < s.size {
		s.size = good
		return s.file.Truncate(good)
	}
	return nil
}

// append adds a frame. A write that fails half-way is taken back.
func (s *segment) append(frame []byte, at time.Time) error {
	if s.file == nil {
		s.memory = append(s.memory, frame...)
	} else if _, err := s.file.WriteAt(frame, s.size); err != nil {
		_ = s.file.Truncate(s.size)
		return err
	}
	if s.first.IsZero() {
		s.first = at
	}
	s.size += int64(len(frame))
	return nil
}

// begin is the time of the first event; an empty segment is as young as can be.
func (s *segment) begin() time.Time {
	if s.first.IsZero() {
		return time.Unix(1<<40, 0)
	}
	return s.first
}

func (s *segment) sync() error {
	if s.file == nil {
		return nil
	}
	return s.file.Sync()
}

func (s *segment) close() error {
	if s.file == nil || s.gone {
		return nil
	}
	s.gone = true
	err := s.file.Sync()
	if s.users == 0 {
		if e := s.file.Close(); err == nil {
			err = e
		}
	}
	return err
}

// remove deletes the segment; readers under way finish on what they have open.
func (s *segment) remove() {
	s.gone = true
	if s.file == nil {
		s.memory = nil
		return
	}
	_ = os.Remove(s.file.Name())
	if s.users == 0 {
		_ = s.file.Close()
	}
}

// view is the content at this moment. What is in it does not change any more.
func (s *segment) view() io.ReaderAt {
	if s.file != nil {
		return io.NewSectionReader(s.file, 0, s.size)
	}
	return bytesAt(s.memory)
}

// bytesAt reads from a slice that only grows elsewhere.
type bytesAt []byte

func (b bytesAt) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// reader decodes frames one after the other.
type reader struct {
	in    *bufio.Reader
	at    int64 // where the next frame begins
	frame []byte
}

func newReader(r io.ReaderAt, at int64) *reader {
	return &reader{in: bufio.NewReaderSize(io.NewSectionReader(r, at, 1<<62), 64<<10), at: at}
}

// next answers io.EOF at the end, errTorn where the rest cannot be read.
func (r *reader) next() ([]Event, error) {
	head, err := r.in.Peek(frameHead)
	if len(head) == 0 && errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	size, ok := frameSize(head)
	if !ok {
		return nil, errTorn
	}
	if cap(r.frame) < size {
		r.frame = make([]byte, size)
	}
	if _, err := io.ReadFull(r.in, r.frame[:size]); err != nil {
		return nil, errTorn
	}
	events, err := decodeFrame(r.frame[:size])
	if err != nil {
		return nil, err
	}
	r.at += int64(size)
	return events, nil
}
