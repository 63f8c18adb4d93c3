package logstore

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// magic begins every segment; its last byte is the version of the format. Version 1 is read but not appended to.
const (
	magic      = "SMLOGS\x00\x02"
	version    = 2
	headerSize = int64(len(magic))
)

// segment is a run of frames, in a file or in memory. Store.mu guards it, except for reads through a view.
type segment struct {
	number  uint64
	version byte
	file    *os.File // nil: memory
	memory  []byte
	size    int64
	state   segmentState
	settled bool // state is stored
	users   int  // readers under way
	gone    bool // removed; the file closes with the last reader
}

func createSegment(path string, number uint64) (*segment, error) {
	s := &segment{number: number, version: version, size: headerSize, state: newSegmentState()}
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

func newSegmentState() segmentState {
	return segmentState{Version: catalogueVersion, Bytes: map[string]int64{}}
}

// openSegment opens a file. If known is set, its contents are known and it is not read; else it is read to its end, and
// note gets every frame with the times of its first and last event. A torn tail of the last segment is cut, because
// more will be appended.
func openSegment(
	path string, number uint64, last bool, known *segmentState, note func(frame, time.Time, time.Time),
) (*segment, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	s := &segment{number: number, file: f, state: newSegmentState()}
	if known != nil {
		s.state, s.settled = *known, true
	}
	if err := s.check(last, note); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func (s *segment) check(last bool, note func(frame, time.Time, time.Time)) error {
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	s.size = info.Size()
	head := make([]byte, headerSize)
	if n, err := s.file.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	} else if int64(n) < headerSize && last { // the process died while starting the segment
		if err := s.file.Truncate(0); err != nil {
			return err
		}
		_, err := s.file.WriteAt([]byte(magic), 0)
		s.size, s.version = headerSize, version
		return err
	}
	s.version = head[headerSize-1]
	if string(head[:headerSize-1]) != magic[:headerSize-1] || s.version < 1 || s.version > version {
		return errors.New("is no log segment of this version; move it away to go on without it")
	}
	if s.settled {
		return nil
	}
	good := headerSize
	r := s.reader(headerSize)
	for {
		f, err := r.next()
		if err != nil {
			break
		}
		events, err := f.events()
		if err != nil {
			break
		}
		good = r.at
		if len(events) > 0 {
			first, last := span(events)
			s.state.count(f, first, last)
			note(f, first, last)
		}
	}
	if last && good < s.size {
		s.size = good
		return s.file.Truncate(good)
	}
	return nil
}

// span returns the time of the earliest and the latest event.
func span(events []Event) (first, last time.Time) {
	first, last = events[0].At, events[0].At
	for _, e := range events[1:] {
		if e.At.Before(first) {
			first = e.At
		}
		if e.At.After(last) {
			last = e.At
		}
	}
	return first, last
}

// count adds a frame to the state of its segment.
func (st *segmentState) count(f frame, first, last time.Time) {
	if len(st.Bytes) == 0 {
		st.Min, st.Max = first.UnixMilli(), last.UnixMilli()
	}
	st.Min, st.Max = min(st.Min, first.UnixMilli()), max(st.Max, last.UnixMilli())
	st.Bytes[f.group.text()] += f.size
}

// append adds a frame. A write that fails half-way is undone.
func (s *segment) append(frame []byte) error {
	if s.file == nil {
		s.memory = append(s.memory, frame...)
	} else if _, err := s.file.WriteAt(frame, s.size); err != nil {
		_ = s.file.Truncate(s.size)
		return err
	}
	s.size += int64(len(frame))
	return nil
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

// remove deletes the segment; current readers finish with what they have open.
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

// view returns the content at this moment, which will not change.
func (s *segment) view() io.ReaderAt {
	if s.file != nil {
		return io.NewSectionReader(s.file, 0, s.size)
	}
	return bytesAt(s.memory)
}

// bytesAt reads from a slice whose owner only appends.
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
	in      *bufio.Reader
	segment uint64
	version byte
	at      int64 // where the next frame begins
	frame   []byte
}

// reader returns a reader of what the segment holds at this moment, from at on.
func (s *segment) reader(at int64) *reader { return newReader(s.view(), s.number, s.version, at) }

func newReader(r io.ReaderAt, segment uint64, version byte, at int64) *reader {
	return &reader{
		in: bufio.NewReaderSize(io.NewSectionReader(r, at, 1<<62-at), 64<<10), segment: segment, version: version,
		at: at,
	}
}

// next returns io.EOF at the end, errTorn where the rest cannot be read.
func (r *reader) next() (frame, error) {
	head, err := r.in.Peek(frameHead)
	if len(head) == 0 && errors.Is(err, io.EOF) {
		return frame{}, io.EOF
	}
	size, ok := frameSize(head)
	if !ok {
		return frame{}, errTorn
	}
	if cap(r.frame) < size {
		r.frame = make([]byte, size)
	}
	if _, err := io.ReadFull(r.in, r.frame[:size]); err != nil {
		return frame{}, errTorn
	}
	f, err := decodeFrame(r.frame[:size], r.version)
	if err != nil {
		return frame{}, err
	}
	f.at = mark{r.segment, r.at}
	r.at += int64(size)
	return f, nil
}
