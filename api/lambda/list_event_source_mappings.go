package lambda

import (
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/mapping"
)

type listedMappings struct {
	EventSourceMappings []eventSourceMapping
	NextMarker          string `json:",omitempty"`
}

// ListEventSourceMappings: GET /2015-03-31/event-source-mappings?EventSourceArn&FunctionName&Marker&MaxItems → 200.
// It shows all of the account, whatever streams a key is limited to: as with every list of AWS's, nothing narrows it
// down. Source: Lambda API Reference, ListEventSourceMappings; Service Authorization Reference.
func (h *EventSourceMappings) list(r *http.Request, c wire.Caller) (mappingResult, error) {
	q := r.URL.Query()
	in := mapping.ListInput{
		EventSourceARN: queryText(q, "EventSourceArn"), FunctionName: queryText(q, "FunctionName"),
		Marker: queryText(q, "Marker"),
	}
	if text := q.Get("MaxItems"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return mappingResult{}, typeFault("MaxItems in the query can not be converted to an Integer")
		}
		in.MaxItems = new(min(max(n, math.MinInt32), math.MaxInt32))
	}
	page, marker, err := h.mappings.List(r.Context(), mappingCaller(c), in)
	if err != nil {
		return mappingResult{}, err
	}
	out := listedMappings{EventSourceMappings: make([]eventSourceMapping, 0, len(page)), NextMarker: marker}
	for i := range page {
		out.EventSourceMappings = append(out.EventSourceMappings, listMapping(&page[i]))
	}
	return mappingResult{http.StatusOK, out, ""}, nil
}

// listMapping returns a mapping as a list shows it: AWS decrypts filters for Get only, where the caller's own right to
// the key counts.
func listMapping(m *mapping.Mapping) eventSourceMapping {
	shown := showMapping(m)
	if shown.KMSKeyArn != "" {
		shown.FilterCriteria, shown.FilterCriteriaError = nil, nil
	}
	return shown
}

// queryText returns a parameter of the query; one without a value is absent.
func queryText(q url.Values, name string) *string {
	if s := q.Get(name); s != "" {
		return &s
	}
	return nil
}
