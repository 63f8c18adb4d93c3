package lambda

import (
	"net/http"

	"github.com/shardmill/shardmill/function"
)

// getFunctionCodeSigningConfig answers an empty document: there are no configurations of code signing, so no function
// has one.
func (h *Handler) getFunctionCodeSigningConfig(c *call) error {
	if err := h.exists(c); err != nil {
		return err
	}
	return c.json(http.StatusOK, struct{}{})
}

// deleteFunctionCodeSigningConfig has nothing to delete, which is no fault.
func (h *Handler) deleteFunctionCodeSigningConfig(c *call) error {
	if err := h.exists(c); err != nil {
		return err
	}
	return c.empty()
}

// exists reports a fault unless the path names a function.
func (h *Handler) exists(c *call) error {
	ref, err := c.unqualified()
	if err != nil {
		return err
	}
	if _, ok := h.functions.Lookup(ref); !ok {
		return function.NotFound(ref, "")
	}
	return nil
}
