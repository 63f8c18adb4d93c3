package logstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage/memory"
)

// atNoon returns a clock that shows noon, very nearly.
func atNoon() *clock.Clock { return clock.New(time.Until(noon)) }

// places runs a test on disk, in memory, and on disk with the store reopened between steps.
func places(t *testing.T, test func(t *testing.T, s *Store, again func() *Store, c *clock.Clock)) {
	for _, name := range []string{"memory", "disk", "opened again"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := atNoon()
			opt := Options{Clock: c, Coord: memory.New(memory.Options{}).Coord(), SegmentBytes: 300}
			if name != "memory" {
				opt.Dir = t.TempDir()
			}
			s := open(t, opt)
			again := func() *Store { return s }
			if name == "opened again" {
				again = func() *Store {
					s.Close()
					s = open(t, opt)
					return s
				}
			}
			test(t, s, again, c)
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, err error, code, text string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != code || f.Message != text {
		t.Errorf("got %v, want %s: %s", err, code, text)
	}
}

func messages(t *testing.T, s *Store, q Search) (out []string) {
	t.Helper()
	q.Group = named("g")
	if q.Limit == 0 {
		q.Limit = 1000
	}
	events, _, err := s.Find(t.Context(), q)
	must(t, err)
	for _, e := range events {
		out = append(out, e.Message)
	}
	return out
}

// Groups and streams are made once, survive a restart, and are deleted with all they hold. A name that is used again
// starts empty.
func TestGroupsAndStreamsComeAndGo(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, s *Store, again func() *Store, _ *clock.Clock) {
		refused(t, s.CreateStream(named("g"), "s"), CodeNotFound, "The specified log group does not exist.")
		must(t, s.CreateGroup(named("g"), map[string]string{"team": "a"}))
		refused(t, s.CreateGroup(named("g"), nil), CodeExists, "The specified log group already exists")
		must(t, s.CreateStream(named("g"), "s"))
		refused(t, s.CreateStream(named("g"), "s"), CodeExists, "The specified log stream already exists")
		must(t, s.Append(named("g"), "s", lines("one")))
		must(t, s.Append(named("g"), "implied", lines("two")))
		must(t, s.SetRetention(named("g"), 3))
		s = again()

		groups := s.Groups("111122223333", "eu-west-1")
		if len(groups) != 1 || groups[0].Retention != 3 || groups[0].Bytes == 0 ||
			s.Groups("111122223333", "us-east-1") != nil {
			t.Errorf("groups %+v", groups)
		}
		streams, err := s.Streams(named("g"), "")
		if err != nil || len(streams) != 2 || streams[0].Name != "implied" || !streams[0].Last.Equal(noon) ||
			streams[1].Ingested.IsZero() {
			t.Errorf("streams %+v, %v", streams, err)
		}
		if tags, err := s.Tags(named("g")); err != nil || tags["team"] != "a" {
			t.Errorf("tags %v, %v", tags, err)
		}

		must(t, s.DeleteStream(named("g"), "s"))
		refused(t, s.DeleteStream(named("g"), "s"), CodeNotFound, "The specified log stream does not exist.")
		s = again()
		same(t, messages(t, s, Search{}), "two")
		same(t, read(t, s, Query{Group: named("g")}), "two")
		must(t, s.CreateStream(named("g"), "s"))
		same(t, messages(t, s, Search{}), "two")
		must(t, s.Append(named("g"), "s", lines("three")))
		s = again()
		same(t, messages(t, s, Search{}), "two", "three")

		must(t, s.DeleteGroup(named("g")))
		refused(t, s.DeleteGroup(named("g")), CodeNotFound, "The specified log group does not exist.")
		s = again()
		_, _, err = s.Find(t.Context(), Search{Group: named("g")})
		refused(t, err, CodeNotFound, "The specified log group does not exist.")
		must(t, s.Append(named("g"), "fresh", lines("four")))
		s = again()
		same(t, messages(t, s, Search{}), "four")
		same(t, read(t, s, Query{Group: named("g")}), "four")
		if groups := s.Groups("111122223333", "eu-west-1"); len(groups) != 1 || groups[0].Retention != 0 {
			t.Errorf("groups %+v", groups)
		}
	})
}

