package lambda

import (
	"net/http"

	"github.com/shardmill/shardmill/function"
)

// publishVersion answers 201 with the version that $LATEST is now; if nothing has changed since the last one, with
// that.
func (h *Handler) publishVersion(c *call) error {
	var in struct{ CodeSha256, Description, RevisionId, PublishTo string }
	if err := c.decode(&in); err != nil {
		return err
	}
	ref, err := c.whole()
	if err != nil {
		return err
	}
	if in.PublishTo != "" {
		return unsupported("PublishTo")
	}
	conf, err := h.functions.Publish(c.ctx, function.PublishInput{
		Ref: ref, Description: in.Description, CodeSHA256: in.CodeSha256, RevisionID: in.RevisionId,
	})
	if err != nil {
		return err
	}
	return c.json(http.StatusCreated, render(conf, conf.Version))
}
