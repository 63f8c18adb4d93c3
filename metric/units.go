package metric

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of names. Source: CloudWatch API Reference, MetricDatum and Dimension.
const (
	MaxName           = 255 // of namespaces, metrics and dimensions, in code points
	MaxDimensionValue = 1024
	MaxDimensions     = 30
)

// Units returns all units of CloudWatch.
func Units() []string {
	return []string{
		"Seconds", "Microseconds", "Milliseconds", "Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes", "Bits",
		"Kilobits", "Megabits", "Gigabits", "Terabits",
		"Percent", "Count", "Bytes/Second", "Kilobytes/Second", "Megabytes/Second", "Gigabytes/Second",
		"Terabytes/Second", "Bits/Second", "Kilobits/Second",
		"Megabits/Second", "Gigabits/Second", "Terabits/Second", "Count/Second", "None",
	}
}

// ValidUnit reports whether CloudWatch has the unit.
func ValidUnit(unit string) bool {
	for _, u := range Units() {
		if u == unit {
			return true
		}
	}
	return false
}

// ValidText reports whether s can be a name or a dimension's value: 1 to longest code points, no control characters,
// and not just white space.
func ValidText(s string, longest int) bool {
	if s == "" || len(s) > 4*longest || !utf8.ValidString(s) || utf8.RuneCountInString(s) > longest ||
		strings.TrimSpace(s) == "" {
		return false
	}
	return !strings.ContainsFunc(s, unicode.IsControl)
}

// ValidNamespace reports whether s can be a namespace.
func ValidNamespace(s string) bool { return ValidText(s, MaxName) && s[0] != ':' }

// Span of accepted timestamps. Source: CloudWatch API Reference, PutMetricData.
const (
	MaxPast   = 14 * 24 * 3600 // seconds
	MaxFuture = 2 * 3600
)
