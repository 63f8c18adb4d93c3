package lambda

import (
	"net/http"

	"github.com/shardmill/shardmill/function"
)

// getFunctionConcurrency answers an empty document when nothing is reserved.
func (h *Handler) getFunctionConcurrency(c *call) error {
	ref, err := c.unqualified()
	if err != nil {
		return err
	}
	conf, ok := h.functions.Lookup(ref)
	switch {
	case !ok:
		return function.NotFound(ref, "")
	case conf.Reserved == nil:
		return c.json(http.StatusOK, struct{}{})
	}
	return c.json(http.StatusOK, concurrency{*conf.Reserved})
}
