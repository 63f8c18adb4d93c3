package logstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/clock"
)

var noon = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, opt Options) *Store {
	t.Helper()
	s, err := Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func named(group string) Group { return Group{"111122223333", "eu-west-1", group} }

// both runs a test on disk and in memory.
func both(t *testing.T, test func(t *testing.T, opt Options)) {
	t.Run("disk", func(t *testing.T) { t.Parallel(); test(t, Options{Dir: t.TempDir()}) })
	t.Run("memory", func(t *testing.T) { t.Parallel(); test(t, Options{}) })
}

func lines(messages ...string) []LogEvent {
	events := make([]LogEvent, len(messages))
	for i, m := range messages {
		events[i] = LogEvent{noon.Add(time.Duration(i) * time.Millisecond), m}
	}
	return events
}

func read(t *testing.T, s *Store, q Query) (messages []string) {
	t.Helper()
	if err := s.Read(
		t.Context(), q, func(e Event) bool { messages = append(messages, e.Message); return true },
	); err != nil {
		t.Fatal(err)
	}
	return messages
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !reflect.DeepEqual(got, want) && (len(got) > 0 || len(want) > 0) {
		t.Fatalf("got %q\nwant %q", got, want)
	}
}

// F-57: events come back in order, with their line breaks; group, stream and time select.
func TestEventsComeBackInOrder(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, opt Options) {
		opt.MaxAge = 100 * 365 * 24 * time.Hour
		s := open(t, opt)
		for i, e := range []struct{ group, stream, message string }{
			{"a", "2026/one", "first"}, {"b", "x", "other"}, {"a", "2026/two", "sec\nond\u00a0"}, {"a", "2027/one", ""},
		} {
			if err := s.Append(named(e.group), e.stream, []LogEvent{
				{noon.Add(time.Duration(i) * time.Hour), e.message},
			}); err != nil {
				t.Fatal(err)
			}
		}

		same(t, read(t, s, Query{Group: named("a")}), "first", "sec\nond\u00a0", "")
		same(
			t,
			read(t, s, Query{
				Group: named("a"), Stream: func(name string) bool { return strings.HasPrefix(name, "2026/") },
			}),
			"first", "sec\nond\u00a0",
		)
		same(t, read(t, s, Query{Group: named("a"), Since: noon.Add(time.Hour)}), "sec\nond\u00a0", "")
		same(t, read(t, s, Query{Group: named("c")}))
		same(t, read(t, s, Query{Group: Group{Account: "444455556666", Region: "eu-west-1", Name: "a"}}))
		same(t, read(t, s, Query{Group: Group{Name: "a"}}))
		groups := s.Groups("111122223333", "eu-west-1")
		if len(groups) != 2 || groups[0].Group != named("a") || groups[0].Bytes == 0 {
			t.Errorf("groups %v", groups)
		}
	})
}

// A follower sees later writes, across segments, and ends with its context.
func TestFollow(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, opt Options) {
		opt.SegmentBytes = 64
		s := open(t, opt)
		ctx, cancel := context.WithCancel(t.Context())
		seen := make(chan string, 100)
		ended := make(chan error, 1)
		go func() {
			ended <- s.Read(
				ctx, Query{Group: named("g"), Follow: true}, func(e Event) bool { seen <- e.Message; return true },
			)
		}()

		for i := range 20 {
			s.Write(named("g"), "s", []LogEvent{{noon, fmt.Sprint("line ", i)}})
			if got := <-seen; got != fmt.Sprint("line ", i) {
				t.Fatalf("got %q", got)
			}
		}

		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}

// Size and age are bounded: the oldest segments go.
func TestCaps(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, opt Options) {
		time0 := clock.New(time.Until(noon))
		opt.Clock, opt.MaxBytes, opt.SegmentBytes, opt.MaxAge = time0, 4000, 500, time.Hour
		s := open(t, opt)
		for i := range 200 {
			s.Write(named("g"), "s", []LogEvent{{time0.Now(), fmt.Sprintf("%04d %s", i, strings.Repeat("x", 50))}})
		}

		got := read(t, s, Query{Group: named("g")})
		if len(got) < 30 || len(got) > 60 || got[len(got)-1][:4] != "0199" || s.bytes > 4000 {
			t.Fatalf("%d events, %d bytes, last %q", len(got), s.bytes, got[len(got)-1])
		}
		time0.SetOffset(time0.Offset() + 2*time.Hour)
		for range 10 {
			s.Write(named("g"), "s", []LogEvent{{time0.Now(), strings.Repeat("y", 100)}})
		}
		for _, m := range read(t, s, Query{Group: named("g")}) {
			if m[0] != 'y' && len(s.segments) > 4 {
				t.Fatalf("an old event is still there in %d segments: %q", len(s.segments), m)
			}
		}
		if opt.Dir != "" {
			files, _ := os.ReadDir(opt.Dir)
			if len(files) != len(s.segments) {
				t.Errorf("%d files for %d segments", len(files), len(s.segments))
			}
		}
	})
}

