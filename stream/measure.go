package stream

import (
	"sync"

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
	records, bytes, putRecord, putRecords, age *metric.Series
}

// of returns the meter of a stream by its number, which is never reused.
func (m *meters) of(sn *snapshot) *meter {
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
	if found = m.byID[sn.info.ID]; found == nil {
		name := sn.info.Name
		of := func(k metric.Kind) *metric.Series {
			return m.store.Of(k, name.Account, name.Region, metric.StreamName, name.Name)
		}
		found = &meter{
			of(metric.IncomingRecords), of(metric.IncomingBytes), of(metric.PutRecordSuccess),
			of(metric.PutRecordsSuccess), of(metric.GetRecordsAge),
		}
		m.byID[sn.info.ID] = found
	}
	return found
}

// forget drops the meter of a deleted stream.
func (m *meters) forget(id uint32) {
	m.mu.Lock()
	found := m.byID[id]
	delete(m.byID, id)
	m.mu.Unlock()
	if found == nil {
		return
	}
	for _, s := range []*metric.Series{found.records, found.bytes, found.putRecord, found.putRecords, found.age} {
		s.Release()
	}
}

// measurePut counts a put of one record or of several: the durable records, and whether there are any.
func (s *Streams) measurePut(sn *snapshot, several bool, recs []record.Record, placed []Placed) {
	m := s.meters.of(sn)
	if m == nil {
		return
	}
	records, bytes, success := 0, 0, 0.0
	for i := range placed {
		if placed[i].Fault == nil {
			records++
			bytes += recs[i].Size()
		}
	}
	at := s.clock.Now()
	if records > 0 {
		success = 1
		m.records.Add(at, float64(records))
		m.bytes.Add(at, float64(bytes))
	}
	if several {
		m.putRecords.Add(at, success)
	} else {
		m.putRecord.Add(at, success)
	}
}

// measureGet records how old the last record of a GetRecords was; 0 if there was nothing to read.
func (s *Streams) measureGet(sn *snapshot, count int, last, now record.Millis) {
	m := s.meters.of(sn)
	if m == nil {
		return
	}
	age := record.Millis(0)
	if count > 0 {
		age = max(0, now-last)
	}
	m.age.Add(s.clock.Now(), float64(age))
}
