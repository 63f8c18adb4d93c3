package proxy

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Bounds of log lines on their way. Sources: CloudWatch Logs API Reference, PutLogEvents.
const (
	maxPending    = 8 << 20 // bytes of lines that wait; what comes beyond is dropped, and counted
	maxPut        = 1 << 20 // bytes of one PutLogEvents, of which every event takes eventOverhead more
	eventOverhead = 26
	maxPutEvents  = 10_000
	maxPutSpan    = 24 * time.Hour
	putTries      = 3
	lastLines     = 2 * time.Second // that a stop waits for lines under way
)

// Stream is a log stream of a function. A target has one account and region, so functions of one name in several share
// a group there.
type Stream struct{ Group, Name string }

// Line is an event of a log stream.
type Line = struct {
	At      time.Time
	Message string
}

// Lines takes what functions print to a target's log groups, which it makes. Lines wait in memory, up to a bound, and
// are sent in order; what the target does not take in three tries is dropped, counted and logged. Safe for concurrent
// use; it takes nothing until its first line.
type Lines struct {
	target *Target
	pause  func(try int) time.Duration // before the next try

	mu      sync.Mutex
	waiting []batch
	bytes   int
	dropped int64
	running chan struct{} // closed when nothing waits any more; nil: nothing does
}

type batch struct {
	to    Stream
	lines []Line
	bytes int
}

// NewLines returns where a target keeps lines.
func NewLines(t *Target) *Lines {
	return &Lines{target: t, pause: func(try int) time.Duration { return time.Duration(try) * time.Second }}
}

// Write takes lines, which the caller may use again. It does not wait for the target.
func (l *Lines) Write(to Stream, lines []Line) {
	size := 0
	for _, line := range lines {
		size += len(line.Message) + eventOverhead
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bytes+size > maxPending || l.target.stopped.Err() != nil {
		l.drop(len(lines), "more lines wait for the target than are kept", nil)
		return
	}
	l.waiting, l.bytes = append(l.waiting, batch{to, slices.Clone(lines), size}), l.bytes+size
	if l.running == nil {
		l.running = make(chan struct{})
		go l.run(l.running)
	}
}

// Dropped returns how many lines the target did not get.
func (l *Lines) Dropped() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

// drop counts lines that are lost. l.mu is held.
func (l *Lines) drop(n int, why string, err error) {
	before := l.dropped
	l.dropped += int64(n)
	level := slog.LevelDebug
	if before == 0 || before/1000 != l.dropped/1000 { // the first, and then one for a thousand
		level = slog.LevelWarn
	}
	l.target.log.Log(context.Background(), level, "lines of functions are lost: "+why, "lost", l.dropped, "error", err)
}

// Stop waits a moment for the lines under way, and ends requests.
func (l *Lines) Stop() {
	l.mu.Lock()
	running := l.running
	l.mu.Unlock()
	if running != nil {
		select {
		case <-running:
		case <-time.After(lastLines):
		}
	}
	l.target.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.waiting {
		l.dropped += int64(len(b.lines))
	}
	if l.waiting = nil; l.dropped > 0 {
		l.target.log.Warn("the target did not get all lines of functions", "lost", l.dropped)
	}
}

// run sends what waits until nothing does.
func (l *Lines) run(done chan struct{}) {
	defer close(done)
	for {
		b, ok := l.next()
		if !ok {
			return
		}
		err := l.put(b)
		l.mu.Lock()
		l.bytes -= b.bytes
		if err != nil {
			l.drop(len(b.lines), "the target did not take them", err)
		}
		l.mu.Unlock()
	}
}

// next takes the lines that wait longest, with those of the same stream that fit into one request.
func (l *Lines) next() (b batch, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		l.running = nil
		return b, false
	}
	b = l.waiting[0]
	rest := l.waiting[:0]
	full := false
	for _, w := range l.waiting[1:] {
		if full || w.to != b.to {
			rest = append(rest, w)
			continue
		}
		if full = b.bytes+w.bytes > maxPut || len(b.lines)+len(w.lines) > maxPutEvents; full {
			rest = append(rest, w)
			continue
		}
		b.lines, b.bytes = append(b.lines, w.lines...), b.bytes+w.bytes
	}
	clear(l.waiting[len(rest):])
	l.waiting = rest
	return b, true
}

// put sends lines, in as many requests as they need.
func (l *Lines) put(b batch) error {
	slices.SortStableFunc(b.lines, func(x, y Line) int { return x.At.Compare(y.At) }) // as PutLogEvents demands
	for len(b.lines) > 0 {
		n, size := 0, 0
		for n < len(b.lines) && n < maxPutEvents && b.lines[n].At.Sub(b.lines[0].At) < maxPutSpan {
			if size += len(b.lines[n].Message) + eventOverhead; n > 0 && size > maxPut {
				break
			}
			n++
		}
		if err := l.persist(b.to, b.lines[:n]); err != nil {
			return err
		}
		b.lines = b.lines[n:]
	}
	return nil
}

