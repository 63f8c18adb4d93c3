package cloudwatch

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
)

// Inputs. Field names are AWS's; a nil pointer is an absent member.

type putMetricDataInput struct {
	Namespace              *string
	MetricData             []datum
	EntityMetricData       []struct{}
	StrictEntityValidation *bool
}

type datum struct {
	MetricName        *string
	Dimensions        []dimension
	Timestamp         *instant
	Value             *float64
	StatisticValues   *statisticSet
	Values            []float64
	Counts            []float64
	Unit              *string
	StorageResolution *int
}

type dimension struct{ Name, Value *string }

type statisticSet struct{ SampleCount, Sum, Minimum, Maximum *float64 }

type getMetricStatisticsInput struct {
	Namespace, MetricName          *string
	Dimensions                     []dimension
	StartTime, EndTime             *instant
	Period                         *int
	Statistics, ExtendedStatistics []string
	Unit                           *string
}

type getMetricDataInput struct {
	MetricDataQueries  []dataQuery
	StartTime, EndTime *instant
	NextToken, ScanBy  *string
	MaxDatapoints      *int
	LabelOptions       *labelOptions
}

type labelOptions struct{ Timezone *string }

type dataQuery struct {
	ID         *string `aws:"Id"`
	MetricStat *metricStat
	Expression *string
	Label      *string
	ReturnData *bool
	Period     *int
	AccountID  *string `aws:"AccountId"`
}

type metricStat struct {
	Metric *struct {
		Namespace, MetricName *string
		Dimensions            []dimension
	}
	Period *int
	Stat   *string
	Unit   *string
}

type listMetricsInput struct {
	Namespace, MetricName, NextToken, RecentlyActive, OwningAccount *string
	Dimensions                                                      []dimension
	IncludeLinkedAccounts                                           *bool
}

// Outputs. Lists are never nil, so that they are empty and not absent.

type getMetricStatisticsOutput struct {
	Label      string
	Datapoints list[datapoint]
}

type datapoint struct {
	Timestamp          instant
	SampleCount        *double `json:",omitempty"`
	Average            *double `json:",omitempty"`
	Sum                *double `json:",omitempty"`
	Minimum            *double `json:",omitempty"`
	Maximum            *double `json:",omitempty"`
	Unit               string
	ExtendedStatistics statistics `json:",omitempty" xml:",omitempty"`
}

type getMetricDataOutput struct {
	MetricDataResults list[dataResult]
	NextToken         *string `json:",omitempty"`
	Messages          list[struct{}]
}

type dataResult struct {
	ID         string `json:"Id" xml:"Id"`
	Label      string
	Timestamps list[instant]
	Values     list[double]
	StatusCode string
}

type listMetricsOutput struct {
	Metrics   list[listedMetric]
	NextToken *string `json:",omitempty"`
}

type listedMetric struct {
	Namespace, MetricName string
	Dimensions            list[listedDimension]
}

type listedDimension struct{ Name, Value string }

// instant is a timestamp: seconds since 1970 in JSON, the same under tag 1 in CBOR, ISO 8601 in XML.
type instant time.Time

// MarshalJSON writes seconds since 1970.
func (i instant) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, i.seconds(), 'f', -1, 64), nil
}

// MarshalCBOR writes tag 1, in lists too: clients do not recognise a time by its place.
func (i instant) MarshalCBOR() ([]byte, error) {
	return binary.BigEndian.AppendUint64([]byte{0xc1, 0xfb}, math.Float64bits(i.seconds())), nil
}

// MarshalText writes ISO 8601.
func (i instant) MarshalText() ([]byte, error) {
	return time.Time(i).UTC().AppendFormat(nil, "2006-01-02T15:04:05.999Z"), nil
}

func (i instant) seconds() float64 { return float64(time.Time(i).UnixMilli()) / 1000 }

// double is a number as AWS writes its doubles in text: 20.0, so that typed clients and people see that it is one.
type double float64

// MarshalText writes at least one digit behind the point.
func (d double) MarshalText() ([]byte, error) {
	b := strconv.AppendFloat(nil, float64(d), 'f', -1, 64)
	if !bytes.ContainsRune(b, '.') {
		b = append(b, ".0"...)
	}
	return b, nil
}

// MarshalJSON writes a number.
func (d double) MarshalJSON() ([]byte, error) { return d.MarshalText() }

// list is written as <member> elements in XML, and as it is elsewhere.
type list[T any] []T

// MarshalXML writes the element even when the list is empty.
func (l list[T]) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	if err := e.EncodeToken(start); err != nil {
		return err
	}
	for i := range l {
		if err := e.EncodeElement(&l[i], xml.StartElement{Name: xml.Name{Local: "member"}}); err != nil {
			return err
		}
	}
	return e.EncodeToken(start.End())
}

// statistics is a map from names to values.
type statistics map[string]double

// MarshalXML writes entries of key and value, in order of the keys.
func (m statistics) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	type entry struct {
		Key   string `xml:"key"`
		Value double `xml:"value"`
	}
	entries := struct {
		Entry []entry `xml:"entry"`
	}{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		entries.Entry = append(entries.Entry, entry{k, m[k]})
	}
	return e.EncodeElement(entries, start)
}
