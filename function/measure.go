package function

import (
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/metric"
)

// meter measures invocations, per function, qualifier and version, and per account and region. Without a store it
// measures nothing.
type meter struct {
	store *metric.Store

	mu       sync.RWMutex
	scopes   map[measured]*scope
	accounts map[account]*scope
}

func newMeter(store *metric.Store) *meter {
	return &meter{store: store, scopes: map[measured]*scope{}, accounts: map[account]*scope{}}
}

type account struct{ id, region string }

// measured is what values are counted of: a function, its invocations through a qualifier, or those of them that an
// alias led to a version.
type measured struct {
	ref                 Ref
	qualifier, executed string // "": all
}

// scope holds the series for one set of dimensions.
type scope struct {
	over    *scope // what counts this one's values, too; nil in an account
	running atomic.Int64

	invocations, errors, throttles, duration, concurrent *metric.Series
	coldStarts, initDuration, outOfMemory                *metric.Series
	iteratorAge                                          *metric.Series // nil for an account
}

// scope returns where an invocation is counted that a qualifier, or "", has led to a version.
func (m *meter) scope(ref Ref, qualifier, executed string) *scope {
	if m.store == nil {
		return nil
	}
	if qualifier == executed || qualifier == "" {
		executed = "" // the qualifier says it, or nothing does
	}
	key := measured{ref, qualifier, executed}
	m.mu.RLock()
	s := m.scopes[key]
	m.mu.RUnlock()
	if s != nil {
		return s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.open(key)
}

// open returns a scope and makes it if it is missing, with those over it. m.mu is held.
func (m *meter) open(key measured) *scope {
	if s := m.scopes[key]; s != nil {
		return s
	}
	ref := key.ref
	dimensions := []string{metric.FunctionName, ref.Name}
	var over *scope
	switch {
	case key.executed != "":
		over = m.open(measured{ref: ref, qualifier: key.qualifier})
		dimensions = append(
			dimensions, metric.Resource, ref.Name+":"+key.qualifier, metric.ExecutedVersion, key.executed,
		)
	case key.qualifier != "":
		over = m.open(measured{ref: ref})
		dimensions = append(dimensions, metric.Resource, ref.Name+":"+key.qualifier)
	default:
		all := account{ref.Account, ref.Region}
		if over = m.accounts[all]; over == nil {
			over = m.newScope(ref)
			m.accounts[all] = over
		}
	}
	s := m.newScope(ref, dimensions...)
	s.over = over
	s.iteratorAge = m.store.Of(metric.IteratorAge, ref.Account, ref.Region, dimensions...)
	m.scopes[key] = s
	return s
}

func (m *meter) newScope(ref Ref, dimensions ...string) *scope {
	of := func(k metric.Kind) *metric.Series { return m.store.Of(k, ref.Account, ref.Region, dimensions...) }
	return &scope{
		invocations: of(metric.Invocations), errors: of(metric.Errors), throttles: of(metric.Throttles),
		duration:   of(metric.Duration),
		concurrent: of(metric.ConcurrentExecutions), coldStarts: of(metric.ColdStarts),
		initDuration: of(metric.InitDuration), outOfMemory: of(metric.OutOfMemory),
	}
}

// forget lets go of a function that is deleted. Invocations that still run are counted all the same.
func (m *meter) forget(ref Ref) {
	m.release(func(key measured) bool { return key.ref == ref })
	// its mappings measured them
	m.store.Of(metric.DeliveryFailures, ref.Account, ref.Region, metric.FunctionName, ref.Name).Release()
}

// forgetQualifier lets go of a version or an alias that is deleted.
func (m *meter) forgetQualifier(ref Ref, qualifier string) {
	m.release(func(key measured) bool {
		return key.ref == ref && (key.qualifier == qualifier || key.executed == qualifier)
	})
}

func (m *meter) release(over func(measured) bool) {
	m.mu.Lock()
	var gone []*scope
	for key, s := range m.scopes {
		if over(key) {
			gone = append(gone, s)
			delete(m.scopes, key)
		}
	}
	m.mu.Unlock()
	for _, s := range gone {
		for _, series := range []*metric.Series{
			s.invocations, s.errors, s.throttles, s.duration, s.concurrent, s.coldStarts, s.initDuration, s.outOfMemory,
			s.iteratorAge,
		} {
			series.Release()
		}
	}
}

// throttled counts an attempt that was refused for lack of concurrency. s may be nil.
func (s *scope) throttled(now time.Time) {
	for ; s != nil; s = s.over {
		s.throttles.Add(now, 1)
	}
}

// measurement follows one invocation. It is part of its Invocation, so that measuring allocates nothing.
type measurement struct {
	scope *scope    // nil: nothing is measured
	at    time.Time // when the event went to an environment, by the clock; zero: not yet
}

// led has an invocation counted under the version that it has been led to. One that counts as running begins again.
func (f *Functions) led(inv *Invocation, g *generation) {
	m := &inv.measure
	scope := f.meter.scope(inv.Ref, inv.Qualifier, g.conf.Version)
	if scope == m.scope {
		return
	}
	if !m.at.IsZero() {
		for s := m.scope; s != nil; s = s.over {
			s.running.Add(-1)
		}
		m.at = time.Time{}
	}
	m.scope = scope
}

// begin records that an environment has been found: from here on the invocation counts as running. A second call
// changes nothing.
func (f *Functions) begin(m *measurement) {
	if m.scope == nil || !m.at.IsZero() {
		return
	}
	m.at = f.opt.Clock.Now()
	for s := m.scope; s != nil; s = s.over {
		s.concurrent.Add(m.at, float64(s.running.Add(1)))
	}
}

// end records the result of the invocation, with the instant at which it began. An invocation that ran no code, or
// whose result is unknown, does not count.
func (inv *Invocation) end(res *Result) {
	m := &inv.measure
	if m.scope == nil || m.at.IsZero() {
		return
	}
	ran := res.Class == Success || res.Class == FunctionError
	for s := m.scope; s != nil; s = s.over {
		s.running.Add(-1)
		if ran {
			s.ended(m.at, res)
		}
	}
	if ran && !inv.LastArrival.IsZero() {
		for s := m.scope; s.over != nil; s = s.over {
			s.iteratorAge.Add(m.at, max(0, millis(m.at.Sub(inv.LastArrival))))
		}
	}
}

func (s *scope) ended(at time.Time, res *Result) {
	s.invocations.Add(at, 1)
	failed := 0.0
	if res.Class == FunctionError {
		failed = 1
	}
	s.errors.Add(at, failed)
	s.throttles.Add(at, 0) // as Errors has its zeros: where functions run and nothing is refused, the metric says so
	if !res.Started.IsZero() {
		s.duration.Add(at, millis(res.Duration))
	}
	if res.Init > 0 {
		s.coldStarts.Add(at, 1)
		s.initDuration.Add(at, millis(res.Init))
	}
	if res.Reason == reasonOutOfMemory {
		s.outOfMemory.Add(at, 1)
	}
}

// millis has two decimals, as REPORT has.
func millis(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Millisecond)*100) / 100
}

// embedded takes the metrics out of a function's log lines, whose times are behind the clock by as much as that of the
// process; nil when nothing is measured.
func (m *meter) embedded(ref Ref, behind func() time.Duration) func([]LogEvent) {
	if m.store == nil {
		return nil
	}
	return func(events []LogEvent) {
		for i := range events {
			m.store.PutEmbedded(ref.Account, ref.Region, metricDocument(events[i].Message), behind())
		}
	}
}

// metricDocument returns the part of a log line that may be a document in the embedded metric format: all of it, or
// what Node.js's console has put behind the time, the request id and the level, each with a tab.
func metricDocument(line string) string {
	at := strings.Index(line, "\t{")
	if at < 0 || line[0] == '{' || strings.Count(line[:at], "\t") != 2 {
		return line
	}
	return line[at+1:]
}
