package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/metric"
)

// Bounds of a request. Source: CloudWatch API Reference, GetMetricData.
const (
	maxQueries    = 500
	maxDatapoints = 100_800
)

const (
	ascending  = "TimestampAscending"
	descending = "TimestampDescending"
)

// getMetricData answers several metrics, one statistic each, by periods that begin at multiples of their length. A page
// continues where the previous one ended, so that values recorded meanwhile shift nothing.
func (h *Handler) getMetricData(_ context.Context, c wire.Caller, in *getMetricDataInput) (any, error) {
	queries, err := in.check(c)
	if err != nil {
		return nil, err
	}
	from, err := in.resume(len(queries))
	if err != nil {
		return nil, err
	}
	room := maxDatapoints
	if in.MaxDatapoints != nil {
		room = *in.MaxDatapoints
	}
	out := getMetricDataOutput{MetricDataResults: list[dataResult]{}, Messages: list[struct{}]{}}
	for i := from.query; i < len(queries); i++ {
		q := &queries[i]
		if room == 0 {
			out.NextToken = new(pageToken{query: i}.String())
			break
		}
		points, err := h.metrics.Points(q.Query)
		if err != nil {
			return nil, err
		}
		values := q.values(points, in.descends())
		if i == from.query && from.begun {
			values = slices.DeleteFunc(values, func(v value) bool { return !from.follows(v.at, in.descends()) })
		}
		r := dataResult{
			ID: q.id, Label: q.label, Timestamps: list[instant]{}, Values: list[double]{}, StatusCode: "Complete",
		}
		for _, v := range values[:min(room, len(values))] {
			r.Timestamps, r.Values = append(r.Timestamps, instant(v.at)), append(r.Values, double(v.value))
		}
		rest := len(values) - len(r.Values)
		if room -= len(r.Values); rest > 0 {
			r.StatusCode = "PartialData"
			out.NextToken = new(pageToken{i, true, values[len(r.Values)-1].at.Unix()}.String())
		}
		if q.shown {
			out.MetricDataResults = append(out.MetricDataResults, r)
		}
		if rest > 0 {
			break
		}
	}
	return out, nil
}

// statQuery is a checked MetricDataQuery.
type statQuery struct {
	metric.Query
	id, label, stat string
	shown           bool
}

// value is one period of one statistic.
type value struct {
	at    time.Time
	value float64
}

// values picks the statistic. Units are summed up, unless the query names one.
func (q *statQuery) values(points []metric.Point, descends bool) (out []value) {
	for i := 0; i < len(points); {
		p := points[i]
		for i++; i < len(points) && points[i].At.Equal(p.At); i++ {
			p.Join(&points[i].Summary)
		}
		if v, known := statistic(q.stat, &p); known {
			out = append(out, value{p.At, v})
		}
	}
	if descends {
		slices.Reverse(out)
	}
	return out
}

func (in *getMetricDataInput) descends() bool { return in.ScanBy == nil || *in.ScanBy == descending }

// pageToken says where the next page begins: at a query, and when that has begun, beyond an instant.
type pageToken struct {
	query int
	begun bool
	after int64 // seconds
}

func (t pageToken) String() string {
	if !t.begun {
		return encodeToken(fmt.Sprintf("data/%d", t.query))
	}
	return encodeToken(fmt.Sprintf("data/%d/%d", t.query, t.after))
}

func (t pageToken) follows(at time.Time, descends bool) bool {
	if descends {
		return at.Unix() < t.after
	}
	return at.Unix() > t.after
}

func (in *getMetricDataInput) resume(queries int) (t pageToken, err error) {
	if in.NextToken == nil {
		return t, nil
	}
	text, ok := decodeToken(*in.NextToken)
	if n, _ := fmt.Sscanf(text, "data/%d/%d", &t.query, &t.after); n == 0 || !ok || t.query < 0 || t.query >= queries {
		return t, fault.New(codeInvalidToken, "The parameter NextToken is invalid.")
	} else {
		t.begun = n == 2
	}
	return t, nil
}

const (
	digits       = "0123456789"
	smallLetters = "abcdefghijklmnopqrstuvwxyz"
	idCharacters = smallLetters + "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + digits + "_"
)

func validQueryID(s string) bool {
	return s != "" && len(s) <= metric.MaxName && strings.IndexByte(smallLetters, s[0]) >= 0 &&
		strings.Trim(s, idCharacters) == ""
}

// validTimezone takes +hhmm and -hhmm.
func validTimezone(s string) bool {
	return len(s) == 5 && (s[0] == '+' || s[0] == '-') && strings.Trim(s[1:], digits) == ""
}

// problems collects the texts of a ValidationError, each on a line of its own, as CloudWatch writes them.
type problems struct{ lines []string }

func (p *problems) add(format string, args ...any) {
	p.lines = append(p.lines, fmt.Sprintf(format, args...))
}

func (p *problems) missing(path string) { p.add("The parameter %s is required.", path) }

// take adds the text of a fault.
func (p *problems) take(err error) {
	var f *fault.Error
	if errors.As(err, &f) {
		p.add("%s", f.Message)
	}
}

