package lambda

import "net/http"

// getFunctionConfiguration shows a function without its code.
func (h *Handler) getFunctionConfiguration(c *call) error {
	conf, qualifier, err := h.find(c)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, render(conf, qualifier))
}
