package lambda

import (
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
)

// deleteFunction answers 204 and the function is gone at once. Its one version cannot be deleted alone.
func (h *Handler) deleteFunction(c *call) error {
	ref, qualifier, err := c.name()
	if err != nil {
		return err
	}
	if qualifier != "" {
		if _, ok := h.functions.Lookup(ref); !ok {
			return function.NotFound(ref, "")
		}
		return fault.New(fault.CodeInvalidParameter, "$LATEST version cannot be deleted without deleting the function.")
	}
	if err := h.functions.Delete(c.ctx, ref); err != nil {
		return err
	}
	return c.empty()
}
