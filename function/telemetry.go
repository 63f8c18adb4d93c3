package function

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/shardmill/shardmill/function/runtimeapi"
)

// Bounds of delivering telemetry. A batch that cannot be delivered is given up, counted, and reported in the next one.
const (
	telemetryTries   = 3
	telemetryPause   = 100 * time.Millisecond // before the second try; then twice as long
	telemetryTimeout = 2 * time.Second        // of one try
	telemetryFlush   = 200 * time.Millisecond // how long an end waits for pending deliveries
)

// telemetry delivers what happens in an environment to its extensions that subscribed. Nothing waits for it but the end
// of the environment, for telemetryFlush.
type telemetry struct {
	e    *environment
	mu   sync.Mutex
	subs []*subscriber
}

// subscriber is one extension's queue: it holds twice what a batch may, and drops what comes beyond.
type subscriber struct {
	runtimeapi.Subscription
	e      *environment
	client http.Client

	begun, full chan struct{} // capacity 1: the first event of a batch has come, the batch is full
	flushing    chan chan struct{}
	cancelled   chan struct{}

	mu                         sync.Mutex
	events                     [][]byte
	size                       int
	droppedEvents, droppedSize int
}

// Subscribed handles the subscription of an extension. Earlier events of the init phase come first.
func (e *environment) Subscribed(sub runtimeapi.Subscription) {
	if !e.isUp() {
		return
	}
	if t := (&telemetry{e: e}); e.telemetry.CompareAndSwap(nil, t) { // extensions may come at the same time
		e.out.publish(t.printed)
	}
	t := e.telemetry.Load()
	s := &subscriber{
		Subscription: sub, e: e,
		begun: make(chan struct{}, 1), full: make(chan struct{}, 1), flushing: make(chan chan struct{}),
		cancelled: make(chan struct{}),
		client: http.Client{Timeout: telemetryTimeout, Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return e.proc.DialLoopback(ctx, sub.Port)
			},
		}},
	}
	t.mu.Lock()
	t.subs = slices.DeleteFunc(t.subs, func(old *subscriber) bool {
		if old.Extension == sub.Extension {
			close(old.cancelled)
			return true
		}
		return false
	})
	t.subs = append(t.subs, s)
	t.mu.Unlock()
	conf := e.g.conf
	start := map[string]any{
		"initializationType": "on-demand", "phase": "init", "runtimeVersion": e.display,
		"runtimeVersionArn": RuntimeVersionARN(conf),
		"functionName":      conf.Ref.Name, "functionVersion": conf.Version,
	}
	if slices.Contains(sub.Types, runtimeapi.TelemetryPlatform) {
		s.add(telemetryEvent(e.begun, "platform.initStart", start))
	}
	e.f.work.Go(s.loop)
	t.platform("platform.telemetrySubscription", map[string]any{
		"name": sub.Extension, "state": "Subscribed", "types": sub.Types,
	})
}

func (t *telemetry) platform(kind string, record map[string]any) {
	t.publish(runtimeapi.TelemetryPlatform, telemetryEvent(t.e.f.opt.Clock.Now(), kind, record))
}

// printed publishes a line of the function.
func (t *telemetry) printed(at time.Time, line string) {
	t.publish(runtimeapi.TelemetryFunction, telemetryEvent(at, "function", line))
}

func telemetryEvent(at time.Time, kind string, record any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(struct {
		Time   string `json:"time"`
		Type   string `json:"type"`
		Record any    `json:"record"`
	}{at.UTC().Format(isoMillis), kind, record}); err != nil {
		panic(fmt.Sprintf("encode telemetry: %v", err)) // texts and numbers always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func (t *telemetry) publish(kind string, event []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.subs {
		if slices.Contains(s.Types, kind) {
			s.add(event)
		}
	}
}

// flush delivers what there is.
func (t *telemetry) flush() {
	t.mu.Lock()
	subs := slices.Clone(t.subs)
	t.mu.Unlock()
	over := time.After(telemetryFlush)
	for _, s := range subs {
		done := make(chan struct{})
		select {
		case s.flushing <- done:
		case <-s.e.proc.Done():
			return
		case <-over:
			return
		}
		select {
		case <-done:
		case <-over:
			return
		}
	}
}

// add queues an event. It never waits.
func (s *subscriber) add(event []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.events) >= 2*s.MaxItems || s.size+len(event) > 2*s.MaxBytes {
		s.droppedEvents++
		s.droppedSize += len(event)
		return
	}
	s.events = append(s.events, event)
	s.size += len(event)
	if len(s.events) == 1 {
		signalOnce(s.begun)
	}
	if len(s.events) >= s.MaxItems || s.size >= s.MaxBytes {
		signalOnce(s.full)
	}
}

