package control

import (
	"net/http"
	"time"

	"github.com/shardmill/shardmill/api/wire"
)

// ClockState is the answer to GET and POST of the clock.
type ClockState struct {
	Now          time.Time `json:"now"`
	OffsetMillis int64     `json:"offsetMillis"` // how far it is ahead of real time
}

func (h *handler) showClock(w http.ResponseWriter, _ *http.Request) error {
	wire.WriteJSON(w, http.StatusOK, jsonType, ClockState{
		Now: h.Clock.Now().UTC(), OffsetMillis: h.Clock.Offset().Milliseconds(),
	})
	return nil
}
