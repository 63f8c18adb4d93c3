package control

import (
	"net/http"

	"github.com/shardmill/shardmill/api/wire"
)

// Reach says how a server is reached.
type Reach struct {
	Addresses []string `json:"addresses"`           // http://host:port, or unix:PATH
	Advertise string   `json:"advertise,omitempty"` // what URLs in answers begin with
	Open      bool     `json:"open"`                // other machines reach it, and nobody verifies who calls
	CA        string   `json:"ca,omitempty"`        // the certificate to trust, of a server that signs its own
	Verified  bool     `json:"verified,omitempty"`  // signatures are verified
}

// reach answers how the server is reached.
func (h *handler) reach(w http.ResponseWriter, _ *http.Request) error {
	wire.WriteJSON(w, http.StatusOK, jsonType, h.Server.Reach())
	return nil
}
