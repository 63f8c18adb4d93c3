package engine

import (
	"slices"
	"sync"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/metric"
)

// counts are the metrics that EventCount switches on for a mapping. They come from what the core observes, here and
// nowhere else, and from the pulse. A nil counts counts nothing. Safe for concurrent use.
type counts struct {
	polled, filtered, invoked, failed, dropped, delivered *metric.Series

	mu   sync.Mutex
	read []int64 // minutes since 1970 in which something was read and that the pulse has not looked at, in order
}

// newCounts returns nil unless the mapping's MetricsConfig asks for them and there is a store.
func newCounts(st *metric.Store, m *mapping.Mapping) *counts {
	if st == nil || !m.EventCount {
		return nil
	}
	of := func(k metric.Kind) *metric.Series { return st.Of(k, m.Account, m.Region, metric.MappingUUID, m.UUID) }
	return &counts{
		polled: of(metric.PolledEvents), filtered: of(metric.FilteredOutEvents), invoked: of(metric.InvokedEvents),
		failed: of(metric.FailedInvokeEvents), dropped: of(metric.DroppedEvents), delivered: of(metric.DeliveredEvents),
	}
}

// release lets go of the series; what they counted stays readable.
func (c *counts) release() {
	if c == nil {
		return
	}
	for _, s := range []*metric.Series{c.polled, c.filtered, c.invoked, c.failed, c.dropped, c.delivered} {
		s.Release()
	}
}

// observe counts records. Of a partial failure all records of the batch count as failed, as of every failed attempt.
// Invocations without records, which end tumbling windows, add nothing.
func (c *counts) observe(o *Observation) {
	if c == nil {
		return
	}
	switch what := o.What.(type) {
	case *esm.ReadDone:
		c.note(o.At)
		c.polled.Add(o.At, float64(what.Records))
		if what.Records > 0 {
			c.filtered.Add(o.At, float64(what.Filtered))
		}
	case *esm.AttemptStarted:
		add(c.invoked, o.At, what.Count)
	case *esm.AttemptEnded:
		if what.Outcome.Kind != esm.Success {
			add(c.failed, o.At, what.Count)
		}
	case *esm.Dropped:
		add(c.dropped, o.At, what.Count)
	case *esm.NoticeDelivered:
		add(c.delivered, o.At, what.Count)
	default: // no record is read, sent or given up
	}
}

func add(s *metric.Series, at time.Time, records int) {
	if records > 0 {
		s.Add(at, float64(records))
	}
}

// note keeps that something was read in the minute of an instant, until the pulse has looked at it. What is older than
// the pulse looks back is let go of.
func (c *counts) note(at time.Time) {
	minute := minuteOf(at)
	c.mu.Lock()
	defer c.mu.Unlock()
	i, found := slices.BinarySearch(c.read, minute)
	if found {
		return
	}
	if c.read = slices.Insert(c.read, i, minute); len(c.read) > pulseMinutes+1 {
		c.read = slices.Delete(c.read, 0, 1)
	}
}

// idle notes that nothing was read in a minute that is over, unless something was. Minutes come in order.
func (c *counts) idle(minute time.Time) {
	c.mu.Lock()
	i, found := slices.BinarySearch(c.read, minuteOf(minute))
	c.read = slices.Delete(c.read, 0, i)
	c.mu.Unlock()
	if !found {
		c.polled.Add(minute, 0)
	}
}

// minuteOf counts minutes since 1970.
func minuteOf(at time.Time) int64 { return at.Unix() / 60 }

// pulseMinutes is how many minutes get their zeros afterwards when the clock has jumped.
const pulseMinutes = 60

// pulse gives mappings that count a 0 for every minute in which they had nothing to read: a reader that waits for an
// append does not poll, where AWS's does so every second. It runs only while some mapping counts, wakes no shard, and
// moving the clock does not stop at its minutes. Safe for concurrent use.
type pulse struct {
	clock *clock.Clock

	mu     sync.Mutex
	counts map[*counts]struct{}
	minute time.Time    // the first one not looked at
	timer  *clock.Timer // nil: nobody counts
}

// add has c counted in from this minute on.
func (p *pulse) add(c *counts) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.counts == nil {
		p.counts = map[*counts]struct{}{}
	}
	p.counts[c] = struct{}{}
	if p.timer == nil {
		p.minute = p.clock.Now().Truncate(time.Minute)
		p.arm()
	}
}

func (p *pulse) remove(c *counts) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.counts, c)
	if len(p.counts) == 0 && p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}

// arm waits for the end of the minute. p.mu is held.
func (p *pulse) arm() { p.timer = p.clock.AtLeast(p.minute.Add(time.Minute), p.beat) }

func (p *pulse) beat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer == nil {
		return // the last one was removed meanwhile
	}
	now := p.clock.Now().Truncate(time.Minute)
	if now.Sub(p.minute) > pulseMinutes*time.Minute {
		p.minute = now.Add(-pulseMinutes * time.Minute)
	}
	for p.minute.Before(now) {
		for c := range p.counts {
			c.idle(p.minute)
		}
		p.minute = p.minute.Add(time.Minute)
	}
	p.arm()
}
