package control

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/shardmill/shardmill/fault"
)

// ClockChange is the body of a POST to the clock.
type ClockChange struct {
	AdvanceMillis int64 `json:"advanceMillis"`
}

// century is the longest step of the clock.
const century = 100 * 365 * 24 * time.Hour

func (h *handler) moveClock(w http.ResponseWriter, r *http.Request) error {
	if !h.Dev {
		return &Problem{http.StatusForbidden, "serve runs on real time; the clock can be moved under shardmill dev"}
	}
	var c ClockChange
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&c); fault.CodeOf(err) != "" {
		return err
	} else if err != nil || c.AdvanceMillis < 0 {
		return &Problem{
			http.StatusBadRequest,
			`the body must be {"advanceMillis": n} with n of 0 or more; the clock only moves forward`,
		}
	}
	if c.AdvanceMillis > century.Milliseconds() {
		return &Problem{http.StatusBadRequest, "the clock moves by a century at most"}
	}
	if err := h.Server.Advance(r.Context(), time.Duration(c.AdvanceMillis)*time.Millisecond); err != nil {
		return err
	}
	return h.showClock(w, r)
}
