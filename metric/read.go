package metric

import (
	"bytes"
	"slices"
	"strings"
	"time"
)

// Query asks for a metric over a span, cut into periods.
type Query struct {
	ID
	Unit       string    // "": every unit
	Start, End time.Time // Start inclusive, on a full minute, where the first period begins; End exclusive
	Period     time.Duration
}

// Point is one period of a metric in one unit.
type Point struct {
	At   time.Time // where the period begins
	Unit string
	Summary
}

// Points returns the periods that hold values, in order of time, then unit. They include everything recorded before the
// call, and nothing past retention.
func (st *Store) Points(q Query) ([]Point, error) {
	st.writing.Lock()
	defer st.writing.Unlock()
	_ = st.writeLocked() // logged; return what is stored
	q.Dimensions = sorted(q.Dimensions)
	oldest := minuteOf(st.clock.Now().Add(-Retention))
	type found struct {
		unit   string
		number uint64
	}
	var series []found
	lo := appendID([]byte(seriesPrefix), q.ID)
	var failed error
	err := st.local.Scan(lo, append(slices.Clone(lo), 0xff), false, func(k, v []byte) bool {
		unit := string(k[len(lo):])
		if q.Unit != "" && q.Unit != unit {
			return true
		}
		var p place
		p, failed = decodePlace(v)
		series = append(series, found{unit, p.number})
		return failed == nil
	})
	if failed != nil || err != nil {
		return nil, first(failed, err)
	}
	var out []Point
	for _, s := range series {
		points, err := st.periods(s.number, s.unit, q, oldest)
		if err != nil {
			return nil, err
		}
		out = append(out, points...)
	}
	slices.SortStableFunc(out, func(a, b Point) int { return a.At.Compare(b.At) })
	return out, nil
}

// periods sums the minutes of one series into periods.
func (st *Store) periods(number uint64, unit string, q Query, oldest int64) (out []Point, err error) {
	var b bucket
	var failed error
	lo := max(minuteOf(q.Start), oldest)
	hi := minuteOf(q.End.Add(time.Minute - 1)) // a minute that has begun counts in full
	if lo >= hi {
		return nil, nil
	}
	err = st.local.Scan(pointKey(number, lo), pointKey(number, hi), false, func(k, v []byte) bool {
		if failed = decodeBucket(v, &b); failed != nil {
			return false
		}
		minute := time.Unix(minuteIn(k)*60, 0).UTC()
		at := q.Start.Add(minute.Sub(q.Start) / q.Period * q.Period)
		if len(out) == 0 || !out[len(out)-1].At.Equal(at) {
			out = append(out, Point{At: at, Unit: unit})
		}
		out[len(out)-1].Join(&b.Summary)
		return true
	})
	return out, first(failed, err)
}

// Filter selects metrics with a dimension; an empty Value stands for any value.
type Filter struct{ Name, Value string }

// Listing asks for the metrics of an account in a region. Namespace and Name may be empty; Name without Namespace means
// all namespaces.
type Listing struct {
	Account, Region string
	Namespace, Name string
	Filters         []Filter
	Since           time.Time // recorded at or after it; zero: within retention
	After           string    // next of the previous page
	Limit           int
}

// List returns metrics in order of namespace, name and dimensions, whatever their units. next is empty at the end.
func (st *Store) List(l Listing) (metrics []ID, next string, err error) {
	st.writing.Lock()
	defer st.writing.Unlock()
	_ = st.writeLocked() // logged; return what is stored
	prefix := seriesPrefix + l.Account + "\x00" + l.Region + "\x00"
	if l.Namespace != "" {
		prefix += l.Namespace + "\x00"
		if l.Name != "" {
			prefix += l.Name + "\x00"
		}
	}
	lo := []byte(prefix)
	if after := seriesPrefix + l.After + "\xff"; l.After != "" && after > prefix {
		lo = []byte(after)
	}
	since := max(minuteOf(l.Since), minuteOf(st.clock.Now().Add(-Retention)))
	last := ""
	var failed error
	err = st.local.Scan(lo, append([]byte(prefix), 0xff), false, func(k, v []byte) bool {
		if last != "" && bytes.HasPrefix(k[len(seriesPrefix):], []byte(last)) {
			return true // the same metric in another unit
		}
		var p place
		if p, failed = decodePlace(v); failed != nil {
			return false
		}
		key := string(k[len(seriesPrefix):])
		id, _, idLen, ok := parseKey(key)
		if !ok || p.active < since || !l.wants(id) {
			return true
		}
		if len(metrics) == l.Limit {
			next = last
			return false
		}
		last = key[:idLen]
		metrics = append(metrics, id)
		return true
	})
	if failed != nil || err != nil {
		return nil, "", first(failed, err)
	}
	return metrics, next, nil
}

func (l *Listing) wants(id ID) bool {
	if l.Name != "" && l.Name != id.Name {
		return false
	}
	for _, f := range l.Filters {
		if !slices.ContainsFunc(id.Dimensions, func(d Dimension) bool {
			return d.Name == f.Name && (f.Value == "" || f.Value == d.Value)
		}) {
			return false
		}
	}
	return true
}

// MayFollow reports whether after can be the next of a page of this account and region.
func (l *Listing) MayFollow(after string) bool {
	return strings.HasPrefix(after, l.Account+"\x00"+l.Region+"\x00")
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
