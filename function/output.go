package function

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function/launcher"
	"github.com/shardmill/shardmill/internal/nonblock"
)

// Bounds of what one environment may log. Source: Lambda Developer Guide; CloudWatch Logs quotas.
const (
	maxLogLine = 256 << 10 // bytes of one event; longer lines are cut into several
	maxLogRing = 1 << 20   // bytes that wait for the sink; beyond, the oldest go
	eventSize  = 64        // bytes that an event takes there beside its text: an empty line is not for nothing
	tailBytes  = 4096      // of LogResult
	// bytes read at once, as many as a pipe holds: a process may print faster than we read
	maxPull = 64 << 10
)

// output reads what an environment's processes print: it cuts the stream into lines, passes them to the sink, and keeps
// the last for LogResult. Both its own goroutine and, at the end of an invocation, drain read the pipe, so that a
// handler's lines never come after its REPORT.
type output struct {
	pump          *logPump
	now           func() time.Time
	owner         Ref
	group, stream string
	pipe          *os.File
	raw           syscall.RawConn
	measure       func([]LogEvent) // extracts metrics from lines in the sink; nil: no metrics

	mu      sync.Mutex
	watch   func([]byte) bool       // called with each line until it returns true; may be nil
	printed func(time.Time, string) // called with what the function printed; may be nil
	line    []byte                  // begun, not ended yet
	// the beginning of the current line has been emitted: the rest, unless empty, becomes an event of its own
	cut     bool
	marked  bool // the event that was cut had a LogEvent
	tail    []byte
	tailing bool
	events  []LogEvent
	size    int // bytes of events, with eventSize for each
	dropped int // bytes lost since the last flush
	queued  bool
	closed  bool
}

func newOutput(pump *logPump, now func() time.Time, owner Ref, group, stream string, pipe *os.File) (*output, error) {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &output{pump: pump, now: now, owner: owner, group: group, stream: stream, pipe: pipe, raw: raw}, nil
}

// read serves the pipe until it ends or close. Between two pulls others have their turn.
func (o *output) read() {
	_ = o.raw.Read(func(fd uintptr) bool {
		over, more := o.pull(int(fd))
		for more {
			over, more = o.pull(int(fd))
		}
		return over
	})
}

// drain reads what is in the pipe now.
func (o *output) drain() {
	_ = o.raw.Control(func(fd uintptr) { o.pull(int(fd)) })
}

// close reads the rest and closes the pipe, even if a process still prints; a last line without an end counts.
func (o *output) close() {
	o.drain()
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	_ = o.pipe.Close() // waits for read
	o.mu.Lock()
	defer o.mu.Unlock()
	o.endLine()
	o.line = nil
}

var readBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// pull reads until the pipe is empty, or over, or maxPull bytes have come and there may be more.
func (o *output) pull(fd int) (over, more bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	buf := readBuffers.Get().(*[32 << 10]byte)
	defer readBuffers.Put(buf)
	for left := maxPull; left > 0; {
		if o.closed {
			return true, false
		}
		n, err := nonblock.Read(fd, buf[:])
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return false, false
		case err != nil || n == 0:
			return true, false
		default:
			o.split(buf[:n])
			left -= n
		}
	}
	return false, true
}

// split cuts b, which follows o.line, into events. o.mu is held.
func (o *output) split(b []byte) {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			o.line = append(o.line, b...)
			if len(o.line) > maxLogLine {
				o.line = append(o.line[:0], o.long(o.line)...)
			}
			return
		}
		line := b[:i]
		b = b[i+1:]
		if len(o.line) > 0 {
			line = append(o.line, line...)
			o.line = o.line[:0]
		}
		if len(line) == 0 && o.cut {
			o.cut, o.marked = false, false
			continue
		}
		o.take(bytes.TrimSuffix(o.long(line), []byte("\r")))
		o.cut, o.marked = false, false
	}
}

// long takes events out of a line that is too long for one, and returns the rest. It cuts between characters. o.mu is
// held.
func (o *output) long(line []byte) []byte {
	for len(line) > maxLogLine {
		first := fault.Cut(line, maxLogLine)
		o.take(first)
		line, o.cut = line[len(first):], true
	}
	return line
}

