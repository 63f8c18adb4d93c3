package function

import (
	"testing"
	"time"
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