func (p *problems) fault() error {
	if len(p.lines) == 0 {
		return nil
	}
	return fault.New(codeValidation, "%s", strings.Join(p.lines[:min(len(p.lines), 20)], "\n")+"\n")
}

// check returns the queries of a request, or everything that is wrong with it.
func (in *getMetricDataInput) check(c wire.Caller) ([]statQuery, error) {
	var p problems
	switch {
	case len(in.MetricDataQueries) == 0:
		p.missing("MetricDataQueries")
	case len(in.MetricDataQueries) > maxQueries:
		p.take(tooMany("MetricDataQueries", maxQueries))
		return nil, p.fault()
	}
	switch {
	case in.StartTime == nil:
		p.missing("StartTime")
	case in.EndTime == nil:
		p.missing("EndTime")
	case time.Time(*in.StartTime).Equal(time.Time(*in.EndTime)):
		p.add("The parameter StartTime must not equal parameter EndTime.")
	case time.Time(*in.StartTime).After(time.Time(*in.EndTime)):
		p.add("The parameter StartTime must be less than the parameter EndTime.")
	}
	if in.ScanBy != nil && *in.ScanBy != ascending && *in.ScanBy != descending {
		p.take(notInSet("ScanBy", []string{descending, ascending}))
	}
	if n := in.MaxDatapoints; n != nil && (*n < 1 || *n > maxDatapoints) {
		p.add("The value %d for parameter MaxDatapoints is invalid. It must be from 1 to %d.", *n, maxDatapoints)
	}
	if l := in.LabelOptions; l != nil && l.Timezone != nil && !validTimezone(*l.Timezone) {
		p.add("The value %s for parameter LabelOptions.Timezone is invalid.", clip(*l.Timezone))
	}
	ids := map[string]bool{}
	queries := make([]statQuery, 0, len(in.MetricDataQueries))
	for i := range in.MetricDataQueries {
		q := in.MetricDataQueries[i].check(element("MetricDataQueries", i), c, &p)
		if ids[q.id] {
			p.add("The values for parameter id in MetricDataQueries are not unique.")
		}
		ids[q.id] = true
		queries = append(queries, q)
	}
	if err := p.fault(); err != nil {
		return nil, err
	}
	for i := range queries {
		q := &queries[i]
		q.Start = time.Time(*in.StartTime).Truncate(max(q.Period, time.Minute))
		q.End = time.Time(*in.EndTime)
	}
	return queries, nil
}

func (in *dataQuery) check(path string, c wire.Caller, p *problems) statQuery {
	q := statQuery{shown: in.ReturnData == nil || *in.ReturnData}
	switch {
	case in.ID == nil:
		p.missing(path + ".Id")
	case !validQueryID(*in.ID):
		p.add(
			"The value %s for parameter %s.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$.", clip(*in.ID),
			path,
		)
	default:
		q.id = *in.ID
	}
	switch {
	case in.Expression != nil:
		p.take(unsupported(path + ".Expression"))
	case in.Period != nil:
		p.take(unsupported(path + ".Period (it belongs to an Expression)"))
	case in.AccountID != nil && *in.AccountID != c.Account:
		p.take(unsupported(path + ".AccountId"))
	case in.MetricStat == nil:
		p.missing(path + ".MetricStat")
	default:
		in.MetricStat.check(path+".MetricStat", &q, p)
	}
	q.Account, q.Region, q.label = c.Account, c.Region, q.Name
	if in.Label != nil {
		if q.label = *in.Label; strings.Contains(q.label, "${") {
			p.take(unsupported(path + ".Label with ${…}"))
		}
	}
	return q
}

func (in *metricStat) check(path string, q *statQuery, p *problems) {
	switch {
	case in.Metric == nil:
		p.missing(path + ".Metric")
	case in.Metric.Namespace == nil:
		p.missing(path + ".Metric.Namespace")
	case in.Metric.MetricName == nil:
		p.missing(path + ".Metric.MetricName")
	default:
		q.ID = metric.ID{Namespace: *in.Metric.Namespace, Name: *in.Metric.MetricName}
		p.take(checkMetric(path+".Metric", &q.ID, in.Metric.Dimensions))
	}
	if in.Period == nil {
		p.missing(path + ".Period")
	} else if text := badPeriod(path+".Period", *in.Period); text != "" {
		p.add("%s", text)
	} else {
		q.Period = time.Duration(*in.Period) * time.Second
	}
	if in.Stat == nil {
		p.missing(path + ".Stat")
	} else if q.stat = *in.Stat; !slices.Contains(plainStatistics, q.stat) {
		if _, ok := percentile(q.stat); !ok {
			p.add(
				"The value %s for parameter %s.Stat is not supported. Use one of %s, or a percentile such as p90.",
				clip(q.stat), path, strings.Join(plainStatistics, ", "),
			)
		}
	}
	if in.Unit != nil {
		if q.Unit = *in.Unit; !metric.ValidUnit(q.Unit) {
			p.take(notInSet(path+".Unit", metric.Units()))
		}
	}
}