// persist sends one request until the target takes it.
func (l *Lines) persist(to Stream, lines []Line) (err error) {
	for try := 1; ; try++ {
		if err = l.send(to, lines); err == nil || try == putTries {
			return err
		}
		select {
		case <-time.After(l.pause(try)):
		case <-l.target.stopped.Done():
			return err
		}
	}
}

// codes of CloudWatch Logs.
const (
	codeNotFound = "ResourceNotFoundException"
	codeExists   = "ResourceAlreadyExistsException"
)

func (l *Lines) send(to Stream, lines []Line) error {
	type event struct {
		At      int64  `json:"timestamp"`
		Message string `json:"message"`
	}
	type stream struct {
		Group string  `json:"logGroupName"`
		Name  string  `json:"logStreamName,omitempty"`
		Lines []event `json:"logEvents,omitempty"`
	}
	in := stream{Group: to.Group, Name: to.Name}
	for _, line := range lines {
		in.Lines = append(in.Lines, event{line.At.UnixMilli(), line.Message})
	}
	ctx := l.target.stopped
	var out struct{ RejectedLogEventsInfo any }
	err := l.target.logs(ctx, "PutLogEvents", in, &out)
	if answered(err) != codeNotFound {
		if out.RejectedLogEventsInfo != nil {
			l.mu.Lock()
			l.drop(1, "the target finds some too old or too new; was the clock moved?", nil)
			l.mu.Unlock()
		}
		return err
	}
	err = l.target.logs(ctx, "CreateLogGroup", stream{Group: to.Group}, nil)
	if err == nil || answered(err) == codeExists {
		err = l.target.logs(ctx, "CreateLogStream", stream{Group: to.Group, Name: to.Name}, nil)
	}
	if err == nil || answered(err) == codeExists {
		err = l.target.logs(ctx, "PutLogEvents", in, nil)
	}
	return err
}

// logs calls an operation of CloudWatch Logs.
func (t *Target) logs(ctx context.Context, operation string, in, out any) error {
	return t.callJSON(ctx, "logs", "Logs_20140328."+operation, "application/x-amz-json-1.1", in, out)
}

// answered returns the code that the target gave with an error; "": none.
func answered(err error) string {
	var r *refusal
	if errors.As(err, &r) {
		return r.code
	}
	return ""
}

// Reading selects lines of a group.
type Reading struct {
	Group  string
	Since  time.Time // the zero time: all
	Follow bool      // wait for more
}

// Printed is a line that was read.
type Printed struct {
	Line
	Stream string
}

// How lines are followed: the target is asked again after followPause, for lines that are at most followOverlap older
// than the newest one, because those of several streams do not come in the order of their times.
const (
	followPause   = time.Second
	followOverlap = 10 * time.Second
)

// Read visits lines until visit returns false, there are no more, or, with Follow, ctx ends.
func (l *Lines) Read(ctx context.Context, r Reading, visit func(Printed) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.target.stopped, cancel)()
	var newest time.Time
	seen := map[string]time.Time{} // ids of lines that may come again
	for {
		more, err := l.pass(ctx, r, func(id string, p Printed) bool {
			if _, again := seen[id]; again {
				return true
			}
			if r.Follow {
				seen[id] = p.At
			}
			newest = latest(newest, p.At)
			return visit(p)
		})
		switch {
		case err != nil && (!r.Follow || answered(err) != codeNotFound): // a group may come to be
			return err
		case err == nil && (!more || !r.Follow):
			return ctx.Err()
		}
		r.Since = latest(r.Since, newest.Add(-followOverlap))
		for id, at := range seen {
			if at.Before(r.Since) {
				delete(seen, id)
			}
		}
		select {
		case <-time.After(followPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// pass visits the lines that there are now. more is false when visit wants none.
func (l *Lines) pass(ctx context.Context, r Reading, visit func(id string, p Printed) bool) (more bool, err error) {
	in := struct {
		Group string `json:"logGroupName"`
		Start int64  `json:"startTime,omitempty"`
		Token string `json:"nextToken,omitempty"`
	}{Group: r.Group}
	if !r.Since.IsZero() {
		in.Start = max(0, r.Since.UnixMilli())
	}
	for {
		var out struct {
			Events []struct {
				ID      string `json:"eventId"`
				Stream  string `json:"logStreamName"`
				At      int64  `json:"timestamp"`
				Message string `json:"message"`
			} `json:"events"`
			Token string `json:"nextToken"`
		}
		if err := l.target.logs(ctx, "FilterLogEvents", in, &out); err != nil {
			return false, err
		}
		for _, e := range out.Events {
			p := Printed{Line{At: time.UnixMilli(e.At).UTC(), Message: e.Message}, e.Stream}
			if !visit(e.ID, p) {
				return false, nil
			}
		}
		if out.Token == "" || out.Token == in.Token {
			return true, nil
		}
		in.Token = out.Token
	}
}

// Exists returns an error unless the target has the group.
func (l *Lines) Exists(ctx context.Context, group string) error {
	in := struct {
		Group string `json:"logGroupName"`
		Limit int    `json:"limit"`
	}{group, 1}
	return l.target.logs(ctx, "FilterLogEvents", in, nil)
}