func signalOnce(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// loop delivers batches until the process has ended: when one is full, or its first event has waited long enough.
func (s *subscriber) loop() {
	defer s.client.CloseIdleConnections()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := s.e.proc.Done()
	go func() { // a delivery under way ends with the process
		select {
		case <-ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	for {
		var flushed chan struct{}
		select {
		case <-s.begun:
			timer.Reset(s.Timeout)
			continue
		case <-timer.C:
		case <-s.full:
		case flushed = <-s.flushing:
		case <-s.cancelled:
			return
		case <-ended:
			return
		}
		for s.deliver(ctx) {
		}
		if flushed != nil {
			close(flushed)
		}
	}
}

// batch takes out the events for one delivery, with a report of dropped ones. n and size are what is lost if it is not
// delivered; more says that events are left.
func (s *subscriber) batch() (body []byte, n, size int, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body = append(body, '[')
	if s.droppedEvents > 0 {
		body = append(body, telemetryEvent(s.e.f.opt.Clock.Now(), "platform.logsDropped", map[string]any{
			"reason":         "The subscriber is too slow, or does not answer.",
			"droppedRecords": s.droppedEvents, "droppedBytes": s.droppedSize,
		})...)
		if len(s.events) > 0 {
			body = append(body, ',')
		}
	}
	for n < len(s.events) && n < s.MaxItems && (n == 0 || size+len(s.events[n]) <= s.MaxBytes) {
		if n > 0 {
			body = append(body, ',')
		}
		body = append(body, s.events[n]...)
		size += len(s.events[n])
		n++
	}
	s.events, s.size = slices.Clone(s.events[n:]), s.size-size
	n, size = n+s.droppedEvents, size+s.droppedSize
	s.droppedEvents, s.droppedSize = 0, 0
	return append(body, ']'), n, size, len(s.events) > 0
}

// deliver sends one batch, and reports whether there is more.
func (s *subscriber) deliver(ctx context.Context) (more bool) {
	body, n, size, more := s.batch()
	if len(body) == 2 {
		return false
	}
	pause := telemetryPause
	var err error
	for try := range telemetryTries {
		if try > 0 {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return false
			}
			pause *= 2
		}
		if err = s.post(ctx, body); err == nil {
			return more
		}
		if ctx.Err() != nil {
			return false
		}
	}
	s.mu.Lock()
	s.droppedEvents += n
	s.droppedSize += size
	if len(s.events) > 0 {
		signalOnce(s.begun) // they have their turn, though no event comes any more
	}
	s.mu.Unlock()
	s.e.g.advise(fmt.Sprintf(
		"Telemetry for the extension %s could not be delivered to port %d and was dropped: %s", s.Extension, s.Port,
		err,
	))
	return false
}

func (s *subscriber) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(
		ctx, http.MethodPost, "http://sandbox.localdomain"+s.Path, bytes.NewReader(body),
	)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("it answered %s", resp.Status)
	}
	return nil
}

// tellInit publishes the end of the init phase.
func (e *environment) tellInit(took time.Duration) {
	t := e.telemetry.Load()
	if t == nil {
		return
	}
	e.mu.Lock()
	extensions := slices.Clone(e.extensions)
	e.mu.Unlock()
	base := func() map[string]any {
		return map[string]any{"initializationType": "on-demand", "phase": "init", "status": "success"}
	}
	t.platform("platform.initRuntimeDone", base())
	for _, x := range extensions {
		t.platform("platform.extension", map[string]any{"name": x.name, "state": "Ready", "events": x.events})
	}
	report := base()
	report["metrics"] = map[string]any{"durationMs": millis(took)}
	t.platform("platform.initReport", report)
}

// tellReport publishes the end of an invocation.
func (e *environment) tellReport(r *report) {
	t := e.telemetry.Load()
	if t == nil {
		return
	}
	record := func(metrics map[string]any) map[string]any {
		m := map[string]any{"requestId": r.id, "status": "success", "metrics": metrics}
		if r.status != "" {
			m["status"] = r.status
			if r.kind != "" {
				m["errorType"] = r.kind
			}
		}
		return m
	}
	t.platform(
		"platform.runtimeDone", record(map[string]any{"durationMs": millis(r.duration), "producedBytes": r.bytes}),
	)
	metrics := map[string]any{
		"durationMs":       millis(r.duration),
		"billedDurationMs": int64(math.Ceil(float64(r.duration+r.init) / float64(time.Millisecond))),
		"memorySizeMB":     e.g.conf.MemoryMB, "maxMemoryUsedMB": e.usedMB(),
	}
	if r.init > 0 {
		metrics["initDurationMs"] = millis(r.init)
	}
	t.platform("platform.report", record(metrics))
}
