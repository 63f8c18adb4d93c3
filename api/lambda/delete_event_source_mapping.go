package lambda

import (
	"net/http"

	"github.com/shardmill/shardmill/api/wire"
)

// DeleteEventSourceMapping: DELETE /2015-03-31/event-source-mappings/{UUID} → 202 with the configuration, in state
// Deleting. Source: Lambda API Reference, DeleteEventSourceMapping.
func (h *EventSourceMappings) remove(r *http.Request, c wire.Caller, uuid string) (mappingResult, error) {
	if err := h.permit(r.Context(), c, uuid); err != nil {
		return mappingResult{}, err
	}
	m, err := h.mappings.Delete(r.Context(), mappingCaller(c), uuid)
	if err != nil {
		return mappingResult{}, err
	}
	return mappingResult{http.StatusAccepted, showMapping(m), ""}, nil
}
