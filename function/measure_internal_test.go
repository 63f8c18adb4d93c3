package function

import "testing"

// Metrics are embedded in whole lines, and in lines of Node.js's console, which begin with time, request id and level.
func TestMetricDocuments(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`{"_aws":{}}`: `{"_aws":{}}`,
		"2026-01-05T12:34:56.789Z\tid\tINFO\t{\"_aws\":\t{}}": "{\"_aws\":\t{}}",
		"id\tINFO\t{\"_aws\":{}}":                             "id\tINFO\t{\"_aws\":{}}",
		"[INFO]\t2026-01-05T12:34:56.789Z\tid\ttext\t{}":      "[INFO]\t2026-01-05T12:34:56.789Z\tid\ttext\t{}",
		"text":           "text",
		"":               "",
		"{\"a\":\t{}\t{": "{\"a\":\t{}\t{",
	} {
		if got := metricDocument(line); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}
