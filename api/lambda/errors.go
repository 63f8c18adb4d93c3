package lambda

import (
	"net/http"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
)

// statuses are the HTTP statuses of error codes that are not 400.
var statuses = map[string]int{
	"AccessDeniedException":               403,
	"MissingAuthenticationTokenException": 403,
	"ResourceNotFoundException":           404,
	"UnknownOperationException":           404,
	"ResourceConflictException":           409,
	"PreconditionFailedException":         412,
	"RequestEntityTooLargeException":      413,
	"RequestTooLargeException":            413,
	"UnsupportedMediaTypeException":       415,
	"TooManyRequestsException":            429,
	"ServiceException":                    500,
	"NotImplementedException":             501,
	"InvalidRuntimeException":             502,
}

// capital are the errors whose message key is written Message. The model is not uniform, and SDKs read the key it gives.
var capital = map[string]bool{
	"ResourceNotFoundException": true, "ServiceException": true, "ResourceInUseException": true, "CodeSigningConfigNotFoundException": true, "InvalidRuntimeException": true,
	"SerializationException": true,
}

// untyped are the errors that the model does not know; they carry no Type.
var untyped = map[string]bool{
	"ValidationException": true, "RequestEntityTooLargeException": true, "AccessDeniedException": true, "MissingAuthenticationTokenException": true,
	"UnknownOperationException": true, "NotImplementedException": true, "SerializationException": true,
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
	if f.Code == "ServiceException" && message == "" {
		message = "An error occurred and the request cannot be processed."
	}
	if capital[f.Code] {
		body.Capital = message
	} else {
		body.Message = message
	}
	switch {
	case f.Code == "ServiceException":
		body.Type = "Service"
	case status < 500 && !untyped[f.Code]:
		body.Type = "User"
	}
	w.Header().Set("X-Amzn-Errortype", f.Code)
	wire.Hint(w.Header(), f.Hint)
	wire.WriteJSON(w, status, "application/json", body)
}
