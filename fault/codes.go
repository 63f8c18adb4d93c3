package fault

// Codes that more than one room speaks, as AWS spells them. What one room alone says is named there. A code is compared
// with a constant, never with a text, and a text is never searched for one.
const (
	CodeAccessDenied          = "AccessDeniedException"
	CodeConflict              = "ResourceConflictException"
	CodeInUse                 = "ResourceInUseException"
	CodeInternal              = "InternalFailure"
	CodeInvalidParameter      = "InvalidParameterValueException"
	CodeInvalidRequestContent = "InvalidRequestContentException"
	CodeInvalidRuntime        = "InvalidRuntimeException"
	CodeMissingToken          = "MissingAuthenticationTokenException"
	CodeNotFound              = "ResourceNotFoundException"
	CodeNotImplemented        = "NotImplementedException"
	CodePrecondition          = "PreconditionFailedException"
	CodeRequestTooLarge       = "RequestTooLargeException"
	CodeSerialization         = "SerializationException"
	CodeService               = "ServiceException"
	CodeTooLarge              = "RequestEntityTooLargeException"
	CodeTooManyRequests       = "TooManyRequestsException"
	CodeUnavailable           = "ServiceUnavailable"
	CodeUnknownOperation      = "UnknownOperationException"
	CodeUnsupportedMediaType  = "UnsupportedMediaTypeException"
	CodeValidation            = "ValidationException"
)
