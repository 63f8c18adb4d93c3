package lambda

import (
	"net/http"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
)

// statuses are the HTTP statuses of error codes that are not 400.
var statuses = map[string]int{
	fault.CodeAccessDenied:         403,
	fault.CodeMissingToken:         403,
	fault.CodeNotFound:             404,
	fault.CodeUnknownOperation:     404,
	fault.CodeConflict:             409,
	fault.CodePrecondition:         412,
	fault.CodeTooLarge:             413,
	fault.CodeRequestTooLarge:      413,
	fault.CodeUnsupportedMediaType: 415,
	fault.CodeTooManyRequests:      429,
	fault.CodeService:              500,
	fault.CodeInvalidRuntime:       502,
}

// capital are the errors whose message key is written Message. The model is not uniform, and SDKs read the key it
// gives.
var capital = map[string]bool{
	fault.CodeNotFound: true, fault.CodeService: true, fault.CodeInUse: true,
	"CodeSigningConfigNotFoundException": true, fault.CodeInvalidRuntime: true,
	fault.CodeSerialization: true,
}

// untyped are the errors that the model does not know; they carry no Type.
var untyped = map[string]bool{
	fault.CodeValidation: true, fault.CodeTooLarge: true, fault.CodeAccessDenied: true, fault.CodeMissingToken: true,
	fault.CodeUnknownOperation: true, fault.CodeNotImplemented: true, fault.CodeSerialization: true,
	wire.CodeInvalidSignature: true, wire.CodeIncompleteSignature: true, wire.CodeUnknownClient: true,
}

type errorBody struct {
	Reason  string `json:"Reason,omitempty"`
	Type    string `json:"Type,omitempty"`
	Capital string `json:"Message,omitempty"`
	Message string `json:"message,omitempty"`
}

// writeFault answers with an error as AWS does: status, x-amzn-errortype, and a body whose keys depend on the error.
func writeFault(w http.ResponseWriter, f *fault.Error) {
	status := f.Status
	if status == 0 {
		status = statuses[f.Code]
	}
	if status == 0 {
		status = http.StatusBadRequest
	}
	body := errorBody{Reason: f.Reason}
	message := f.Message
	if f.Code == fault.CodeService && message == "" {
		message = "An error occurred and the request cannot be processed."
	}
	if capital[f.Code] {
		body.Capital = message
	} else {
		body.Message = message
	}
	switch {
	case f.Code == fault.CodeService:
		body.Type = "Service"
	case status < 500 && !untyped[f.Code]:
		body.Type = "User"
	}
	w.Header().Set("X-Amzn-Errortype", f.Code)
	wire.Hint(w.Header(), f.Hint)
	wire.WriteJSON(w, status, "application/json", body)
}