// Pages hold each event once, in the order of time whatever the order of writing, forward and backward.
func TestPagesAreInTheOrderOfTime(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, s *Store, again func() *Store, _ *clock.Clock) {
		var want []string
		for i := range 60 {
			minute := i * 7 % 60 // 7 and 60 have no common divisor
			must(
				t,
				s.Append(named("g"), fmt.Sprint("s", i%3), []LogEvent{
					{noon.Add(-time.Duration(60-minute) * time.Minute), fmt.Sprintf("%02d", minute)},
				}),
			)
			want = append(want, fmt.Sprintf("%02d", i))
		}
		s = again()
		var s1 []string // i*7%60 < 10 with i%3 == 1
		for i := range 10 {
			if i*43%60%3 == 1 { // 43 is the inverse of 7
				s1 = append(s1, fmt.Sprintf("%02d", i))
			}
		}

		for _, backward := range []bool{false, true} {
			var got []string
			q := Search{Group: named("g"), Limit: 7, Backward: backward}
			for range 100 {
				events, more, err := s.Find(t.Context(), q)
				must(t, err)
				if len(events) == 0 {
					if more {
						t.Error("an empty page says that there is more")
					}
					break
				}
				var page []string
				for _, e := range events {
					page = append(page, e.Message)
				}
				if backward {
					got = append(page, got...)
					q.Before = &events[0].Place
				} else {
					got = append(got, page...)
					q.After = &events[len(events)-1].Place
				}
			}
			same(t, got, want...)
		}
		same(t, messages(t, s, Search{From: noon.Add(-10 * time.Minute), To: noon.Add(-8 * time.Minute)}), "50", "51")
		same(
			t,
			messages(t, s, Search{
				Streams: []string{"s1"}, Match: func(m string) bool { return strings.HasPrefix(m, "0") },
			}),
			s1...,
		)
	})
}

// A page ends at its byte limit, but holds at least one event.
func TestPagesAreBounded(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Clock: atNoon()})
	for i := range 10 {
		s.Write(named("g"), "s", []LogEvent{{noon.Add(time.Duration(i) * time.Millisecond), strings.Repeat("x", 1000)}})
	}
	for bytes, want := range map[int]int{1: 1, 1000: 1, 1001: 2, 2500: 3, 0: 10} {
		events, more, err := s.Find(t.Context(), Search{Group: named("g"), Limit: 100, Bytes: bytes})
		if err != nil || len(events) != want || more != (want < 10) {
			t.Errorf("%d bytes: %d events, more %v, %v", bytes, len(events), more, err)
		}
	}
}

// A retention policy hides what is too old, and frees segments of which nothing is shown any more.
func TestRetentionIsApplied(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, s *Store, again func() *Store, c *clock.Clock) {
		for i := range 30 {
			s.Write(named("g"), "s", []LogEvent{{c.Now(), fmt.Sprintf("%02d %s", i, strings.Repeat("x", 100))}})
			c.SetOffset(c.Offset() + 2*time.Hour)
		}
		s = again()
		before := len(s.segments)

		must(t, s.SetRetention(named("g"), 1))

		s = again()
		if got := messages(t, s, Search{}); len(got) < 11 || len(got) > 12 || got[len(got)-1][:2] != "29" {
			t.Errorf("%d events are shown, want those of a day", len(got))
		}
		if len(s.segments) > before/2 {
			t.Errorf("%d of %d segments are still there", len(s.segments), before)
		}
		must(t, s.SetRetention(named("g"), 0))
		if len(messages(t, s, Search{})) > 14 {
			t.Error("what was removed came back")
		}
	})
}

// Events too far in the past or the future are left out and reported; the rest is stored. Source: PutLogEvents.
func TestPutLeavesOutWhatIsTooOldOrTooNew(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Clock: atNoon()})
	must(t, s.CreateGroup(named("g"), nil))
	_, err := s.Put(named("g"), "s", lines("x"))
	refused(t, err, CodeNotFound, "The specified log stream does not exist.")
	must(t, s.CreateStream(named("g"), "s"))
	hours := func(hours ...int) (events []LogEvent) {
		for _, h := range hours {
			events = append(events, LogEvent{noon.Add(time.Duration(h) * time.Hour), fmt.Sprint(h)})
		}
		return events
	}

	r, err := s.Put(named("g"), "s", hours(-400, -337, -335, 0, 1, 3))
	if err != nil || r != (Rejected{New: 5, Old: 2, Expired: -1}) {
		t.Errorf("%+v, %v", r, err)
	}
	must(t, s.SetRetention(named("g"), 1))
	r, err = s.Put(named("g"), "s", hours(-400, -100, -20))
	if err != nil || r != (Rejected{New: -1, Old: 1, Expired: 2}) {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = s.Put(named("g"), "s", hours(100))
	if err != nil || r != (Rejected{New: 0, Old: -1, Expired: -1}) || !r.Any() {
		t.Errorf("%+v, %v", r, err)
	}
	must(t, s.SetRetention(named("g"), 0))
	same(t, messages(t, s, Search{}), "-335", "-20", "0", "1")
}

