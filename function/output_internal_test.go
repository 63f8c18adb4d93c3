package function

import (
	"slices"
	"strings"
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

// Lines wait a few milliseconds for others. Before the clock moves they are handed over, so that the metrics in them count where they were measured.
func TestFlushLogsHandsOverWhatWaits(t *testing.T) {
	t.Parallel()
	var c collector
	measured := 0
	f := &Functions{logs: newLogPump(&c)} // its goroutine is not started: nothing goes by itself
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

// A line that is longer than an event may be, and the end of the log that LogResult carries, are cut between characters.
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
