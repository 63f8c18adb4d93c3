package lambda

import (
	"net/http"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
)

// putFunctionConcurrency reserves concurrency; 0 stops the function.
func (h *Handler) putFunctionConcurrency(c *call) error {
	var in struct{ ReservedConcurrentExecutions *int }
	if err := c.decode(&in); err != nil {
		return err
	}
	ref, err := c.unqualified()
	if err != nil {
		return err
	}
	if in.ReservedConcurrentExecutions == nil {
		var v fault.Violations
		v.Null("reservedConcurrentExecutions")
		return v.Err()
	}
	if err := h.functions.PutConcurrency(c.ctx, ref, *in.ReservedConcurrentExecutions); err != nil {
		return err
	}
	return c.json(http.StatusOK, concurrency{*in.ReservedConcurrentExecutions})
}

// unqualified is name for operations on a function as a whole.
func (c *call) unqualified() (function.Ref, error) {
	n, err := function.ParseName(c.params["FunctionName"], function.Caller{
		Account: c.caller.Account, Region: c.caller.Region,
	})
	if err != nil {
		return function.Ref{}, err
	}
	c.hint(n.Hint)
	if n.Qualifier != "" {
		return function.Ref{}, function.ErrUnqualified
	}
	return n.Ref, nil
}
