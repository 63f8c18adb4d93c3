package lambda

import (
	"net/http"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
)

type updateFunctionCodeRequest struct {
	functionCode
	Publish, DryRun       bool
	RevisionId, PublishTo string
	Architectures         []string
}

// updateFunctionCode answers with the update InProgress, or with Publish the new version. Not here: S3 and image
// packages.
func (h *Handler) updateFunctionCode(c *call) error {
	var in updateFunctionCodeRequest
	if err := c.decode(&in); err != nil {
		return err
	}
	ref, err := c.whole()
	if err != nil {
		return err
	}
	switch {
	case in.PublishTo != "":
		return unsupported("PublishTo")
	case in.ImageUri != "":
		return fault.New(
			fault.CodeInvalidParameter, "Please don't provide ImageUri when updating a function with packageType Zip.",
		)
	}
	zip, err := in.zip()
	if err != nil {
		return err
	}
	conf, err := h.functions.UpdateCode(c.ctx, function.UpdateCodeInput{
		Ref: ref, RevisionID: in.RevisionId, Architecture: in.Architectures, Zip: zip, DryRun: in.DryRun,
		Publish: in.Publish, Owner: c.caller.Owner,
	})
	if err != nil {
		return err
	}
	qualifier := ""
	if in.Publish {
		qualifier = conf.Version
	}
	return c.json(http.StatusOK, render(conf, qualifier))
}
