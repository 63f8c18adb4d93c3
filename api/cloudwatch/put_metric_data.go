package cloudwatch

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/metric"
)

// Bounds of a request. Source: CloudWatch API Reference, PutMetricData.
const (
	maxData   = 1000
	maxValues = 150
)

// entry is a checked datum.
type entry struct {
	id      metric.ID
	unit    string
	at      time.Time
	values  []metric.Value
	summary *statisticSet
}

// putMetricData records values. Everything is checked before anything is recorded. On return the values are readable,
// and within a second or two durable.
func (h *Handler) putMetricData(_ context.Context, c wire.Caller, in *putMetricDataInput) (any, error) {
	switch {
	case in.Namespace == nil:
		return nil, missing("Namespace")
	case !metric.ValidNamespace(*in.Namespace) || strings.HasPrefix(*in.Namespace, "AWS/"):
		return nil, invalidValue("Namespace", *in.Namespace)
	case in.EntityMetricData != nil:
		return nil, unsupported("EntityMetricData")
	case in.StrictEntityValidation != nil:
		return nil, unsupported("StrictEntityValidation")
	case len(in.MetricData) == 0:
		return nil, missing("MetricData")
	case len(in.MetricData) > maxData:
		return nil, tooMany("MetricData", maxData)
	}
	now := h.metrics.Clock().Now()
	entries := make([]entry, len(in.MetricData))
	for i := range in.MetricData {
		e, err := in.MetricData[i].check(element("MetricData", i), now)
		if err != nil {
			return nil, err
		}
		e.id.Account, e.id.Region, e.id.Namespace = c.Account, c.Region, *in.Namespace
		entries[i] = e
	}
	for _, e := range entries {
		var err error
		if s := e.summary; s != nil {
			err = h.metrics.PutSummary(e.id, e.unit, e.at, *s.SampleCount, *s.Sum, *s.Minimum, *s.Maximum)
		} else {
			err = h.metrics.Put(e.id, e.unit, e.at, e.values...)
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// check converts a datum to an entry. path names it in messages.
func (d *datum) check(path string, now time.Time) (entry, error) {
	e := entry{unit: metric.None, at: now}
	if d.MetricName == nil {
		return e, missing(path + ".MetricName")
	}
	if !metric.ValidText(*d.MetricName, metric.MaxName) {
		return e, invalidValue(path+".MetricName", *d.MetricName)
	}
	e.id.Name = *d.MetricName
	var err error
	if e.id.Dimensions, err = checkDimensions(path+".Dimensions", d.Dimensions); err != nil {
		return e, err
	}
	if d.Unit != nil {
		if e.unit = *d.Unit; !metric.ValidUnit(e.unit) {
			return e, notInSet(path+".Unit", metric.Units())
		}
	}
	if d.Timestamp != nil {
		e.at = time.Time(*d.Timestamp)
		switch age := now.Sub(e.at).Seconds(); {
		case age > metric.MaxPast:
			return e, invalid("The parameter %s.Timestamp must specify a time within the past two weeks.", path)
		case age < -metric.MaxFuture:
			return e, invalid(
				"The parameter %s.Timestamp must specify a time no more than two hours in the future.", path,
			)
		}
	}
	if r := d.StorageResolution; r != nil && *r != 60 {
		if *r != 1 {
			return e, notInSet(path+".StorageResolution", []string{"1", "60"})
		}
		return e, unsupported(path + ".StorageResolution with 1 (buckets are one minute)")
	}
	return e, d.measured(path, &e)
}

// measured takes one of Value, Values with Counts, and StatisticValues.
func (d *datum) measured(path string, e *entry) error {
	both := func(a, b string) error {
		return combination(
			"The parameters %s.%s and %s.%s are mutually exclusive and you have specified both.", path, a, path, b,
		)
	}
	switch {
	case d.Value != nil && d.Values != nil:
		return both("Value", "Values")
	case d.Value != nil && d.StatisticValues != nil:
		return both("Value", "StatisticValues")
	case d.Values != nil && d.StatisticValues != nil:
		return both("Values", "StatisticValues")
	case d.Counts != nil && d.Values == nil:
		return missing(path + ".Values")
	case d.Value != nil:
		if !number360(*d.Value) {
			return badNumber(path+".Value", *d.Value)
		}
		e.values = []metric.Value{{Value: *d.Value, Count: 1}}
		return nil
	case d.StatisticValues != nil:
		e.summary = d.StatisticValues
		return d.StatisticValues.check(path + ".StatisticValues")
	case d.Values == nil:
		return combination(
			"At least one of the parameters %s.Value, %s.Values and %s.StatisticValues must be specified.", path, path,
			path,
		)
	}
	return d.several(path, e)
}

func (d *datum) several(path string, e *entry) error {
	switch {
	case len(d.Values) == 0:
		return missing(path + ".Values")
	case len(d.Values) > maxValues:
		return tooMany(path+".Values", maxValues)
	case d.Counts != nil && len(d.Counts) != len(d.Values):
		return invalid("The parameters %s.Values and %s.Counts must be of the same size.", path, path)
	}
	for i, v := range d.Values {
		if !number360(v) {
			return badNumber(element(path+".Values", i), v)
		}
		count := 1.0
		if d.Counts != nil {
			if count = d.Counts[i]; !number360(count) || count < 0 {
				return badNumber(element(path+".Counts", i), count)
			}
		}
		e.values = append(e.values, metric.Value{Value: v, Count: count})
	}
	return nil
}

func (s *statisticSet) check(path string) error {
	for _, m := range []struct {
		name  string
		value *float64
	}{{"SampleCount", s.SampleCount}, {"Sum", s.Sum}, {"Minimum", s.Minimum}, {"Maximum", s.Maximum}} {
		if m.value == nil {
			return missing(path + "." + m.name)
		}
		if !number360(*m.value) {
			return badNumber(path+"."+m.name, *m.value)
		}
	}
	switch {
	case *s.SampleCount <= 0 || !number360(*s.Sum / *s.SampleCount):
		return badNumber(path+".SampleCount", *s.SampleCount)
	case *s.Minimum > *s.Maximum:
		return invalid(
			"The parameter %s.Maximum must be greater than or equal to the parameter %s.Minimum.", path, path,
		)
	}
	return nil
}

// checkDimensions converts the dimensions of a metric; their names must differ.
func checkDimensions(path string, in []dimension) ([]metric.Dimension, error) {
	if len(in) > metric.MaxDimensions {
		return nil, tooMany(path, metric.MaxDimensions)
	}
	var out []metric.Dimension
	for i, d := range in {
		path := element(path, i)
		switch {
		case d.Name == nil:
			return nil, missing(path + ".Name")
		case d.Value == nil:
			return nil, missing(path + ".Value")
		case !metric.ValidText(*d.Name, metric.MaxName) || (*d.Name)[0] == ':':
			return nil, invalidValue(path+".Name", *d.Name)
		case !metric.ValidText(*d.Value, metric.MaxDimensionValue):
			return nil, invalidValue(path+".Value", *d.Value)
		case slices.ContainsFunc(out, func(o metric.Dimension) bool { return o.Name == *d.Name }):
			return nil, invalid("The parameter %s.Name repeats the dimension %s.", path, clip(*d.Name))
		}
		out = append(out, metric.Dimension{Name: *d.Name, Value: *d.Value})
	}
	return out, nil
}

// number360 returns a number that CloudWatch takes: no NaN, and between -2^360 and 2^360.
func number360(v float64) bool { return !math.IsNaN(v) && math.Abs(v) <= metric.MaxValue }

func badNumber(path string, v float64) error {
	return invalidValue(path, strconv.FormatFloat(v, 'g', -1, 64))
}

func tooMany(path string, limit int) error {
	return invalid("The collection %s must not have a size greater than %d.", path, limit)
}

func notInSet(path string, set []string) error {
	return invalid("The parameter %s must be a value in the set [ %s ].", path, strings.Join(set, ", "))
}
