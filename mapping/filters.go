package mapping

import (
	"hash/fnv"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/filter"
)

// How many filters a mapping may have: AWS's quota, and how far AWS raises it on request.
const (
	DefaultMaxFilters = 5
	MaxMaxFilters     = 10
)

// Filter compiles the filters; nil without any. An error means that they cannot be used: they were stored by another
// program, or are damaged.
func (s *Settings) Filter() (*filter.Filter, error) {
	if len(s.Filters) == 0 {
		return nil, nil
	}
	return filter.Compile(s.Filters)
}

// filterID identifies the filters for the core, which only needs to know whether they are others; 0: none.
func (s *Settings) filterID() uint64 {
	if len(s.Filters) == 0 {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte{filter.Version})
	for _, p := range s.Filters {
		_, _ = h.Write([]byte(p))
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64() | 1
}

// checkFilters refuses patterns that are not legal, and more of them than the quota. AWS's text for the quota is not
// known; for a pattern it is one sentence for every reason, so the reason goes into the hint.
func checkFilters(patterns []string, most int) error {
	if len(patterns) > most {
		err := invalid("The number of filters in FilterCriteria exceeds the limit of %d.", most)
		if most < MaxMaxFilters && len(patterns) <= MaxMaxFilters {
			err = err.WithHint("AWS raises this quota to %d on request; start the server with --max-filters %[1]d",
				MaxMaxFilters)
		}
		return err
	}
	if _, err := filter.Compile(patterns); err != nil {
		return invalid("Invalid filter pattern definition.").WithHint("%s", err)
	}
	return nil
}

// viewed are the names that patterns see of a Kinesis record.
var viewed = []string{
	"data", "partitionKey", "sequenceNumber", "approximateArrivalTimestamp", "kinesisSchemaVersion", "eventSource",
	"eventVersion", "eventID", "eventName", "invokeIdentityArn", "awsRegion", "eventSourceARN",
}

// filterHint advises about a legal pattern that asks for what no record has.
func filterHint(patterns []string) string {
	f, err := filter.Compile(patterns)
	if err != nil || len(patterns) == 0 {
		return ""
	}
	for _, name := range f.Names() {
		if !slices.Contains(viewed, name) {
			return "a filter has a rule for " + fault.Clip(name, 60) + ", which no record has: patterns see one object of " +
				strings.Join(viewed, ", ")
		}
	}
	return ""
}
