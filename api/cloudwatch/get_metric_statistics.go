package cloudwatch

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/metric"
)

// maxPeriods bounds one answer. Source: CloudWatch API Reference, GetMetricStatistics.
const maxPeriods = 1440

const maxExtended = 10

// plainStatistics are the statistics other than percentiles.
var plainStatistics = []string{"SampleCount", "Average", "Sum", "Minimum", "Maximum"}

// getMetricStatistics answers one metric, by periods that begin at the minute of StartTime. An unknown metric has no
// data points.
func (h *Handler) getMetricStatistics(_ context.Context, c wire.Caller, in *getMetricStatisticsInput) (any, error) {
	q, err := in.check(c)
	if err != nil {
		return nil, err
	}
	points, err := h.metrics.Points(q)
	if err != nil {
		return nil, err
	}
	out := getMetricStatisticsOutput{Label: q.Name, Datapoints: list[datapoint]{}}
	for i := range points {
		out.Datapoints = append(out.Datapoints, in.show(&points[i]))
	}
	return out, nil
}

func (in *getMetricStatisticsInput) show(p *metric.Point) datapoint {
	d := datapoint{Timestamp: instant(p.At), Unit: p.Unit}
	for _, s := range in.Statistics {
		exact, _ := statistic(s, p)
		v := double(exact)
		switch s {
		case "SampleCount":
			d.SampleCount = &v
		case "Average":
			d.Average = &v
		case "Sum":
			d.Sum = &v
		case "Minimum":
			d.Minimum = &v
		case "Maximum":
			d.Maximum = &v
		}
	}
	for _, s := range in.ExtendedStatistics {
		if v, known := statistic(s, p); known {
			if d.ExtendedStatistics == nil {
				d.ExtendedStatistics = statistics{}
			}
			d.ExtendedStatistics[s] = double(v)
		}
	}
	return d
}

// statistic is one statistic of a period, by a name that was checked. A percentile may be unknown.
func statistic(name string, p *metric.Point) (v float64, known bool) {
	switch name {
	case "SampleCount":
		return p.Count, true
	case "Average":
		return p.Average(), true
	case "Sum":
		return p.Sum, true
	case "Minimum":
		return p.Min, true
	case "Maximum":
		return p.Max, true
	}
	percent, _ := percentile(name)
	return p.Percentile(percent)
}

// percentile reads p0 to p100, with up to ten decimal places.
func percentile(name string) (percent float64, ok bool) {
	number, ok := strings.CutPrefix(name, "p")
	if !ok || number == "" || len(number) > 14 || strings.Trim(number, digits+".") != "" {
		return 0, false
	}
	percent, err := strconv.ParseFloat(number, 64)
	return percent, err == nil && percent >= 0 && percent <= 100
}

func (in *getMetricStatisticsInput) check(c wire.Caller) (q metric.Query, err error) {
	switch {
	case in.Namespace == nil:
		return q, missing("Namespace")
	case in.MetricName == nil:
		return q, missing("MetricName")
	case in.StartTime == nil:
		return q, missing("StartTime")
	case in.EndTime == nil:
		return q, missing("EndTime")
	case in.Period == nil:
		return q, missing("Period")
	}
	q.ID = metric.ID{Account: c.Account, Region: c.Region, Namespace: *in.Namespace, Name: *in.MetricName}
	if err := checkMetric("", &q.ID, in.Dimensions); err != nil {
		return q, err
	}
	start, last := time.Time(*in.StartTime), time.Time(*in.EndTime)
	q.Start, q.End, q.Period = start.Truncate(time.Minute), last, time.Duration(*in.Period)*time.Second
	if text := badPeriod("Period", *in.Period); text != "" {
		return q, invalid("%s", text)
	}
	if !start.Before(last) {
		return q, invalid("The parameter StartTime must be less than the parameter EndTime.")
	}
	if err := in.checkStatistics(); err != nil {
		return q, err
	}
	if in.Unit != nil {
		if q.Unit = *in.Unit; !metric.ValidUnit(q.Unit) {
			return q, notInSet("Unit", metric.Units())
		}
	}
	if n := (int64(last.Sub(start)) + int64(q.Period) - 1) / int64(q.Period); n > maxPeriods {
		return q, combination("You have requested up to %d datapoints, which exceeds the limit of %d. "+
			"You may reduce the datapoints requested by increasing Period, or decreasing the time range.", n,
			maxPeriods)
	}
	return q, nil
}

func (in *getMetricStatisticsInput) checkStatistics() error {
	switch {
	case len(in.Statistics)+len(in.ExtendedStatistics) == 0:
		return combination("At least one of the parameters Statistics and ExtendedStatistics must be specified.")
	case len(in.Statistics) > 0 && len(in.ExtendedStatistics) > 0:
		return combination(
			"The parameters Statistics and ExtendedStatistics are mutually exclusive and you have specified both.",
		)
	case len(in.Statistics) > len(plainStatistics):
		return tooMany("Statistics", len(plainStatistics))
	case len(in.ExtendedStatistics) > maxExtended:
		return tooMany("ExtendedStatistics", maxExtended)
	}
	for i, s := range in.Statistics {
		if !slices.Contains(plainStatistics, s) {
			return notInSet(element("Statistics", i), plainStatistics)
		}
	}
	for i, s := range in.ExtendedStatistics {
		if _, ok := percentile(s); !ok {
			return invalidValue(element("ExtendedStatistics", i), s)
		}
	}
	return nil
}

// checkMetric checks the name of a requested metric, and adds its dimensions.
func checkMetric(path string, id *metric.ID, dimensions []dimension) (err error) {
	if !metric.ValidNamespace(id.Namespace) {
		return invalidValue(under(path, "Namespace"), id.Namespace)
	}
	if !metric.ValidText(id.Name, metric.MaxName) {
		return invalidValue(under(path, "MetricName"), id.Name)
	}
	id.Dimensions, err = checkDimensions(under(path, "Dimensions"), dimensions)
	return err
}

// maxPeriod keeps a period where it can be counted in nanoseconds; AWS's own bound is a day.
const maxPeriod = 1 << 31

// badPeriod is CloudWatch's text for a period that cannot be; "" for one that can.
func badPeriod(path string, seconds int) string {
	switch {
	case seconds == 0:
		return "The parameter " + path + " must not equal 0."
	case seconds < 0:
		return "The parameter " + path + " must be greater than 0."
	case seconds%60 != 0 && !slices.Contains([]int{1, 5, 10, 20, 30}, seconds), seconds > maxPeriod:
		return "The parameter " + path + " must be a multiple of 60."
	}
	return ""
}
