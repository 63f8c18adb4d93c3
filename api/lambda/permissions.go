package lambda

import (
	"net/http"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/policy"
)

// This file holds the three operations on policies of functions, versions and aliases. They open functions to other
// accounts, and nothing else, which a hint says: within an account everybody may call, and so may services.

const notEnforced = "Policies open a function to callers of other accounts; within its account shardmill does not enforce them."

// addPermission answers 201 with the statement.
func (h *Handler) addPermission(c *call) error {
	var in struct {
		StatementId, Action, Principal, SourceArn, SourceAccount, EventSourceToken, PrincipalOrgID string
		FunctionUrlAuthType, RevisionId                                                            string
		InvokedViaFunctionUrl                                                                      bool
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	ref, qualifier, err := c.name()
	if err != nil {
		return err
	}
	if in.InvokedViaFunctionUrl {
		return unsupported("InvokedViaFunctionUrl")
	}
	s, err := h.functions.AddPermission(c.ctx, function.PermissionInput{
		Ref: ref, Qualifier: qualifier, Sid: in.StatementId, Action: in.Action, Principal: in.Principal,
		SourceARN: in.SourceArn, SourceAccount: in.SourceAccount, EventSourceToken: in.EventSourceToken,
		PrincipalOrgID: in.PrincipalOrgID, URL: in.FunctionUrlAuthType, RevisionID: in.RevisionId,
	})
	if err != nil {
		return err
	}
	c.hint(notEnforced)
	return c.json(http.StatusCreated, struct{ Statement string }{s.Document()})
}

func (h *Handler) getPolicy(c *call) error {
	ref, qualifier, err := c.name()
	if err != nil {
		return err
	}
	p, err := h.functions.Policy(ref, qualifier)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, struct{ Policy, RevisionId string }{p.Document(), p.RevisionID})
}

func (h *Handler) removePermission(c *call) error {
	ref, qualifier, err := c.name()
	if err != nil {
		return err
	}
	err = h.functions.RemovePermission(
		c.ctx, ref, qualifier, c.params["StatementId"], c.r.URL.Query().Get("RevisionId"),
	)
	if err != nil {
		return err
	}
	return c.empty()
}

// permissionsOf returns the permissions of a function, of a version or of an alias; nil without any.
func (h *Handler) permissionsOf(ref function.Ref, qualifier string) *policy.Document {
	p, err := h.functions.Policy(ref, qualifier)
	if err != nil {
		return nil
	}
	document, err := policy.Parse(p.Document())
	if err != nil {
		return nil // opens nothing
	}
	return document
}
