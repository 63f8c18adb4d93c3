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

// WriteBytes answers with body, of known length. contentType "": the answer has no Content-Type.
func WriteBytes(w http.ResponseWriter, status int, contentType string, body []byte) {
	h := w.Header()
	// one allocation for two headers, whose names are canonical already
	both := []string{contentType, strconv.Itoa(len(body))}
	h["Content-Type"] = nil // present, so that the server does not make one up
	if contentType != "" {
		h["Content-Type"] = both[:1:1]
	}
	h["Content-Length"] = both[1:]
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away is not our error
}

// FaultHeader puts on an answer what clients print of a fault beside its body: advice for a person, and code and text
// where the body of AWS's own answer has no text, so that nobody reads no more than a status. Source: SDK for Java v2,
// AwsJsonErrorMessageParser, which looks at x-amzn-error-message first.
func FaultHeader(h http.Header, f *fault.Error) {
	Hint(h, f.Hint)
	if f.Message == "" {
		Explain(h, f.Code, Explanation(f))
	}
}

// Explain puts the code and the text of a fault on an answer whose body has none that an SDK reads.
func Explain(h http.Header, code, text string) {
	h["X-Amzn-Errortype"] = []string{code}
	if text != "" {
		h["X-Amzn-Error-Message"] = []string{text}
	}
}

// Explanation returns the text of a fault, or what to say of one that has none; "" if there is nothing to say.
func Explanation(f *fault.Error) string {
	switch {
	case f.Message != "":
		return f.Message
	case f.Code == fault.CodeSerialization:
		return "The request body cannot be read: it is not one object in the encoding that its Content-Type names."
	case f.Code == fault.CodeUnknownOperation:
		return "The service has no operation of this name."
	case f.Status == http.StatusServiceUnavailable:
		return "The request has failed due to a temporary failure of the server."
	case f.Status == http.StatusInternalServerError:
		return "The request processing has failed because of an unknown error, exception or failure; the server has " +
			"logged it under the request id."
	}
	return ""
}

// Hint puts advice for a person on the answer.
func Hint(h http.Header, hint string) {
	if hint != "" {
		h.Set(HintHeader, hint)
	}
}
