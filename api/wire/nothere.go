package wire

import (
	"net/http"
	"strings"

	"github.com/shardmill/shardmill/fault"
)

// NotHere refuses services that are not among those named in have, by name, with 501, which SDKs do not try again. The
// answer is in the protocol of the request.
func NotHere(have ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := CallerOf(r.Context())
		text := "shardmill does not have the service " + clip(c.Service) + "; it has " + strings.Join(have, ", ") +
			". See docs/compat/README.md."
		RefuseUnrouted(w, r, &fault.Error{
			Code: fault.CodeNotImplemented, Status: http.StatusNotImplemented, Message: text,
		})
	})
}
