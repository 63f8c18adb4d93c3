package engine

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/metric"
)

// meter measures one mapping. Without a store its series are nil and take nothing. Safe for concurrent use.
type meter struct {
	iteratorAge, settled, discarded, dropped, losses *metric.Series
	counts                                           *atomic.Pointer[counts]
	// of deliveries given up: the function's, and the account's
	failures, allFailures *metric.Series
}

func newMeter(st *metric.Store, m *mapping.Mapping, ref function.Ref, c *atomic.Pointer[counts]) *meter {
	of := func(k metric.Kind) *metric.Series { return st.Of(k, m.Account, m.Region, metric.MappingUUID, m.UUID) }
	return &meter{
		counts:      c,
		iteratorAge: of(metric.MappingIteratorAge), settled: of(metric.RecordsSettled),
		discarded: of(metric.RecordsDiscarded),
		dropped:   of(metric.StatesDropped), losses: of(metric.RetentionLosses),
		failures:    st.Of(metric.DeliveryFailures, ref.Account, ref.Region, metric.FunctionName, ref.Name),
		allFailures: st.Of(metric.DeliveryFailures, ref.Account, ref.Region),
	}
}

// release lets go of a mapping that is deleted, if it was ever measured. Failures of deliveries are the function's.
func (m *meter) release() {
	if m == nil {
		return
	}
	for _, s := range []*metric.Series{m.iteratorAge, m.settled, m.discarded, m.dropped, m.losses} {
		s.Release()
	}
}

// observe counts what came to an end, and for a mapping with EventCount what happened to its records.
func (m *meter) observe(o *Observation) {
	m.counts.Load().observe(o)
	switch what := o.What.(type) {
	case *esm.BatchSettled:
		m.settled.Add(o.At, float64(what.Count))
	case *esm.Discarded:
		m.discarded.Add(o.At, float64(what.Count))
	case *esm.Dropped:
		if what.Why == esm.DropRefused {
			m.failures.Add(o.At, 1)
			m.allFailures.Add(o.At, 1)
		}
	case *esm.StateDropped:
		m.dropped.Add(o.At, 1)
	case *esm.RecordsLost:
		m.losses.Add(o.At, 1)
	default: // nothing ends
	}
}

// sent notes how old the last record of a batch was as it went to the function, if the function ran. A zero lastArrival
// is an invocation without records.
func (m *meter) sent(at, lastArrival time.Time, a *Answer) {
	if a.StatusCode == http.StatusOK && !lastArrival.IsZero() {
		m.iteratorAge.Add(at, max(0, float64(at.Sub(lastArrival).Milliseconds())))
	}
}
