package stream

import (
	"sync"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/record"
)

// meters holds the meters of streams. Without a store there are none.
type meters struct {
	store *metric.Store
	mu    sync.RWMutex
	byID  map[uint32]*meter
}

// meter holds the series of one stream. A nil meter measures nothing.
type meter struct {
	records, bytes, writesExceeded                                *metric.Series
	putRecord, putRecords                                         putMeter
	total, successful, alsoSuccessful, throttled, failed          *metric.Series // records of PutRecords
	age, readBytes, readRecords, readLatency, read, readsExceeded *metric.Series
	shards                                                        shardMeters
}

// putMeter holds the series of one operation that puts.
type putMeter struct{ success, bytes, latency *metric.Series }

// all returns every series of m.
func (m *meter) all() []*metric.Series {
	return []*metric.Series{
		m.records, m.bytes, m.writesExceeded,
		m.putRecord.success, m.putRecord.bytes, m.putRecord.latency,
		m.putRecords.success, m.putRecords.bytes, m.putRecords.latency,
		m.total, m.successful, m.alsoSuccessful, m.throttled, m.failed,
		m.age, m.readBytes, m.readRecords, m.readLatency, m.read, m.readsExceeded,
	}
}

// meterOf returns the meter of a stream by its number, which is never reused; nil for one that is gone, which a reader
// or a put may still have in hand.
func (s *Streams) meterOf(sn *snapshot) *meter {
	m := &s.meters
	if m.store == nil {
		return nil
	}
	m.mu.RLock()
	found := m.byID[sn.info.ID]
	m.mu.RUnlock()
	if found != nil {
		return found
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if found = m.byID[sn.info.ID]; found != nil {
		return found
	}
	if now := s.current(sn.info.ID); now != nil {
		name := sn.info.Name
		of := func(k metric.Kind) *metric.Series {
			return m.store.Of(k, name.Account, name.Region, metric.StreamName, name.Name)
		}
		found = &meter{
			records: of(metric.IncomingRecords), bytes: of(metric.IncomingBytes),
			writesExceeded: of(metric.WriteThroughputExceeded),
			putRecord: putMeter{
				of(metric.PutRecordSuccess), of(metric.PutRecordBytes), of(metric.PutRecordLatency),
			},
			putRecords: putMeter{
				of(metric.PutRecordsSuccess), of(metric.PutRecordsBytes), of(metric.PutRecordsLatency),
			},
			total: of(metric.PutRecordsTotal), successful: of(metric.PutRecordsSuccessful),
			alsoSuccessful: of(metric.PutRecordsRecords), throttled: of(metric.PutRecordsThrottled),
			failed: of(metric.PutRecordsFailed),
			age:    of(metric.GetRecordsAge), readBytes: of(metric.GetRecordsBytes),
			readRecords: of(metric.GetRecordsRecords), readLatency: of(metric.GetRecordsLatency),
			read: of(metric.GetRecordsSuccess), readsExceeded: of(metric.ReadThroughputExceeded),
		}
		found.shards.measure = now.info.Monitored // sn may be older: nobody tells a meter of what was before it
		m.byID[sn.info.ID] = found
	}
	return found
}

// current returns the latest snapshot of the stream with a number; nil: there is none.
func (s *Streams) current(id uint32) *snapshot {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if st := s.byID[id]; st != nil {
		return st.snap.Load()
	}
	return nil
}

// forget drops the meter of a deleted stream, which must be unknown already, or it would be made again.
func (m *meters) forget(id uint32) {
	m.mu.Lock()
	found := m.byID[id]
	delete(m.byID, id)
	m.mu.Unlock()
	if found == nil {
		return
	}
	for _, s := range found.all() {
		s.Release()
	}
	found.shards.keep(0, nil)
}

// keep has the meter of a stream measure the shards that sn has, as sn says.
func (m *meters) keep(sn *snapshot, now record.Millis) {
	m.mu.RLock()
	found := m.byID[sn.info.ID]
	m.mu.RUnlock()
	if found != nil {
		horizon := sn.trimHorizon(now)
		found.shards.keep(sn.info.Monitored, func(id record.ShardID) bool {
			return sn.info.Shards[id].expired(horizon)
		})
	}
}

// measurePut counts a put of one record or of several that began at an instant of real time: the durable records, and
// whether there are any.
func (s *Streams) measurePut(sn *snapshot, several bool, recs []record.Record, placed []Placed, began time.Time) {
	m := s.meterOf(sn)
	if m == nil {
		return
	}
	records, throttled, bytes, success := 0, 0, 0, 0.0
	for i := range placed {
		switch f := placed[i].Fault; {
		case f == nil:
			records++
			bytes += recs[i].Size()
		case f.Code == codeThrottled:
			throttled++
		}
	}
	at := s.clock.Now()
	put := &m.putRecord
	if several {
		put = &m.putRecords
		m.total.Add(at, float64(len(placed)))
		m.successful.Add(at, float64(records))
		m.alsoSuccessful.Add(at, float64(records))
		m.throttled.Add(at, float64(throttled))
		m.failed.Add(at, float64(len(placed)-records-throttled))
	}
	if records > 0 {
		success = 1
		m.records.Add(at, float64(records))
		m.bytes.Add(at, float64(bytes))
		put.bytes.Add(at, float64(bytes))
	}
	put.success.Add(at, success)
	put.latency.Add(at, millisSince(began))
	m.writesExceeded.Add(at, float64(throttled))
	if sn.info.Monitored != 0 {
		s.measureShardPuts(sn, recs, placed)
	}
}

// measureShardPuts counts a put for each shard that it reached.
func (s *Streams) measureShardPuts(sn *snapshot, recs []record.Record, placed []Placed) {
	byShard := map[record.ShardID]*shardValues{}
	for i := range placed {
		v := byShard[placed[i].Shard]
		if v == nil {
			v = &shardValues{}
			byShard[placed[i].Shard] = v
		}
		switch f := placed[i].Fault; {
		case f == nil:
			v.add(ShardIncomingRecords, 1)
			v.add(ShardIncomingBytes, float64(recs[i].Size()))
		case f.Code == codeThrottled:
			v.add(ShardWritesExceeded, 1)
		}
	}
	for shard, v := range byShard {
		which := ShardWritesExceeded
		if v.of(ShardIncomingRecords) > 0 {
			which |= ShardIncomingRecords | ShardIncomingBytes
		}
		s.measureShard(sn, shard, which, v)
	}
}

// reading follows one read that is measured.
type reading struct {
	began   time.Time // real time
	records int
	bytes   int
	last    record.Millis // arrival of the last record
}

func (r *reading) saw(rec *record.Record) {
	r.records++
	r.bytes += rec.Size()
	r.last = rec.Arrival
}

// measureRead records what a read of a client or a mapping brought, and how old its last record was; 0 if there was
// nothing to read.
func (s *Streams) measureRead(sn *snapshot, shard record.ShardID, r *reading, err error) {
	m := s.meterOf(sn)
	if m == nil {
		return
	}
	at := s.clock.Now()
	exceeded := 0.0
	if fault.CodeOf(err) == codeThrottled {
		exceeded = 1
	}
	m.readsExceeded.Add(at, exceeded)
	if err != nil {
		m.read.Add(at, 0)
		if sn.info.Monitored != 0 {
			var v shardValues
			v.add(ShardReadsExceeded, exceeded)
			s.measureShard(sn, shard, ShardReadsExceeded, &v)
		}
		return
	}
	age := record.Millis(0)
	if r.records > 0 {
		age = max(0, record.MillisOf(at)-r.last)
	}
	m.age.Add(at, float64(age))
	m.readBytes.Add(at, float64(r.bytes))
	m.readRecords.Add(at, float64(r.records))
	m.readLatency.Add(at, millisSince(r.began))
	m.read.Add(at, 1)
	if sn.info.Monitored != 0 {
		var v shardValues
		v.add(ShardOutgoingRecords, float64(r.records))
		v.add(ShardOutgoingBytes, float64(r.bytes))
		v.add(ShardIteratorAge, float64(age))
		s.measureShard(sn, shard, ShardOutgoingRecords|ShardOutgoingBytes|ShardIteratorAge|ShardReadsExceeded, &v)
	}
}

// millisSince has two decimals.
func millisSince(began time.Time) float64 {
	return float64(time.Since(began)/(10*time.Microsecond)) / 100
}
