package esm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
)

// ParseResponse turns the response of a function that ran without error into an outcome. Without partial responses
// every response is a success. With them (ReportBatchItemFailures) the lowest reported record decides. An empty report,
// in any of AWS's forms, is a success; a report that cannot be followed is a failure of the whole batch, and so is
// invalid JSON. JSON that is no object carries no report, and is a success: AWS says nothing about it, but its own
// examples return a sentence. find returns the place of an itemIdentifier that belongs to the batch. Source: Lambda
// Developer Guide, "Configuring partial batch response with Kinesis Data Streams and Lambda", and recordings of its
// cases.
func ParseResponse(body []byte, partial bool, find func(identifier string) (record.Position, bool)) Outcome {
	o := Outcome{Kind: Success, StatusCode: 200, ResponseBytes: len(body)}
	body = bytes.TrimSpace(body)
	if !partial {
		o.Advice = adviceUnasked(body)
		return o
	}
	if len(body) == 0 {
		return o
	}
	failures, advice, why := reportOf(body, find)
	o.Advice = advice
	if why != "" {
		o.Kind, o.Reason = FunctionError, why
		return o
	}
	for _, f := range failures {
		at, why := placeOf(f, find)
		if why != "" {
			o.Kind, o.At, o.Reason, o.Advice = FunctionError, 0, why, AdviceIdentifier
			return o
		}
		if o.Kind == Success || at < o.At {
			o.Kind, o.At = PartialFailure, at
			o.Reason = "the function reported failed records"
		}
	}
	return o
}

// ParseWindowResponse turns the response of a function that ran without error in a tumbling window into an outcome and
// the window's next state, as compact JSON. A response about records must have a member state with a JSON object:
// without it the invocation has failed, whatever else it says, because what it has aggregated would be lost (AWS says
// so of a response without the member). The response to the end of a window is not evaluated.
func ParseWindowResponse(
	body []byte, purpose Purpose, partial bool, find func(identifier string) (record.Position, bool),
) (o Outcome, state string) {
	if purpose != ForRecords {
		return Outcome{Kind: Success, StatusCode: 200, ResponseBytes: len(body)}, ""
	}
	if o = ParseResponse(body, partial, find); o.Kind == FunctionError {
		return o, ""
	}
	state, why := stateOf(body)
	if why != "" {
		o.Kind, o.At, o.Reason, o.Advice = FunctionError, 0, why, AdviceNoState
	}
	return o, state
}

// stateOf returns the state in a response. If there is none, why says so.
func stateOf(body []byte) (state, why string) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return "", "the response of a tumbling window is not a JSON object"
	}
	raw, ok := members["state"]
	if !ok {
		return "", "the response of a tumbling window has no state"
	}
	if raw[0] != '{' {
		return "", "the state of a tumbling window is not a JSON object"
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return "", "the state of a tumbling window is not JSON"
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD"), ""
}

// reportMember is the member that holds a report, itemMember that of its entries.
const (
	reportMember = "batchItemFailures"
	itemMember   = "itemIdentifier"
)

// reportOf returns the list of failures in a response, which is not empty. If it cannot be read as a report, why says
// so.
func reportOf(body []byte, find func(string) (record.Position, bool)) (
	failures []json.RawMessage, advice Advice, why string,
) {
	if !json.Valid(body) {
		return nil, AdviceNone, "the response is not JSON"
	}
	if body[0] != '{' {
		return nil, adviceNoObject(body, find), ""
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, AdviceNone, "the response is not JSON"
	}
	raw, ok := members[reportMember]
	if !ok {
		return nil, adviceMisplaced(members), ""
	}
	if string(raw) == "null" {
		return nil, AdviceNone, ""
	}
	if err := json.Unmarshal(raw, &failures); err != nil {
		return nil, AdviceIdentifier, "batchItemFailures is not a list"
	}
	return failures, AdviceNone, ""
}

// placeOf returns the position that one entry of a report names.
func placeOf(entry json.RawMessage, find func(string) (record.Position, bool)) (at record.Position, why string) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(entry, &members); err != nil || members == nil {
		return 0, "an entry of batchItemFailures is not an object"
	}
	raw, ok := members[itemMember]
	if !ok {
		return 0, "an entry of batchItemFailures has no itemIdentifier"
	}
	var id *string
	if err := json.Unmarshal(raw, &id); err != nil {
		return 0, fmt.Sprintf("itemIdentifier %s is not a string", clip(string(raw)))
	}
	if id == nil || *id == "" {
		return 0, "an itemIdentifier is empty"
	}
	at, ok = find(*id)
	if !ok {
		return 0, fmt.Sprintf("itemIdentifier %q is not in the batch", clip(*id))
	}
	return at, ""
}

// ErrorReason returns the type and message of a function's error document, for people.
func ErrorReason(document []byte) string {
	var d struct{ ErrorType, ErrorMessage string }
	if err := json.Unmarshal(document, &d); err != nil || d.ErrorType == "" && d.ErrorMessage == "" {
		return "the function failed"
	}
	if d.ErrorType == "" || d.ErrorMessage == "" {
		return clip(d.ErrorType + d.ErrorMessage)
	}
	return clip(d.ErrorType) + ": " + clip(d.ErrorMessage)
}

func clip(s string) string { return fault.Clip(s, 200) }