// A torn tail is cut at opening, at whatever byte it tore, and writing goes on behind it.
func TestTornTailIsCut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, MaxAge: 1e18})
	s.Write(named("g"), "s", lines("one", "two"))
	whole := s.segments[0].size
	s.Write(named("g"), "s", lines("three"))
	s.Close()
	path := filepath.Join(dir, "000000000001.log")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range b {
		torn := filepath.Join(t.TempDir(), "logs")
		if err := os.MkdirAll(torn, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(torn, "000000000001.log"), b[:cut], 0o600); err != nil {
			t.Fatal(err)
		}

		s := open(t, Options{Dir: torn, MaxAge: 1e18})
		s.Write(named("g"), "s", lines("after"))

		want := []string{"after"}
		if int64(cut) >= whole {
			want = []string{"one", "two", "after"}
		}
		same(t, read(t, s, Query{Group: named("g")}), want...)
		s.Close()
	}
}

// A damaged segment in the middle costs only itself; a foreign file is named, not overwritten.
func TestDamageIsContained(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, SegmentBytes: 40, MaxAge: 1e18})
	for _, m := range []string{"one", "two", "three"} {
		s.Write(named("g"), "s", lines(m))
	}
	s.Close()
	path := filepath.Join(dir, "000000000002.log")
	b, _ := os.ReadFile(path)
	b[len(b)-1] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}

	s = open(t, Options{Dir: dir, MaxAge: 1e18})
	same(t, read(t, s, Query{Group: named("g")}), "one", "three")
	s.Close()

	if err := os.WriteFile(filepath.Join(dir, "000000000004.log"), []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir}); err == nil ||
		!strings.Contains(err.Error(), "000000000004.log: is no log segment") {
		t.Errorf("got %v", err)
	}
}

// Large batches are split into frames; long messages are cut between characters; after Close nothing is accepted, and
// Close twice is harmless.
func TestLimitsAndClose(t *testing.T) {
	t.Parallel()
	s := open(t, Options{MaxBytes: 64 << 20})
	many := make([]LogEvent, 40)
	for i := range many {
		many[i] = LogEvent{noon, strings.Repeat("x", 100_000)}
	}
	many = append(many, LogEvent{noon, strings.Repeat("y", maxMessage+1)}, LogEvent{
		noon, "y" + strings.Repeat("ä", maxMessage/2),
	})

	if err := s.Append(named("g"), "s", many); err != nil {
		t.Fatal(err)
	}

	got := read(t, s, Query{Group: named("g")})
	if len(got) != 42 || len(got[40]) != maxMessage || got[41] != "y"+strings.Repeat("ä", maxMessage/2-1) {
		t.Fatalf("%d events, the last two of %d and %d bytes", len(got), len(got[40]), len(got[41]))
	}
	s.Close()
	s.Close()
	if err := s.Append(named("g"), "s", many); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	if err := s.Read(t.Context(), Query{}, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// The decoder never panics, and what it accepts can be encoded and decoded again.
func FuzzDecodeFrame(f *testing.F) {
	encoded, _ := appendFrame(nil, named("group"), "stream", noon, lines("one", "", "two\n"))
	f.Add(encoded, byte(2))
	f.Add(encoded[frameHead:], byte(2))
	f.Add(encoded[frameHead:], byte(1))
	f.Add([]byte{}, byte(2))
	f.Fuzz(func(t *testing.T, b []byte, version byte) {
		_, _ = decodeFrame(b, version)
		fr, err := decodePayload(b, version)
		if err != nil {
			return
		}
		events, err := fr.events()
		if err != nil || len(events) == 0 || len(fr.group.text()) >= maxNameLength || len(fr.stream) > maxNameLength {
			return
		}
		var in []LogEvent
		for _, e := range events {
			in = append(in, LogEvent{e.At, e.Message})
		}
		again, n := appendFrame(nil, fr.group, fr.stream, fr.ingested, in)
		out, err := decodeFrame(again, 2)
		if err != nil || n != len(events) || out.group != fr.group || out.stream != fr.stream {
			t.Fatalf("%v: %v became %v", err, fr, out)
		}
		back, err := out.events()
		for i := range back {
			if back[i].Message != events[i].Message || !back[i].At.Equal(events[i].At) {
				t.Fatalf("%v: %q became %q", err, events[i], back[i])
			}
		}
	})
}
