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
)

// Bounds of what one environment may log. Source: Lambda Developer Guide; CloudWatch Logs quotas.
const (
	maxLogLine = 256 << 10 // bytes of one event; longer lines are cut into several
	maxLogRing = 1 << 20   // bytes that wait for the sink; beyond, the oldest go
	tailBytes  = 4096      // of LogResult
)

// output takes what an environment's processes print: it cuts the stream into lines, keeps them for the sink, and the last of them for LogResult.
// Both its own goroutine and, at the end of an invocation, drain read the pipe, so that a handler's lines never come after its REPORT.
type output struct {
	pump          *logPump
	now           func() time.Time
	owner         Ref
	group, stream string
	pipe          *os.File
	raw           syscall.RawConn
	measure       func([]LogEvent) // takes metrics out of what the sink got; nil: nobody does

	mu      sync.Mutex
	line    []byte // begun, not ended yet
	tail    []byte
	tailing bool
	events  []LogEvent
	size    int // bytes of events
	dropped int // bytes lost since the last flush
	queued  bool
}

func newOutput(pump *logPump, now func() time.Time, owner Ref, group, stream string, pipe *os.File) (*output, error) {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &output{pump: pump, now: now, owner: owner, group: group, stream: stream, pipe: pipe, raw: raw}, nil
}

// read serves the pipe until it ends or close.
func (o *output) read() {
	_ = o.raw.Read(func(fd uintptr) bool { return o.pull(int(fd)) })
}

// drain takes what is in the pipe now.
func (o *output) drain() {
	_ = o.raw.Control(func(fd uintptr) { o.pull(int(fd)) })
}

// close drops the pipe after taking the rest; a last line without an end counts.
func (o *output) close() {
	o.drain()
	_ = o.pipe.Close()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.line) > 0 {
		o.take(o.line)
		o.line = nil
	}
}

var readBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// pull reads until the pipe is empty, or over, which it reports.
func (o *output) pull(fd int) (over bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	buf := readBuffers.Get().(*[32 << 10]byte)
	defer readBuffers.Put(buf)
	for {
		n, err := syscall.Read(fd, buf[:])
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return false
		case err != nil || n == 0:
			return true
		default:
			o.split(buf[:n])
		}
	}
}

// split cuts b, which follows o.line, into events. o.mu is held.
func (o *output) split(b []byte) {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			o.line = append(o.line, b...)
			for len(o.line) > maxLogLine {
				first := fault.Cut(o.line, maxLogLine)
				o.take(first)
				o.line = append([]byte(nil), o.line[len(first):]...)
			}
			return
		}
		line := b[:i]
		b = b[i+1:]
		if len(o.line) > 0 {
			line = append(o.line, line...)
			o.line = o.line[:0]
		}
		for len(line) > maxLogLine {
			first := fault.Cut(line, maxLogLine)
			o.take(first)
			line = line[len(first):]
		}
		o.take(line)
	}
}

// take makes an event of a line that was printed. o.mu is held.
func (o *output) take(line []byte) {
	text := string(bytes.TrimSuffix(line, []byte("\r")))
	if len(text) > 0 && text[0] == launcher.LogEvent {
		text = strings.ReplaceAll(text[1:], string(launcher.LogBreak), "\n")
	}
	o.add(text)
}

// emit adds an event of our own.
func (o *output) emit(text string) {
	o.mu.Lock()
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
	o.size += len(text)
	for o.size > maxLogRing && len(o.events) > 1 {
		o.size -= len(o.events[0].Message)
		o.dropped += len(o.events[0].Message)
		o.events = o.events[1:]
	}
	if !o.queued {
		o.queued = true
		o.pump.queue(o)
	}
}

// startTail begins to keep lines for LogResult; takeTail ends it and answers the last 4,096 bytes.
func (o *output) startTail() {
	o.mu.Lock()
	o.tail, o.tailing = o.tail[:0], true
	o.mu.Unlock()
}

func (o *output) takeTail() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
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

// logPump carries the events of all environments to the sink, on one goroutine. A slow sink makes the rings overflow, and nothing else.
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
		p.ended.Go(p.run)
	}
}

func (p *logPump) run() {
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
