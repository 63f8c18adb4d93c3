package kinesis

import (
	"net/http"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
)

// authenticate checks that a signature is there and complete and, if this server verifies signatures, that it is right.
// It makes whoever holds the key the caller.
func (c *call) authenticate(r *http.Request) error {
	caller, err := wire.Authenticate(r, c.body)
	if err != nil {
		return err
	}
	c.caller = caller
	if !wire.ValidRegion(caller.Region) {
		return fault.New(codeInvalidSignature, "Credential should be scoped to a valid region.")
	}
	return nil
}
