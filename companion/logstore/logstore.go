// Package logstore keeps log events, bounded in size and age, and reads them back by group, stream and time, as
// CloudWatch Logs does.
//
// In come what functions print and the events of PutLogEvents; out go pages of events and the catalogue of groups and
// streams. Events of all streams go, in the order of writing, into one sequence of segments: files, or memory if there
// is no directory. The oldest segments are dropped when the total exceeds its cap or they are too old. Lines are not
// synced one by one: a power loss may take the last seconds, a crash of the process takes nothing; a torn tail is cut
// when the store is opened. Calls that make, change or delete groups and streams are durable when they return, given a
// Coord. docs/format/logs.md describes every byte; what operations do is described in the CloudWatch Logs API
// Reference.
package logstore

import (
	"context"
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

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage"
)

// LogEvent is one event on its way in.
type LogEvent = struct {
	At      time.Time
	Message string
}

// Event is one event on its way out.
type Event struct {
	Group    Group
	Stream   string
	At       time.Time // to the microsecond
	Ingested time.Time
	Message  string
	Place    Place
}

// Options configure a Store. The zero value keeps the last 16 MiB in memory.
type Options struct {
	Dir          string        // where segments lie; "" keeps them in memory
	Coord        storage.Coord // keys under "logs/"; nil: the catalogue is read from segments only
	MaxBytes     int64         // of all segments; 0: 1 GiB on disk, 16 MiB in memory
	SegmentBytes int64         // of one segment; 0: an eighth of MaxBytes, 16 MiB at the most
	MaxAge       time.Duration // of groups without a retention policy, by the steered clock; 0: 7 days
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

// ErrClosed is returned by calls after Close.
var ErrClosed = errors.New("logstore: closed")

// Store holds logs. Safe for concurrent use.
type Store struct {
	opt Options

	mu       sync.Mutex
	groups   map[Group]*groupState
	segments []*segment // oldest first; the last one is written to
	base     uint64     // number of the first segment when there is none
	trimmed  []uint64   // removed segments whose state is still stored
	bytes    int64
	buffer   []byte
	changed  chan struct{}
	closed   bool
	failing  bool // the last write failed, and that was logged
}

// Open opens or creates a store. It reads the catalogue, and those segments that the catalogue does not cover: usually
// only the last.
func Open(opt Options) (*Store, error) {
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	if opt.MaxBytes == 0 {
		opt.MaxBytes = 1 << 30
		if opt.Dir == "" {
			opt.MaxBytes = 16 << 20
		}
	}
	if opt.SegmentBytes == 0 {
		opt.SegmentBytes = min(max(opt.MaxBytes/8, 4<<10), 16<<20)
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
	if opt.Coord != nil {
		opt.Coord = storage.Sure(opt.Coord)
	}
	s := &Store{opt: opt, changed: make(chan struct{})}
	known, err := s.loadCatalogue(context.Background())
	if err != nil {
		return nil, err
	}
	if opt.Dir == "" {
		return s, nil
	}
	if err := os.MkdirAll(opt.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make directory for logs: %w", err)
	}
	return s, s.load(known)
}

const suffix = ".log"

// load opens the segments of a directory.
func (s *Store) load(known map[string]segmentState) error {
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
		var state *segmentState
		if st, ok := known[segmentKey(n)]; ok && i < len(numbers)-1 {
			state = &st
		}
		seg, err := openSegment(s.path(n), n, i == len(numbers)-1, state, s.note)
		if err != nil {
			_ = s.Close() // the earlier error is the one that matters
			return fmt.Errorf("open log segment: %w", err)
		}
		s.segments = append(s.segments, seg)
		s.bytes += seg.size
		delete(known, segmentKey(n))
	}
	for key := range known {
		if n, err := strconv.ParseUint(strings.TrimPrefix(key, segmentPrefix), 10, 64); err == nil {
			s.trimmed = append(s.trimmed, n)
		}
	}
	return nil
}

func (s *Store) path(number uint64) string {
	return filepath.Join(s.opt.Dir, fmt.Sprintf("%012d%s", number, suffix))
}

// Append adds events to a stream, in order. The first event makes the group and the stream. The slice is not kept.
func (s *Store) Append(group Group, stream string, events []LogEvent) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.append(group, stream, events)
}

func (s *Store) append(group Group, stream string, events []LogEvent) error {
	if s.closed {
		return ErrClosed
	}
	now := s.opt.Clock.Now()
	for len(events) > 0 {
		var n int
		s.buffer, n = appendFrame(s.buffer[:0], group, stream, now, events)
		at, err := s.write(s.buffer)
		if err != nil {
			return err
		}
		first, last := events[0].At, events[0].At
		for _, e := range events[1:n] {
			if e.At.Before(first) {
				first = e.At
			}
			if e.At.After(last) {
				last = e.At
			}
		}
		f := frame{
			group: group, stream: fault.Cut(stream, maxNameLength), ingested: now, at: at, size: int64(len(s.buffer)),
		}
		s.last().state.count(f, first, last)
		s.note(f, first, last)
		s.trim()
		events = events[n:]
	}
	s.wake()
	return nil
}

// wake wakes readers that wait for a change. s.mu is held.
func (s *Store) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Write is Append for callers that cannot handle errors: a failure is logged once, and again only after a write has
// succeeded.
func (s *Store) Write(group Group, stream string, events []LogEvent) {
	err := s.Append(group, stream, events)
	s.mu.Lock()
	first := err != nil && !s.failing
	s.failing = err != nil
	s.mu.Unlock()
	if first && !errors.Is(err, ErrClosed) {
		s.opt.Log.Error("write log events", "group", group.ARN(), "error", err)
	}
}

// write puts one frame into the last segment, or a new one, and returns where it begins. s.mu is held.
func (s *Store) write(frame []byte) (mark, error) {
	last := s.last()
	if last == nil || last.version != version || last.size > headerSize &&
		last.size+int64(len(frame)) > s.opt.SegmentBytes {
		next, err := s.begin(last)
		if err != nil {
			return mark{}, err
		}
		last = next
		s.settle()
	}
	at := mark{last.number, last.size}
	if err := last.append(frame); err != nil {
		return mark{}, fmt.Errorf("write log: %w", err)
	}
	s.bytes += int64(len(frame))
	return at, nil
}

func (s *Store) last() *segment {
	if len(s.segments) == 0 {
		return nil
	}
	return s.segments[len(s.segments)-1]
}

// begin starts the segment after last.
func (s *Store) begin(last *segment) (*segment, error) {
	number := s.base
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

// trim drops the oldest segments beyond the caps, but never the last one. A segment is too old when its latest event is
// older than the longest retention. s.mu is held.
func (s *Store) trim() {
	oldest := s.opt.Clock.Now().Add(-s.longest()).UnixMilli()
	for len(s.segments) > 1 && (s.bytes > s.opt.MaxBytes || s.segments[0].state.Max < oldest) {
		s.bytes -= s.segments[0].size
		s.segments[0].remove()
		if s.segments[0].settled {
			s.trimmed = append(s.trimmed, s.segments[0].number)
		}
		s.segments = s.segments[1:]
	}
}

// longest returns the longest retention of any group.
func (s *Store) longest() time.Duration {
	longest := time.Duration(0)
	for _, g := range s.groups {
		if !g.Gone {
			longest = max(longest, s.retention(g))
		}
	}
	if longest == 0 {
		return s.opt.MaxAge
	}
	return longest
}

func (s *Store) retention(g *groupState) time.Duration {
	if g.Retention == 0 {
		return s.opt.MaxAge
	}
	return time.Duration(g.Retention) * 24 * time.Hour
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
