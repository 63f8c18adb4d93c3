package table

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/shardmill/shardmill/companion/table/expr"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// Codes of the faults that callers can cause.
const (
	CodeValidation      = expr.CodeValidation
	CodeNotFound        = "ResourceNotFoundException"
	CodeNoPolicy        = "PolicyNotFoundException"
	CodeInUse           = "ResourceInUseException"
	CodeLimit           = "LimitExceededException"
	CodeConditionFailed = "ConditionalCheckFailedException"
	CodeThrottled       = "ThrottlingException"
	CodeInternal        = "InternalServerError"
)

// Beginnings of AWS's texts.
const (
	prefixInvalid  = "One or more parameter values were invalid: "
	prefixNotValid = "One or more parameter values are not valid. "
)

func invalid(format string, args ...any) error { return fault.New(CodeValidation, format, args...) }

func noResource() error { return fault.New(CodeNotFound, "Requested resource not found") }

// noTable returns the fault of operations on tables themselves.
func noTable(name string) func() error {
	return func() error {
		return fault.New(CodeNotFound, "Requested resource not found: Table: %s not found", name)
	}
}

func badKey() error { return invalid("The provided key element does not match the schema") }

// ConditionFailed is the fault of a write whose condition does not hold.
type ConditionFailed struct {
	Item  expr.Item // the current item; nil: there is none
	fault *fault.Error
}

func conditionFailed(item expr.Item) error {
	return &ConditionFailed{item, fault.New(CodeConditionFailed, "The conditional request failed")}
}

func (e *ConditionFailed) Error() string { return e.fault.Error() }

// Unwrap returns the fault that the caller sees.
func (e *ConditionFailed) Unwrap() error { return e.fault }

// storageFault returns the fault for an error of the store: a specific one where the caller can act, else an internal
// fault.
func storageFault(doing string, err error) error {
	err = fmt.Errorf("%s: %w", doing, err)
	switch {
	case errors.Is(err, storage.ErrFull):
		return fault.New(CodeInternal, "").WithStatus(http.StatusInternalServerError).Because(err).
			WithHint("no space is left for items: free disk space; reading and deleting go on")
	case errors.Is(err, storage.ErrBusy):
		return fault.New(
			CodeThrottled, "Throughput exceeds the current capacity of this node. Please retry.",
		).Because(err)
	}
	return err
}
