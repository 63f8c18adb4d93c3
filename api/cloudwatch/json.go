package cloudwatch

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/jsontext"
)

// jsonType is the content type of the JSON 1.0 protocol, which boto3, the AWS CLI and the SDKs for Ruby and JavaScript
// use.
const jsonType = "application/x-amz-json-1.0"

func decodeJSON(body []byte, input any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	var v map[string]any
	if !jsontext.Faithful(body) || json.Unmarshal(body, &v) != nil || v == nil {
		return fault.New(fault.CodeSerialization, "The request body is not a JSON object.")
	}
	return bind(v, reflect.ValueOf(input).Elem(), "")
}

func writeJSON(w http.ResponseWriter, _ wire.Caller, _ wire.Input, output any) {
	if output == nil {
		output = struct{}{}
	}
	wire.WriteJSON(w, http.StatusOK, jsonType, output)
}
