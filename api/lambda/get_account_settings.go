package lambda

import "net/http"

type accountSettings struct {
	AccountLimit struct {
		TotalCodeSize, CodeSizeUnzipped, CodeSizeZipped      int64
		ConcurrentExecutions, UnreservedConcurrentExecutions int
	}
	AccountUsage struct {
		TotalCodeSize int64
		FunctionCount int
	}
}

// Limits that AWS gives an account, in bytes. TotalCodeSize is told and not enforced: the disk is the limit.
const (
	totalCodeSize    = 80_530_636_800
	codeSizeUnzipped = 262_144_000
	codeSizeZipped   = 52_428_800
)

// getAccountSettings answers what the account may have in the region, and what it has.
func (h *Handler) getAccountSettings(c *call) error {
	a := h.functions.Account(c.caller.Account, c.caller.Region)
	var out accountSettings
	out.AccountLimit.TotalCodeSize = totalCodeSize
	out.AccountLimit.CodeSizeUnzipped, out.AccountLimit.CodeSizeZipped = codeSizeUnzipped, codeSizeZipped
	out.AccountLimit.ConcurrentExecutions = a.Concurrency
	out.AccountLimit.UnreservedConcurrentExecutions = a.Unreserved
	out.AccountUsage.TotalCodeSize, out.AccountUsage.FunctionCount = a.CodeBytes, a.Functions
	return c.json(http.StatusOK, out)
}
