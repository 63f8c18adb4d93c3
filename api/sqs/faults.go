package sqs

import (
	"cmp"
	"mime"
	"net/http"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/queue"
	"github.com/shardmill/shardmill/fault"
)

const contentType = "application/x-amz-json-1.0"

// Codes that only the wire gives.
const (
	codeInvalidAddress = "InvalidAddress"
)

// legacy holds the codes in x-amzn-query-error that differ from the JSON protocol's. SDKs with a history in the query
// protocol report these. Sources: SQS API Reference, errors of each operation; recorded answers.
var legacy = map[string]string{
	queue.CodeNoSuchQueue:      "AWS.SimpleQueueService.NonExistentQueue",
	queue.CodeNameExists:       "QueueAlreadyExists",
	queue.CodeInvalidParameter: "InvalidParameterValue",
	queue.CodeMissingParameter: "MissingParameter",
	queue.CodeUnsupported:      "AWS.SimpleQueueService.UnsupportedOperation",
}

// modelled are the codes that the service's model defines; the others come from AWS's framework and carry its name
// space.
var modelled = map[string]bool{
	queue.CodeNoSuchQueue: true, queue.CodeNameExists: true, queue.CodeInvalidContents: true,
	queue.CodeInvalidReceipt:   true,
	queue.CodeInvalidAttribute: true, queue.CodeUnknownAttribute: true, queue.CodeUnsupported: true,
	queue.CodeOverLimit: true,
	queue.CodeThrottled: true, codeInvalidAddress: true,
}

type faultBody struct {
	Type    string `json:"__type"`
	Message string `json:"message,omitempty"`
}

// writeFault answers with f in the JSON protocol. A request with x-amzn-query-mode: true also gets the code of the
// query protocol.
func writeFault(w http.ResponseWriter, r *http.Request, f *fault.Error) {
	wire.FaultHeader(w.Header(), f)
	if r.Header.Get("X-Amzn-Query-Mode") == "true" {
		w.Header().Set("X-Amzn-Query-Error", queryError(f.Code, f.Status))
	}
	space := "com.amazon.coral.service#"
	if modelled[f.Code] {
		space = "com.amazonaws.sqs#"
	}
	wire.WriteJSON(w, f.Status, contentType, faultBody{Type: space + f.Code, Message: f.Message})
}

func queryError(code string, status int) string {
	code = cmp.Or(legacy[code], wire.FormCode(code))
	if status >= 500 && status != http.StatusNotImplemented {
		return code + ";Receiver"
	}
	return code + ";Sender"
}

// usesQuery recognises the query protocol: an Action in the URL, or a form. X-Amz-Target belongs to JSON alone.
func usesQuery(r *http.Request) bool {
	if r.Header.Get("X-Amz-Target") != "" {
		return false
	}
	if r.URL.Query().Has("Action") {
		return true
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return media == "application/x-www-form-urlencoded"
}
