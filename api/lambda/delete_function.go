package lambda

// deleteFunction answers 204 and the function, or the version that the qualifier names, is gone at once.
func (h *Handler) deleteFunction(c *call) error {
	ref, qualifier, err := c.name()
	if err != nil {
		return err
	}
	if qualifier != "" {
		err = h.functions.DeleteVersion(c.ctx, ref, qualifier)
	} else {
		err = h.functions.Delete(c.ctx, ref)
	}
	if err != nil {
		return err
	}
	return c.empty()
}
