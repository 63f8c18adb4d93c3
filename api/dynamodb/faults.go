package dynamodb

import (
	"context"
	"encoding/json"
	"errors"
	"hash/crc32"
	"net/http"
	"strconv"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/table"
	"github.com/shardmill/shardmill/fault"
)

const contentType = "application/x-amz-json-1.0"

// Codes that only the wire gives.
const (
	codeUnknownOperation = "UnknownOperationException"
	codeTableNotFound    = "TableNotFoundException" // of the operations about backups
	codeSerialization    = wire.CodeSerialization
	codeTooLarge         = wire.CodeTooLarge
	codeUnavailable      = "ServiceUnavailable"
)

// spaces are the name spaces of codes that the service's own model does not define.
var spaces = map[string]string{
	table.CodeValidation: "com.amazon.coral.validate#", table.CodeThrottled: "com.amazon.coral.availability#",
	codeUnknownOperation: "com.amazon.coral.service#", wire.CodeNotImplemented: "com.amazon.coral.service#",
	codeSerialization: "com.amazon.coral.service#",
	codeTooLarge:      "com.amazon.coral.service#", codeUnavailable: "com.amazon.coral.service#",
	fault.CodeMissingToken: "com.amazon.coral.service#",
}

type faultBody struct {
	Type    string          `json:"__type"`
	Message string          `json:"message,omitempty"`
	Item    json.RawMessage `json:"Item,omitempty"`
}

// shownFault is a fault that carries an item for the caller.
type shownFault struct {
	error
	item json.RawMessage
}

func (f shownFault) Unwrap() error { return f.error }

// writeError answers with err, whose cause goes to the log.
func (h *Handler) writeError(w http.ResponseWriter, c wire.Caller, err error) {
	if errors.Is(err, table.ErrStopped) || errors.Is(err, context.Canceled) ||
		errors.Is(err, context.DeadlineExceeded) {
		// nothing an operator must know; SDKs try again
		err = &fault.Error{Code: codeUnavailable, Status: http.StatusServiceUnavailable}
	}
	f := wire.AsFault(err, table.CodeInternal, c, h.log)
	if f.Err != nil {
		h.log.Warn("request refused", "request_id", c.RequestID, "code", f.Code, "error", f.Err)
	}
	var item json.RawMessage
	if shown := (shownFault{}); errors.As(err, &shown) {
		item = shown.item
	}
	writeFault(w, f, item)
}

// writeFault answers with f in AWS's shape; item, which may be nil, goes with it.
func writeFault(w http.ResponseWriter, f *fault.Error, item json.RawMessage) {
	status := f.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	wire.Hint(w.Header(), f.Hint)
	space := spaces[f.Code]
	if space == "" {
		space = "com.amazonaws.dynamodb.v20120810#"
	}
	writeAnswer(w, status, faultBody{space + f.Code, f.Message, item})
}

// writeAnswer answers with body as JSON and the check sum that SDKs verify.
func writeAnswer(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err) // our own answer types always marshal
	}
	w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(b)), 10))
	wire.WriteBytes(w, status, contentType, b)
}

func invalid(format string, args ...any) error {
	return fault.New(table.CodeValidation, format, args...)
}

func serialization(format string, args ...any) error {
	return fault.New(codeSerialization, format, args...)
}
