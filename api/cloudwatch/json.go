package cloudwatch

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/jsontext"
)

// jsonCodec is the JSON 1.0 protocol, which boto3, the AWS CLI and the SDKs of Ruby and JavaScript speak.
type jsonCodec struct{}

const jsonType = "application/x-amz-json-1.0"

func (jsonCodec) operation(r *http.Request) string {
	service, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if service != Target {
		return ""
	}
	return name
}

func (jsonCodec) read(r *http.Request, input any) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	if err := wire.ChargeTree(r.Context(), body); err != nil {
		return err
	}
	return decodeJSON(body, input)
}

func decodeJSON(body []byte, input any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	var v map[string]any
	if !jsontext.Faithful(body) || json.Unmarshal(body, &v) != nil || v == nil {
		return fault.New(codeSerialization, "The request body is not a JSON object.")
	}
	return bind(v, reflect.ValueOf(input).Elem(), "")
}

func (jsonCodec) write(w http.ResponseWriter, c wire.Caller, _ string, output any) {
	wire.SetIDs(w.Header(), c)
	if output == nil {
		output = struct{}{}
	}
	wire.WriteJSON(w, http.StatusOK, jsonType, output)
}

// errorBody is how JSON and CBOR show an error.
type errorBody struct {
	Type    string `json:"__type"`
	Message string `json:"message"`
}

func (jsonCodec) fault(w http.ResponseWriter, c wire.Caller, _ string, f *fault.Error) {
	wire.SetIDs(w.Header(), c)
	wire.WriteJSON(w, f.Status, jsonType, errorBody{shape(f.Code), f.Message})
}
