package control

import (
	"net/http"

	"github.com/shardmill/shardmill/api/wire"
)

// live answers that the process is alive.
func (h *handler) live(w http.ResponseWriter, _ *http.Request) {
	wire.WriteJSON(w, http.StatusOK, jsonType, map[string]bool{"live": true})
}

// ready answers whether every API does.
func (h *handler) ready(w http.ResponseWriter, _ *http.Request) {
	ready, status := h.Server.Ready(), http.StatusOK
	if !ready {
		status = http.StatusServiceUnavailable
	}
	wire.WriteJSON(w, status, jsonType, map[string]bool{"ready": ready})
}
