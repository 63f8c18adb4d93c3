package queue

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// Codes of the faults that callers can cause, under the names of the JSON protocol.
const (
	CodeNoSuchQueue      = "QueueDoesNotExist"
	CodeNameExists       = "QueueNameExists"
	CodeInvalidParameter = "InvalidParameterValueException"
	CodeMissingParameter = "MissingRequiredParameterException"
	CodeInvalidContents  = "InvalidMessageContents"
	CodeInvalidReceipt   = "ReceiptHandleIsInvalid"
	CodeInvalidAttribute = "InvalidAttributeValue"
	CodeUnknownAttribute = "InvalidAttributeName"
	CodeUnsupported      = "UnsupportedOperation"
	CodeOverLimit        = "OverLimit"
	CodeThrottled        = "RequestThrottled"
	CodeInternal         = "InternalFailure"
)

// AWS's texts, to the letter.
const (
	textNoSuchQueue        = "The specified queue does not exist."
	textInvalidQueueName   = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
	textInvalidCharacters  = "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"
	textDifferentAttribute = "A queue already exists with the same name and a different value for attribute %s"
	textTooManyTags        = "Too many tags added for queue %s."
	textTagKeyLength       = "Tag keys must be between 1 and 128 characters in length."
	textTagKeyCharacters   = "Tag keys may only contain unicode letters, digits, whitespace, or one of these symbols: _ . : / = + - @"
)

// Texts in AWS's tone where AWS's own is not known.
const (
	textDifferentTags      = "A queue already exists with the same name and different tags"
	textTagValueLength     = "Tag values must be between 0 and 256 characters in length."
	textTagValueCharacters = "Tag values may only contain unicode letters, digits, whitespace, or one of these symbols: _ . : / = + - @"
	textReservedTag        = "Tag keys and values that begin with aws: are reserved; %s was given."
)

func noSuchQueue() error { return fault.New(CodeNoSuchQueue, textNoSuchQueue) }

func invalid(format string, args ...any) error {
	return fault.New(CodeInvalidParameter, format, args...)
}

// storageFault returns the fault for an error of the store: a specific one where the caller can act, else an internal
// fault.
func storageFault(doing string, err error) error {
	err = fmt.Errorf("%s: %w", doing, err)
	switch {
	case errors.Is(err, storage.ErrFull):
		return fault.New(CodeInternal, "").WithStatus(http.StatusInternalServerError).Because(err).
			WithHint(
				"no space is left: free disk space or raise the memory limit; receiving and deleting go on",
			)
	case errors.Is(err, storage.ErrBusy):
		return fault.New(CodeThrottled, "The request was denied due to request throttling.").Because(err)
	}
	return err
}
