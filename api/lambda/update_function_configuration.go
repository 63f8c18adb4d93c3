package lambda

import (
	"net/http"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/arn"
)

type updateFunctionConfigurationRequest struct {
	Role, Handler, Description, Runtime *string
	Timeout, MemorySize                 *int
	Environment                         *environment
	RevisionId                          string
	settings
}

// updateFunctionConfiguration answers with the update InProgress. Members that are absent stay as they are.
func (h *Handler) updateFunctionConfiguration(c *call) error {
	var in updateFunctionConfigurationRequest
	if err := c.decode(&in); err != nil {
		return err
	}
	ref, err := c.whole()
	if err != nil {
		return err
	}
	if err := in.refuse(); err != nil {
		return err
	}
	group, size, err := in.read()
	if err != nil {
		return err
	}
	conf, err := h.functions.UpdateConfiguration(c.ctx, function.UpdateConfigurationInput{
		Ref: ref, RevisionID: in.RevisionId, Runtime: in.Runtime, Role: in.Role, Handler: in.Handler,
		Description: in.Description,
		Timeout:     in.Timeout, MemoryMB: in.MemorySize, EphemeralMB: size, Environment: in.Environment.variables(),
		LogGroup: group, Owner: c.caller.Owner,
	})
	if err != nil {
		return err
	}
	if in.Role != nil {
		c.hint(foldedRole(*in.Role, conf.Role))
	}
	return c.json(http.StatusOK, render(conf, ""))
}

// foldedRole is advice about a role whose account id was completed.
func foldedRole(given, stored string) string {
	a, ok := arn.Parse(given)
	if b, _ := arn.Parse(stored); ok && a.Account != b.Account {
		return function.FoldHint(a.Account, b.Account)
	}
	return ""
}
