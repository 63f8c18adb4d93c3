package cloudwatch

import (
	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
)

// Codes, as the JSON and CBOR protocols spell them. Source: CloudWatch API Reference, errors of each operation.
const (
	codeInvalidValue       = "InvalidParameterValueException"
	codeInvalidCombination = "InvalidParameterCombinationException"
	codeMissing            = "MissingRequiredParameterException"
	codeInvalidToken       = "InvalidNextToken"
	codeInternal           = "InternalServiceFault"
	codeValidation         = "ValidationError"
	codeTooLarge           = "RequestEntityTooLarge"
)

// legacyCode returns a code as the query protocol spells it, and as SDKs that grew up with that report it.
func legacyCode(code string) string {
	switch code {
	case codeInvalidValue:
		return "InvalidParameterValue"
	case codeInvalidCombination:
		return "InvalidParameterCombination"
	case codeMissing:
		return "MissingParameter"
	case codeInternal:
		return "InternalServiceError"
	case fault.CodeUnknownOperation:
		return "InvalidAction"
	case fault.CodeSerialization:
		return "MalformedInput"
	}
	return wire.FormCode(code)
}

// shape returns the full name of an error, for __type.
func shape(code string) string { return "com.amazonaws.cloudwatch#" + code }

func missing(parameter string) error {
	return fault.New(codeMissing, "The parameter %s is required.", parameter)
}

func invalid(format string, args ...any) error { return fault.New(codeInvalidValue, format, args...) }

func invalidValue(parameter, value string) error {
	return invalid("The value %s for parameter %s is invalid.", clip(value), parameter)
}

func combination(format string, args ...any) error {
	return fault.New(codeInvalidCombination, format, args...)
}

// unsupported refuses what AWS knows and this room does not.
func unsupported(parameter string) error {
	return absent.Parameter(codeInvalidValue, "the parameter "+parameter)
}
