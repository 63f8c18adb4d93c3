package control

import (
	"fmt"
	"net/http"

	"github.com/shardmill/shardmill/api/wire"
)

func (h *handler) reset(w http.ResponseWriter, r *http.Request) error {
	if !h.Dev {
		return &Problem{http.StatusForbidden, "reset deletes everything, so it works under shardmill dev only"}
	}
	if err := h.Server.Reset(r.Context()); err != nil {
		return fmt.Errorf("reset: %w", err)
	}
	wire.WriteJSON(w, http.StatusOK, jsonType, map[string]bool{"reset": true})
	return nil
}
