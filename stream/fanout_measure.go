package stream

import (
	"sync"
	"time"

	"github.com/shardmill/shardmill/metric"
)

// consumerMeter holds the series of one consumer. They are made by the first subscription.
type consumerMeter struct {
	once                           sync.Once
	subscribed, refused            *metric.Series
	events, bytes, records, behind *metric.Series
}

// open makes the series of m, unless nothing is measured.
func (m *consumerMeter) open(store *metric.Store, id ConsumerID) {
	m.once.Do(func() {
		of := func(k metric.Kind) *metric.Series {
			return store.Of(k, id.Stream.Account, id.Stream.Region,
				metric.StreamName, id.Stream.Name, metric.ConsumerName, id.Name)
		}
		m.subscribed, m.refused = of(metric.SubscribeSuccess), of(metric.SubscribeRateExceeded)
		m.events, m.bytes = of(metric.SubscribeEvents), of(metric.SubscribeBytes)
		m.records, m.behind = of(metric.SubscribeRecords), of(metric.SubscribeBehind)
	})
}

// release is called when the consumer is gone.
func (m *consumerMeter) release() {
	m.once.Do(func() {}) // none are made any more
	for _, s := range []*metric.Series{m.subscribed, m.refused, m.events, m.bytes, m.records, m.behind} {
		s.Release()
	}
}

// failed counts an event that the store has kept from being published.
func (m *consumerMeter) failed(at time.Time) { m.events.Add(at, 0) }

// began counts an attempt to subscribe, and whether it was let through.
func (sub *Subscription) began(success bool) {
	sub.meter.open(sub.s.meters.store, sub.id)
	at := sub.s.clock.Now()
	if success {
		sub.meter.subscribed.Add(at, 1)
		return
	}
	sub.meter.subscribed.Add(at, 0)
	sub.meter.refused.Add(at, 1)
}

// measure counts an event that is published, for the consumer and for the shard.
func (sub *Subscription) measure(got *reading, behind int64) {
	if sub.s.meters.store == nil {
		return
	}
	at, m := sub.s.clock.Now(), sub.meter
	m.events.Add(at, 1)
	m.bytes.Add(at, float64(got.bytes))
	m.records.Add(at, float64(got.records))
	m.behind.Add(at, float64(behind))
	sn := sub.s.current(sub.key.stream)
	if sn == nil || sn.info.Monitored == 0 || got.records == 0 {
		return
	}
	var v shardValues
	v.add(ShardOutgoingRecords, float64(got.records))
	v.add(ShardOutgoingBytes, float64(got.bytes))
	sub.s.measureShard(sn, sub.shard.key.Index, ShardOutgoingRecords|ShardOutgoingBytes, &v)
}
