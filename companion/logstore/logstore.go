// Package logstore keeps what functions log, bounded in size and age, and reads it back by group and stream.
//
// Events of all streams go, in the order of writing, into one sequence of segments: files, or memory when there is no directory. The oldest segments go
// when the whole grows beyond its cap or too old. Lines are not synced one by one: a power loss may take the last seconds, a crash of the process takes
// nothing; a torn tail is cut when the store is opened. docs/format/logs.md describes every byte.
// Store satisfies function's LogSink without importing it.
package logstore

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/shardmill/shardmill/internal/clock"
)

// LogEvent is one event on its way in.
type LogEvent = struct {
	At      time.Time
	Message string
}

// Event is one event on its way out.
type Event struct {
	Group, Stream string
	At            time.Time // to the microsecond
	Message       string
}

// Options configure a Store. The zero value keeps the last 16 MiB in memory.
type Options struct {
	Dir          string        // where segments lie; "" keeps them in memory
	MaxBytes     int64         // of all segments; 0: 256 MiB on disk, 16 MiB in memory
	SegmentBytes int64         // of one segment; 0: an eighth of MaxBytes
	MaxAge       time.Duration // by the steered clock; 0: 7 days
	Clock        *clock.Clock  // nil: real time
	Log          *slog.Logger  // nil: discarded
}

// Validate names the first field whose value makes no sense.
func (o *Options) Validate() error {
	switch {
	case o.MaxBytes < 0:
		return fmt.Errorf("logstore.Options.MaxBytes is %d; it must not be negative", o.MaxBytes)
	case o.SegmentBytes < 0:
		return fmt.Errorf("logstore.Options.SegmentBytes is %d; it must not be negative", o.SegmentBytes)
	case o.MaxAge < 0:
		return fmt.Errorf("logstore.Options.MaxAge is %v; it must not be negative", o.MaxAge)
	}
	return nil
}

// ErrClosed answers calls after Close.
var ErrClosed = errors.New("logstore: closed")

// Store holds logs. Safe for concurrent use.
type Store struct {
	opt Options

	mu       sync.Mutex
	segments []*segment // oldest first; the last one is written to
	bytes    int64
	buffer   []byte
	changed  chan struct{}
	closed   bool
	failing  bool // the last write failed and that was told
}

// Open opens or creates a store. It reads the beginning of each segment and all of the last one.
func Open(opt Options) (*Store, error) {
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	if opt.MaxBytes == 0 {
		opt.MaxBytes = 256 << 20
		if opt.Dir == "" {
			opt.MaxBytes = 16 << 20
		}
	}
	if opt.SegmentBytes == 0 {
		opt.SegmentBytes = max(opt.MaxBytes/8, 4<<10)
	}
	if opt.MaxAge == 0 {
		opt.MaxAge = 7 * 24 * time.Hour
	}
	if opt.Clock == nil {
		opt.Clock = clock.New(0)
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{opt: opt, changed: make(chan struct{})}
	if opt.Dir == "" {
		return s, nil
	}
	if err := os.MkdirAll(opt.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make directory for logs: %w", err)
	}
	return s, s.load()
}

const suffix = ".log"

// load opens the segments of a directory.
func (s *Store) load() error {
	entries, err := os.ReadDir(s.opt.Dir)
	if err != nil {
		return fmt.Errorf("list logs: %w", err)
	}
	var numbers []uint64
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if n, err := strconv.ParseUint(name, 10, 64); ok && err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for i, n := range numbers {
		seg, err := openSegment(s.path(n), n, i == len(numbers)-1)
		if err != nil {
			_ = s.Close() // the error that matters is the one before
			return fmt.Errorf("open log segment: %w", err)
		}
		s.segments = append(s.segments, seg)
		s.bytes += seg.size
	}
	return nil
}

func (s *Store) path(number uint64) string {
	return filepath.Join(s.opt.Dir, fmt.Sprintf("%012d%s", number, suffix))
}

// Append adds events to a stream, in order. Group and stream come into being with their first event. Events are not kept by the store's caller's slice.
func (s *Store) Append(group, stream string, events []LogEvent) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	for len(events) > 0 {
		var n int
		s.buffer, n = appendFrame(s.buffer[:0], group, stream, events)
		if err := s.write(s.buffer, events[0].At); err != nil {
			return err
		}
		events = events[n:]
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

// Write is Append for a sink that cannot fail: trouble is told once to the operator's log until a write works again.
func (s *Store) Write(group, stream string, events []LogEvent) {
	err := s.Append(group, stream, events)
	s.mu.Lock()
	first := err != nil && !s.failing
	s.failing = err != nil
	s.mu.Unlock()
	if first && !errors.Is(err, ErrClosed) {
		s.opt.Log.Error("write function log", "group", group, "error", err)
	}
}

// write puts one frame into the last segment, or a new one. s.mu is held.
func (s *Store) write(frame []byte, at time.Time) error {
	last := s.last()
	if last == nil || last.size > headerSize && last.size+int64(len(frame)) > s.opt.SegmentBytes {
		next, err := s.begin(last)
		if err != nil {
			return err
		}
		last = next
	}
	if err := last.append(frame, at); err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	s.bytes += int64(len(frame))
	s.trim()
	return nil
}

func (s *Store) last() *segment {
	if len(s.segments) == 0 {
		return nil
	}
	return s.segments[len(s.segments)-1]
}

// begin starts the segment after last.
func (s *Store) begin(last *segment) (*segment, error) {
	number := uint64(1)
	if last != nil {
		number = last.number + 1
		if err := last.sync(); err != nil {
			return nil, fmt.Errorf("sync log: %w", err)
		}
	}
	path := ""
	if s.opt.Dir != "" {
		path = s.path(number)
	}
	seg, err := createSegment(path, number)
	if err != nil {
		return nil, fmt.Errorf("begin log segment: %w", err)
	}
	s.segments = append(s.segments, seg)
	s.bytes += seg.size
	return seg, nil
}

// trim drops the oldest segments beyond the caps; never the last one. s.mu is held.
func (s *Store) trim() {
	oldest := s.opt.Clock.Now().Add(-s.opt.MaxAge)
	for len(s.segments) > 1 && (s.bytes > s.opt.MaxBytes || s.segments[1].begin().Before(oldest)) {
		s.bytes -= s.segments[0].size
		s.segments[0].remove()
		s.segments = s.segments[1:]
	}
}

// Close syncs and closes. Twice is harmless.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	close(s.changed)
	var err error
	for _, seg := range s.segments {
		if e := seg.close(); err == nil {
			err = e
		}
	}
	return err
}
