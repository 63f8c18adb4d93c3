package fault

// Codes that more than one room uses, as AWS spells them; a room declares its own codes itself. Code is compared with
// these constants, never with literals, and texts are never searched for a code.
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
