package lambda

import (
	"net/http"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
)

type createFunctionRequest struct {
	FunctionName, Role            *string
	Code                          *functionCode
	Runtime, Handler, Description string
	PackageType                   string
	Timeout, MemorySize           *int
	Publish                       bool
	Environment                   *environment
	Architectures                 []string
	Tags                          map[string]string
	settings
}

// functionCode is where code comes from. Only a zip in the request is supported.
type functionCode struct {
	ZipFile                                                     []byte
	S3Bucket, S3Key, S3ObjectVersion, ImageUri, SourceKMSKeyArn string
}

func (c *functionCode) zip() ([]byte, error) {
	switch {
	case c.ImageUri != "":
		return nil, unsupported("Code.ImageUri")
	case c.S3Bucket != "" || c.S3Key != "" || c.S3ObjectVersion != "":
		return nil, unsupported("Code.S3Bucket")
	case c.SourceKMSKeyArn != "":
		return nil, unsupported("Code.SourceKMSKeyArn")
	case c.ZipFile == nil:
		return nil, fault.New(fault.CodeInvalidParameter, "Please provide a source for function code.")
	}
	return c.ZipFile, nil
}

// createFunction answers 201 with the function, or with Publish its version 1, in State Pending. The ARN is the
// function's in both cases, as on AWS. Not here: S3 and image packages, and the parameters of others.
func (h *Handler) createFunction(c *call) error {
	var in createFunctionRequest
	if err := c.decode(&in); err != nil {
		return err
	}
	var v fault.Violations
	if in.FunctionName == nil {
		v.Null("functionName")
	}
	if in.Role == nil {
		v.Null("role")
	}
	if in.Code == nil {
		v.Null("code")
	}
	if err := v.Err(); err != nil {
		return err
	}
	if in.PackageType != "" && in.PackageType != "Zip" {
		return unsupported("PackageType " + clip(in.PackageType))
	}
	if err := in.refuse(); err != nil {
		return err
	}
	zip, err := in.Code.zip()
	if err != nil {
		return err
	}
	group, size, err := in.read()
	if err != nil {
		return err
	}
	conf, err := h.functions.Create(c.ctx, function.CreateInput{
		Name: *in.FunctionName, Caller: function.Caller{Account: c.caller.Account, Region: c.caller.Region},
		Runtime: in.Runtime, Role: *in.Role, Handler: in.Handler, Description: in.Description, Timeout: in.Timeout,
		MemoryMB:    in.MemorySize,
		EphemeralMB: size, Environment: in.Environment.variables(), Architecture: in.Architectures, LogGroup: group,
		Tags: in.Tags, Zip: zip, Publish: in.Publish, Owner: c.caller.Owner,
	})
	if err != nil {
		return err
	}
	c.hint(foldedRole(*in.Role, conf.Role))
	return c.json(http.StatusCreated, render(conf, ""))
}