// endLine emits an unfinished line: it belongs to the invocation that printed it, never to what we or the next
// invocation print after it. o.mu is held.
func (o *output) endLine() {
	if len(o.line) > 0 {
		o.take(bytes.TrimSuffix(o.line, []byte("\r")))
		o.line, o.cut = o.line[:0], true
	}
}

// take makes an event of a line that was printed, or of a part of one. o.mu is held.
func (o *output) take(line []byte) {
	if len(line) > 0 && line[0] == launcher.LogEvent {
		line, o.marked = line[1:], true
	}
	text := string(line)
	if o.marked {
		text = strings.ReplaceAll(text, string(launcher.LogBreak), "\n")
	}
	if o.watch != nil && o.watch(line) {
		o.watch = nil
	}
	if o.printed != nil {
		o.printed(o.now(), text)
	}
	o.add(text)
}

// publish also passes later output to f, which must not block.
func (o *output) publish(f func(time.Time, string)) {
	o.mu.Lock()
	o.printed = f
	o.mu.Unlock()
}

// emit adds an event of our own after what was printed so far.
func (o *output) emit(text string) {
	o.mu.Lock()
	o.endLine()
	o.add(text)
	o.mu.Unlock()
}

func (o *output) add(text string) {
	if o.tailing {
		o.tail = append(append(o.tail, text...), '\n')
		if len(o.tail) > 4*tailBytes {
			o.tail = append(o.tail[:0], fault.CutFront(o.tail, tailBytes)...)
		}
	}
	if o.pump.sink == nil {
		return
	}
	o.events = append(o.events, LogEvent{o.now(), text})
	o.size += len(text) + eventSize
	for o.size > maxLogRing && len(o.events) > 1 {
		o.size -= len(o.events[0].Message) + eventSize
		o.dropped += len(o.events[0].Message) + 1 // its line break
		o.events = o.events[1:]
	}
	if !o.queued {
		o.queued = true
		o.pump.queue(o)
	}
}

// startTail begins to keep lines for LogResult; takeTail ends that and returns the last 4,096 bytes.
func (o *output) startTail() {
	o.mu.Lock()
	o.endLine()
	o.tail, o.tailing = o.tail[:0], true
	o.mu.Unlock()
}

func (o *output) takeTail() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.endLine() // of a runtime that has answered and not asked again
	o.tailing = false
	return append([]byte(nil), fault.CutFront(o.tail, tailBytes)...)
}

// batch takes out what waits for the sink.
func (o *output) batch() []LogEvent {
	o.mu.Lock()
	defer o.mu.Unlock()
	events := o.events
	if o.dropped > 0 {
		events = append([]LogEvent{{events[0].At, fmt.Sprintf("[dropped %d bytes]", o.dropped)}}, events...)
	}
	o.events, o.size, o.dropped, o.queued = nil, 0, 0, false
	return events
}

// logPump carries the events of all environments to the sink, on one goroutine. A slow sink makes the rings overflow,
// and nothing else.
type logPump struct {
	sink LogSink

	flushing sync.Mutex // events of an environment stay in order

	mu    sync.Mutex
	ready []*output
	wake  chan struct{}
	done  chan struct{}
	ended sync.WaitGroup
}

// pumpPause lets lines gather between two rounds.
const pumpPause = 5 * time.Millisecond

func newLogPump(sink LogSink) *logPump {
	return &logPump{sink: sink, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

func (p *logPump) start() {
	if p.sink != nil {
		p.ended.Go(p.loop)
	}
}

func (p *logPump) loop() {
	for {
		select {
		case <-p.wake:
			p.flush()
			select {
			case <-time.After(pumpPause):
			case <-p.done:
			}
		case <-p.done:
			p.flush()
			return
		}
	}
}

func (p *logPump) queue(o *output) {
	p.mu.Lock()
	p.ready = append(p.ready, o)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *logPump) flush() {
	p.flushing.Lock()
	defer p.flushing.Unlock()
	p.mu.Lock()
	ready := p.ready
	p.ready = nil
	p.mu.Unlock()
	for _, o := range ready {
		if events := o.batch(); len(events) > 0 {
			p.sink.Write(o.owner, o.group, o.stream, events)
			if o.measure != nil {
				o.measure(events)
			}
		}
	}
}

// stop flushes and ends. Nothing may log any more.
func (p *logPump) stop() {
	close(p.done)
	p.ended.Wait()
}
