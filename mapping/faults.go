package mapping

import (
	"github.com/shardmill/shardmill/fault"
)

const compatPage = "docs/compat/lambda-event-source-mapping.md"

// invalid returns an InvalidParameterValueException, AWS's code for values that fit the model but not the situation.
func invalid(format string, args ...any) *fault.Error {
	return fault.New(fault.CodeInvalidParameter, format, args...)
}

// errUnsupported returns the refusal of a parameter that AWS has and we do not have yet. Nothing is stored and then
// ignored.
func errUnsupported(parameter, detail string) error {
	return invalid("%s is not supported: %s See %s.", parameter, detail, compatPage)
}

// errInapplicable returns AWS's fault for a parameter of another kind of event source.
func errInapplicable(parameter string) *fault.Error {
	return invalid("Unsupported %s parameter for given event source mapping type.", parameter)
}

func errNotFound() error {
	return fault.New(fault.CodeNotFound, "The resource you requested does not exist.")
}

// errInUse returns the fault of a call ("update" or "delete") that a transitional state refuses.
func errInUse(verb string) error {
	return fault.New(fault.CodeInUse, "Cannot %s the event source mapping because it is in use.", verb)
}

// errConsumerTaken refuses a second enabled mapping of a consumer, whose subscription they would take from each other.
func errConsumerTaken(consumerARN, uuid string) error {
	return fault.New(fault.CodeConflict,
		"The stream consumer %s is the event source of the enabled mapping with UUID %s. A consumer serves one mapping: "+
			"disable or delete that one, or register another consumer.", consumerARN, uuid)
}

// errDuplicate returns AWS's text with its blanks inside the quotes and with the function's name, not its ARN.
func errDuplicate(sourceARN, functionName, uuid string) error {
	return fault.New(fault.CodeConflict,
		`The event source arn (" %s ") and function (" %s ") provided mapping already exists. Please update or delete the existing mapping with UUID %s`,
		sourceARN, functionName, uuid)
}
