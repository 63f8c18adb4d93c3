package function

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/shardmill/shardmill/fault"
)

// collector is a sink that keeps the messages.
type collector struct{ messages []string }

func (c *collector) Write(_ Ref, _, _ string, events []LogEvent) {
	for _, e := range events {
		c.messages = append(c.messages, e.Message)
	}
}

// Lines wait a few milliseconds for others. Before the clock moves they are handed over, so that the metrics in them
// count where they were measured.
func TestFlushLogsHandsOverWhatWaits(t *testing.T) {
	t.Parallel()
	var c collector
	measured := 0
	f := &Functions{logs: newLogPump(&c)} // its goroutine is not started: nothing moves by itself
	o := &output{pump: f.logs, now: time.Now, measure: func(events []LogEvent) { measured += len(events) }}
	o.emit("one")
	o.emit("two")
	if f.FlushLogs(); len(c.messages) != 2 || c.messages[1] != "two" || measured != 2 {
		t.Errorf("the sink has %q, %d were measured", c.messages, measured)
	}
	if f.FlushLogs(); len(c.messages) != 2 {
		t.Errorf("the sink has %q", c.messages)
	}
}

// A process that prints without end, such as a child that an invocation has left behind, delays nothing: neither the
// end of an invocation, nor our own log lines, nor the end of the environment.
func TestEndlessOutputHoldsUpNobody(t *testing.T) {
	t.Parallel()
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o, err := newOutput(newLogPump(&collector{}), time.Now, Ref{}, "group", "stream", pr)
	if err != nil {
		t.Fatal(err)
	}
	defer pw.Close()
	line, fd := append(bytes.Repeat([]byte("y"), 1023), '\n'), int(pw.Fd())
	// each line read is replaced: the pipe is never empty
	o.publish(func(time.Time, string) { _, _ = syscall.Write(fd, line) })
	if _, err := syscall.Write(fd, line); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(o.read)

	o.drain()
	o.startTail()
	o.emit("ours")
	_ = o.takeTail()
	o.close()
	reading.Wait()
}

// LogResult has the last output of a runtime that does not ask again, with or without a line break.
func TestLogResultHasALineWithoutItsEnd(t *testing.T) {
	t.Parallel()
	o := &output{pump: newLogPump(&collector{}), now: time.Now}
	o.startTail()
	o.split([]byte("one\ntwo"))
	if got := string(o.takeTail()); got != "one\ntwo\n" {
		t.Errorf("got %q", got)
	}
}

// A line that is longer than an event may be, and the end of the log that LogResult carries, are cut between
// characters.
func TestLongOutputIsCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	long := "a" + strings.Repeat("ä", maxLogLine/2)
	for _, end := range []string{"\n", ""} { // in one read, and over many
		var c collector
		f := &Functions{logs: newLogPump(&c)}
		o := &output{pump: f.logs, now: time.Now}
		o.startTail()
		for part := range slices.Chunk([]byte(long+end), len(long)+1-len(end)*1000) {
			o.split(part)
		}
		o.split([]byte("\n"))
		f.FlushLogs()
		if len(c.messages) < 2 || c.messages[0]+c.messages[1] != long || !utf8.ValidString(c.messages[0]) {
			t.Errorf("%d messages, the first is text: %v", len(c.messages), utf8.ValidString(c.messages[0]))
		}
		if tail := o.takeTail(); !utf8.Valid(tail) || len(tail) < tailBytes-utf8.UTFMax {
			t.Errorf("LogResult has %d bytes and begins with %q", len(tail), fault.Cut(tail, 8))
		}
	}
}

// printed gives an output pieces of what a process prints, with an event of ours where a piece is "|", and returns the
// events.
func printed(pieces ...string) []string {
	o := &output{pump: newLogPump(&collector{}), now: time.Now}
	for _, p := range pieces {
		if p == "|" {
			o.emit(p)
			continue
		}
		o.mu.Lock()
		o.split([]byte(p))
		o.mu.Unlock()
	}
	o.emit("|")
	var texts []string
	for _, e := range o.events {
		texts = append(texts, e.Message)
	}
	return texts
}

// What was printed without a line break is an event of the invocation that printed it. A marked event of several lines
// that is cut in this way keeps its line breaks.
func TestEventOfOursEndsTheLineUnderWay(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", maxLogLine/2-1) + "x"
	for name, c := range map[string]struct{ pieces, want []string }{
		"whole lines":   {[]string{"a\nb", "c\n"}, []string{"a", "bc", "|"}},
		"no line break": {[]string{"first", "|", "second\n"}, []string{"first", "|", "second", "|"}},
		"its line break comes later": {
			[]string{"first", "|", "\n", "second\n"}, []string{"first", "|", "second", "|"},
		},
		"an empty line":     {[]string{"\n", "|", "\n"}, []string{"", "|", "", "|"}},
		"a carriage return": {[]string{"a\r\nb\r", "|", "\n"}, []string{"a", "b", "|", "|"}},
		"half a character":  {[]string{"caf\xc3", "|", "\xa9\n"}, []string{"caf\xc3", "|", "\xa9", "|"}},
		"several lines":     {[]string{"\x1ea\x1fb\n", "c\x1fd\n"}, []string{"a\nb", "c\x1fd", "|"}},
		"half of several lines": {
			[]string{"\x1ea\x1fb", "|", "c\x1fd\n", "e\x1ff\n"}, []string{"a\nb", "|", "c\nd", "e\x1ff", "|"},
		},
		"only the mark of several lines":  {[]string{"\x1e", "|", "a\x1fb\n"}, []string{"", "|", "a\nb", "|"}},
		"a long line, cut at a character": {[]string{long + "éy\n"}, []string{long, "éy", "|"}},
		"a long line in pieces":           {[]string{long, "éy", "|", "z\n"}, []string{long, "éy", "|", "z", "|"}},
		"a long line of no characters": {
			[]string{strings.Repeat("\x80", maxLogLine+1) + "\n"},
			[]string{strings.Repeat("\x80", maxLogLine), "\x80", "|"},
		},
		"a line of the longest size":    {[]string{long + "y", "\n"}, []string{long + "y", "|"}},
		"a long event of several lines": {[]string{"\x1e" + long + "\x1fy\n"}, []string{long, "\ny", "|"}},
	} {
		if got := printed(c.pieces...); !slices.Equal(got, c.want) {
			t.Errorf("%s: %.60q, want %.60q", name, got, c.want)
		}
	}
}

// However output comes in, its events hold every byte of it, none is longer than may be, and no character is cut.
func FuzzOutput(f *testing.F) {
	f.Add([]byte("a\nb|c\xc3|\xa9\n\x1ex\x1fy|z\n"), uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		var pieces []string
		for len(b) > 0 {
			n := min(len(b), int(size)+1)
			pieces, b = append(pieces, string(b[:n])), b[n:]
		}
		var whole strings.Builder
		for _, p := range pieces {
			if p != "|" {
				whole.WriteString(p)
			}
		}
		var got strings.Builder
		for _, e := range printed(pieces...) {
			if len(e) > maxLogLine {
				t.Fatalf("an event of %d bytes", len(e))
			}
			if e != "|" {
				got.WriteString(e)
			}
		}
		drop := strings.NewReplacer("\n", "", "\r", "", "\x1e", "", "\x1f", "")
		if text := drop.Replace(whole.String()); !strings.Contains(whole.String(), "|") &&
			drop.Replace(got.String()) != text {
			t.Fatalf("%q became %q", whole.String(), got.String())
		}
	})
}
