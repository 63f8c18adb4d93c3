package bucket

import (
	"errors"
	"fmt"
	"net/http"
	"syscall"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// Codes of the faults that callers can cause.
const (
	CodeNoSuchBucket       = "NoSuchBucket"
	CodeNoSuchKey          = "NoSuchKey"
	CodeNoSuchUpload       = "NoSuchUpload"
	CodeNoSuchTagSet       = "NoSuchTagSet"
	CodeBucketExists       = "BucketAlreadyExists"
	CodeBucketOwned        = "BucketAlreadyOwnedByYou"
	CodeBucketNotEmpty     = "BucketNotEmpty"
	CodeInvalidBucketName  = "InvalidBucketName"
	CodeInvalidArgument    = "InvalidArgument"
	CodeInvalidPart        = "InvalidPart"
	CodeInvalidPartOrder   = "InvalidPartOrder"
	CodeInvalidRequest     = "InvalidRequest"
	CodeBadDigest          = "BadDigest"
	CodeEntityTooLarge     = "EntityTooLarge"
	CodeEntityTooSmall     = "EntityTooSmall"
	CodeKeyTooLong         = "KeyTooLongError"
	CodePreconditionFailed = "PreconditionFailed"
	CodeInvalidTag         = "InvalidTag"
	CodeBadRequest         = "BadRequest"
	CodeTooManyBuckets     = "TooManyBuckets"
	CodeAccessDenied       = "AccessDenied"
	CodeMalformedPolicy    = "MalformedPolicy"
	CodeNoSuchPolicy       = "NoSuchBucketPolicy"
	CodeInternal           = "InternalError"
	CodeSlowDown           = "SlowDown"
)

func noSuchBucket() *fault.Error {
	return fault.New(CodeNoSuchBucket, "The specified bucket does not exist").WithStatus(http.StatusNotFound)
}

func noSuchKey() *fault.Error {
	return fault.New(CodeNoSuchKey, "The specified key does not exist.").WithStatus(http.StatusNotFound)
}

func noSuchUpload() *fault.Error {
	return fault.New(CodeNoSuchUpload, "The specified upload does not exist. "+
		"The upload ID may be invalid, or the upload may have been aborted or completed.").
		WithStatus(http.StatusNotFound)
}

// Precondition returns the fault of a condition that does not hold, under the name of its header.
func Precondition(header string) *fault.Error {
	f := fault.New(CodePreconditionFailed, "At least one of the pre-conditions you specified did not hold").
		WithStatus(http.StatusPreconditionFailed)
	f.Reason = header
	return f
}

// errFull says that objects may use no more of the disk.
var errFull = errors.New("too little of the disk is free for another object")

// storageFault returns the fault for an error of the store or the disk: a specific one where the caller can act, else
// an internal fault.
func storageFault(doing string, err error) error {
	err = fmt.Errorf("%s: %w", doing, err)
	switch {
	case errors.Is(err, storage.ErrFull), errors.Is(err, errFull), errors.Is(err, syscall.ENOSPC),
		errors.Is(err, syscall.EDQUOT):
		return fault.New(CodeInternal, "We encountered an internal error. Please try again.").
			WithStatus(http.StatusInternalServerError).Because(err).WithHint(
			"no space is left for objects: free disk space or raise the memory limit; reading and deleting go on")
	case errors.Is(err, storage.ErrBusy):
		return fault.New(CodeSlowDown, "Please reduce your request rate.").
			WithStatus(http.StatusServiceUnavailable).Because(err)
	}
	return err
}
