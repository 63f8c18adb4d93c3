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
	codeTableNotFound = "TableNotFoundException" // of the operations about backups
)

// spaces are the name spaces of codes that the service's own model does not define.
var spaces = map[string]string{
	table.CodeValidation: "com.amazon.coral.validate#", table.CodeThrottled: "com.amazon.coral.availability#",
	fault.CodeUnknownOperation: "com.amazon.coral.service#", fault.CodeNotImplemented: "com.amazon.coral.service#",
	fault.CodeSerialization: "com.amazon.coral.service#",
	fault.CodeTooLarge:      "com.amazon.coral.service#", fault.CodeUnavailable: "com.amazon.coral.service#",
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

// faults keeps the item that goes with a fault.
type faults struct{ wire.Faults }

func (t *faults) of(ctx context.Context, c wire.Caller, err error) *fault.Error {
	f := t.Of(ctx, c, err)
	if shown := (shownFault{}); errors.As(err, &shown) {
		return f.Because(shown)
	}
	return f
}

// Refuse answers a fault, with the item that it shows.
func Refuse(w http.ResponseWriter, _ *http.Request, f *fault.Error) {
	wire.FaultHeader(w.Header(), f)
	space := spaces[f.Code]
	if space == "" {
		space = "com.amazonaws.dynamodb.v20120810#"
	}
	body := faultBody{Type: space + f.Code, Message: f.Message}
	if shown := (shownFault{}); errors.As(f, &shown) {
		body.Item = shown.item
	}
	writeAnswer(w, f.Status, body)
}

// writeAnswer answers with body as JSON and the checksum that SDKs verify.
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
	return fault.New(fault.CodeSerialization, format, args...)
}
