package cloudwatch

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/metric"
)

// Bounds and values. Source: CloudWatch API Reference, ListMetrics.
const (
	listPage   = 500
	maxFilters = 30
	threeHours = "PT3H"
)

// listMetrics answers the metrics that have data, 500 a page, by namespace, name and dimensions.
func (h *Handler) listMetrics(_ context.Context, c wire.Caller, in *listMetricsInput) (any, error) {
	l, err := in.check(c, h.metrics.Clock().Now())
	if err != nil {
		return nil, err
	}
	found, next, err := h.metrics.List(l)
	if err != nil {
		return nil, err
	}
	out := listMetricsOutput{Metrics: list[listedMetric]{}}
	for _, id := range found {
		m := listedMetric{Namespace: id.Namespace, MetricName: id.Name, Dimensions: list[listedDimension]{}}
		for _, d := range id.Dimensions {
			m.Dimensions = append(m.Dimensions, listedDimension(d))
		}
		out.Metrics = append(out.Metrics, m)
	}
	if next != "" {
		out.NextToken = new(encodeToken("list/" + next))
	}
	return out, nil
}

func (in *listMetricsInput) check(c wire.Caller, now time.Time) (l metric.Listing, err error) {
	l = metric.Listing{Account: c.Account, Region: c.Region, Limit: listPage}
	switch {
	case in.IncludeLinkedAccounts != nil && *in.IncludeLinkedAccounts:
		return l, unsupported("IncludeLinkedAccounts")
	case in.OwningAccount != nil && *in.OwningAccount != c.Account:
		return l, unsupported("OwningAccount")
	case in.RecentlyActive != nil && *in.RecentlyActive != threeHours:
		return l, notInSet("RecentlyActive", []string{threeHours})
	case len(in.Dimensions) > maxFilters:
		return l, tooMany("Dimensions", maxFilters)
	case in.Namespace != nil && !metric.ValidNamespace(*in.Namespace):
		return l, invalidValue("Namespace", *in.Namespace)
	case in.MetricName != nil && !metric.ValidText(*in.MetricName, metric.MaxName):
		return l, invalidValue("MetricName", *in.MetricName)
	}
	if in.Namespace != nil {
		l.Namespace = *in.Namespace
	}
	if in.MetricName != nil {
		l.Name = *in.MetricName
	}
	if in.RecentlyActive != nil {
		l.Since = now.Add(-3 * time.Hour)
	}
	for i, d := range in.Dimensions {
		path := element("Dimensions", i)
		if d.Name == nil {
			return l, missing(path + ".Name")
		}
		f := metric.Filter{Name: *d.Name}
		if d.Value != nil {
			if f.Value = *d.Value; f.Value == "" {
				return l, invalidValue(path+".Value", f.Value)
			}
		}
		l.Filters = append(l.Filters, f)
	}
	if in.NextToken != nil {
		text, ok := decodeToken(*in.NextToken)
		after, mine := strings.CutPrefix(text, "list/")
		if !ok || !mine || !l.MayFollow(after) {
			return l, invalid("The parameter NextToken is invalid.")
		}
		l.After = after
	}
	return l, nil
}

// encodeToken makes a token that clients hand back as it is. It is not secret: changing it only asks for another page
// that the client may read anyway.
func encodeToken(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func decodeToken(s string) (string, bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	return string(b), err == nil
}
