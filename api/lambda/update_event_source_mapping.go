package lambda

import (
	"net/http"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/mapping"
)

// UpdateEventSourceMapping: PUT /2015-03-31/event-source-mappings/{UUID} → 202 with the new values. EventSourceArn,
// StartingPosition, StartingPositionTimestamp and Tags are not members of this request, and are ignored like any other
// unknown name. Source: Lambda API Reference, UpdateEventSourceMapping.
func (h *EventSourceMappings) update(r *http.Request, c wire.Caller, uuid string, body []byte) (mappingResult, error) {
	d, err := readMappingMembers(body)
	if err != nil {
		return mappingResult{}, err
	}
	in := mapping.UpdateInput{Knobs: d.knobs()}
	if d.err != nil {
		return mappingResult{}, d.err
	}
	if err := h.permit(r.Context(), c, uuid); err != nil {
		return mappingResult{}, err
	}
	m, hint, err := h.mappings.Update(r.Context(), mappingCaller(c), uuid, in)
	if err != nil {
		return mappingResult{}, err
	}
	return mappingResult{http.StatusAccepted, showMapping(m), hint}, nil
}