// The 56 digits of places sort as the places do.
func TestPlacesAreOrderedAsText(t *testing.T) {
	t.Parallel()
	all := []Place{
		{},
		{Index: 1},
		{Offset: 9},
		{Offset: 10},
		{Segment: 1},
		{Millis: 1},
		{Millis: 1767614400000, Segment: 3, Offset: 1 << 30, Index: 10000},
		{Millis: 1 << 52},
	}
	for i, p := range all {
		text := p.String()
		back, ok := ParsePlace(text)
		if len(text) != 56 || !ok || back != p {
			t.Errorf("%v is %s is %v", p, text, back)
		}
		if i > 0 && (text <= all[i-1].String() || p.Compare(all[i-1]) <= 0) {
			t.Errorf("%s is not after %s", text, all[i-1])
		}
	}
	for _, s := range []string{
		"", "1", strings.Repeat("x", 56), strings.Repeat("1", 57), strings.Repeat("9", 55) + "-",
	} {
		if _, ok := ParsePlace(s); ok {
			t.Errorf("%q parses", s)
		}
	}
}

// Segments of version 1 are read, with groups in the default account, and never appended to.
func TestVersionOneIsRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// One frame: group "g", stream "s", one event at 2026-01-05T12:00:00Z with the message "old".
	payload := append([]byte("\x01g\x01s\x01"), appendText(appendVarint(noon.UnixMicro()), "old")...)
	must(
		t,
		os.WriteFile(
			filepath.Join(dir, "000000000004.log"), append([]byte("SMLOGS\x00\x01"), sealed(payload)...), 0o600,
		),
	)

	s := open(t, Options{Dir: dir, Clock: atNoon()})
	group := Group{"000000000000", "us-east-1", "g"}
	s.Write(group, "s", lines("new"))

	events, _, err := s.Find(t.Context(), Search{Group: group, Limit: 10})
	if err != nil || len(events) != 2 || events[0].Message != "old" || !events[0].At.Equal(noon) ||
		events[1].Place.Segment != 5 {
		t.Errorf("%+v, %v", events, err)
	}
}

func appendVarint(v int64) []byte { return binary.AppendVarint(nil, v) }

// sealed returns a payload with its length and checksum in front.
func sealed(payload []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))
	return append(binary.BigEndian.AppendUint32(b, crc32.Checksum(payload, castagnoli)), payload...)
}

// Of the streams of thousands of environments the store forgets those of which nothing is left; streams made by a call
// stay.
func TestImpliedStreamsGoWithTheirEvents(t *testing.T) {
	t.Parallel()
	c := atNoon()
	s := open(t, Options{Clock: c, Coord: memory.New(memory.Options{}).Coord(), SegmentBytes: 500, MaxBytes: 4000})
	must(t, s.CreateGroup(named("g"), nil))
	must(t, s.CreateStream(named("g"), "made"))
	for i := range 300 {
		c.SetOffset(c.Offset() + time.Second)
		s.Write(named("g"), fmt.Sprintf("env-%03d", i), []LogEvent{{c.Now(), strings.Repeat("x", 50)}})
	}

	streams, err := s.Streams(named("g"), "")
	if err != nil || len(streams) > 60 ||
		!slices.ContainsFunc(streams, func(i StreamInfo) bool { return i.Name == "made" }) {
		t.Errorf("%d streams, %v", len(streams), err)
	}
}

// When the clock steps back, the catalogue does not forget a stream that still has events.
func TestStreamsOutliveAClockThatStepsBack(t *testing.T) {
	t.Parallel()
	c := atNoon()
	s := open(t, Options{Clock: c, Coord: memory.New(memory.Options{}).Coord(), SegmentBytes: 200})
	s.Write(named("g"), "before", []LogEvent{{noon, strings.Repeat("x", 100)}})
	s.Write(named("g"), "after", []LogEvent{{noon.Add(-time.Hour), strings.Repeat("x", 100)}})
	s.Write(named("g"), "before", []LogEvent{{noon, strings.Repeat("x", 100)}})

	streams, err := s.Streams(named("g"), "")
	if err != nil || len(streams) != 2 || len(s.segments) != 3 {
		t.Errorf("%+v in %d segments, %v", streams, len(s.segments), err)
	}
}
