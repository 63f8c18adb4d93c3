package main

import (
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/stream"
)

func TestWhereTailMayBegin(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	const number = "49646437577130777162115407028967465143858078037781250322" // of shard 17
	for text, want := range map[string]origin{
		"now":                       {kind: stream.IterLatest},
		"start":                     {kind: stream.IterTrimHorizon},
		"90m":                       {kind: stream.IterAtTimestamp, at: now.Add(-90 * time.Minute)},
		"2026-01-31T11:00:00.5Z":    {kind: stream.IterAtTimestamp, at: now.Add(-time.Hour + 500*time.Millisecond)},
		"2026-01-31T13:00:00+02:00": {kind: stream.IterAtTimestamp, at: now.Add(-time.Hour)},
		"1769857200.25":             {kind: stream.IterAtTimestamp, at: now.Add(-time.Hour + 250*time.Millisecond)},
		number:                      {kind: stream.IterAt, sequence: number},
	} {
		got, shard, err := parseFrom(text, now)
		if err != nil || got.kind != want.kind || !got.at.Equal(want.at) || got.sequence != want.sequence {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
		if (shard == "shardId-000000000017") != (text == number) {
			t.Errorf("%s: of shard %q", text, shard)
		}
	}
	for _, text := range []string{"", "then", "-5m", "0s", "NaN", "1e300", "2026-13-01", strings.Repeat("9", 60)} {
		if got, _, err := parseFrom(text, now); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}
