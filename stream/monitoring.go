package stream

import (
	"context"
	"math/bits"
	"sync"

	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/record"
)

// ShardMetrics is a set of metrics that a stream measures for each of its shards.
type ShardMetrics uint8

// The metrics of shards, in the order in which AWS shows them.
const (
	ShardIncomingBytes ShardMetrics = 1 << iota
	ShardIncomingRecords
	ShardOutgoingBytes
	ShardOutgoingRecords
	ShardWritesExceeded
	ShardReadsExceeded
	ShardIteratorAge
)

// shardKinds are the metrics of shards, by the bit of their ShardMetrics.
var shardKinds = [...]metric.Kind{
	metric.IncomingBytes, metric.IncomingRecords, metric.OutgoingBytes, metric.OutgoingRecords,
	metric.WriteThroughputExceeded, metric.ReadThroughputExceeded, metric.ShardIteratorAge,
}

// AllShardMetrics is every one of them.
const AllShardMetrics ShardMetrics = 1<<len(shardKinds) - 1

// ShardMetricNamed finds a metric by its name in CloudWatch; ALL is AllShardMetrics.
func ShardMetricNamed(name string) (found ShardMetrics, ok bool) {
	if name == "ALL" {
		return AllShardMetrics, true
	}
	for i, k := range shardKinds {
		if k.Name == name {
			return 1 << i, true
		}
	}
	return 0, false
}

// Names returns the names of the metrics in m, in AWS's order; never nil.
func (m ShardMetrics) Names() []string {
	names := make([]string, 0, len(shardKinds))
	for i, k := range shardKinds {
		if m&(1<<i) != 0 {
			names = append(names, k.Name)
		}
	}
	return names
}

// shardMetricsNamed reads what a stream's record names. A name that is not known here is left out: what it measured is
// not measured by this release.
func shardMetricsNamed(names []string) (m ShardMetrics) {
	for _, name := range names {
		found, _ := ShardMetricNamed(name)
		m |= found
	}
	return m
}

// Monitor has a stream measure the metrics of add for each of its shards, and no longer those of remove; it returns
// what it measured before and measures now, when that is durable. What it measures already, or does not, may be named
// again. Faults: ResourceNotFoundException, ResourceInUseException unless ACTIVE. Source: Kinesis API Reference,
// EnableEnhancedMonitoring, DisableEnhancedMonitoring.
func (s *Streams) Monitor(
	ctx context.Context, name Name, add, remove ShardMetrics,
) (before, after ShardMetrics, err error) {
	err = s.set(ctx, name, func(_ *Info, r *streamRecord) (bool, error) {
		before = shardMetricsNamed(r.Monitored)
		after = (before | add) &^ remove
		r.Monitored = after.Names()
		return after == before, nil
	})
	return before, after, err
}

// shardMeters holds the series of a stream's shards.
type shardMeters struct {
	mu      sync.Mutex
	measure ShardMetrics
	of      map[record.ShardID]*[len(shardKinds)]*metric.Series // nil where measure has no such metric
}

// shardValues are the values of one call, by the bit of their ShardMetrics.
type shardValues [len(shardKinds)]float64

// add counts up the value of one metric.
func (v *shardValues) add(m ShardMetrics, n float64) { v[bits.TrailingZeros8(uint8(m))] += n }

// of returns the value of one metric.
func (v *shardValues) of(m ShardMetrics) float64 { return v[bits.TrailingZeros8(uint8(m))] }

// measureShard records values of the metrics in which for one shard, as far as the stream measures them.
func (s *Streams) measureShard(sn *snapshot, shard record.ShardID, which ShardMetrics, values *shardValues) {
	m := s.meterOf(sn)
	if m == nil {
		return
	}
	at, name := s.clock.Now(), sn.info.Name
	m.shards.mu.Lock()
	defer m.shards.mu.Unlock()
	if which &= m.shards.measure; which == 0 {
		return
	}
	series := m.shards.of[shard]
	if series == nil {
		series = new([len(shardKinds)]*metric.Series)
		if m.shards.of == nil {
			m.shards.of = map[record.ShardID]*[len(shardKinds)]*metric.Series{}
		}
		m.shards.of[shard] = series
	}
	for i, k := range shardKinds {
		if which&(1<<i) == 0 {
			continue
		}
		if series[i] == nil {
			series[i] = s.meters.store.Of(
				k, name.Account, name.Region, metric.StreamName, name.Name, metric.ShardID, shard.String(),
			)
		}
		series[i].Add(at, values[i])
	}
}

// keep gives back the series of shards that are no longer measured: of metrics that which lacks, and of shards that
// are gone.
func (m *shardMeters) keep(which ShardMetrics, gone func(record.ShardID) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.measure = which
	for id, series := range m.of {
		over := which == 0 || gone(id)
		for i, one := range series {
			if one != nil && (over || which&(1<<i) == 0) {
				one.Release()
				series[i] = nil
			}
		}
		if over {
			delete(m.of, id)
		}
	}
}
