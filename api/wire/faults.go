package wire

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"github.com/shardmill/shardmill/fault"
)

// Faults turns errors into a service's faults.
type Faults struct {
	Internal    string         // code of our own faults, 500
	Unavailable string         // code of what goes on when the server does, 503; SDKs try again
	Stopped     []error        // what rooms return once they have stopped
	Statuses    map[string]int // of codes whose status is not 400
	Log         *slog.Logger
}

// Of returns the caller's fault for err, with the status of the answer. The cause is logged, unless it is only that the
// caller has left or that the server is stopping.
func (t *Faults) Of(_ context.Context, c Caller, err error) *fault.Error {
	if t.over(err) {
		return &fault.Error{Code: t.Unavailable, Status: http.StatusServiceUnavailable}
	}
	f := AsFault(err, t.Internal, c, t.Log)
	if f.Err != nil {
		t.Log.Warn("request refused", "request_id", c.RequestID, "code", f.Code, "error", f.Err)
	}
	if f.Status != 0 {
		return f
	}
	if status := t.Statuses[f.Code]; status != 0 {
		return f.WithStatus(status)
	}
	return f.WithStatus(http.StatusBadRequest)
}

// over reports whether the caller or the server is leaving.
func (t *Faults) over(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		slices.ContainsFunc(t.Stopped, func(stopped error) bool { return errors.Is(err, stopped) })
}
