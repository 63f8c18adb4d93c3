package wire

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/shardmill/shardmill/fault"
)

// SetIDs puts the request id on an answer.
func SetIDs(h http.Header, c Caller) { h["X-Amzn-Requestid"] = []string{c.RequestID} }

// AsFault returns err as a *fault.Error. Any other error becomes internalCode (500): its text is logged, and the caller
// gets only the request id. A caller that has left is not our error.
func AsFault(err error, internalCode string, c Caller, log *slog.Logger) *fault.Error {
	var f *fault.Error
	if errors.As(err, &f) {
		return f
	}
	level := slog.LevelError
	if errors.Is(err, context.Canceled) {
		level = slog.LevelDebug
	}
	log.Log(context.Background(), level, "request failed", "request_id", c.RequestID, "error", err)
	return &fault.Error{Code: internalCode, Status: http.StatusInternalServerError}
}

// WriteJSON answers with body as JSON under contentType.
func WriteJSON(w http.ResponseWriter, status int, contentType string, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err) // our own answer types always marshal
	}
	WriteBytes(w, status, contentType, b)
}

// WriteBytes answers with body, of known length.
func WriteBytes(w http.ResponseWriter, status int, contentType string, body []byte) {
	h := w.Header()
	// one allocation for two headers, whose names are canonical already
	both := []string{contentType, strconv.Itoa(len(body))}
	if contentType != "" {
		h["Content-Type"] = both[:1:1]
	}
	h["Content-Length"] = both[1:]
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away is not our error
}

// Hint puts advice for a person on the answer.
func Hint(h http.Header, hint string) {
	if hint != "" {
		h.Set(HintHeader, hint)
	}
}
