package lambda

import (
	"net/http"

	"github.com/shardmill/shardmill/api/wire"
)

// GetEventSourceMapping: GET /2015-03-31/event-source-mappings/{UUID} → 200. Source: Lambda API Reference,
// GetEventSourceMapping.
func (h *EventSourceMappings) get(r *http.Request, c wire.Caller, uuid string) (mappingResult, error) {
	if err := h.permit(r.Context(), c, uuid); err != nil {
		return mappingResult{}, err
	}
	m, err := h.mappings.Get(r.Context(), mappingCaller(c), uuid)
	if err != nil {
		return mappingResult{}, err
	}
	return mappingResult{http.StatusOK, showMapping(m), ""}, nil
}
