package topic

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// Codes of the faults that callers can cause, as the query protocol spells them.
const (
	CodeNotFound          = "NotFound"
	CodeResourceNotFound  = "ResourceNotFound" // of operations on tags
	CodeInvalid           = "InvalidParameter"
	CodeInvalidValue      = "ParameterValueInvalid" // of message attributes
	CodeInternal          = "InternalError"
	CodeThrottled         = "Throttled"
	CodeTagLimit          = "TagLimitExceeded"
	CodeSubscriptionLimit = "SubscriptionLimitExceeded"
	CodeAuthorization     = "AuthorizationError"
)

// Invalid returns the fault of a parameter, in AWS's form.
func Invalid(format string, args ...any) *fault.Error {
	return fault.New(CodeInvalid, "Invalid parameter: "+format, args...)
}

func noTopic() error        { return fault.New(CodeNotFound, "Topic does not exist") }
func noSubscription() error { return fault.New(CodeNotFound, "Subscription does not exist") }
func noResource() error     { return fault.New(CodeResourceNotFound, "Resource does not exist") }

// storageFault returns the fault for an error of the store: a specific one where the caller can act, else an internal
// fault.
func storageFault(doing string, err error) error {
	err = fmt.Errorf("%s: %w", doing, err)
	switch {
	case errors.Is(err, storage.ErrFull):
		return fault.New(CodeInternal, "").WithStatus(http.StatusInternalServerError).Because(err).
			WithHint("no space is left for topics: free disk space or raise the memory limit")
	case errors.Is(err, storage.ErrBusy):
		return fault.New(CodeThrottled, "The rate at which requests have been submitted for this action exceeds the limit for your account.").
			Because(err)
	}
	return err
}
