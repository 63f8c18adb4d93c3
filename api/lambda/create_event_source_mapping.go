package lambda

import (
	"net/http"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/mapping"
)

// CreateEventSourceMapping: POST /2015-03-31/event-source-mappings → 202. Source: Lambda API Reference,
// CreateEventSourceMapping; docs/compat/lambda-event-source-mapping.md has every parameter.
func (h *EventSourceMappings) create(r *http.Request, c wire.Caller, body []byte) (mappingResult, error) {
	d, err := readMappingMembers(body)
	if err != nil {
		return mappingResult{}, err
	}
	in := mapping.CreateInput{
		EventSourceARN:            d.text("EventSourceArn"),
		Knobs:                     d.knobs(),
		StartingPosition:          d.text("StartingPosition"),
		StartingPositionTimestamp: d.timestamp("StartingPositionTimestamp"),
	}
	in.Tags = d.dict("Tags")
	if d.err != nil {
		return mappingResult{}, d.err
	}
	if in.EventSourceARN != nil {
		if err := permitSource(c, *in.EventSourceARN); err != nil {
			return mappingResult{}, err
		}
	}
	m, hint, err := h.mappings.Create(r.Context(), mappingCaller(c), in)
	if err != nil {
		return mappingResult{}, err
	}
	return mappingResult{http.StatusAccepted, showMapping(m), hint}, nil
}
