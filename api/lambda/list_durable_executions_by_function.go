package lambda

import (
	"net/http"

	"github.com/shardmill/shardmill/fault"
)

// listDurableExecutionsByFunction answers an empty list, whatever it is to be filtered by: there are no durable
// functions. Terraform's provider asks before it deletes a function.
func (h *Handler) listDurableExecutionsByFunction(c *call) error {
	if _, _, err := h.find(c); err != nil {
		return err
	}
	var v fault.Violations
	_, _, err := c.page(&v)
	if err == nil {
		err = v.Err()
	}
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, struct{ DurableExecutions []struct{} }{[]struct{}{}})
}
