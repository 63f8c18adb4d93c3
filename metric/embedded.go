package metric

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/shardmill/shardmill/internal/jsontext"
)

// Bounds of one line in the embedded metric format. Source: CloudWatch User Guide, "Specification: Embedded metric
// format"; the bound on directives is ours.
const (
	maxDirectives      = 10
	maxDimensionSets   = 30
	maxEmbeddedMetrics = 100 // per directive
	maxEmbeddedValues  = 100 // per metric
)

// embedded is what a line says about its metrics.
type embedded struct {
	AWS struct {
		Timestamp         int64 // milliseconds
		CloudWatchMetrics []directive
	} `json:"_aws"`
}

type directive struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []struct{ Name, Unit string }
}

// PutEmbedded records the metrics of a line in CloudWatch's embedded metric format, and reports whether it was one.
// Other lines cost next to nothing. Directives that break the format are left out silently, as CloudWatch does: a log
// line has no caller to tell. A line carries the time of the process that wrote it; behind is how far that is behind
// the store's clock.
func (st *Store) PutEmbedded(account, region, line string, behind time.Duration) bool {
	if st == nil || !strings.Contains(line, `"CloudWatchMetrics"`) || !jsontext.Faithful([]byte(line)) {
		return false
	}
	var e embedded
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(line), &e) != nil || json.Unmarshal([]byte(line), &members) != nil {
		return false
	}
	now := st.clock.Now()
	at := time.UnixMilli(e.AWS.Timestamp).Add(behind)
	if age := now.Sub(at).Seconds(); e.AWS.Timestamp == 0 || age > MaxPast || age < -MaxFuture {
		return false
	}
	put := false
	for _, d := range e.AWS.CloudWatchMetrics[:min(len(e.AWS.CloudWatchMetrics), maxDirectives)] {
		put = st.putDirective(account, region, at, &d, members) || put
	}
	return put
}

func (st *Store) putDirective(
	account, region string, at time.Time, d *directive, members map[string]json.RawMessage,
) (put bool) {
	sets, ok := dimensionSets(d.Dimensions, members)
	if !ok || !ValidNamespace(d.Namespace) || len(d.Metrics) > maxEmbeddedMetrics {
		return false
	}
	for _, m := range d.Metrics {
		if m.Unit == "" {
			m.Unit = None
		}
		values := embeddedValues(members[m.Name])
		if !ValidText(m.Name, MaxName) || !ValidUnit(m.Unit) || len(values) == 0 {
			continue
		}
		for _, set := range sets {
			id := ID{Account: account, Region: region, Namespace: d.Namespace, Name: m.Name, Dimensions: set}
			put = st.Put(id, m.Unit, at, values...) == nil || put // a full store has logged it
		}
	}
	return put
}

// dimensionSets looks up the values of each set of dimensions. No set at all means one set without dimensions.
func dimensionSets(names [][]string, members map[string]json.RawMessage) (sets [][]Dimension, ok bool) {
	if len(names) > maxDimensionSets {
		return nil, false
	}
	if len(names) == 0 {
		return [][]Dimension{nil}, true
	}
	for _, set := range names {
		if len(set) > MaxDimensions {
			return nil, false
		}
		var out []Dimension
		for _, name := range set {
			var value string
			if json.Unmarshal(members[name], &value) != nil || !ValidText(name, MaxName) ||
				!ValidText(value, MaxDimensionValue) {
				return nil, false
			}
			out = append(out, Dimension{name, value})
		}
		sets = append(sets, out)
	}
	return sets, true
}

// embeddedValues reads a number or a list of numbers; anything else gives none.
func embeddedValues(raw json.RawMessage) (out []Value) {
	var one *float64
	if json.Unmarshal(raw, &one) == nil && one != nil {
		return []Value{{*one, 1}}
	}
	var many []float64
	if json.Unmarshal(raw, &many) != nil || len(many) > maxEmbeddedValues {
		return nil
	}
	for _, v := range many {
		out = append(out, Value{v, 1})
	}
	return out
}
