package function

import (
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/clock"
)

// Metrics are embedded in whole lines, and in lines of Node.js's console, which begin with time, request id and level.
func TestMetricDocuments(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`{"_aws":{}}`: `{"_aws":{}}`,
		"2026-01-05T12:34:56.789Z\tid\tINFO\t{\"_aws\":\t{}}": "{\"_aws\":\t{}}",
		"id\tINFO\t{\"_aws\":{}}":                             "id\tINFO\t{\"_aws\":{}}",
		"[INFO]\t2026-01-05T12:34:56.789Z\tid\ttext\t{}":      "[INFO]\t2026-01-05T12:34:56.789Z\tid\ttext\t{}",
		"text":           "text",
		"":               "",
		"{\"a\":\t{}\t{": "{\"a\":\t{}\t{",
	} {
		if got := metricDocument(line); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

// Times in a function's lines are behind a clock that was moved only where its runtime shows real time.
func TestLinesAreBehindTheClockOnRealTimeOnly(t *testing.T) {
	t.Parallel()
	e := &environment{f: &Functions{opt: Options{Clock: clock.New(2 * time.Hour)}}}
	if behind := e.behind(); behind != 2*time.Hour {
		t.Errorf("real time is %v behind", behind)
	}
	e.follows = true
	if behind := e.behind(); behind != 0 {
		t.Errorf("the clock is %v behind itself", behind)
	}
}
