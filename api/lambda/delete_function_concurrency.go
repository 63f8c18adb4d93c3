package lambda

// deleteFunctionConcurrency ends a reservation, if there is one.
func (h *Handler) deleteFunctionConcurrency(c *call) error {
	ref, err := c.unqualified()
	if err != nil {
		return err
	}
	if err := h.functions.DeleteConcurrency(c.ctx, ref); err != nil {
		return err
	}
	return c.empty()
}
